"""The engine's thread, and what it tells, in the asyncio loop.

What the engine tells (requests of the control lane, ends of calls) waits in a queue whose file
descriptor the running loop watches, so every callback and every awaited result happens there.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Final

from pylog._engine import ffi, lib
from pylog.engine.events import Done, data_of, request_of, unverified_of
from pylog.engine.structs import check_errno, mirror
from pylog.engine.values import EngineError, EngineOptions, Opened, Request, Unverified

_log = logging.getLogger(__name__)

_EVENTS_PER_POLL: Final = 256
_UNKNOWN_SERVER_ERROR: Final = -1


def _ignore(_: Any) -> None:
    """What happens to events that nobody asked for."""


def _ignore_part(_: int, __: Any) -> None:
    """A part of a call whose caller was cancelled."""


class Reactor:
    """A native engine, the thread that runs it without the GIL, and the calls that wait for it.

    The thread begins with the first awaited call or :meth:`start`, in the running loop; all later
    calls are made from the thread of that loop.
    """

    def __init__(self, options: EngineOptions) -> None:
        settings = ffi.new("struct pl_engine_options *")
        mirror(options, settings)
        self._pointer: Any = lib.pl_engine_create(settings)
        if self._pointer == ffi.NULL:
            raise MemoryError("the engine could not be created")
        self._events = ffi.new("struct pl_event[]", _EVENTS_PER_POLL)
        self._tokens = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Done]] = {}
        self._on_part: dict[int, Callable[[int, Any], None]] = {}  # by token
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._on_request: Callable[[Request], None] = _ignore
        self._on_closed: Callable[[int], None] = _ignore
        self._on_offline: Callable[[int], None] = _ignore
        self._on_verify: Callable[[Unverified], None] = _ignore
        self._on_opened: Callable[[Opened], None] = _ignore
        self._on_uncleanable: Callable[[int], None] = _ignore

    def start(
        self,
        on_request: Callable[[Request], None],
        on_closed: Callable[[int], None] | None = None,
        on_offline: Callable[[int], None] | None = None,
        on_verify: Callable[[Unverified], None] | None = None,
        on_opened: Callable[[Opened], None] | None = None,
        on_uncleanable: Callable[[int], None] | None = None,
    ) -> None:
        """Serve. ``on_closed`` is told the connections that had sent a control request,
        ``on_offline`` the handle of a partition whose log has failed, ``on_uncleanable`` one that
        compaction gives up, ``on_verify`` the transactions that begin, each to be answered by
        :meth:`verified`."""
        self._on_request = on_request
        self._on_closed = on_closed or _ignore
        self._on_offline = on_offline or _ignore
        self._on_verify = on_verify or _ignore
        self._on_opened = on_opened or _ignore
        self._on_uncleanable = on_uncleanable or _ignore
        self._attach()
        check_errno(lib.pl_engine_serve(self.native()))

    async def stop(self, drain_ms: int = 5000) -> None:
        """End serving: no new requests, those in flight are answered within ``drain_ms``."""
        await self.call(lib.pl_engine_drain, drain_ms)

    def close(self) -> None:
        """End the reactor, close the logs that are open and free everything. Idempotent."""
        if self._pointer is None:
            return
        native, self._pointer = self._pointer, None
        lib.pl_engine_stop(native)
        if self._thread is not None:
            self._thread.join()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(lib.pl_engine_event_fd(native))
        self._fail_waiting("the engine is closed")
        lib.pl_engine_destroy(native)

    def close_connection(self, connection: int) -> None:
        """Close a connection; no error when it is gone."""
        check_errno(lib.pl_engine_close_connection(self.native(), connection))

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` has been called."""
        return self._pointer is None

    def native(self) -> Any:
        """The C engine. RuntimeError when it is closed."""
        if self._pointer is None:
            raise RuntimeError("the engine is closed")
        return self._pointer

    def call(
        self,
        function: Any,
        *arguments: Any,
        on_part: Callable[[int, Any], None] | None = None,
    ) -> asyncio.Future[Done]:
        """Make a call that ends in a DONE event; the future ends with it.

        ``on_part`` is told each log of an opening as soon as it is open, by its place.
        """
        token = next(self._tokens)
        native = self.native()
        future: asyncio.Future[Done] = self._attach().create_future()
        self._waiting[token] = future
        if on_part is not None:
            self._on_part[token] = on_part
            future.add_done_callback(lambda _: self._on_part.pop(token))
        function(native, token, *arguments)
        return future

    def _attach(self) -> asyncio.AbstractEventLoop:
        """Bind to the running loop and begin the reactor thread, once."""
        if self._loop is not None:
            return self._loop
        native = self.native()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(lib.pl_engine_event_fd(native), self._on_readable)
        self._thread = threading.Thread(target=self._run, name="pylog-reactor", daemon=True)
        self._thread.start()
        return self._loop

    def _run(self) -> None:
        number = lib.pl_engine_run(self.native())
        if number and self._loop is not None:
            reason = f"the reactor has failed: {os.strerror(number)}"
            _log.critical(reason)
            self._loop.call_soon_threadsafe(self._fail_waiting, reason)

    def _fail_waiting(self, reason: str) -> None:
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(EngineError(_UNKNOWN_SERVER_ERROR, reason))

    def _on_readable(self) -> None:
        count = lib.pl_engine_poll(self._pointer, self._events, _EVENTS_PER_POLL)
        for index in range(count):
            event = self._events[index]
            try:
                self._dispatch(event)
            except Exception:
                _log.exception("an event of the engine was not handled")
                owed = event.kind in (lib.PL_EVENT_REQUEST, lib.PL_EVENT_VERIFY)
                if owed and self._pointer is not None:
                    self.close_connection(event.handle)
            finally:
                lib.pl_event_free(ffi.addressof(event))

    def _dispatch(self, event: Any) -> None:
        kind = event.kind
        if kind == lib.PL_EVENT_OPENED:
            peer = ffi.string(event.peer).decode("ascii")
            self._on_opened(Opened(event.handle, event.listener, peer))
        elif kind == lib.PL_EVENT_REQUEST:
            self._on_request(request_of(event))
        elif kind == lib.PL_EVENT_DONE:
            self._finish(event)
        elif kind == lib.PL_EVENT_CLOSED:
            self._on_closed(event.handle)
        elif kind == lib.PL_EVENT_VERIFY:
            self._on_verify(unverified_of(event))
        elif kind == lib.PL_EVENT_OFFLINE:
            self._on_offline(event.handle)
        elif kind == lib.PL_EVENT_UNCLEANABLE:
            self._on_uncleanable(event.handle)
        elif kind == lib.PL_EVENT_LOG_OPENED:
            items = ffi.from_buffer("struct pl_partition_opened[]", data_of(event))
            # An item does not keep alive what it lies in: `items` has to stay until it was read.
            self._on_part.get(event.token, _ignore_part)(event.value, items[0])
        elif kind == lib.PL_EVENT_WARNING:
            _log.warning("%s", bytes(ffi.buffer(event.data, event.length)).decode())

    def _finish(self, event: Any) -> None:
        future = self._waiting.pop(event.token, None)
        if future is None or future.done():
            return  # the caller was cancelled
        future.set_result(Done(event.error, event.value, event.value2, data_of(event)))
