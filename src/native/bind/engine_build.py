"""Defines ``pylog._engine`` (cffi, API mode); the build turns ``ffibuilder`` into C.

The declarations are those of the headers themselves, so that they cannot drift apart.
"""

from __future__ import annotations

import re
from pathlib import Path

from cffi import FFI

NATIVE = Path(__file__).resolve().parents[1]

# Of log/log.h, which is no public header, Python fills in one struct and reads another.
FROM_LOG_H = (
    "enum pl_durability",
    "enum pl_timestamp_type",
    "struct pl_log_config",
    "struct pl_producer_view",
)


def without_preprocessor(header: str) -> str:
    return "\n".join(line for line in header.splitlines() if not line.startswith("#"))


def definition(header: str, name: str) -> str:
    """The text ``name { ... };`` of a header; fails when it is not there once."""
    (found,) = re.findall(rf"^{name} \{{.*?\}};", header, re.DOTALL | re.MULTILINE)
    return str(found)


def build() -> FFI:
    engine_h = (NATIVE / "include/pylog/engine.h").read_text()
    inspect_h = (NATIVE / "log/inspect.h").read_text()
    log_h = (NATIVE / "log/log.h").read_text()
    builder = FFI()
    for name in FROM_LOG_H:
        builder.cdef(definition(log_h, name))
    builder.cdef(without_preprocessor(engine_h))
    builder.cdef(without_preprocessor(inspect_h))
    builder.set_source(
        "pylog._engine",
        '#include "pylog/engine.h"\n#include "log/inspect.h"\n#include "log/log.h"\n',
        py_limited_api=True,
    )
    return builder


ffibuilder = build()
