"""The engine's connections and its events, with a client of plain sockets."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pylog.engine.engine import Engine
from pylog.engine.values import EngineOptions, Request

API_VERSIONS = 18
LISTENER = 2


def request_frame(correlation_id: int, body: bytes, client_id: bytes | None = b"client") -> bytes:
    header = struct.pack(">hhi", API_VERSIONS, 0, correlation_id)
    name = struct.pack(">h", -1) if client_id is None else struct.pack(">h", len(client_id))
    payload = header + name + (client_id or b"") + body
    return struct.pack(">i", len(payload)) + payload


async def read_reply(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


class Served:
    """An engine that serves, what it has told, and clients of it."""

    def __init__(self, **options: int) -> None:
        self.engine = Engine(EngineOptions(**options))
        self.requests: asyncio.Queue[Request] = asyncio.Queue()
        self.closed: asyncio.Queue[int] = asyncio.Queue()
        self.port = self.engine.listen(LISTENER, "127.0.0.1", 0)
        self.engine.start(self.requests.put_nowait, self.closed.put_nowait)

    async def client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    fixture = Served()
    yield fixture
    fixture.engine.close()


async def test_a_request_reaches_python_and_its_reply_the_client(served: Served) -> None:
    reader, writer = await served.client()
    writer.write(request_frame(7, b"body"))
    request = await served.requests.get()
    assert (request.api_key, request.api_version, request.correlation_id) == (18, 0, 7)
    assert (request.client_id, request.listener, request.body) == ("client", LISTENER, b"body")
    assert (request.peer, request.local) == ("127.0.0.1", "127.0.0.1")
    served.engine.reply(request.connection, b"answer")
    assert await read_reply(reader) == b"answer"
    writer.close()


async def test_a_null_client_id_is_none(served: Served) -> None:
    _, writer = await served.client()
    writer.write(request_frame(1, b"", client_id=None))
    assert (await served.requests.get()).client_id is None
    writer.close()


async def test_requests_of_one_connection_come_one_at_a_time(served: Served) -> None:
    reader, writer = await served.client()
    writer.write(b"".join(request_frame(number, b"") for number in range(1000)))
    for number in range(1000):
        request = await served.requests.get()
        assert request.correlation_id == number
        assert served.requests.empty()
        served.engine.reply(request.connection, struct.pack(">i", number))
        assert await read_reply(reader) == struct.pack(">i", number)
    writer.close()


async def test_many_connections_wait_at_the_same_time(served: Served) -> None:
    clients = [await served.client() for _ in range(300)]
    for number, (_, writer) in enumerate(clients):
        writer.write(request_frame(number, b""))
    requests = [await served.requests.get() for _ in clients]
    for request in reversed(requests):
        served.engine.reply(request.connection, struct.pack(">i", request.correlation_id))
    for number, (reader, writer) in enumerate(clients):
        assert await read_reply(reader) == struct.pack(">i", number)
        writer.close()


async def test_a_connection_that_sent_a_request_is_reported_when_it_ends(served: Served) -> None:
    _, writer = await served.client()
    writer.write(request_frame(1, b""))
    request = await served.requests.get()
    served.engine.reply(request.connection, b"ok")
    writer.close()
    assert await served.closed.get() == request.connection
    served.engine.reply(request.connection, b"too late")  # no error


async def test_a_connection_can_be_closed_from_python(served: Served) -> None:
    reader, writer = await served.client()
    writer.write(request_frame(1, b""))
    request = await served.requests.get()
    served.engine.close_connection(request.connection)
    assert await reader.read() == b""
    assert await served.closed.get() == request.connection
    writer.close()


async def test_a_handler_that_raises_closes_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Engine(EngineOptions())
    port = engine.listen(0, "127.0.0.1", 0)

    def fail(_: Request) -> None:
        raise LookupError("a bug")

    engine.start(fail)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with caplog.at_level(logging.CRITICAL + 1, logger="pylog.engine"):
        writer.write(request_frame(1, b""))
        assert await reader.read() == b""
    writer.close()
    engine.close()


async def test_stop_waits_for_the_answer_that_is_owed(served: Served) -> None:
    reader, writer = await served.client()
    writer.write(request_frame(1, b""))
    request = await served.requests.get()
    stopping = asyncio.create_task(served.engine.stop())
    await asyncio.sleep(0)  # stop has been called
    served.engine.reply(request.connection, b"last")
    assert await read_reply(reader) == b"last"
    assert await reader.read() == b""
    await stopping
    with pytest.raises(OSError, match="Connect"):
        await served.client()
    writer.close()


async def test_stop_ends_in_time_when_an_answer_never_comes(served: Served) -> None:
    reader, writer = await served.client()
    writer.write(request_frame(1, b""))
    await served.requests.get()
    await served.engine.stop(drain_ms=10)
    assert await reader.read() == b""
    writer.close()


async def test_counters_tell_what_has_happened(served: Served) -> None:
    reader, writer = await served.client()
    writer.write(request_frame(1, b"") + struct.pack(">i", -5))
    served.engine.reply((await served.requests.get()).connection, b"")
    assert await reader.read() == b""  # closed because of the length
    await served.closed.get()
    counters = served.engine.counters()
    assert counters.connections_opened == counters.connections_closed == 1
    assert counters.requests_control == 1
    assert counters.frames_refused == 1
    assert counters.bytes_received == len(request_frame(1, b"")) + 4
    writer.close()


async def test_a_taken_port_is_an_os_error(served: Served) -> None:
    with pytest.raises(OSError, match="in use"):
        served.engine.listen(1, "127.0.0.1", served.port)


async def test_close_is_idempotent_and_ends_all_use() -> None:
    engine = Engine(EngineOptions())
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.counters()
