"""Random messages from the field tables, and messages as Kafka's JSON converters show them."""

from __future__ import annotations

import base64
import importlib
import random
from collections.abc import Iterator
from typing import Any

from pylog.protocol import api_keys, records
from pylog.protocol.message import Message, Struct
from pylog.protocol.messages import consumer_protocol
from pylog.protocol.uuids import uuid_to_text

INTEGER_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
LETTERS = "aZ9.-_ äß€漢😀\0"


def message_classes() -> Iterator[type[Message]]:
    """Every message that pylog has a class for."""
    for api in api_keys.SERVED:
        yield api_keys.request_class(api.key)
        yield api_keys.response_class(api.key)
    yield consumer_protocol.ConsumerProtocolSubscription
    yield consumer_protocol.ConsumerProtocolAssignment
    yield from record_classes()


def record_classes() -> Iterator[type[Message]]:
    """Keys and values of the internal topics."""
    for types in (records.GROUP, records.TRANSACTION, records.SHARE_STATE):
        for key_type, (module, name, _) in types.items():
            key_class = getattr(importlib.import_module(f"pylog.protocol.records.{module}"), name)
            assert key_type == key_class.API_KEY
            yield key_class
            yield records.value_class(key_class(), types)


def versions(cls: type[Message]) -> range:
    """All versions of a message."""
    return range(cls.VERSIONS[0], cls.VERSIONS[1] + 1)


def in_range(version: int, text: str) -> bool:
    """Whether a version is in a range of the tables: "3+", "0-2", "4", "" (none)."""
    if not text:
        return False
    first, _, last = text.replace("+", "-32767").partition("-")
    return int(first) <= version <= int(last or first)


class Sampler:
    """Makes messages; a seed makes the same ones each time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def message(self, cls: type[Struct], version: int, depth: int = 0) -> Any:
        """A message whose fields of this version are set, mostly, and no others."""
        fields = {}
        for name, kind, present, nullable, tag, _, _, struct_class in cls.FIELDS:
            if not in_range(version, present) or (tag is not None and self._one_in(3)):
                continue
            if in_range(version, nullable) and self._one_in(5):
                fields[name] = None
            elif kind.startswith("[]"):
                count = self._random.choice([0, 1, 1, 2, 5] if depth < 2 else [0, 1, 1, 2])
                fields[name] = [
                    self._value(kind[2:], struct_class, version, depth) for _ in range(count)
                ]
            else:
                fields[name] = self._value(kind, struct_class, version, depth)
        return cls(**fields)

    def _one_in(self, n: int) -> bool:
        return self._random.randrange(n) == 0

    def _value(self, kind: str, struct_class: Any, version: int, depth: int) -> Any:
        if kind == "struct":
            return self.message(struct_class, version, depth + 1)
        if kind in INTEGER_BITS:
            return self._integer(INTEGER_BITS[kind])
        if kind == "string":
            return "".join(self._random.choices(LETTERS, k=self._length()))
        if kind in ("bytes", "records"):
            return self._random.randbytes(self._length())
        if kind == "bool":
            return self._one_in(2)
        if kind == "uint16":
            return self._random.choice([0, 1, 0x7FFF, 0x8000, 0xFFFF])
        if kind == "uuid":
            return self._random.randbytes(16)
        return self._random.choice([0.0, -1.5, 1e300, self._random.random()])

    def _integer(self, bits: int) -> int:
        highest = (1 << bits - 1) - 1
        lowest = -highest - 1
        anything = self._random.randint(lowest, highest)
        return self._random.choice([0, 1, -1, highest, lowest, anything])

    def _length(self) -> int:
        return self._random.choice([0, 1, 2, 7, 40, 126, 127, 128, 300])


def to_json(message: Struct, version: int) -> dict[str, Any]:
    """As Kafka's converter writes it: camel case, uuids in text, bytes in base64."""
    shown = {}
    defaults = type(message)()
    for name, kind, present, _, tag, _, _, _ in message.FIELDS:
        value = getattr(message, name)
        is_sent = tag is None or value != getattr(defaults, name)
        if in_range(version, present) and is_sent:
            shown[camel_case(name)] = _shown(kind, value, version)
    return shown


def camel_case(name: str) -> str:
    """The spec's name with a small first letter."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _shown(kind: str, value: Any, version: int) -> Any:
    if value is None:
        return None
    if kind.startswith("[]"):
        return [_shown(kind[2:], element, version) for element in value]
    if kind == "struct":
        return to_json(value, version)
    if kind == "uuid":
        return uuid_to_text(value)
    if kind in ("bytes", "records"):
        return base64.b64encode(value).decode()
    return value
