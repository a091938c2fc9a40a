"""Kafka's checkpoint files: an offset for each partition, in text.

First line: version 0; second: number of entries; then ``topic partition offset`` a line. A file
is replaced as a whole (written beside, flushed, renamed, folder flushed), so a reader finds the
old one or the new one and never a part.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

RECOVERY_POINT_FILE: Final = "recovery-point-offset-checkpoint"
LOG_START_FILE: Final = "log-start-offset-checkpoint"

Offsets = Mapping[tuple[str, int], int]


class MalformedCheckpoint(ValueError):
    """A checkpoint file that says no such thing; its logs are recovered without it."""


def read_checkpoint(path: Path) -> dict[tuple[str, int], int]:
    """The offsets of a checkpoint file; none when it is absent."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise MalformedCheckpoint(f"{path}: not text") from None
    try:
        return _parse(lines)
    except (ValueError, IndexError) as error:
        raise MalformedCheckpoint(f"{path}: {error}") from None


def _parse(lines: list[str]) -> dict[tuple[str, int], int]:
    if lines[0] != "0":
        raise ValueError(f"version {lines[0]!r}")
    entries = lines[2:]
    if int(lines[1]) != len(entries):
        raise ValueError(f"{len(entries)} entries, not {lines[1]}")
    offsets = {}
    for entry in entries:
        topic, partition, offset = entry.split(" ")
        offsets[topic, int(partition)] = int(offset)
    return offsets


def write_checkpoint(path: Path, offsets: Offsets) -> None:
    """Replace a checkpoint file; OSError leaves the old one."""
    lines = ["0", str(len(offsets))]
    lines += [f"{topic} {index} {offset}" for (topic, index), offset in sorted(offsets.items())]
    replace_file(path, "\n".join(lines) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Put a small text file in the place of another; after a power cut it is old or new."""
    beside = path.with_name(path.name + ".tmp")
    with open(beside, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Make creations, renames and deletions in a folder last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
