"""The generated C readers and writers of the fast lane, driven from Python.

The C headers are given to cffi as they are, so that a struct that changes is seen here at once.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import cffi
from tests.wire.oracle import ROOT
from tests.wire.samples import in_range
from tools.codegen.lanes import CURSORS, STREAMED, WRITERS

from pylog.protocol.message import Message, Struct
from pylog.protocol.wire import WireError

NATIVE = ROOT / "src" / "native"
# What the generated headers include; an enum is an int.
BASE_TYPES = """
struct pl_cursor { const uint8_t *pos, *end; int err; };
struct pl_span { const uint8_t *data; int32_t length; };
struct pl_writer { uint8_t *bytes; size_t room, length; };
"""
INTEGERS = ("int8", "int16", "int32", "int64")


class FastLane:
    """The C of gen/requests.c and gen/responses.c, compiled into ``folder``."""

    def __init__(self, folder: Path) -> None:
        library = folder / "fast_lane.so"
        sources = [str(NATIVE / "gen" / name) for name in ("requests.c", "responses.c")]
        flags = ["-std=c11", "-O1", "-shared", "-fPIC", f"-I{NATIVE}", f"-I{NATIVE / 'include'}"]
        subprocess.run(["cc", *flags, *sources, "-o", str(library)], check=True)
        self._ffi = cffi.FFI()
        self._ffi.cdef(BASE_TYPES + _declarations("requests.h") + _declarations("responses.h"))
        self._lib: Any = self._ffi.dlopen(str(library))

    # ---- requests ----

    def read(self, cls: type[Message], data: bytes, version: int) -> Any:
        """A request as C reads it, made into our class; WireError when C refuses it."""
        stem = f"pl_{_snake(cls.__name__)}"
        out = self._ffi.new(f"struct {stem} *")
        held = self._ffi.from_buffer("uint8_t[]", data)
        error = getattr(self._lib, f"{stem}_read")(held, len(data), version, out)
        if error:
            raise WireError(f"pl_err {error}")
        return self._struct(cls, out, version, CURSORS[cls.__name__], stem)

    def _struct(
        self, cls: type[Struct], out: Any, version: int, names: dict[str, str], stem: str
    ) -> Any:
        fields = {}
        for name, kind, *_, default, struct_class in cls.FIELDS:
            value = getattr(out, name)
            if kind == "[]struct":
                short = f"{stem}_{names[struct_class.__name__]}"
                fields[name] = [
                    self._struct(struct_class, element, version, names, stem)
                    for element in self._elements(short, value, version)
                ]
            elif kind == "[]int32":
                fields[name] = _integers(self._ffi, value)
            elif kind == "struct":
                fields[name] = self._struct(struct_class, value, version, names, stem)
            else:
                fields[name] = self._plain(kind, value, default)
        return cls(**fields)

    def _elements(self, name: str, held: Any, version: int) -> Any:
        cursor = self._ffi.new("struct pl_cursor *", held.elements)
        for _ in range(held.count):
            element = self._ffi.new(f"struct {name} *")
            getattr(self._lib, f"{name}_read")(cursor, version, element)
            assert cursor.err == 0
            yield element
        assert cursor.pos == cursor.end

    def _plain(self, kind: str, value: Any, default: Any) -> Any:
        if kind in INTEGERS:
            return value
        if kind == "uuid":
            return default if value == self._ffi.NULL else self._ffi.buffer(value, 16)[:]
        if value.length < 0:
            return None
        data = self._ffi.buffer(value.data, value.length)[:]
        return data.decode() if kind == "string" else data

    # ---- responses ----

    def write(self, message: Message, version: int) -> bytes:
        """A response as C writes it; what C leaves to its caller is put in between."""
        name = type(message).__name__
        response = _Response(self._ffi, self._lib, version, WRITERS[name], f"pl_{_snake(name)}")
        response.write(message, response.stem)
        return response.bytes()


class _Response:
    def __init__(
        self, ffi: cffi.FFI, lib: Any, version: int, names: dict[str, str], stem: str
    ) -> None:
        self.stem = stem
        self._ffi, self._lib, self._version, self._names = ffi, lib, version, names
        self._room = ffi.new("uint8_t[]", 1 << 20)
        self._writer = ffi.new("struct pl_writer *", [self._room, 1 << 20, 0])
        self._alive: list[Any] = []

    def bytes(self) -> bytes:
        return self._ffi.buffer(self._room, self._writer.length)[:]

    def write(self, message: Struct, name: str) -> None:
        struct = self._filled(message, name)
        streamed = [row for row in message.FIELDS if row[0] in STREAMED or row[1] == "records"]
        if not streamed:
            self._call(f"{name}_write", struct)
            return
        self._call(f"{name}_open", struct)
        field, kind, *_, struct_class = streamed[0]
        if kind == "records":
            self._append(getattr(message, field) or b"")
        else:
            for element in getattr(message, field):
                self.write(element, f"{self.stem}_{self._names[struct_class.__name__]}")
        self._call(f"{name}_close", struct)

    def _call(self, function: str, struct: Any) -> None:
        """Write, after a writer without room has counted the same."""
        counted = self._ffi.new("struct pl_writer *")
        before = self._writer.length
        getattr(self._lib, function)(counted, self._version, struct)
        getattr(self._lib, function)(self._writer, self._version, struct)
        assert counted.length == self._writer.length - before

    def _append(self, data: bytes) -> None:
        at = self._writer.length
        self._ffi.buffer(self._room)[at : at + len(data)] = data
        self._writer.length += len(data)

    def _filled(self, message: Struct, name: str) -> Any:
        struct = self._ffi.new(f"struct {name} *", getattr(self._lib, f"{name}_default"))
        self._fill(message, struct)
        return struct

    def _fill(self, message: Struct, struct: Any) -> None:
        for row in message.FIELDS:
            name, kind, value = row[0], row[1], getattr(message, row[0])
            if not in_range(self._version, row[2]):
                continue
            if kind == "records":
                struct.records_length = -1 if value is None else len(value)
            elif kind == "[]struct":
                self._fill_list(name, row[7], value, struct)
            elif kind == "struct":
                self._fill(value, getattr(struct, name))
            elif kind in INTEGERS:
                setattr(struct, name, value)
            else:
                self._fill_bytes(kind, name, value, struct)

    def _fill_list(self, name: str, cls: type[Struct], values: Any, struct: Any) -> None:
        setattr(struct, f"{name}_count", -1 if values is None else len(values))
        if name in STREAMED or not values:
            return
        element_name = f"{self.stem}_{self._names[cls.__name__]}"
        elements = self._ffi.new(f"struct {element_name}[]", len(values))
        for element, value in zip(elements, values, strict=True):
            self._fill(value, element)
        self._alive.append(elements)
        setattr(struct, name, elements)

    def _fill_bytes(self, kind: str, name: str, value: Any, struct: Any) -> None:
        if value is None:
            setattr(struct, name, [self._ffi.NULL, -1])
            return
        data = value.encode() if kind == "string" else value
        held = self._ffi.from_buffer("uint8_t[]", data)
        self._alive.append(held)
        setattr(struct, name, held if kind == "uuid" else [held, len(data)])


def _declarations(header: str) -> str:
    """A generated header without what cffi does not parse."""
    text = (NATIVE / "gen" / header).read_text()
    text = re.sub(r"(?s)/\*.*?\*/", "", re.sub(r"(?m)^#.*$", "", text))
    return text.replace("PL_MUST_CHECK enum pl_err", "int").replace("extern const", "extern")


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _integers(ffi: cffi.FFI, held: Any) -> list[int]:
    size = held.elements.end - held.elements.pos
    assert size == 4 * held.count
    data = ffi.buffer(held.elements.pos, size)[:]
    return [int.from_bytes(data[at : at + 4], "big", signed=True) for at in range(0, size, 4)]
