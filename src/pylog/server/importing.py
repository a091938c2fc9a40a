"""Taking over logs that Apache Kafka has written, as topics of a data folder of ours.

The files are the same, so they are copied as they are; the topic ids that Kafka has left in
partition.metadata are kept. What lies elsewhere in Kafka (settings of topics, groups, users) and
its internal topics stay behind.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
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
from pylog.cluster.placement import Placement
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
from pylog.log.dirs import LogDirs
from pylog.log.files import LOG, file_name, offsets_of, read_batches
from pylog.log.layout import METADATA_STORE, DataFolder, logs_in, read_topic_id

Key = tuple[str, int]  # topic, partition


class CannotImport(Exception):
    """Why nothing was taken over."""


class Found(NamedTuple):
    """A topic of the source: its id, and the folders of its partitions by index."""

    topic_id: bytes
    folders: dict[int, Path]


def find_topics(sources: Sequence[Path]) -> dict[str, Found]:
    """The topics that have logs in Kafka's folders, without its internal ones; CannotImport, and
    WrongFolder when two folders have the same log."""
    topics: dict[str, Found] = {}
    for (name, index), folder in sorted(logs_in(sources).items()):
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
            where = ", ".join(map(str, sources))
            raise CannotImport(f"{name} has no log {name}-{min(missing)} in {where}")
    return topics


async def import_topics(sources: Sequence[Path], target: LogDirs, node_id: int) -> dict[str, int]:
    """Copy every topic into locked data folders and register it; partitions by topic name.

    Each log goes where the fewest are, as a new one does. CannotImport, DamagedFile and
    WrongFolder before anything is changed; OSError.
    """
    topics = find_topics(sources)
    folders = [folder for topic in topics.values() for folder in topic.folders.values()]
    last_producer = max((_last_producer(folder) for folder in folders), default=-1)
    if not target.complete:
        raise CannotImport("; ".join(f"{path}: {why}" for path, why in target.failed.items()))
    target.identify(node_id)
    store = SqliteStore(target.first.path / METADATA_STORE)
    try:
        image = image_of(await store.read(""))
        taken = topics.keys() & image.topics.keys()
        if taken:
            raise CannotImport(f"{target.first.path} has a topic {min(taken)} already")
        for copies in _places(topics, target).items():
            _copy(*copies)
        await leave_out(store, last_producer)
        await store.commit([write for item in topics.items() for write in _writes(*item, node_id)])
    finally:
        await store.close()
    return {name: len(topic.folders) for name, topic in topics.items()}


def _places(topics: Mapping[str, Found], target: LogDirs) -> dict[DataFolder, dict[Key, Path]]:
    """What goes where; a log that an import before this one has left is written again."""
    placement = Placement(target)
    for key, home in target.find_logs().items():
        placement.put(key, home)
    places: dict[DataFolder, dict[Key, Path]] = {}
    for name, topic in topics.items():
        for index, folder in topic.folders.items():
            key = name, index
            home = placement.folder_of(key) or placement.place(key)
            places.setdefault(home, {})[key] = folder
    return places


def _copy(target: DataFolder, logs: Mapping[Key, Path]) -> None:
    target.take_clean_mark()  # the next start checks every batch that has come
    for key, folder in logs.items():
        shutil.copytree(folder, target.log_folder(*key), dirs_exist_ok=True)
    flush_folder(target.path)
    _take_checkpoints(target.path, logs)


def _last_producer(folder: Path) -> int:
    """The highest producer id in a log, -1 for none. Every batch is checked on the way."""
    paths = [folder / file_name(base, LOG) for base in offsets_of(folder, LOG)]
    batches = (batch for path in paths for _, batch in read_batches(path))
    return max((batch.producer_id for batch in batches), default=-1)


def _take_checkpoints(target: Path, logs: Mapping[Key, Path]) -> None:
    """What Kafka has noted of the logs; of those that it has not, nothing is known any more."""
    files = {}
    for name in (LOG_START_FILE, HIGH_WATERMARK_FILE):
        known = read_checkpoint(target / name)
        files[name] = {key: offset for key, offset in known.items() if key not in logs}
        for source in {folder.parent for folder in logs.values()}:
            theirs = read_begun_checkpoint(source / name)
            files[name] |= {key: theirs[key] for key in theirs if _is_from(source, logs.get(key))}
    write_checkpoints(target, files)


def _is_from(source: Path, log: Path | None) -> bool:
    return log is not None and log.parent == source


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
