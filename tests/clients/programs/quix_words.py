"""Counts words exactly once with quixstreams: BOOTSTRAP STATE_FOLDER.

Every word of `lines` makes one record of `counts`: the word, and how often it was read so far.
"""

from __future__ import annotations

import sys

from quixstreams import Application, State

TEXT = {
    "key_serializer": "str",
    "value_serializer": "str",
    "key_deserializer": "str",
    "value_deserializer": "str",
}
# librdkafka forgets its only broker while it is away, unless it is told not to.
LASTING = {"metadata.recovery.strategy": "none", "reconnect.backoff.max.ms": 500}


def count(_: str, state: State) -> str:
    times: int = state.get("times", 0) + 1
    state.set("times", times)
    return str(times)


def main(bootstrap: str, state_folder: str) -> None:
    application = Application(
        broker_address=bootstrap,
        consumer_group="quix-words",
        state_dir=state_folder,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=0.5,
        consumer_extra_config={**LASTING, "session.timeout.ms": 6_000},
        producer_extra_config={**LASTING, "transaction.timeout.ms": 5_000},
    )
    lines = application.dataframe(application.topic("lines", **TEXT))
    words = lines.apply(lambda line: line.split(" "), expand=True)
    by_word = words.group_by(lambda word: word, name="word", **TEXT)
    by_word.apply(count, stateful=True).to_topic(application.topic("counts", **TEXT))
    application.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
