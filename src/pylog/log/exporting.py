"""Handing logs over to Apache Kafka: copies that a stopped broker finds in its folder.

The files are the same; three things are not. A topic has another id in another cluster, so the
one that Kafka has noted for its own, empty log stays. Leader epochs begin anew there, so those
in the batches (outside their CRC) and in leader-epoch-checkpoint become 0. And Kafka is made to
check what has come: its mark of a clean end goes.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pylog.log.checkpoint import (
    CLEANER_FILE,
    HIGH_WATERMARK_FILE,
    LEADER_EPOCH_FILE,
    LOG_START_FILE,
    RECOVERY_POINT_FILE,
    MalformedCheckpoint,
    Offsets,
    flush_folder,
    read_begun_checkpoint,
    replace_file,
    write_checkpoint,
)
from pylog.log.checkpoint_seal import read_seal
from pylog.log.files import LOG, file_name, offsets_of, read_batches
from pylog.log.layout import DataFolder, log_folders_of

Key = tuple[str, int]  # topic, partition

_EPOCH_AT: Final = 12  # in a batch: behind base offset and length
_NO_EPOCH: Final = struct.pack(">i", 0)
_PARTITION_META: Final = "partition.metadata"
_GO_ALONG: Final = (LOG_START_FILE, HIGH_WATERMARK_FILE, CLEANER_FILE)


class CannotExport(Exception):
    """Why nothing was handed over."""


class Pair(NamedTuple):
    """A log of ours, and the folder of the empty one that it takes the place of."""

    source: Path
    target: Path


def export_topics(source: Path, target: DataFolder) -> dict[str, int]:
    """Copy every topic of a data folder into Kafka's log folder; partitions by topic name.

    Nobody uses the two folders (the target is locked), and Kafka has topics of the same names and
    numbers of partitions without a record. CannotExport and DamagedFile before anything is
    changed; OSError.
    """
    pairs = _find_pairs(source, target.path)
    for pair in pairs.values():
        _check(pair.source)
    checkpoints = _read_checkpoints(source)
    target.take_clean_mark()
    for key, pair in pairs.items():
        _replace(pair, checkpoints[LOG_START_FILE].get(key, 0))
    _take_checkpoints(checkpoints, target.path, pairs)
    counts: dict[str, int] = {}
    for topic, _ in pairs:
        counts[topic] = counts.get(topic, 0) + 1
    return counts


def _find_pairs(source: Path, target: Path) -> dict[Key, Pair]:
    there = log_folders_of(target)
    pairs = {}
    for (topic, index), folder in sorted(log_folders_of(source).items()):
        if topic.startswith("__"):
            continue
        place = there.get((topic, index))
        if place is None:
            raise CannotExport(f"{target} has no {topic}-{index}: create the topic in Kafka first")
        if any(path.stat().st_size for path in place.glob(f"*{LOG}")):
            raise CannotExport(f"{place} has records already")
        pairs[topic, index] = Pair(folder, place)
    ours = {topic for topic, _ in pairs}
    for topic, index in there:
        if topic in ours and (topic, index) not in pairs:
            raise CannotExport(f"{source} has no {topic}-{index}: Kafka has more partitions")
    return pairs


def _segments(folder: Path) -> list[Path]:
    return [folder / file_name(base, LOG) for base in offsets_of(folder, LOG)]


def _check(folder: Path) -> None:
    """Every batch of a log; :class:`DamagedFile`."""
    for path in _segments(folder):
        for _ in read_batches(path):
            pass


def _replace(pair: Pair, log_start: int) -> None:
    """Put a copy in the place of Kafka's empty log. Half done, Kafka finds no log there."""
    beside = pair.target.with_name(f"{pair.target.name}.{os.urandom(16).hex()}-export")
    left_out = shutil.ignore_patterns(_PARTITION_META, LEADER_EPOCH_FILE, "*.tmp", "*.deleted")
    shutil.copytree(pair.source, beside, ignore=left_out)
    shutil.copy2(pair.target / _PARTITION_META, beside)
    _clear_epochs(beside)
    replace_file(beside / LEADER_EPOCH_FILE, f"0\n1\n0 {log_start}\n")
    for path in beside.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    shutil.rmtree(pair.target)
    beside.rename(pair.target)
    flush_folder(pair.target.parent)


def _clear_epochs(folder: Path) -> None:
    for path in _segments(folder):
        with open(path, "r+b", buffering=0) as file:
            for position, _ in read_batches(path):
                os.pwrite(file.fileno(), _NO_EPOCH, position + _EPOCH_AT)


def _read_checkpoints(source: Path) -> dict[str, Offsets]:
    """Starts, high watermarks and cleaned ends go along; up to where Kafka had flushed its own
    logs does not."""
    try:
        seal = read_seal(source)
        return {name: seal.read(source / name) for name in _GO_ALONG}
    except MalformedCheckpoint as error:
        raise CannotExport(str(error)) from None


def _take_checkpoints(ours: Mapping[str, Offsets], target: Path, pairs: Mapping[Key, Pair]) -> None:
    for name in (*_GO_ALONG, RECOVERY_POINT_FILE):
        path = target / name
        known = read_begun_checkpoint(path)
        kept = {key: offset for key, offset in known.items() if key not in pairs}
        taken = {key: offset for key, offset in ours.get(name, {}).items() if key in pairs}
        write_checkpoint(path, kept | taken)
