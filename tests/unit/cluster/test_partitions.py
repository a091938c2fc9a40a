"""Logs follow the image: what is opened, set aside and deleted, also after an end half way."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from tests.support.wait import wait_until
from tests.support.wire import Wire
from tests.unit.apis.topics import make_topic, produce

from pylog.log.checkpoint import HIGH_WATERMARK_FILE
from pylog.log.checkpoint_seal import write_checkpoints
from pylog.log.layout import make_log_folder, read_topic_id
from pylog.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pylog.server import metrics
from pylog.testing import Broker


def delete_topic(wire: Wire, name: str) -> None:
    request = DeleteTopicsRequest(topics=[DeleteTopicState(name=name)], timeout_ms=30_000)
    assert wire.ask(request).responses[0].error_code == 0


def set_aside(folder: Path) -> list[Path]:
    return sorted(folder.glob("*-stray"))


def test_a_log_notes_whose_it_is(tmp_path: Path, unique: str) -> None:
    with Broker(folder=tmp_path) as broker, Wire(broker.bootstrap) as wire:
        topic_id = make_topic(wire, unique)
    assert read_topic_id(tmp_path / f"{unique}-0") == topic_id


def test_a_log_of_no_topic_is_set_aside_at_the_start(tmp_path: Path, unique: str) -> None:
    with Broker(folder=tmp_path) as broker, Wire(broker.bootstrap) as wire:
        make_topic(wire, unique)
        produce(wire, unique, [1])
        shutil.copytree(tmp_path / f"{unique}-0", tmp_path / "lost-0")
        shutil.copytree(tmp_path / f"{unique}-0", tmp_path / f"{unique}-7")
    with Broker(folder=tmp_path) as broker, Wire(broker.bootstrap) as wire:
        assert [path.name.partition(".")[0] for path in set_aside(tmp_path)] == [
            "lost-0",
            f"{unique}-7",
        ]
        make_topic(wire, "lost")
        assert produce(wire, "lost", [1]) == 0
        assert produce(wire, unique, [1]) == 1


def test_records_of_a_deleted_topic_never_come_back_under_its_name(
    tmp_path: Path, unique: str
) -> None:
    """A crash between the commit of a deletion and the removal of the files."""
    kept = tmp_path / "kept"
    data = tmp_path / "data"
    with Broker(folder=data) as broker, Wire(broker.bootstrap) as wire:
        make_topic(wire, unique)
        produce(wire, unique, [1, 2, 3])
        shutil.copytree(data / f"{unique}-0", kept)
        delete_topic(wire, unique)
        make_topic(wire, unique)
    shutil.rmtree(data / f"{unique}-0")
    shutil.copytree(kept, data / f"{unique}-0")
    with Broker(folder=data) as broker, Wire(broker.bootstrap) as wire:
        assert len(set_aside(data)) == 1
        assert produce(wire, unique, [1]) == 0


def test_a_folder_in_the_way_of_a_new_topic_is_set_aside(
    tmp_path: Path, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Broker(folder=tmp_path) as broker, Wire(broker.bootstrap) as wire:
        make_log_folder(str(tmp_path / f"{unique}-0"), b"\1" * 16)
        with caplog.at_level(logging.WARNING):
            make_topic(wire, unique)
        assert produce(wire, unique, [1]) == 0
    assert "another topic" in caplog.text
    assert len(set_aside(tmp_path)) == 1


def test_a_folder_that_does_not_say_whose_it_is_belongs_to_its_name(
    tmp_path: Path, unique: str
) -> None:
    with Broker(folder=tmp_path) as broker, Wire(broker.bootstrap) as wire:
        make_topic(wire, unique)
        produce(wire, unique, [1, 2])
    (tmp_path / f"{unique}-0" / "partition.metadata").write_text("")
    with Broker(folder=tmp_path) as broker, Wire(broker.bootstrap) as wire:
        assert produce(wire, unique, [3]) == 2


def test_a_malformed_checkpoint_is_no_obstacle(
    tmp_path: Path, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Broker(folder=tmp_path) as broker, Wire(broker.bootstrap) as wire:
        make_topic(wire, unique)
        produce(wire, unique, [1, 2])
    (tmp_path / "recovery-point-offset-checkpoint").write_text("garbage")
    (tmp_path / ".kafka_cleanshutdown").unlink()
    with caplog.at_level(logging.WARNING), Broker(folder=tmp_path) as broker:
        assert "checkpoint was changed" in caplog.text
        with Wire(broker.bootstrap) as wire:
            assert produce(wire, unique, [3]) == 2


@pytest.mark.parametrize(("noted", "told"), [(0, False), (1, False), (3, False), (4, True)])
def test_a_log_that_ends_below_its_high_watermark_is_told_and_served(
    tmp_path: Path, unique: str, caplog: pytest.LogCaptureFixture, noted: int, told: bool
) -> None:
    with Broker(folder=tmp_path) as broker, Wire(broker.bootstrap) as wire:
        make_topic(wire, unique)
        produce(wire, unique, [1, 2, 3])
    checkpoint = tmp_path / HIGH_WATERMARK_FILE
    assert checkpoint.read_text() == f"0\n1\n{unique} 0 3\n"
    write_checkpoints(tmp_path, {HIGH_WATERMARK_FILE: {(unique, 0): noted}})
    with caplog.at_level(logging.WARNING), Broker(folder=tmp_path) as broker:
        assert ("below its high watermark" in caplog.text) is told
        with Wire(broker.bootstrap) as wire:
            assert produce(wire, unique, [4]) == 3
    assert checkpoint.read_text() == f"0\n1\n{unique} 0 4\n"


def test_many_partitions_are_made_and_opened_together(tmp_path: Path, unique: str) -> None:
    with Broker(folder=tmp_path) as broker:
        with Wire(broker.bootstrap) as wire:
            make_topic(wire, unique, 500)
            assert produce(wire, unique, [1], index=499) == 0
        assert len(broker.server.partitions.of_topic(unique)) == 500
        broker.restart()
        assert len(broker.server.partitions.of_topic(unique)) == 500
        with Wire(broker.bootstrap) as wire:
            delete_topic(wire, unique)
        assert broker.server.partitions.of_topic(unique) == {}
        assert not list(tmp_path.glob(f"{unique}-[0-9]*[0-9]"))


def test_recovery_of_many_logs_tells_its_progress(
    tmp_path: Path, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Broker(folder=tmp_path) as broker, Wire(broker.bootstrap) as wire:
        make_topic(wire, unique, 150)
    for clean in (True, False):
        caplog.clear()
        if not clean:
            (tmp_path / ".kafka_cleanshutdown").unlink()
        with caplog.at_level(logging.INFO), Broker(folder=tmp_path) as broker:
            assert len(broker.server.partitions.of_topic(unique)) == 150
        told = [text for text in caplog.messages if text.startswith("recovered")]
        assert clean == (not told)
        assert clean or told[-1].startswith("recovered 150 of 150 logs")


def test_logs_and_folders_that_fail_are_counted(tmp_path: Path, unique: str) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    folders[1].touch()
    with (
        Broker({"log.dirs": ",".join(map(str, folders))}) as broker,
        Wire(broker.bootstrap) as wire,
    ):
        make_topic(wire, unique, 2)
        server = broker.server
        lines = metrics.render(server).splitlines()
        assert "pylog_logs_offline 0" in lines
        assert f'pylog_data_folder_online{{folder="{folders[0]}"}} 1' in lines
        assert f'pylog_data_folder_online{{folder="{folders[1]}"}} 0' in lines
        partition = server.partitions.get(unique, 1)
        assert partition is not None
        server.engine.fail_partitions([partition])
        wait_until(lambda: server.partitions.is_offline(unique, 1))
        assert "pylog_logs_offline 1" in metrics.render(server).splitlines()
        assert produce(wire, unique, [1]) == 0
