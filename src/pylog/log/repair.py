"""Repair of one log offline: by the engine's own recovery, after a copy of what it will cut.

Recovery walks all batches, cuts the log at the first that is torn or corrupt, and writes indexes,
producer snapshots and leader epochs anew. Cutting at damage that has good batches behind it would
lose those: that is refused unless it is asked for.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from pylog.engine.engine import Engine
from pylog.engine.values import EngineError, EngineOptions, LogConfig, PartitionSpec
from pylog.log.checkpoint import (
    CLEANER_FILE,
    HIGH_WATERMARK_FILE,
    LOG_START_FILE,
    RECOVERY_POINT_FILE,
    MalformedCheckpoint,
    flush_folder,
    read_begun_checkpoint,
)
from pylog.log.checkpoint_seal import read_seal, write_checkpoints
from pylog.log.files import LOG, DamagedFile, file_name, offsets_of, read_batches
from pylog.log.layout import log_name

_NO_NEW_EPOCH: Final = -1  # keeps those that are there


class CannotRepair(Exception):
    """Why a log was left as it was."""


class Cut(NamedTuple):
    """Where the first damaged batch of a log is."""

    path: Path  # of the segment
    position: int
    what: str
    later: list[Path]  # segments behind it


class Repaired(NamedTuple):
    """What was done to a log; ``kept``: where the copy of what was cut is."""

    end_offset: int
    bytes_cut: int
    kept: Path | None


def find_cut(folder: Path) -> Cut | None:
    """The place where recovery will cut a log; None when all its batches are good."""
    bases = offsets_of(folder, LOG)
    end_offset = 0
    for number, base in enumerate(bases):
        path = folder / file_name(base, LOG)
        later = [folder / file_name(item, LOG) for item in bases[number + 1 :]]
        try:
            for position, batch in read_batches(path):
                if batch.base_offset < max(base, end_offset):
                    return Cut(path, position, f"offset {batch.base_offset} is not in order", later)
                end_offset = batch.last_offset + 1
        except DamagedFile as error:
            return Cut(path, error.position, error.what, later)
    return None


async def repair(folder: Path, *, cut_later: bool = False) -> Repaired:
    """Repair a log whose data folder is locked by the caller; CannotRepair, OSError.

    ``cut_later``: also cut where good segments follow.
    """
    name = log_name(folder)
    if name is None:
        raise CannotRepair(f"{folder} is not named like a log, TOPIC-PARTITION")
    log_start = _log_start(folder.parent, name)
    cut = find_cut(folder)
    if cut and cut.later and not cut_later:
        lost = sum(path.stat().st_size for path in cut.later)
        raise CannotRepair(
            f"{cut.path} at byte {cut.position}: {cut.what}. {len(cut.later)} later segments of "
            f"{lost} bytes would be lost with a cut there; --cut does it and keeps a copy"
        )
    kept = _keep(folder, cut) if cut else None
    bytes_cut = _size(cut) if cut else 0
    end_offset = await _recover(folder, name, log_start)
    _note_end(folder.parent, name, end_offset)
    return Repaired(end_offset, bytes_cut, kept)


def _log_start(data_folder: Path, name: tuple[str, int]) -> int:
    try:
        return read_seal(data_folder).read(data_folder / LOG_START_FILE).get(name, 0)
    except MalformedCheckpoint as error:
        raise CannotRepair(f"{error}; nothing else tells where logs start") from None


def _note_end(data_folder: Path, name: tuple[str, int], end_offset: int) -> None:
    """Everything up to there is on the disk, and nothing goes further."""
    files = {RECOVERY_POINT_FILE: _known(data_folder / RECOVERY_POINT_FILE) | {name: end_offset}}
    for other in (HIGH_WATERMARK_FILE, CLEANER_FILE):
        offsets = _known(data_folder / other)
        if offsets.get(name, 0) > end_offset:
            files[other] = offsets | {name: end_offset}
    write_checkpoints(data_folder, files)


def _known(path: Path) -> dict[tuple[str, int], int]:
    """What a checkpoint says; one that can't be read is begun anew."""
    try:
        return read_begun_checkpoint(path)
    except MalformedCheckpoint:
        return {}


def _size(cut: Cut) -> int:
    files = [cut.path, *cut.later]
    return sum(path.stat().st_size for path in files) - cut.position


def _keep(folder: Path, cut: Cut) -> Path:
    """Copy what will be cut into a folder beside the log."""
    target = folder.with_name(f"{folder.name}.{os.urandom(16).hex()}-cut")
    target.mkdir()
    with open(cut.path, "rb") as source, open(target / f"{cut.path.name}.tail", "wb") as tail:
        source.seek(cut.position)
        shutil.copyfileobj(source, tail)
        tail.flush()
        os.fsync(tail.fileno())
    for path in cut.later:
        with open(shutil.copy2(path, target), "rb") as copy:
            os.fsync(copy.fileno())
    flush_folder(target)
    flush_folder(target.parent)
    return target


async def _recover(folder: Path, name: tuple[str, int], log_start: int) -> int:
    """The end of the log behind a scan of everything. Gaps are taken for those of compaction."""
    engine = Engine(EngineOptions(worker_threads=1, housekeep_interval_ms=0))
    try:
        spec = PartitionSpec(
            *name,
            topic_id=bytes(16),
            folder=str(folder),
            config=LogConfig(compact_policy=True),
            log_start_offset=log_start,
            leader_epoch=_NO_NEW_EPOCH,
        )
        (opened,) = await engine.open_partitions([spec])
        if isinstance(opened, EngineError):
            raise CannotRepair(f"{folder}: recovery has failed, {opened}")
        end_offset = opened.offsets().log_end
        await engine.close_partitions([opened], delete=False)
        return end_offset
    except EngineError as error:
        raise CannotRepair(f"{folder}: {error}") from None
    finally:
        engine.close()
