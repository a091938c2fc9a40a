"""Counts words with faust: BOOTSTRAP STATE_FOLDER.

Every word of `lines` makes one record of `counts`: the word, and how often it was read so far.
(Its `exactly_once` is not: killed at work it counts words twice, at Apache Kafka too.)
"""

from __future__ import annotations

import sys

import faust
from faust.worker import Worker

RAW = {
    "key_type": bytes,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
}
PARTITIONS = 2


def word_count(bootstrap: str, state_folder: str) -> faust.App:
    application = faust.App(
        "faust-words",
        broker=f"kafka://{bootstrap}",
        datadir=state_folder,
        store="memory://",
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        broker_commit_interval=0.5,
        broker_session_timeout=6,
        broker_heartbeat_interval=1,
        broker_request_timeout=20,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        web_enabled=False,
    )
    words = application.topic("faust-words-words", internal=True, partitions=PARTITIONS, **RAW)
    counts = application.topic("counts", **RAW)
    totals = application.Table("totals", default=int, partitions=PARTITIONS, key_type=bytes)

    @application.agent(application.topic("lines", **RAW))
    async def split(lines: faust.StreamT[bytes]) -> None:
        async for line in lines:
            for word in line.split(b" "):
                await words.send(key=word, value=word)

    @application.agent(words)
    async def count(stream: faust.StreamT[bytes]) -> None:
        async for word in stream:
            totals[word] += 1
            await counts.send(key=word, value=b"%d" % totals[word])

    return application


if __name__ == "__main__":
    application = word_count(*sys.argv[1:])
    del sys.argv[1:]  # the worker has arguments of its own
    application.finalize()
    Worker(application, loglevel="INFO").execute_from_commandline()
