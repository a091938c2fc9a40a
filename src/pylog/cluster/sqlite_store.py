"""The store of a single broker: an SQLite file in its data folder.

A commit is one transaction with ``synchronous=FULL``, so it has survived a power cut when it
returns. What SQLite does not see, flipped bits, is found by checksums: of the content (see
:func:`_seal_of`), and of the last revision in a file of its own (`revision_mark`). SQLite is
called on the event loop's own thread: a commit takes about as long as one flush of the disk, and
one broker makes few. The folder's lock keeps other processes away, which is why leases last as
long as the process and watches are fed from memory.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

from pylog.cluster.revision_mark import MalformedMark, RevisionMark, mark_of, read_mark
from pylog.cluster.store import (
    Change,
    Commit,
    Compacted,
    Condition,
    Conflict,
    Entry,
    Snapshot,
    Write,
)

_log = logging.getLogger(__name__)

_COMMITS_KEPT: Final = 1000
_INDEX_BYTES: Final = 1 << 15  # by which the index of SQLite's log grows
_VERSION: Final = 1  # SQLite's user_version; 0 had no seal
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS entries ("
    "key TEXT PRIMARY KEY, value BLOB NOT NULL, created INTEGER NOT NULL, "
    "modified INTEGER NOT NULL, lease INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS revision (number INTEGER NOT NULL)",
    "INSERT INTO revision (number) SELECT 0 WHERE NOT EXISTS (SELECT * FROM revision)",
)
_PUT: Final = (
    "INSERT INTO entries VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
    "value = excluded.value, modified = excluded.modified, lease = excluded.lease"
)
_SEAL_RANGE: Final = 1 << 64

Row = tuple[str, bytes, int, int, int]  # key, value, created, modified, lease


def read_store(path: Path) -> Snapshot:
    """What a store holds, beside a broker or without one.

    OSError when it is damaged or absent, MalformedMark when what says how far it goes is.
    """
    noted = read_mark(mark_of(path))
    with _opened_to_read(path) as db:
        revision, rows = _read_all(path, db, _known_version(path, db))
    _check_end(path, revision, noted)
    return Snapshot(revision, {row[0]: Entry(*row[1:4]) for row in rows})


@contextmanager
def _opened_to_read(path: Path) -> Iterator[sqlite3.Connection]:
    """Changes nothing: to open it otherwise would remove what follows damage in SQLite's log."""
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            db.execute("BEGIN")
            yield db
        finally:
            db.close()
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise _refusal(path, error) from error


def _check_end(path: Path, revision: int, noted: int) -> None:
    if revision < noted:
        name = mark_of(path).name
        what = f"revision {noted} was committed, and it ends at {revision}"
        raise _damaged(path, what, f", or remove {name} to go on without the commits between")


def _check_noted(path: Path) -> None:
    """Before the store is opened: whether it has all that was acknowledged."""
    try:
        noted = read_mark(mark_of(path))
    except MalformedMark as error:
        _log.error("metadata store is read without its mark", extra={"reason": str(error)})
        return
    if noted:
        with _opened_to_read(path) as db:
            (revision,) = db.execute("SELECT number FROM revision").fetchone()
        _check_end(path, int(revision), noted)


def _damaged(path: Path, what: str, way_out: str = "") -> OSError:
    advice = f"restore it from a backup{way_out}; the logs are not touched"
    return OSError(f"{path}: damaged ({what}): {advice}")


def _refusal(path: Path, error: Exception) -> OSError:
    """An operational error is one of the surroundings: a full disk, a lock."""
    if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
        return OSError(f"{path}: {'disk is full' if _disk_is_full(path) else error}")
    return _damaged(path, str(error))


def _disk_is_full(path: Path) -> bool:
    """Whether the file that SQLite shares its log's index by can't grow: to SQLite that is any
    error of the disk."""
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize < _INDEX_BYTES


def _known_version(path: Path, db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= _VERSION:
        raise OSError(f"{path} has version {version}, which this pylog does not know")
    return int(version)


def _read_all(path: Path, db: sqlite3.Connection, version: int) -> tuple[int, list[Row]]:
    """Revision and rows; OSError when they are not what the last commit has left."""
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _damaged(path, str(verdict))
    rows = db.execute("SELECT key, value, created, modified, lease FROM entries").fetchall()
    (state,) = db.execute("SELECT * FROM revision")
    if version >= _VERSION and state[1] != f"{_seal_of(state[0], rows):016x}":
        raise _damaged(path, "its content does not match its checksum")
    return int(state[0]), rows


def _seal_of(revision: int, rows: Iterable[Row]) -> int:
    """A sum over everything, which a commit need not compute anew: see :meth:`SqliteStore._apply`.

    SQLite itself has no checksums: a flipped bit in a row goes unnoticed.
    """
    return (_mark_of(_number_row(revision)) + sum(map(_mark_of, rows))) % _SEAL_RANGE


def _number_row(revision: int) -> Row:
    """Stands for the revision in the seal."""
    return ("", b"", 0, revision, 0)


def _mark_of(row: Row) -> int:
    key, value, created, modified, lease = row
    text = f"{key}\0{created}\0{modified}\0{lease}\0".encode() + value
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


class SqliteStore:
    """See :class:`pylog.cluster.store.Store` for the contract of the methods."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; OSError when that fails."""
        _check_noted(path)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            version = _known_version(path, self._db)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("BEGIN IMMEDIATE")
            for statement in _TABLES:
                self._db.execute(statement)
            self._revision, self._seal = self._take_over(path, version)
            self._db.execute("COMMIT")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise _refusal(path, error) from error
        self._mark = RevisionMark(mark_of(path), self._revision)
        self._commits: list[Commit] = []
        self._first_kept = self._revision + 1
        self._committed = asyncio.Event()
        self._leases = itertools.count(1)
        self._granted: set[int] = set()

    def _take_over(self, path: Path, version: int) -> tuple[int, int]:
        """Check what is there, and let leases of the process before this one end; the revision and
        the seal."""
        if version < _VERSION:
            fresh = not self._db.execute("SELECT * FROM entries LIMIT 1").fetchall()
            self._db.execute("ALTER TABLE revision ADD COLUMN seal TEXT NOT NULL DEFAULT ''")
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
            if not fresh:
                _log.info("metadata store has checksums now", extra={"file": str(path)})
        revision, rows = _read_all(path, self._db, version)
        seal = _seal_of(revision, [row for row in rows if not row[4]])
        self._db.execute("DELETE FROM entries WHERE lease != 0")
        self._db.execute("UPDATE revision SET seal = ?", (f"{seal:016x}",))
        return revision, seal

    async def read(self, prefix: str) -> Snapshot:
        rows = self._db.execute(
            "SELECT key, value, created, modified FROM entries WHERE key >= ? AND key < ?",
            (prefix, prefix + "\U0010ffff"),
        )
        return Snapshot(self._revision, {row[0]: Entry(*row[1:]) for row in rows})

    async def commit(self, writes: Sequence[Write], conditions: Sequence[Condition] = ()) -> Commit:
        revision, before = self._revision + 1, self._seal
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._check(writes, conditions)
                changes = [self._apply(write, revision) for write in writes]
                self._add_to_seal(_number_row(revision), _number_row(self._revision))
                self._db.execute(
                    "UPDATE revision SET number = ?, seal = ?", (revision, f"{self._seal:016x}")
                )
            except BaseException:
                self._seal = before
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._seal = before
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise OSError(f"metadata store: {error}") from error
        self._mark.set(revision)
        self._revision = revision
        return self._publish(Commit(revision, changes))

    def _check(self, writes: Sequence[Write], conditions: Sequence[Condition]) -> None:
        expected = [(write.key, write.modified) for write in writes if write.modified is not None]
        for key, modified in itertools.chain(expected, conditions):
            entry = self._entry(key)
            if (entry.modified if entry else 0) != modified:
                raise Conflict(key)

    def _entry(self, key: str) -> Entry | None:
        row = self._row(key)
        return Entry(*row[1:4]) if row else None

    def _row(self, key: str) -> Row | None:
        row: Row | None = self._db.execute(
            "SELECT key, value, created, modified, lease FROM entries WHERE key = ?", (key,)
        ).fetchone()
        return row

    def _apply(self, write: Write, revision: int) -> Change:
        before = self._row(write.key)
        if write.value is None:
            self._add_to_seal(None, before)
            self._db.execute("DELETE FROM entries WHERE key = ?", (write.key,))
            return Change(write.key, None)
        created = before[2] if before else revision
        row = (write.key, write.value, created, revision, write.lease)
        self._add_to_seal(row, before)
        self._db.execute(_PUT, row)
        return Change(write.key, Entry(write.value, created, revision))

    def _add_to_seal(self, row: Row | None, instead_of: Row | None) -> None:
        change = (_mark_of(row) if row else 0) - (_mark_of(instead_of) if instead_of else 0)
        self._seal = (self._seal + change) % _SEAL_RANGE

    def _publish(self, commit: Commit) -> Commit:
        self._commits.append(commit)
        if len(self._commits) > 2 * _COMMITS_KEPT:
            del self._commits[:_COMMITS_KEPT]
            self._first_kept = self._commits[0].revision
        self._committed.set()
        self._committed = asyncio.Event()
        return commit

    async def watch(self, prefix: str, after_revision: int) -> AsyncIterator[Commit]:
        position = after_revision + 1
        while True:
            waiting = self._committed
            if position < self._first_kept:
                raise Compacted(f"revision {position}; the oldest kept is {self._first_kept}")
            for commit in self._commits[position - self._first_kept :]:
                position = commit.revision + 1
                changes = [change for change in commit.changes if change.key.startswith(prefix)]
                if changes:
                    yield Commit(commit.revision, changes)
            if position > self._revision:
                await waiting.wait()

    async def grant_lease(self, ttl_s: float) -> int:
        lease = next(self._leases)
        self._granted.add(lease)
        return lease

    async def keep_lease(self, lease: int) -> bool:
        return lease in self._granted

    async def close(self) -> None:
        self._granted.clear()
        self._mark.close()
        self._db.close()
