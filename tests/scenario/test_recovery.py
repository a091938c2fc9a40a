"""A broker that was killed serves what it has recovered while it still recovers the rest."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.faulty_disk import FaultyDisk
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

from pylog.log.checkpoint_seal import SEAL_FILE
from pylog.protocol.errors import ErrorCode

SLOW, OTHERS = "a-slow", "others"
COUNT = 20


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    settings = {
        **QUICK_GROUPS,
        "num.recovery.threads.per.data.dir": "1",
        "log.flush.offset.checkpoint.interval.ms": "100",
    }
    broker = BrokerProcess(tmp_path / "data", settings)
    yield broker
    if broker.is_running():
        broker.kill()


@pytest.fixture
def seldom(broker: BrokerProcess) -> Iterator[BrokerProcess]:
    """One in the same folder, later, that leaves checkpoints until its end."""
    other = BrokerProcess(broker.data_dir, QUICK_GROUPS)
    yield other
    if other.is_running():
        other.kill()


@pytest.fixture
def disk(broker: BrokerProcess, tmp_path: Path) -> FaultyDisk:
    """The log of the slow topic can't be read while the disk stalls."""
    return FaultyDisk(broker.data_dir / f"{SLOW}-0", tmp_path)


def killed_with_data(broker: BrokerProcess) -> None:
    """Of the slow log, the first record is deleted, and a checkpoint has noted that."""
    broker.start()
    with Wire(broker.address) as wire:
        make_topic(wire, OTHERS, COUNT)
        make_topic(wire, SLOW)
        for value in (b"deleted", b"first", b"second"):
            assert produce(wire, SLOW, value) == ErrorCode.NONE
        delete_records(wire, SLOW, 1)
        for index in range(COUNT):
            assert produce(wire, OTHERS, b"first", index) == ErrorCode.NONE
        checkpoint = broker.data_dir / "log-start-offset-checkpoint"
        wait_until(lambda: f"{SLOW} 0 1\n" in checkpoint.read_text())
    broker.kill()


def start_stalled(broker: BrokerProcess, disk: FaultyDisk) -> None:
    """Until the disk works, recovery does not get past the slow log."""
    disk.stall()
    with disk.preloaded():
        broker.start()


def test_what_is_recovered_is_served_while_the_rest_is_not(
    broker: BrokerProcess, disk: FaultyDisk
) -> None:
    killed_with_data(broker)
    start_stalled(broker, disk)
    with Wire(broker.address) as wire:
        waiting = offline_partitions(wire)
        assert (SLOW, 0) in waiting
        for index in range(COUNT):
            expected = ErrorCode.NOT_LEADER_OR_FOLLOWER if (OTHERS, index) in waiting else b"first"
            assert fetch(wire, OTHERS, index) == expected
        assert fetch(wire, SLOW) == ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert produce(wire, SLOW, b"third") == ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert start_of(wire, SLOW) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, -1)
        make_topic(wire, "new")
        assert produce(wire, "new", b"first") == ErrorCode.NONE
        disk.work()
        wait_until(lambda: offline_partitions(wire) == set())
        assert start_of(wire, SLOW) == (ErrorCode.NONE, 1)
        assert fetch(wire, SLOW, offset=1) == b"first"
        assert produce(wire, SLOW, b"third") == ErrorCode.NONE
    assert f"recovered {COUNT + 1} of {COUNT + 1} logs" in broker.log_path.read_text()
    assert broker.terminate() == 0


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_an_end_in_the_middle_of_recovery_forgets_nothing(
    broker: BrokerProcess, disk: FaultyDisk, end: signal.Signals
) -> None:
    killed_with_data(broker)
    start_stalled(broker, disk)
    with Wire(broker.address) as wire:
        make_topic(wire, "new")
        checkpoint = broker.data_dir / "recovery-point-offset-checkpoint"
        wait_until(lambda: "new 0 " in checkpoint.read_text())
    if end is signal.SIGKILL:
        broker.kill()
    else:
        threading.Timer(0.5, disk.work).start()  # the log at hand is recovered to its end
        assert broker.terminate() == 0
        assert not (broker.data_dir / ".kafka_cleanshutdown").exists()
    disk.work()
    broker.start()
    with Wire(broker.address) as wire:
        assert start_of(wire, SLOW) == (ErrorCode.NONE, 1)
        assert fetch(wire, SLOW, offset=2) == b"second"
        assert [fetch(wire, OTHERS, index) for index in range(COUNT)] == [b"first"] * COUNT
    assert broker.terminate() == 0
    assert (broker.data_dir / ".kafka_cleanshutdown").exists()


def test_a_topic_that_is_deleted_while_it_is_recovered_is_gone(
    broker: BrokerProcess, disk: FaultyDisk
) -> None:
    killed_with_data(broker)
    start_stalled(broker, disk)
    with Wire(broker.address) as wire:
        delete_topic(wire, SLOW)
        make_topic(wire, SLOW)
        disk.work()
        wait_until(lambda: produce(wire, SLOW, b"new") == ErrorCode.NONE)
        assert start_of(wire, SLOW) == (ErrorCode.NONE, 0)
        assert fetch(wire, SLOW) == b"new"
    assert broker.terminate() == 0
    assert verify(broker.data_dir) == (0, "all right\n")


def test_a_kill_soon_after_a_topic_was_made_anew_takes_none_of_its_records(
    broker: BrokerProcess, seldom: BrokerProcess
) -> None:
    """What checkpoints say of the one before says nothing of it."""
    killed_with_data(broker)
    seldom.start()
    with Wire(seldom.address) as wire:
        wait_until(lambda: offline_partitions(wire) == set())
        delete_topic(wire, SLOW)
        make_topic(wire, SLOW)
        assert produce(wire, SLOW, b"of the new one") == ErrorCode.NONE
    seldom.kill()
    seldom.start()
    with Wire(seldom.address) as wire:
        wait_until(lambda: offline_partitions(wire) == set())
        assert start_of(wire, SLOW) == (ErrorCode.NONE, 0)
        assert fetch(wire, SLOW) == b"of the new one"
    assert seldom.terminate() == 0


def verify(folder: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "pylog", "log", "verify", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


CHECKPOINTS = ["recovery-point-offset-checkpoint", "log-start-offset-checkpoint"]
MALFORMED = ["", "0\n1\n", "7\n0\n", f"0\n1\n{SLOW} 0 -3\n", "\x00\xff"]
WELL_FORMED = ["0\n0\n", f"0\n1\n{SLOW} 0 2\n", f"0\n1\n{SLOW} 1 1\n"]


def restarted(broker: BrokerProcess, name: str, text: str, ended: str, *, sealed: bool) -> str:
    """The log of a broker that is killed or stopped, finds a changed checkpoint, and is used."""
    killed_with_data(broker)
    if ended == "clean":
        broker.start()
        assert broker.terminate() == 0
    (broker.data_dir / name).write_text(text, encoding="latin-1")
    if not sealed:
        (broker.data_dir / SEAL_FILE).unlink()
    found = verify(broker.data_dir)
    assert found[0] == 1 or not sealed, found
    broker.start()
    with Wire(broker.address) as wire:
        if sealed:
            assert fetch(wire, SLOW, offset=0) == ErrorCode.OFFSET_OUT_OF_RANGE
        assert fetch(wire, SLOW, offset=1) == b"first"
        assert fetch(wire, SLOW, offset=2) == b"second"
        assert produce(wire, SLOW, b"third") == ErrorCode.NONE
        assert fetch(wire, SLOW, offset=3) == b"third"
    told = broker.log_path.read_text()
    assert broker.terminate() == 0
    if sealed or name.startswith("recovery"):  # else a log begins before its leader epochs
        assert verify(broker.data_dir) == (0, "all right\n")
    return told


@pytest.mark.parametrize("ended", ["clean", "killed"])
@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("text", [MALFORMED[1], *WELL_FORMED])
def test_a_changed_checkpoint_is_told_and_its_copy_holds(
    broker: BrokerProcess, name: str, text: str, ended: str
) -> None:
    told = restarted(broker, name, text, ended, sealed=True)
    assert "checkpoint was changed" in told
    assert name in told


@pytest.mark.parametrize("ended", ["clean", "killed"])
@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_checkpoint_without_a_copy_is_told_and_loses_no_record(
    broker: BrokerProcess, name: str, text: str, ended: str
) -> None:
    told = restarted(broker, name, text, ended, sealed=False)
    assert "checkpoint ignored" in told
    assert name in told


def test_a_damaged_copy_of_checkpoints_is_told_and_left_out(broker: BrokerProcess) -> None:
    killed_with_data(broker)
    seal = broker.data_dir / SEAL_FILE
    seal.write_bytes(seal.read_bytes().replace(b" 0 1", b" 0 2"))
    code, found = verify(broker.data_dir)
    assert code == 1
    assert f"{SEAL_FILE}: its content does not match its checksum" in found
    broker.start()
    with Wire(broker.address) as wire:
        assert start_of(wire, SLOW) == (ErrorCode.NONE, 1)
    assert "copy of checkpoints ignored" in broker.log_path.read_text()
    assert broker.terminate() == 0
    assert verify(broker.data_dir) == (0, "all right\n")
