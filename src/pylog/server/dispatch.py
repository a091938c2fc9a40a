"""From a request of the control lane to its answer."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from pylog.apis.context import RequestContext
from pylog.apis.k18_api_versions import describe_versions
from pylog.engine.values import RecordsPart, Request
from pylog.protocol.api_keys import (
    API_KEYS,
    API_VERSIONS,
    encode_response,
    encode_response_parts,
    response_class,
)
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.message import Message
from pylog.protocol.wire import WireError, decode
from pylog.security.session import Session, Sessions
from pylog.server.busy_time import BusyTime
from pylog.server.handlers import Handler, Handlers

if TYPE_CHECKING:
    from pylog.server.broker import Broker
    from pylog.server.guard import Guard

_log = logging.getLogger(__name__)

NO_ANSWER: Final = b""
_BARE_TOKEN: Final = (36, -1)
Answer = bytes | list[bytes | RecordsPart]


class Unanswerable(Exception):
    """The protocol has no answer for this request: its connection is closed."""


class Dispatcher:
    """Serves each request in a task of its own; the engine keeps a connection's in order."""

    def __init__(self, broker: Broker, handlers: Handlers) -> None:
        self._broker = broker
        self._handlers = handlers
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions = Sessions()
        self.served: dict[int, tuple[int, int]] = {}  # requests and nanoseconds, by key
        self._guard = _guard_of(broker)

    def on_request(self, request: Request) -> None:
        """The engine's callback."""
        session = self._sessions.of(request.connection, request.peer)
        task = asyncio.get_running_loop().create_task(self._serve(request, session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def on_closed(self, connection: int) -> None:
        """The engine's callback: no request of this connection comes any more."""
        self._sessions.end(connection)
        self._broker.access.forget(connection)

    async def finish(self) -> None:
        """Cancel what is still being served; its connections are gone by now."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, request: Request, session: Session) -> None:
        engine = self._broker.engine
        try:
            if (request.api_key, request.api_version) == _BARE_TOKEN:
                self._broker.gate.take_bare_token(session, request.connection, request.body)
                return
            answer = await self._answer(request, session)
        except (Unanswerable, WireError) as error:
            _log.warning("connection closed: %s", error, extra=_fields(request))
            engine.close_connection(request.connection)
        except Exception:
            _log.exception("connection closed: handler failed", extra=_fields(request))
            engine.close_connection(request.connection)
        else:
            if isinstance(answer, bytes):
                engine.reply(request.connection, answer)
            else:
                engine.reply_parts(request.connection, answer)

    async def _answer(self, request: Request, session: Session) -> Answer:
        key, version = request.api_key, request.api_version
        handler = self._handlers.find(key, version)
        if handler is None:
            return self._unsupported(request)
        message = decode(handler.request_class, request.body, version)
        context = self._context(request, session)
        work = BusyTime(self._respond(handler, message, context))
        response = await work
        self._count(key, work.busy_ns)
        if response is None:
            return NO_ANSWER
        self._throttle(context, response, work.busy_ns)
        if handler.has_records:
            return encode_response_parts(key, version, request.correlation_id, response)
        return encode_response(key, version, request.correlation_id, response)

    def _count(self, key: int, busy_ns: int) -> None:
        requests, total_ns = self.served.get(key, (0, 0))
        self.served[key] = requests + 1, total_ns + busy_ns

    async def _respond(
        self, handler: Handler, message: Message, context: RequestContext
    ) -> Message | None:
        try:
            if self._guard is not None:
                return await self._guard.serve(handler.handle, message, context)
            return await handler.handle(message, context)
        except ApiError as error:
            return refusal(handler, message, context.version, error)

    def _throttle(self, context: RequestContext, response: Message, busy_ns: int) -> None:
        """Tell a client that is above its quota to wait, and read no more from it (KIP-219)."""
        throttle_ms = context.throttle_ms
        engine = self._broker.engine
        if self._broker.quotas.limit_time:
            charged = engine.charge_time(context.user, context.client_id or "", busy_ns)
            throttle_ms = max(throttle_ms, charged)
        if throttle_ms > 0:
            if hasattr(response, "throttle_time_ms"):
                response.throttle_time_ms = throttle_ms
            engine.mute(context.connection, throttle_ms)

    def _context(self, request: Request, session: Session) -> RequestContext:
        return RequestContext(
            broker=self._broker,
            api_key=request.api_key,
            version=request.api_version,
            client_id=request.client_id,
            client_host=request.peer,
            local_host=request.local,
            listener=self._broker.endpoints[request.listener].name,
            connection=request.connection,
            session=session,
        )

    def _unsupported(self, request: Request) -> bytes:
        """UNSUPPORTED_VERSION in a version that the client has a chance to read.

        A client that asks for ApiVersions reads version 0 of the answer and tries again with what
        that lists (KIP-511). Others get the nearest version that is served, when it has a place
        for an error.
        """
        key = request.api_key
        code = ErrorCode.UNSUPPORTED_VERSION
        served = {api.key: api for api in self._handlers.served}
        api = served.get(key)
        if api is None:
            raise Unanswerable("API key is not served")
        if key == API_VERSIONS:
            versions = describe_versions(self._broker, code)
            return encode_response(key, 0, request.correlation_id, versions)
        version = min(max(request.api_version, api.min_version), api.max_version)
        response = error_response(key, version, code)
        return encode_response(key, version, request.correlation_id, response)


def _guard_of(broker: Broker) -> Guard | None:
    """None where access is not controlled."""
    if not broker.access.enabled:
        return None
    from pylog.server.guard import Guard

    return Guard(broker.access)


def refusal(handler: Handler, request: Message, version: int, error: ApiError) -> Message:
    """The response to a request that was refused as a whole."""
    if handler.refuse is not None:
        return handler.refuse(request, error)
    return error_response(handler.api.key, version, error.code, error.message)


def error_response(key: int, version: int, code: ErrorCode, message: str | None = None) -> Message:
    """A response that says nothing but its error; Unanswerable when it has no place for one."""
    cls = response_class(key)
    fields = {row[0] for row in cls.FIELDS if _in_range(version, row[2])}
    if "error_code" not in fields:
        raise Unanswerable(f"{API_KEYS[key].name} v{version} can't carry {code.name}")
    response = cls()
    response.error_code = code  # type: ignore[attr-defined]
    if message is not None and "error_message" in fields:
        response.error_message = message  # type: ignore[attr-defined]
    return response


def _in_range(version: int, versions: str) -> bool:
    """Whether a version is in ``3+``, ``0-2``, ``1`` or the empty range."""
    first, separator, last = versions.rstrip("+").partition("-")
    if versions.endswith("+"):
        return version >= int(first)
    if not first:
        return False
    return int(first) <= version <= int(last if separator else first)


def _fields(request: Request) -> dict[str, object]:
    api = API_KEYS.get(request.api_key)
    return {
        "api": api.name if api else request.api_key,
        "version": request.api_version,
        "client": request.client_id or "",
        "peer": request.peer,
    }
