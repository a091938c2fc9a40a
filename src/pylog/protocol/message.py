"""What the generated classes of ``messages`` and ``records`` are made of.

A class holds one struct of a spec. ``FIELDS`` is its table, in wire order::

    (attribute, type, versions, nullable versions, tag, ignorable, default, struct class)

``type`` is a primitive, ``struct``, or one of these behind ``[]``; version ranges read as in the
specs (``3+``, ``0-2``, empty for none); ``tag`` is None for a field without a tag; a default of
``()`` stands for an empty list or a struct of defaults. :mod:`pylog.protocol.wire` interprets it.

Every field is a keyword argument with the spec's default and an attribute: int, float, bool, str,
bytes, a list, a struct, or None where the spec allows null. Uuids are 16 bytes. Records are the
bytes of their batches.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from pylog.protocol.uuids import ZERO_UUID

__all__ = ["UNSET", "ZERO_UUID", "Message", "Struct"]

UNSET: Final[Any] = type("Unset", (), {"__repr__": lambda self: "UNSET"})()
"""Default of an argument whose real default is a new list or a new struct."""


class Struct:
    """One struct; equal to another of its class when all fields are equal."""

    __slots__ = ()
    FIELDS: ClassVar[tuple[Any, ...]] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, row[0]) == getattr(other, row[0]) for row in self.FIELDS)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        fields = ", ".join(f"{row[0]}={getattr(self, row[0])!r}" for row in self.FIELDS)
        return f"{type(self).__name__}({fields})"


class Message(Struct):
    """A struct that is sent by itself, in one of its versions."""

    __slots__ = ()
    VERSIONS: ClassVar[tuple[int, int]]  # first and last, both included
    FLEXIBLE_FROM: ClassVar[int | None]  # compact types and tagged fields from this version on
    API_KEY: ClassVar[int]  # of an internal record: its type
