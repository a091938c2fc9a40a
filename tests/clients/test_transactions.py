"""Every transactional client: all or nothing, fencing, and exactly once across a kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.clients.client import Client, ClientError, Member, Producer, Record
from tests.clients.conftest import Start
from tests.clients.kinds import Kind, kind_named, kinds
from tests.support.wait import wait_until

pytestmark = pytest.mark.needs_apis(22, 24, 25, 26, 28)

INPUTS = 60
STEP = 20


def values(records: list[Record]) -> list[bytes | None]:
    return [record.value for record in records]


@kinds("transactions")
def test_a_transaction_is_read_when_it_was_committed(
    client: Client, topic: str, unique: str
) -> None:
    with client.reader(topic, isolation="read_committed") as reader:
        with client.producer(transactional_id=unique) as producer:
            producer.begin()
            producer.send(topic, [Record(b"%d" % n) for n in range(5)])
            assert reader.read(1, timeout_ms=300) == []
            producer.commit()
        assert values(reader.read(5)) == [b"%d" % n for n in range(5)]


@kinds("transactions")
def test_an_aborted_transaction_is_never_read(client: Client, topic: str, unique: str) -> None:
    with client.producer(transactional_id=unique) as producer:
        for name, end in ((b"a", producer.commit), (b"b", producer.abort), (b"c", producer.commit)):
            producer.begin()
            producer.send(topic, [Record(name)])
            end()
    with client.reader(topic, isolation="read_committed") as reader:
        assert values(reader.read(2)) == [b"a", b"c"]
    assert values(client.read(topic, 3)) == [b"a", b"b", b"c"]


@kinds("transactions")
def test_a_new_producer_of_the_same_name_fences_the_old_one(
    client: Client, topic: str, unique: str
) -> None:
    with client.producer(transactional_id=unique) as old:
        old.begin()
        old.send(topic, [Record(b"old")])
        with client.producer(transactional_id=unique) as new:
            new.begin()
            new.send(topic, [Record(b"new")])
            new.commit()
            with pytest.raises(ClientError):
                old.commit()
    with client.reader(topic, isolation="read_committed") as reader:
        assert values(reader.read(1)) == [b"new"]


def transformed(producer: Producer, member: Member, sink: str) -> Iterator[int]:
    """Writes what the member was given to `sink`, with its positions, a step a transaction.

    Yields how much was given so far, each time before a commit and after it.
    """
    done = 0
    while True:
        wait_until(lambda seen=done: member.received() > seen)
        producer.begin()
        producer.send(sink, [Record(record.value) for record in member.records[done:]])
        producer.send_offsets(member)
        done = len(member.records)
        yield done
        producer.commit()
        yield done


@kinds("transactions", "transactional_groups")
def test_each_input_is_written_once_though_the_program_is_killed(
    client: Client, kind: Kind, start_agent: Start, admin: Client, topic: str, unique: str
) -> None:
    sink = admin.create_topic(f"{unique}-out")
    inputs = [b"%d" % n for n in range(INPUTS)]
    session = {"session_timeout_ms": 6_000, "isolation": "read_committed"}
    victim = Client(start_agent(kind), client.bootstrap)
    client.produce(topic, [Record(value) for value in inputs[:STEP]])
    with (
        victim.member(unique, topic, **session) as member,
        victim.producer(transactional_id=unique) as producer,
    ):
        steps = transformed(producer, member, sink)
        wait_until(lambda: next(steps) >= STEP and next(steps) >= STEP)
        client.produce(topic, [Record(value) for value in inputs[STEP:]])
        next(steps)
        victim.agent.kill()
    with (
        client.producer(transactional_id=unique) as producer,
        client.member(unique, topic, **session) as member,
        client.reader(sink, isolation="read_committed") as reader,
    ):
        steps = transformed(producer, member, sink)
        written: list[Record] = []
        while len(written) < INPUTS:
            next(steps), next(steps)
            written += reader.read(INPUTS - len(written), timeout_ms=1_000)
        assert values(written) == inputs
        assert reader.read(1, timeout_ms=300) == []


class Session:
    """franz-go's GroupTransactSession: a member of a group and a producer in one."""

    def __init__(self, client: Client, name: str, source: str, sink: str) -> None:
        self._agent = client.agent
        arguments = {"transactional_id": name, "group": name, "source": source, "sink": sink}
        self._agent.call("session_open", handle=name, bootstrap=client.bootstrap, **arguments)
        self._handle = name

    def copy(self, at_most: int) -> int:
        """Begins a transaction with copies of the next records; how many."""
        copied: int = self._agent.call("session_copy", handle=self._handle, at_most=at_most)
        return copied

    def commit(self) -> bool:
        """Whether it could: not where the group was divided anew meanwhile."""
        committed: bool = self._agent.call("session_end", handle=self._handle)
        return committed

    def close(self) -> None:
        self._agent.call("session_close", handle=self._handle)


def test_a_session_of_franz_go_copies_each_input_once_though_it_is_killed(
    start_agent: Start, admin: Client, topic: str, unique: str
) -> None:
    sink = admin.create_topic(f"{unique}-out")
    inputs = [b"%d" % n for n in range(INPUTS)]
    admin.produce(topic, [Record(value) for value in inputs])
    victim = Client(start_agent(kind_named("franz")), admin.bootstrap)
    session = Session(victim, unique, topic, sink)
    copied = session.copy(STEP)
    assert session.commit()
    assert session.copy(STEP) > 0
    victim.agent.kill()
    session = Session(admin, unique, topic, sink)
    with admin.reader(sink, isolation="read_committed") as reader:
        written = reader.read(copied)
        while len(written) < INPUTS:
            session.copy(STEP)
            session.commit()
            written += reader.read(INPUTS - len(written), timeout_ms=1_000)
        assert values(written) == inputs
        assert reader.read(1, timeout_ms=300) == []
    session.close()
