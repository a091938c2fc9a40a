"""Taking over logs that Apache Kafka has written, as topics of a data folder of ours.

The files are the same, so they are copied as they are; the topic ids that Kafka has left in
partition.metadata are kept. What lies elsewhere in Kafka (settings of topics, groups, users) and
its internal topics stay behind.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pylog.cluster.image import (
    PartitionImage,
    encode_partition,
    encode_topic,
    image_of,
    partition_key,
    topic_key,
)
from pylog.cluster.sqlite_store import SqliteStore
from pylog.cluster.store import Write
from pylog.coordinator.producer_ids import leave_out
from pylog.log.checkpoint import (
    HIGH_WATERMARK_FILE,
    LEADER_EPOCH_FILE,
    LOG_START_FILE,
    flush_folder,
    read_begun_checkpoint,
    read_checkpoint,
    read_leader_epochs,
)
from pylog.log.checkpoint_seal import write_checkpoints
from pylog.log.files import LOG, file_name, offsets_of, read_batches
from pylog.log.layout import METADATA_STORE, DataFolder, log_folders_of, read_topic_id


class CannotImport(Exception):
    """Why nothing was taken over."""


class Found(NamedTuple):
    """A topic of the source: its id, and the folders of its partitions by index."""

    topic_id: bytes
    folders: dict[int, Path]


def find_topics(source: Path) -> dict[str, Found]:
    """The topics that have logs in Kafka's folder, without its internal ones; CannotImport."""
    topics: dict[str, Found] = {}
    for (name, index), folder in sorted(log_folders_of(source).items()):
        if name.startswith("__"):
            continue
        topic_id = read_topic_id(folder)
        if topic_id is None:
            raise CannotImport(f"{folder} has no partition.metadata with the id of its topic")
        topic = topics.setdefault(name, Found(topic_id, {}))
        if topic.topic_id != topic_id:
            raise CannotImport(f"the logs of {name} have different topic ids")
        topic.folders[index] = folder
    for name, topic in topics.items():
        missing = set(range(max(topic.folders) + 1)) - topic.folders.keys()
        if missing:
            raise CannotImport(f"{name} has no log {name}-{min(missing)} in {source}")
    return topics


async def import_topics(source: Path, target: DataFolder, node_id: int) -> dict[str, int]:
    """Copy every topic into a locked data folder and register it; partitions by topic name.

    CannotImport and DamagedFile before anything is changed; OSError.
    """
    topics = find_topics(source)
    folders = [folder for topic in topics.values() for folder in topic.folders.values()]
    last_producer = max((_last_producer(folder) for folder in folders), default=-1)
    target.identify(node_id)
    store = SqliteStore(target.path / METADATA_STORE)
    try:
        image = image_of(await store.read(""))
        taken = topics.keys() & image.topics.keys()
        if taken:
            raise CannotImport(f"{target.path} has a topic {min(taken)} already")
        target.take_clean_mark()  # the next start checks every batch that has come
        for name, topic in topics.items():
            for index, folder in topic.folders.items():
                shutil.copytree(folder, target.log_folder(name, index), dirs_exist_ok=True)
        flush_folder(target.path)
        _take_checkpoints(source, target.path, topics)
        await leave_out(store, last_producer)
        await store.commit([write for item in topics.items() for write in _writes(*item, node_id)])
    finally:
        await store.close()
    return {name: len(topic.folders) for name, topic in topics.items()}


def _last_producer(folder: Path) -> int:
    """The highest producer id in a log, -1 for none. Every batch is checked on the way."""
    paths = [folder / file_name(base, LOG) for base in offsets_of(folder, LOG)]
    batches = (batch for path in paths for _, batch in read_batches(path))
    return max((batch.producer_id for batch in batches), default=-1)


def _take_checkpoints(source: Path, target: Path, topics: Mapping[str, Found]) -> None:
    files = {}
    for name in (LOG_START_FILE, HIGH_WATERMARK_FILE):
        theirs = read_begun_checkpoint(source / name)
        taken = {key: offset for key, offset in theirs.items() if key[0] in topics}
        files[name] = read_checkpoint(target / name) | taken
    write_checkpoints(target, files)


def _writes(name: str, topic: Found, node_id: int) -> list[Write]:
    """The topic, led by this broker in epochs that go on where Kafka's ended."""
    writes = [Write(topic_key(name), encode_topic(topic.topic_id, [[node_id]] * len(topic[1])), 0)]
    for index, folder in topic.folders.items():
        epochs = read_leader_epochs(folder / LEADER_EPOCH_FILE)
        epoch = epochs[-1][0] + 1 if epochs else 0
        state = PartitionImage((node_id,), (node_id,), node_id, epoch, 0)
        key = partition_key(topic.topic_id, index)
        writes.append(Write(key, encode_partition(state), 0))
    return writes
