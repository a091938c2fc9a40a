"""Records of the internal topics: generated classes, and their keys and values as bytes.

The modules are families (``offsets``, ``classic_group``, ``consumer_group``, ``share_group``,
``streams_group``, ``transaction_log``, ``share_state``). A key on disk is its type (int16) and
version 0 of the key's message; a value is its version (int16) and the message in that version.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Mapping
from typing import Final, TypeVar

from pylog.protocol.message import Message
from pylog.protocol.records.types import GROUP, SHARE_STATE, TRANSACTION, Row
from pylog.protocol.wire import WireError, decode, encode

__all__ = [
    "GROUP",
    "SHARE_STATE",
    "TRANSACTION",
    "decode_key",
    "decode_value",
    "encode_key",
    "encode_value",
    "record_type",
    "value_class",
]

M = TypeVar("M", bound=Message)
_PREFIX: Final = struct.Struct(">h")


def encode_key(key: Message) -> bytes:
    """A key message behind its type."""
    return _PREFIX.pack(key.API_KEY) + encode(key, 0)


def encode_value(value: Message, version: int) -> bytes:
    """A value message behind its version."""
    return _PREFIX.pack(version) + encode(value, version)


def record_type(key: bytes) -> int:
    """The type in front of a key."""
    if len(key) < _PREFIX.size:
        raise WireError(f"a key of {len(key)} bytes has no type")
    kind: int = _PREFIX.unpack_from(key)[0]
    return kind


def decode_key(key: bytes, types: Mapping[int, Row]) -> Message | None:
    """The key message, or None for a type that ``types`` (``GROUP``, ...) does not have."""
    row = types.get(record_type(key))
    if row is None:
        return None
    return decode(_class(row[0], row[1]), key[_PREFIX.size :], 0)


def value_class(key: Message, types: Mapping[int, Row]) -> type[Message]:
    """The class of the values that belong to this key."""
    row = types[key.API_KEY]
    return _class(row[0], row[2])


def decode_value(cls: type[M], value: bytes) -> M:
    """A value message in the version that is written in front of it."""
    return decode(cls, value[_PREFIX.size :], record_type(value))


def _class(module: str, name: str) -> type[Message]:
    found: type[Message] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return found
