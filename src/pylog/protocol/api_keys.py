"""The keys of the protocol: versions, classes, and requests and responses with their headers."""

from __future__ import annotations

import importlib
import struct
from typing import Any, Final, NamedTuple

from pylog.protocol.api_table import ROWS
from pylog.protocol.message import Message
from pylog.protocol.wire import WireError, decode, encode, encode_parts

API_VERSIONS: Final = 18

_REQUEST_START: Final = struct.Struct(">hhih")  # key, version, correlation id, client id's length
_CORRELATION_ID: Final = struct.Struct(">i")


class ApiKey(NamedTuple):
    """One key. ``min_version`` to ``max_version`` is what ApiVersions tells about it."""

    key: int
    name: str  # "ListOffsets"
    module: str  # "list_offsets"
    min_version: int
    max_version: int
    flexible_from: int | None
    listeners: tuple[str, ...]
    latest_version_unstable: bool  # the specs have one version more, which is not served
    lane: str | None  # "fast", "control", or None: not served

    def is_flexible(self, version: int) -> bool:
        """Whether this version has compact types and tagged fields (KIP-482)."""
        return self.flexible_from is not None and version >= self.flexible_from


API_KEYS: Final[dict[int, ApiKey]] = {key: ApiKey(key, *row) for key, row in ROWS.items()}
SERVED: Final[tuple[ApiKey, ...]] = tuple(api for api in API_KEYS.values() if api.lane)


def request_class(key: int) -> type[Message]:
    """The class of the requests of a served key; its module is imported now."""
    return _message_class(key, "Request")


def response_class(key: int) -> type[Message]:
    """The class of the responses of a served key; its module is imported now."""
    return _message_class(key, "Response")


def _message_class(key: int, kind: str) -> type[Message]:
    api = API_KEYS[key]
    module = importlib.import_module(f"pylog.protocol.messages.{api.module}")
    found: type[Message] = getattr(module, api.name + kind)
    return found


def encode_response(key: int, version: int, correlation_id: int, message: Message) -> bytes:
    """Header and body, without the length in front."""
    return response_header(key, version, correlation_id) + encode(message, version)


def encode_response_parts(
    key: int, version: int, correlation_id: int, message: Message
) -> list[Any]:
    """Header and body, cut where records are to be put; see :mod:`pylog.protocol.wire`."""
    parts = encode_parts(message, version)
    parts[0] = response_header(key, version, correlation_id) + parts[0]
    return parts


def response_header(key: int, version: int, correlation_id: int) -> bytes:
    """Version 1 for flexible versions, else 0; always 0 for ApiVersions (KIP-511)."""
    flexible = key != API_VERSIONS and API_KEYS[key].is_flexible(version)
    return _CORRELATION_ID.pack(correlation_id) + (b"\0" if flexible else b"")


def decode_response(key: int, version: int, data: bytes) -> tuple[int, Message]:
    """Correlation id and message of header and body."""
    size = len(response_header(key, version, 0))
    if len(data) < size or any(data[_CORRELATION_ID.size : size]):
        raise WireError("no response header")
    message = decode(response_class(key), memoryview(data)[size:], version)
    return _CORRELATION_ID.unpack_from(data)[0], message


def encode_request(
    key: int, version: int, correlation_id: int, client_id: str | None, message: Message
) -> bytes:
    """Header and body, without the length in front."""
    name = b"" if client_id is None else client_id.encode()
    length = -1 if client_id is None else len(name)
    start = _REQUEST_START.pack(key, version, correlation_id, length)
    tags = b"\0" if API_KEYS[key].is_flexible(version) else b""
    return b"".join((start, name, tags, encode(message, version)))


class RequestHeader(NamedTuple):
    """What is in front of a request; ``size`` is its length in bytes."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    size: int


def decode_request_header(data: bytes) -> RequestHeader:
    """The header of a frame, for tools and tests (the broker reads it natively)."""
    if len(data) < _REQUEST_START.size:
        raise WireError("no request header")
    key, version, correlation_id, length = _REQUEST_START.unpack_from(data)
    size = _REQUEST_START.size + max(length, 0)
    client_id = data[_REQUEST_START.size : size].decode(errors="replace") if length >= 0 else None
    api = API_KEYS.get(key)
    if api is not None and api.is_flexible(version):
        if data[size : size + 1] != b"\0":
            raise WireError("tagged fields in a request header")
        size += 1
    if size > len(data):
        raise WireError("no request header")
    return RequestHeader(key, version, correlation_id, client_id, size)
