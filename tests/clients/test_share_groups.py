"""Every client that has share groups, and Kafka's tools for them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.clients.client import Client, Record
from tests.clients.conftest import Start
from tests.clients.kinds import kind_named, kinds
from tests.support.share import configure_group
from tests.support.wire import Wire

TOOLS = "org.apache.kafka.tools.consumer"
_names = itertools.count()
Open = Callable[..., Any]


class Sharer:
    """A member of a share group."""

    def __init__(self, client: Client, group: str, topic: str, mode: str) -> None:
        self._client, self._handle = client, f"share-{next(_names)}"
        self._call("share_open", bootstrap=client.bootstrap, group=group, topic=topic, mode=mode)

    def read(self, count: int, timeout_ms: int = 30_000) -> list[tuple[int, str, int]]:
        """Offset, value, delivery count."""
        found = self._call("share_read", count=count, timeout_ms=timeout_ms)
        return [(offset, value, deliveries) for offset, value, deliveries in found]

    def acknowledge(self, **types: list[int]) -> None:
        by_offset = {str(o): kind.upper() for kind, offsets in types.items() for o in offsets}
        self._call("share_acknowledge", types=by_offset)

    def commit(self) -> list[str]:
        refused: list[str] = self._call("share_commit")
        return refused

    def close(self) -> None:
        self._call("share_close")

    def _call(self, op: str, **arguments: Any) -> Any:
        return self._client.agent.call(op, handle=self._handle, **arguments)


@pytest.fixture
def java(agent_of: Start, bootstrap: str) -> Client:
    return Client(agent_of(kind_named("java")), bootstrap)


@pytest.fixture
def sharer(bootstrap: str, unique: str) -> Open:
    """Opens members of one group, which begins at the earliest record."""
    with Wire(bootstrap) as wire:
        configure_group(wire, unique, auto_offset_reset="earliest")

    @contextmanager
    def opened(client: Client, topic: str, mode: str = "implicit") -> Iterator[Sharer]:
        member = Sharer(client, unique, topic, mode)
        try:
            yield member
        finally:
            member.close()

    return opened


@kinds("share")
def test_implicit_acknowledgement_takes_every_record_once(
    client: Client, sharer: Open, topic: str
) -> None:
    client.produce(topic, [Record(b"%d" % n) for n in range(100)])
    with sharer(client, topic) as anna, sharer(client, topic) as bob:
        read = anna.read(100)
        assert sorted(offset for offset, _, _ in read) == list(range(100))
        assert anna.commit() == []
        assert bob.read(1, timeout_ms=1_000) == []


@kinds("share")
def test_explicit_acknowledgement_releases_and_rejects(
    client: Client, sharer: Open, topic: str
) -> None:
    client.produce(topic, [Record(b"%d" % n) for n in range(6)])
    with sharer(client, topic, "explicit") as anna:
        assert [deliveries for _, _, deliveries in anna.read(6)] == [1] * 6
        anna.acknowledge(accept=[0, 1], release=[2, 3], reject=[4, 5])
        assert anna.commit() == []
        assert anna.read(2) == [(2, "2", 2), (3, "3", 2)]
        anna.acknowledge(accept=[2, 3])
        assert anna.commit() == []


@kinds("share")
def test_what_a_member_holds_when_it_leaves_goes_to_another(
    client: Client, sharer: Open, topic: str
) -> None:
    client.produce(topic, [Record(b"a"), Record(b"b")])
    with sharer(client, topic, "explicit") as anna:
        assert len(anna.read(2)) == 2
        anna.acknowledge(accept=[0])
    with sharer(client, topic, "explicit") as bob:
        assert bob.read(1) == [(1, "b", 2)]


def test_tools_consume_list_describe_and_delete(
    java: Client, sharer: Open, topic: str, unique: str
) -> None:
    def tool(name: str, *arguments: str) -> str:
        full = ["--bootstrap-server", java.bootstrap, *arguments]
        done = java.agent.call("tool", **{"class": f"{TOOLS}.{name}", "arguments": full})
        assert done["code"] == 0, done
        return str(done["stdout"])

    java.produce(topic, [Record(b"one"), Record(b"two")])
    consumer = ("--topic", topic, "--group", unique, "--max-messages", "2", "--timeout-ms", "30000")
    assert tool("ConsoleShareConsumer", *consumer).split() == ["one", "two"]
    groups = "group.ShareGroupCommand"
    assert unique in tool(groups, "--list")
    described = tool(groups, "--describe", "--group", unique, "--offsets")
    assert [unique, topic, "0", "2", "0"] in [line.split() for line in described.splitlines()]
    reset = ("--reset-offsets", "--group", unique, "--topic", topic, "--to-earliest", "--execute")
    tool(groups, *reset)
    described = tool(groups, "--describe", "--group", unique, "--offsets")
    assert [unique, topic, "0", "0", "2"] in [line.split() for line in described.splitlines()]
    tool(groups, "--delete", "--group", unique)
    assert unique not in tool(groups, "--list")
