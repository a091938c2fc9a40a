"""The broker inside a test."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.wire import Wire
from tests.unit.apis.topics import make_topic, produce

from pylog.config import ConfigError
from pylog.protocol.messages.metadata import MetadataRequest
from pylog.server.broker import CannotListen
from pylog.testing import Broker


def test_it_serves_until_the_block_ends_and_leaves_nothing_behind() -> None:
    with Broker() as broker:
        folder = broker.folder
        with Wire(broker.bootstrap) as wire:
            assert wire.ask(MetadataRequest(topics=[])).brokers
        assert folder.exists()
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        Wire(broker.bootstrap)


async def test_it_can_be_awaited() -> None:
    async with Broker() as broker:
        with Wire(broker.bootstrap) as wire:
            assert wire.ask(MetadataRequest(topics=[])).brokers


def test_several_run_side_by_side() -> None:
    with Broker() as one, Broker() as other:
        assert one.bootstrap != other.bootstrap
        ids = set()
        for broker in (one, other):
            with Wire(broker.bootstrap) as wire:
                ids.add(wire.ask(MetadataRequest(topics=[])).cluster_id)
        assert len(ids) == 2


def test_a_restart_keeps_port_and_records(unique: str) -> None:
    with Broker() as broker:
        before = broker.bootstrap
        with Wire(before) as wire:
            make_topic(wire, unique)
            produce(wire, unique, [1, 2])
        broker.restart()
        assert broker.bootstrap == before
        with Wire(before) as wire:
            assert produce(wire, unique, [3]) == 2


def test_a_given_folder_stays(tmp_path: Path) -> None:
    with Broker(folder=tmp_path / "data"):
        pass
    assert (tmp_path / "data" / "meta.properties").exists()


def test_what_keeps_it_from_starting_is_raised() -> None:
    with pytest.raises(ConfigError, match=r"num\.partitions"):
        Broker({"num.partitions": "0"}).start()
    with Broker() as taken:
        port = int(taken.bootstrap.rpartition(":")[2])
        with pytest.raises(CannotListen, match=str(port)):
            Broker(port=port).start()


def test_settings_reach_the_broker(unique: str) -> None:
    with Broker({"num.partitions": "3"}) as broker, Wire(broker.bootstrap) as wire:
        make_topic(wire, unique, -1)
        assert broker.server.partitions.get(unique, 2) is not None


def test_the_fixture_gives_a_fresh_broker(pylog_broker: Broker) -> None:
    with Wire(pylog_broker.bootstrap) as wire:
        assert wire.ask(MetadataRequest(topics=None)).topics == []
