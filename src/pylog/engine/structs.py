"""Between the tuples of :mod:`pylog.engine.values` and the structs of ``pylog/engine.h``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from pylog._engine import ffi
from pylog.engine.values import PartitionSpec


def mirror(source: Any, target: Any) -> None:
    """Copy a tuple into the C struct whose fields have the same names."""
    for name, value in zip(source._fields, source, strict=True):
        setattr(target, name, value)


def values_of(kind: Any, struct: Any) -> list[Any]:
    return [getattr(struct, name) for name in kind._fields]


def check_errno(number: int) -> None:
    """Raise OSError unless a call of the engine has returned 0."""
    if number:
        raise OSError(number, os.strerror(number))


def partition_array(specs: Sequence[PartitionSpec]) -> tuple[Any, list[Any]]:
    """The C array of specs, and what must stay alive as long as it is used."""
    array = ffi.new("struct pl_partition_open[]", len(specs))
    keep: list[Any] = []
    for item, spec in zip(array, specs, strict=True):
        item.topic = topic = ffi.new("char[]", spec.topic.encode())
        item.folder = folder = ffi.new("char[]", os.fsencode(spec.folder))
        item.config = config = ffi.new("struct pl_log_config *")
        mirror(spec.config, config)
        ffi.memmove(item.topic_id, spec.topic_id, 16)
        item.partition = spec.partition
        item.clean_shutdown = spec.clean_shutdown
        item.recovery_point = spec.recovery_point
        item.log_start_offset = spec.log_start_offset
        item.cleaned_end = spec.cleaned_end
        item.leader_epoch = spec.leader_epoch
        keep += [topic, folder, config]
    return array, keep
