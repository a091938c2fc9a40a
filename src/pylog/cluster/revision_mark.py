"""How far the metadata store was committed, in a file beside it.

SQLite reads its write-ahead log up to the first frame that is not sound, and takes that for the
end: a flipped bit would undo acknowledged commits, unseen. This file names the last one. It is
a line of fixed size, ``revision checksum``, overwritten in place after each commit and flushed
before anybody is told of the commit. So a kill in between leaves it one behind, never ahead.
"""

from __future__ import annotations

import logging
import os
from hashlib import blake2b
from pathlib import Path
from typing import Final

from pylog.log.checkpoint import flush_folder

_log = logging.getLogger(__name__)

_DIGITS: Final = 20


class MalformedMark(ValueError):
    """A file that names no revision; the store is read without it."""


def mark_of(store: Path) -> Path:
    """The file that belongs to a store."""
    return store.with_name(store.name + "-revision")


def read_mark(path: Path) -> int:
    """The last revision that was acknowledged; 0 when the file is absent.

    MalformedMark when the file says no such thing, OSError when it can't be read.
    """
    try:
        line = path.read_bytes()
    except FileNotFoundError:
        return 0
    digits = line[:_DIGITS]
    if not digits.isdigit() or line != _line_of(int(digits)):
        raise MalformedMark(f"{path}: malformed")
    return int(digits)


def _line_of(revision: int) -> bytes:
    text = f"{revision:0{_DIGITS}}"
    return f"{text} {blake2b(text.encode(), digest_size=8).hexdigest()}\n".encode()


class RevisionMark:
    """The file of an open store."""

    def __init__(self, path: Path, revision: int) -> None:
        """Make the file, or bring it up to the revision; OSError when that fails."""
        self._path = path
        new = not path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.ftruncate(self._descriptor, len(_line_of(revision)))
            self._write(revision)
            if new:
                flush_folder(path.parent)
        except BaseException:
            self.close()
            raise

    def set(self, revision: int) -> None:
        """Note a commit, which stands whether this succeeds or not: a failure is logged."""
        try:
            self._write(revision)
        except OSError as error:
            _log.error("revision not noted", extra={"file": str(self._path), "error": str(error)})

    def _write(self, revision: int) -> None:
        os.pwrite(self._descriptor, _line_of(revision), 0)
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)
