"""Defines ``pylog._bench`` for cffi-gen-src: the load generator's header, as it is."""

from pathlib import Path

from cffi import FFI

HEADER = "bench/load.h"

text = (Path(__file__).resolve().parents[1] / HEADER).read_text(encoding="utf-8")
# cffi reads declarations and no preprocessor.
declarations = "\n".join(line for line in text.splitlines() if not line.startswith("#"))

ffibuilder = FFI()
ffibuilder.cdef(declarations)
ffibuilder.set_source("pylog._bench", f'#include "{HEADER}"')
