"""A sealed copy of a data folder's checkpoints, ours alone.

Kafka's checkpoint files have no checksum: with one bit flipped, deleted records are back or good
ones are hidden, and nobody is told. The copy has one. It is replaced before the files, so after
a kill in between a file may be as it was before the copy, which the copy knows, too. A file that
is neither was changed by somebody else.

Two lines: a checksum of the second, which is JSON: ``texts``, what each file says, and ``before``,
checksums of what each said before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

from pylog.log.checkpoint import (
    MalformedCheckpoint,
    Offsets,
    checkpoint_text,
    parse_checkpoint,
    read_checkpoint,
    replace_file,
)

SEAL_FILE: Final = "checkpoints.seal"

Reader = Callable[[Path], dict[tuple[str, int], int]]


class Seal(NamedTuple):
    """What the copy says; by file name."""

    texts: Mapping[str, str] = {}
    before: Mapping[str, str] = {}

    def has_left(self, path: Path) -> bool:
        """Whether a checkpoint's file is as its writer has left it. True where nothing is known."""
        expected = self.texts.get(path.name)
        if expected is None:
            return True
        content = _content_of(path)
        return content == expected.encode() or _digest(content) == self.before.get(path.name)

    def read(self, path: Path, unknown: Reader = read_checkpoint) -> dict[tuple[str, int], int]:
        """What a file said when it was written; where nothing is known of it, what it says."""
        known = self.texts.get(path.name)
        return unknown(path) if known is None else parse_checkpoint(path, known)


def read_seal(folder: Path) -> Seal:
    """The copy of a folder; an empty one when it is absent. MalformedCheckpoint."""
    path = folder / SEAL_FILE
    content = _content_of(path)
    if not content:
        return Seal()
    checksum, _, body = content.decode("utf-8", "replace").partition("\n")
    if checksum != _digest(body.encode()):
        raise MalformedCheckpoint(f"{path}: its content does not match its checksum")
    said: dict[str, Any] = json.loads(body)
    return Seal(said["texts"], said["before"])


def changed_files(folder: Path) -> list[Path]:
    """The checkpoints that are not what was last written, also beside a broker that writes them.

    MalformedCheckpoint when the copy can't be read.
    """
    while True:
        seal = read_seal(folder)
        changed = [folder / name for name in seal.texts if not seal.has_left(folder / name)]
        if not changed or read_seal(folder) == seal:
            return changed


def write_checkpoints(folder: Path, checkpoints: Mapping[str, Offsets]) -> None:
    """Replace checkpoints and their copy, by file name; OSError may leave some as they were."""
    try:
        known = read_seal(folder).texts
    except MalformedCheckpoint:
        known = {}
    texts = {**known, **{name: checkpoint_text(one) for name, one in checkpoints.items()}}
    before = {name: _digest(_content_of(folder / name)) for name in texts}
    body = json.dumps({"texts": texts, "before": before}) + "\n"
    replace_file(folder / SEAL_FILE, f"{_digest(body.encode())}\n{body}")
    for name in checkpoints:
        replace_file(folder / name, texts[name])


def _content_of(path: Path) -> bytes:
    """Nothing when the file is absent."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
