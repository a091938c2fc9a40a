"""Several data folders under one broker, one of which fails, is missing, or comes back."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.faulty_disk import FaultyDisk
from tests.support.load import IdempotentLoad, Place, Watcher, create_topic, read_all
from tests.support.records import (
    delete_records,
    delete_topic,
    fetch,
    offline_partitions,
    produce,
    start_of,
)
from tests.support.wait import wait_until
from tests.support.wire import Wire
from tests.unit.apis.topics import make_topic

from pylog.log.layout import DataFolder, read_identity
from pylog.log.moving import LogCopy
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from pylog.protocol.messages.describe_log_dirs import DescribeLogDirsRequest

FOLDERS = ("one", "two", "three")
TOPIC = "topic"
PARTITIONS = 6
FOLDER_UNUSABLE = 5


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return [tmp_path / name for name in FOLDERS]


@pytest.fixture
def broker(folders: list[Path], tmp_path: Path) -> Iterator[BrokerProcess]:
    settings = {**QUICK_GROUPS, "log.flush.offset.checkpoint.interval.ms": "100"}
    broker = BrokerProcess(Path(",".join(map(str, folders))), settings)
    broker.log_path = tmp_path / "broker.log"
    yield broker
    if broker.is_running():
        broker.kill()


def logs_in(folder: Path) -> set[int]:
    return {int(path.name.rpartition("-")[2]) for path in folder.glob(f"{TOPIC}-*[0-9]")}


def fill(wire: Wire) -> None:
    for index in range(PARTITIONS):
        assert produce(wire, TOPIC, b"first", index) == ErrorCode.NONE


def check(wire: Wire, indexes: set[int]) -> None:
    for index in range(PARTITIONS):
        expected = b"first" if index in indexes else ErrorCode.KAFKA_STORAGE_ERROR
        assert fetch(wire, TOPIC, index) == expected
        code = ErrorCode.NONE if index in indexes else ErrorCode.KAFKA_STORAGE_ERROR
        assert produce(wire, TOPIC, b"more", index) == code
    offline = set(range(PARTITIONS)) - indexes
    assert offline_partitions(wire) == {(TOPIC, index) for index in offline}


def errors_of_folders(wire: Wire) -> dict[str, int]:
    results = wire.ask(DescribeLogDirsRequest(topics=None)).results
    return {Path(item.log_dir).name: item.error_code for item in results}


def test_partitions_are_spread_over_the_folders(broker: BrokerProcess, folders: list[Path]) -> None:
    broker.start()
    with Wire(broker.address) as wire:
        make_topic(wire, TOPIC, PARTITIONS)
        fill(wire)
        assert [len(logs_in(folder)) for folder in folders] == [2, 2, 2]
        results = wire.ask(DescribeLogDirsRequest(topics=None)).results
        assert [Path(item.log_dir) for item in results] == folders
        for folder, item in zip(folders, results, strict=True):
            (topic,) = item.topics
            assert {part.partition_index for part in topic.partitions} == logs_in(folder)
            assert all(part.partition_size > 0 for part in topic.partitions)
            assert item.total_bytes > item.usable_bytes > 0
    broker.kill()
    broker.start()
    with Wire(broker.address) as wire:
        check(wire, set(range(PARTITIONS)))
    assert broker.terminate() == 0
    assert all((folder / ".kafka_cleanshutdown").exists() for folder in folders)
    identities = [(folder / "meta.properties").read_text().split() for folder in folders]
    assert len({line for lines in identities for line in lines if "cluster.id" in line}) == 1
    assert len({line for lines in identities for line in lines if "directory.id" in line}) == 3


def test_a_folder_that_fails_takes_its_partitions_offline_and_no_others(
    broker: BrokerProcess, folders: list[Path], tmp_path: Path
) -> None:
    disk = FaultyDisk(folders[1], tmp_path)
    with disk.preloaded():
        broker.start()
    with Wire(broker.address) as wire:
        make_topic(wire, TOPIC, PARTITIONS)
        fill(wire)
        bad = logs_in(folders[1])
        disk.fail()
        assert produce(wire, TOPIC, b"lost", min(bad)) == ErrorCode.KAFKA_STORAGE_ERROR
        wait_until(lambda: offline_partitions(wire) == {(TOPIC, index) for index in bad})
        check(wire, set(range(PARTITIONS)) - bad)
        assert errors_of_folders(wire) == {
            "one": ErrorCode.NONE,
            "two": ErrorCode.KAFKA_STORAGE_ERROR,
            "three": ErrorCode.NONE,
        }
        make_topic(wire, "later", 2)
        assert [len(list(folder.glob("later-*"))) for folder in folders] == [1, 0, 1]
        assert produce(wire, "later", b"first") == ErrorCode.NONE
    assert "data folder offline" in broker.log_path.read_text()
    assert broker.terminate() == 0
    disk.work()
    broker.start()
    with Wire(broker.address) as wire:
        check(wire, set(range(PARTITIONS)))
    assert broker.terminate() == 0


def test_a_broker_ends_when_the_folder_of_the_metadata_fails(
    broker: BrokerProcess, folders: list[Path], tmp_path: Path
) -> None:
    disk = FaultyDisk(folders[0], tmp_path)
    with disk.preloaded():
        broker.start()
    with Wire(broker.address) as wire:
        make_topic(wire, TOPIC, PARTITIONS)
        fill(wire)
        disk.fail()
        bad = min(logs_in(folders[0]))
        assert produce(wire, TOPIC, b"lost", bad) == ErrorCode.KAFKA_STORAGE_ERROR
    wait_until(lambda: not broker.is_running())
    assert broker.terminate() == FOLDER_UNUSABLE
    assert f"{folders[0]} has failed" in broker.log_path.read_text()
    disk.work()
    broker.start()
    with Wire(broker.address) as wire:
        check(wire, set(range(PARTITIONS)))
    assert broker.terminate() == 0


def replace_by_file(folder: Path) -> None:
    folder.write_text("")


def leave_empty(folder: Path) -> None:
    folder.mkdir()


def leave_out(folder: Path) -> None:
    pass


@pytest.mark.parametrize("left", [replace_by_file, leave_empty, leave_out])
def test_what_a_missing_folder_held_is_offline_until_it_is_back(
    broker: BrokerProcess, folders: list[Path], left: object
) -> None:
    assert callable(left)
    broker.start()
    with Wire(broker.address) as wire:
        make_topic(wire, TOPIC, PARTITIONS)
        fill(wire)
    broker.terminate()
    there = logs_in(folders[0]) | logs_in(folders[1])
    away = folders[2].rename(folders[2].with_name("away"))
    left(folders[2])
    for _ in range(2):
        broker.start()
        with Wire(broker.address) as wire:
            check(wire, there)
        assert broker.terminate() == 0
    if folders[2].is_dir():
        assert logs_in(folders[2]) == set()
        shutil.rmtree(folders[2])
    else:
        folders[2].unlink()
    away.rename(folders[2])
    broker.start()
    with Wire(broker.address) as wire:
        check(wire, set(range(PARTITIONS)))
    assert broker.terminate() == 0


def test_topics_of_a_lost_folder_can_be_deleted_and_made_anew(
    broker: BrokerProcess, folders: list[Path]
) -> None:
    broker.start()
    with Wire(broker.address) as wire:
        make_topic(wire, TOPIC, PARTITIONS)
    broker.terminate()
    shutil.rmtree(folders[2])
    broker.start()
    with Wire(broker.address) as wire:
        assert len(offline_partitions(wire)) == 2
        delete_topic(wire, TOPIC)
        make_topic(wire, TOPIC, PARTITIONS)
        fill(wire)
        check(wire, set(range(PARTITIONS)))
    broker.kill()
    broker.start()
    with Wire(broker.address) as wire:
        check(wire, set(range(PARTITIONS)))
    assert "missing or empty" not in broker.log_path.read_text().rpartition("recovered")[2]
    assert broker.terminate() == 0


def verify(*folders: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "pylog", "log", "verify", *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_the_tools_work_on_all_folders_at_once(
    broker: BrokerProcess, folders: list[Path], tmp_path: Path
) -> None:
    broker.start()
    with Wire(broker.address) as wire:
        make_topic(wire, TOPIC, PARTITIONS)
        fill(wire)
        assert verify(*folders) == (0, "all right\n")
    assert broker.terminate() == 0
    assert verify(*folders) == (0, "all right\n")
    index = min(logs_in(folders[2]))
    shutil.copytree(folders[2] / f"{TOPIC}-{index}", folders[1] / f"{TOPIC}-{index}")
    shutil.copytree(folders[2] / f"{TOPIC}-{index}", folders[1] / "gone-0")
    code, told = verify(*folders)
    assert code == 1
    assert f"{folders[2]}/{TOPIC}-{index}: the same partition as {folders[1]}" in told
    assert "topic gone has another id, or there is none" in told
    with pytest.raises(RuntimeError, match=f"both .*two and .*three have {TOPIC}-{index}"):
        broker.start()


def move(wire: Wire, index: int, folder: Path) -> int:
    topic = AlterReplicaLogDirTopic(name=TOPIC, partitions=[index])
    wanted = AlterReplicaLogDir(path=str(folder), topics=[topic])
    request = AlterReplicaLogDirsRequest(dirs=[wanted])
    code: int = wire.ask(request).results[0].partitions[0].error_code
    return code


def home_of(wire: Wire, index: int) -> str:
    """The one folder of a partition; AssertionError while it is on its way."""
    (home,) = (
        Path(item.log_dir).name
        for item in wire.ask(DescribeLogDirsRequest(topics=None)).results
        for topic in item.topics
        for part in topic.partitions
        if (topic.name, part.partition_index) == (TOPIC, index)
    )
    return home


def test_a_partition_moves_between_folders_under_load(
    broker: BrokerProcess, folders: list[Path]
) -> None:
    broker.start()
    create_topic(broker.address, TOPIC, **{"internal.segment.bytes": "65536"})
    load, watcher = IdempotentLoad(broker.address, TOPIC), Watcher(broker.address, TOPIC)
    try:
        with Wire(broker.address) as wire:
            for folder in (folders[1], folders[2], folders[0], folders[1]):
                assert move(wire, 0, folder) == ErrorCode.NONE
                wait_until(lambda name=folder.name: home_of(wire, 0) == name, ignoring=ValueError)
            wait_until(lambda: Place(0, 20) in watcher.found)
            delete_records(wire, TOPIC, 10)
            assert move(wire, 0, folders[2]) == ErrorCode.NONE
            wait_until(lambda: home_of(wire, 0) == "three", ignoring=ValueError)
            assert start_of(wire, TOPIC) == (ErrorCode.NONE, 10)
            assert move(wire, 0, folders[0] / "no") == ErrorCode.LOG_DIR_NOT_FOUND
            assert move(wire, 9, folders[0]) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    finally:
        load.cancel()
        watcher.cancel()
    load.end()
    watcher.end()
    records = read_all(broker.address, TOPIC)
    assert records.numbers(0) == list(range(10, load.sent[0]))
    assert [len(list(folder.glob(f"{TOPIC}-0*"))) for folder in folders] == [0, 0, 1]
    broker.kill()
    broker.start()
    with Wire(broker.address) as wire:
        assert home_of(wire, 0) == "three"
        assert start_of(wire, TOPIC) == (ErrorCode.NONE, 10)
    assert read_all(broker.address, TOPIC).by_place == records.by_place
    assert broker.terminate() == 0
    assert verify(*folders) == (0, "all right\n")


def test_a_move_that_a_kill_left_half_done_is_finished(
    broker: BrokerProcess, folders: list[Path]
) -> None:
    broker.start()
    with Wire(broker.address) as wire:
        make_topic(wire, TOPIC, PARTITIONS)
        fill(wire)
    broker.terminate()
    index = min(logs_in(folders[0]))
    old, new = (folder / f"{TOPIC}-{index}" for folder in folders[:2])
    data = DataFolder(folders[1])
    copy = LogCopy(old, data)
    copy.catch_up(last=True)
    (folders[1] / f"{TOPIC}-9.{'0' * 32}-future").mkdir()  # of a move that had only begun
    identity = read_identity(folders[0])
    assert identity is not None
    copy.finish(identity.directory_id)
    data.close()
    assert old.exists()
    broker.start()
    with Wire(broker.address) as wire:
        check(wire, set(range(PARTITIONS)))
        assert (old.exists(), new.exists()) == (False, True)
    assert broker.terminate() == 0
    assert not list(folders[1].glob("*-future"))
    assert verify(*folders) == (0, "all right\n")
