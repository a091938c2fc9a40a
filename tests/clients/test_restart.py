"""The broker stops or is killed under its clients, comes back, and they go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.clients.client import Client, ClientError, Member, Producer, Record
from tests.clients.conftest import Start
from tests.clients.kinds import Kind, kinds
from tests.support.broker import BrokerProcess, running_broker
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(
    running_broker() is not None, reason="a broker that runs already is not ours to stop"
)

HOW = pytest.mark.parametrize("how", ["terminate", "kill"])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    broker = BrokerProcess(tmp_path / "data")
    broker.start()
    yield broker
    broker.stop_if_running()


@pytest.fixture
def client(kind: Kind, agent_of: Start, broker: BrokerProcess) -> Client:
    return Client(agent_of(kind), broker.address)


def restart(broker: BrokerProcess, how: str) -> None:
    code = broker.terminate() if how == "terminate" else broker.kill()
    assert code == (0 if how == "terminate" else -9)
    broker.start()


def numbered(start: int, stop: int) -> list[Record]:
    return [Record(b"%d" % n) for n in range(start, stop)]


def offered_again(producer: Producer, topic: str, records: list[Record]) -> bool:
    """Sends, and again where the client gave up: what a program does in an outage."""
    with suppress(ClientError):
        producer.send(topic, records)
        return True
    return False


@HOW
@kinds()
def test_records_survive_and_a_producer_goes_on(
    client: Client, broker: BrokerProcess, how: str, unique: str
) -> None:
    with client.producer() as producer:
        producer.send(unique, numbered(0, 50))
        restart(broker, how)
        wait_until(lambda: offered_again(producer, unique, numbered(50, 100)))
        values = [int(record.value or b"") for record in client.read(unique, 100)]
    assert values[:50] == list(range(50))
    assert sorted(set(values)) == list(range(100))


@HOW
@kinds("idempotent")
def test_an_idempotent_producer_goes_on_without_a_record_twice(
    client: Client, broker: BrokerProcess, how: str, unique: str
) -> None:
    with client.producer(idempotent=True) as producer:
        producer.send(unique, numbered(0, 50))
        restart(broker, how)
        producer.send(unique, numbered(50, 100))
    assert [record.value for record in client.read(unique, 100)] == [
        record.value for record in numbered(0, 100)
    ]
    assert client.offset(unique, "latest") == 100


@HOW
@kinds()
def test_a_reader_goes_on_where_it_was(
    client: Client, broker: BrokerProcess, how: str, unique: str
) -> None:
    client.produce(unique, numbered(0, 50))
    with client.reader(unique) as reader:
        assert len(reader.read(50)) == 50
        restart(broker, how)
        client.produce(unique, numbered(50, 60))
        assert [record.offset for record in reader.read(10)] == list(range(50, 60))


@HOW
@kinds("group", "manual_commit")
def test_a_member_goes_on_and_its_commits_stay(
    client: Client, broker: BrokerProcess, how: str, unique: str
) -> None:
    client.produce(unique, numbered(0, 50))
    with client.member(unique, unique) as member:
        wait_until(lambda: member.received() >= 50)
        member.commit()
        restart(broker, how)
        client.produce(unique, numbered(50, 60))
        wait_until(lambda: member.received() >= 60, 60)
        wait_until(lambda: committed_again(member), 60)
    assert {record.offset for record in member.records} == set(range(60))
    if "committed" in client.kind.can:
        assert client.committed(unique, unique) == {0: 60}
    with client.member(unique, unique) as successor:
        wait_until(successor.assignment)
        client.produce(unique, numbered(60, 61))
        wait_until(lambda: successor.received() >= 1)
        assert [record.offset for record in successor.records] == [60]


def committed_again(member: Member) -> bool:
    """A commit may be refused while the member joins again."""
    with suppress(ClientError):
        member.commit()
        return True
    return False


@HOW
@kinds("configs", "create_topic")
def test_topics_and_their_settings_stay(
    client: Client, broker: BrokerProcess, how: str, unique: str
) -> None:
    configs = {"retention.ms": "7200000", "segment.bytes": "1048576"}
    client.admin("create_topic", topic=unique, partitions=3, configs=configs)
    restart(broker, how)
    described = wait_until(
        lambda: client.admin("topic_configs", topic=unique), ignoring=ClientError
    )
    assert {name: described[name] for name in configs} == configs
    assert client.admin("partition_count", topic=unique) == 3
