"""What the engine tells, copied out of its events before they are freed."""

from __future__ import annotations

from typing import Any, NamedTuple

from pylog._engine import ffi
from pylog.engine.values import Request, Unverified, Verification


class Done(NamedTuple):
    """The end of a call with a token, copied out of its event."""

    error: int
    value: int
    value2: int
    data: bytes


def data_of(event: Any) -> bytes:
    return bytes(ffi.buffer(event.data, event.length)) if event.length else b""


def unverified_of(event: Any) -> Unverified:
    return Unverified(
        event.handle,
        event.api_version,
        _text_or_none(event.client_id, event.client_id_length) or "",
        [
            Verification(item.partition, item.producer_id, item.producer_epoch)
            for item in ffi.from_buffer("struct pl_verification[]", data_of(event))
        ],
    )


def request_of(event: Any) -> Request:
    return Request(
        event.api_key,
        event.api_version,
        event.correlation_id,
        _text_or_none(event.client_id, event.client_id_length),
        event.listener,
        event.handle,
        data_of(event),
        ffi.string(event.peer).decode("ascii"),
        ffi.string(event.local).decode("ascii"),
        event.received_ns,
    )


def _text_or_none(pointer: Any, length: int) -> str | None:
    if length < 0:
        return None
    return bytes(ffi.buffer(pointer, length)).decode("utf-8", "replace")
