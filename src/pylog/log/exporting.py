"""Handing logs over to Apache Kafka: copies that a stopped broker finds in its folders.

The files are the same; three things are not. A topic has another id in another cluster, so the
one that Kafka has noted for its own, empty log stays. Leader epochs begin anew there, so those
in the batches (outside their CRC) and in leader-epoch-checkpoint become 0. And Kafka is made to
check what has come: its mark of a clean end goes.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
from pylog.log.layout import DataFolder, logs_in

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


def export_topics(sources: Sequence[Path], targets: Sequence[DataFolder]) -> dict[str, int]:
    """Copy every topic of a broker's data folders into Kafka's; partitions by topic name.

    Nobody uses the folders (the targets are locked), and Kafka has topics of the same names and
    numbers of partitions without a record. A log goes where Kafka has put that partition.
    CannotExport, DamagedFile and WrongFolder before anything is changed; OSError.
    """
    pairs = _find_pairs(sources, [target.path for target in targets])
    for pair in pairs.values():
        _check(pair.source)
    checkpoints = _read_checkpoints(sources, pairs)
    for target in targets:
        target.take_clean_mark()
    for key, pair in pairs.items():
        _replace(pair, checkpoints[LOG_START_FILE].get(key, 0))
    for target in targets:
        there = {key for key, pair in pairs.items() if pair.target.parent == target.path}
        _take_checkpoints(checkpoints, target.path, there)
    return dict(Counter(topic for topic, _ in pairs))


def _find_pairs(sources: Sequence[Path], targets: Sequence[Path]) -> dict[Key, Pair]:
    there = logs_in(targets)
    pairs = {}
    for (topic, index), folder in sorted(logs_in(sources).items()):
        if topic.startswith("__"):
            continue
        place = there.get((topic, index))
        if place is None:
            where = _names(targets)
            raise CannotExport(f"{where} has no {topic}-{index}: create the topic in Kafka first")
        if any(path.stat().st_size for path in place.glob(f"*{LOG}")):
            raise CannotExport(f"{place} has records already")
        pairs[topic, index] = Pair(folder, place)
    ours = {topic for topic, _ in pairs}
    for topic, index in there:
        if topic in ours and (topic, index) not in pairs:
            where = _names(sources)
            raise CannotExport(f"{where} has no {topic}-{index}: Kafka has more partitions")
    return pairs


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))


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


def _read_checkpoints(
    sources: Sequence[Path], pairs: Mapping[Key, Pair]
) -> dict[str, dict[Key, int]]:
    """Starts, high watermarks and cleaned ends go along; up to where Kafka had flushed its own
    logs does not."""
    found: dict[str, dict[Key, int]] = {name: {} for name in _GO_ALONG}
    for source in sources:
        here = {key for key, pair in pairs.items() if pair.source.parent == source}
        try:
            seal = read_seal(source)
            for name, offsets in found.items():
                offsets.update(_only(here, seal.read(source / name)))
        except MalformedCheckpoint as error:
            raise CannotExport(str(error)) from None
    return found


def _take_checkpoints(ours: Mapping[str, Offsets], target: Path, exported: Collection[Key]) -> None:
    for name in (*_GO_ALONG, RECOVERY_POINT_FILE):
        path = target / name
        known = read_begun_checkpoint(path)
        kept = _only(known.keys() - exported, known)
        write_checkpoint(path, kept | _only(exported, ours.get(name, {})))


def _only(keys: Collection[Key], offsets: Offsets) -> dict[Key, int]:
    return {key: offset for key, offset in offsets.items() if key in keys}
