"""A log moves from one data folder to another: its files are copied while it is written to.

The copy grows in a folder that no start takes for a log (TOPIC-PARTITION.UNIQUE-future, as Kafka
names it). When the log has been closed and the rest is copied, that folder gets the log's name,
with a note of where the log was; then the old one goes. A start that finds both takes the one with
the note.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from pylog.log.checkpoint import flush_folder
from pylog.log.layout import DataFolder, delete_log

_NOTE: Final = "moved.from"
_PASSING: Final = (".deleted", ".cleaned", ".swap", ".tmp")  # never part of a log at rest
_BLOCK_BYTES: Final = 1 << 20
# A write that finds no room is taken back, and others take its place: as much as that at the end of
# a segment may be other bytes than before.
_UNSETTLED_BYTES: Final = 128 << 20


class _Seen(NamedTuple):
    """A file as it was when it was copied."""

    inode: int
    size: int
    changed_ns: int


class LogCopy:
    """The copy of a log, as it grows. OSError from every call but :meth:`discard`."""

    def __init__(self, source: Path, target: DataFolder) -> None:
        self._source = source
        self.folder = target.path / f"{source.name}.{os.urandom(16).hex()}-future"
        self.folder.mkdir()
        self._seen: dict[str, _Seen] = {}

    def catch_up(self, *, last: bool = False) -> int:
        """Copy what has changed since the last time; returns how many bytes that were.

        ``last``: the log is closed. Small files are copied anyway: their times may be too coarse to
        tell whether they have changed.
        """
        copied = 0
        if last:
            self._seen = {name: seen for name, seen in self._seen.items() if name.endswith(".log")}
        names = [name for name in os.listdir(self._source) if not name.endswith(_PASSING)]
        for name in names:
            copied += self._copy(name)
        for name in set(os.listdir(self.folder)).difference(names):
            self._seen.pop(name, None)
            (self.folder / name).unlink()
        return copied

    def _copy(self, name: str) -> int:
        try:
            with open(self._source / name, "rb", buffering=0) as file:
                return self._copy_open(name, file.fileno())
        except FileNotFoundError:  # retention or compaction was faster
            return 0

    def _copy_open(self, name: str, file: int) -> int:
        status = os.fstat(file)
        now = _Seen(status.st_ino, status.st_size, status.st_mtime_ns)
        before = self._seen.get(name)
        if now == before:
            return 0
        known = 0
        if before is not None and name.endswith(".log") and before.inode == now.inode:
            known = min(before.size, now.size)
        start = max(0, known - _UNSETTLED_BYTES)
        copy = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.truncate(copy, start)
            copied = _copy_range(file, copy, start, now.size)
        finally:
            os.close(copy)
        self._seen[name] = now._replace(size=start + copied)
        return max(0, start + copied - known)

    def finish(self, origin: str) -> None:
        """Everything is copied of a log that is closed: bring it to the disk, and give it its name.

        ``origin``: the directory id of the folder where it was.
        """
        (self.folder / _NOTE).write_text(origin, "ascii")
        for name in os.listdir(self.folder):
            _flush_file(self.folder / name)
        flush_folder(self.folder)
        self.folder.rename(self.folder.with_name(self._source.name))
        flush_folder(self.folder.parent)

    def discard(self) -> None:
        """Forget the copy."""
        import shutil  # slow to import, and seldom needed

        shutil.rmtree(self.folder, ignore_errors=True)


def _copy_range(source: int, target: int, start: int, end: int) -> int:
    """Up to ``end``, or the end of the file if a truncation was faster; bytes copied."""
    at = start
    while at < end:
        block = os.pread(source, min(_BLOCK_BYTES, end - at), at)
        if not block:
            break
        at += os.pwrite(target, block, at)
    return at - start


def _flush_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def end_move(moved: Path, old: Path) -> None:
    """The moved log has its name: the old one can go, and then the note."""
    delete_log(old)
    (moved / _NOTE).unlink()


def was_moved_from(log: Path, folder: DataFolder) -> bool:
    """Whether a log has a note that it was in this data folder before."""
    try:
        return (log / _NOTE).read_text("ascii") == folder.directory_id
    except (FileNotFoundError, UnicodeDecodeError):
        return False
