"""Defines ``pylog._bench`` for cffi-gen-src, from the headers of the load generator and pieces."""

from pathlib import Path

from cffi import FFI

HEADERS = ("bench/load.h", "bench/pieces.h", "bench/process.h")

NATIVE = Path(__file__).resolve().parents[1]
text = "\n".join((NATIVE / header).read_text(encoding="utf-8") for header in HEADERS)
# cffi reads declarations and no preprocessor.
declarations = "\n".join(line for line in text.splitlines() if not line.startswith("#"))

ffibuilder = FFI()
ffibuilder.cdef(declarations)
ffibuilder.set_source("pylog._bench", "".join(f'#include "{header}"\n' for header in HEADERS))
