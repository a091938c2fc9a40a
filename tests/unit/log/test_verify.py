"""Checks of a small data folder: any byte of it that changes is found, or does no harm."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.small_log import NAME, NODE_ID, START, TIME_MS, TOPIC_ID, make, spec

from pylog.codec import decode_batches
from pylog.engine.engine import Engine
from pylog.engine.partition import Partition
from pylog.engine.values import EngineError, EngineOptions
from pylog.log.checkpoint import HIGH_WATERMARK_FILE, write_checkpoint
from pylog.log.layout import DataFolder, WrongFolder
from pylog.log.verify_folder import FolderCheck, Owner


class Contents(NamedTuple):
    """All that a reader can see of a log."""

    start: int
    end: int
    records: list[tuple[int, int, bytes | None, bytes | None]]
    times: list[tuple[int, ...] | None]
    producers: list[tuple[int, int, int, int]]
    epoch_end: tuple[int, int]


async def read(folder: Path) -> Contents | None:
    """What the engine serves after a clean shutdown; None when it refuses."""
    engine = Engine(EngineOptions(worker_threads=1, housekeep_interval_ms=0))
    try:
        (log,) = await engine.open_partitions([spec(folder, epoch=5)])
        return None if isinstance(log, EngineError) else await read_log(log)
    except EngineError:
        return None
    finally:
        engine.close()


async def read_log(log: Partition) -> Contents:
    offsets = log.offsets()
    records = []
    at = offsets.log_start
    while at < offsets.log_end:
        data, at = await log.read(at, 1)
        for batch in decode_batches(data):
            records += [(r.offset, r.timestamp_ms, r.key, r.value) for r in batch]
    times = [await log.find_time(TIME_MS + ahead) for ahead in range(0, 120, 7)]
    views = [(v[0], v[1], v[2], v[5]) for v in sorted(log.producers())]
    return Contents(offsets[0], offsets[2], records, times, views, log.epoch_end(4))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of one log, closed in order."""
    return make(tmp_path_factory.mktemp("pristine") / "data")


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "data"))


@pytest.fixture
def owner(pristine: Path) -> Owner:
    folder = DataFolder(pristine)
    cluster_id = folder.identify(NODE_ID).cluster_id
    folder.close()
    return Owner(cluster_id, {"topic": TOPIC_ID})


def test_a_good_folder_has_no_findings(pristine: Path, owner: Owner) -> None:
    assert list(FolderCheck(pristine, owner).run()) == []
    suffixes = {path.suffix for path in (pristine / NAME).iterdir()}
    assert suffixes >= {".log", ".index", ".timeindex", ".txnindex", ".snapshot"}
    assert len(list((pristine / NAME).glob("*.log"))) > 2


@pytest.mark.parametrize(
    ("offset", "place"), [(START - 1, "below its start"), (99, "beyond its end")]
)
def test_a_high_watermark_outside_of_its_log_is_found(
    folder: Path, offset: int, place: str
) -> None:
    checkpoint = folder / HIGH_WATERMARK_FILE
    write_checkpoint(checkpoint, {("topic", 0): offset})
    (finding,) = FolderCheck(folder).run()
    assert finding.path == checkpoint
    assert f"topic-0 {offset} is {place}" in finding.what


def is_harmless(folder: Path, intact: Contents, scratch: Path) -> bool:
    """Whether a broker serves all the same, or does not take the folder."""
    shutil.copytree(folder, scratch)
    data_folder = DataFolder(scratch)
    try:
        data_folder.identify(NODE_ID)
    except WrongFolder:
        return True
    finally:
        data_folder.close()
    return asyncio.run(read(scratch)) == intact


def test_a_flip_of_any_byte_is_found_or_harmless(
    folder: Path, owner: Owner, tmp_path: Path
) -> None:
    intact = asyncio.run(read(Path(shutil.copytree(folder, tmp_path / "read"))))
    unnoticed = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        good = path.read_bytes()
        for place in range(len(good)):
            for mask in (0x01, 0x80):
                bad = bytearray(good)
                bad[place] ^= mask
                path.write_bytes(bad)
                if not list(FolderCheck(folder, owner).run()):
                    unnoticed.append((path, place, mask))
                    scratch = tmp_path / f"flip-{len(unnoticed)}"
                    assert is_harmless(folder, intact, scratch), unnoticed[-1]
        path.write_bytes(good)
    assert list(FolderCheck(folder, owner).run()) == []
