"""Kafka's checkpoint files: an offset for each partition, in text.

First line: version 0; second: number of entries; then ``topic partition offset`` a line. A file
is replaced as a whole (written beside, flushed, renamed, folder flushed), so a reader finds the
old one or the new one and never a part.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

RECOVERY_POINT_FILE: Final = "recovery-point-offset-checkpoint"
LOG_START_FILE: Final = "log-start-offset-checkpoint"
CLEANER_FILE: Final = "cleaner-offset-checkpoint"
HIGH_WATERMARK_FILE: Final = "replication-offset-checkpoint"

LEADER_EPOCH_FILE: Final = "leader-epoch-checkpoint"
_NUMBER: Final = re.compile("0|[1-9][0-9]{0,18}")

Offsets = Mapping[tuple[str, int], int]


class MalformedCheckpoint(ValueError):
    """A checkpoint file that says no such thing; its logs are recovered without it."""


def read_checkpoint(path: Path) -> dict[tuple[str, int], int]:
    """The offsets of a checkpoint file; none when it is absent."""
    return parse_checkpoint(path, _text_of(path))


def parse_checkpoint(path: Path, text: str | None) -> dict[tuple[str, int], int]:
    """The offsets in the text of a checkpoint file; none when it has no text."""
    offsets = {}
    for topic, partition, offset in _entries(path, text, 3):
        offsets[topic, _number(path, partition)] = _number(path, offset)
    return offsets


def read_begun_checkpoint(path: Path) -> dict[tuple[str, int], int]:
    """Like :func:`read_checkpoint`; none when the file is empty, too.

    Kafka makes its checkpoints when it starts, and leaves them empty until there is an entry.
    """
    return read_checkpoint(path) if path.exists() and path.stat().st_size else {}


def read_leader_epochs(path: Path) -> list[tuple[int, int]]:
    """Epochs of a leader-epoch-checkpoint with the offset where each begins, ascending."""
    lines = _entries(path, _text_of(path), 2)
    entries = [(_number(path, epoch), _number(path, start)) for epoch, start in lines]
    for (epoch, start), (next_epoch, next_start) in itertools.pairwise(entries):
        if next_epoch <= epoch or next_start < start:
            raise MalformedCheckpoint(f"{path}: epochs are not in order")
    return entries


def _text_of(path: Path) -> str | None:
    """What a file says; None when it is absent."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise MalformedCheckpoint(f"{path}: not text") from None


def _entries(path: Path, text: str | None, width: int) -> list[list[str]]:
    """The entries of a checkpoint file, split."""
    if text is None:
        return []
    version, *lines = text.split("\n")
    if version != "0":
        raise MalformedCheckpoint(f"{path}: version {version!r}")
    entries = [line.split(" ") for line in lines[1:-1]]
    if lines[-1:] != [""] or lines[:1] != [str(len(entries))]:
        raise MalformedCheckpoint(f"{path}: its number of entries is not right")
    if any(len(entry) != width for entry in entries):
        raise MalformedCheckpoint(f"{path}: an entry is malformed")
    return entries


def _number(path: Path, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise MalformedCheckpoint(f"{path}: no number: {text!r}")
    return int(text)


def write_checkpoint(path: Path, offsets: Offsets) -> None:
    """Replace a checkpoint file; OSError leaves the old one."""
    replace_file(path, checkpoint_text(offsets))


def checkpoint_text(offsets: Offsets) -> str:
    lines = ["0", str(len(offsets))]
    lines += [f"{topic} {index} {offset}" for (topic, index), offset in sorted(offsets.items())]
    return "\n".join(lines) + "\n"


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
