"""The store of a single broker: an SQLite file in its data folder.

A commit is one transaction with ``synchronous=FULL``, so it has survived a power cut when it
returns. SQLite is called on the event loop's own thread: a commit takes about as long as one
flush of the disk, and one broker makes few. The folder's lock keeps other processes away, which
is why leases last as long as the process and watches are fed from memory.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

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

_COMMITS_KEPT: Final = 1000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
  key TEXT PRIMARY KEY, value BLOB NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL,
  lease INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revision (number INTEGER NOT NULL);
INSERT INTO revision SELECT 0 WHERE NOT EXISTS (SELECT * FROM revision);
DELETE FROM entries WHERE lease != 0;
"""
_PUT: Final = (
    "INSERT INTO entries VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
    "value = excluded.value, modified = excluded.modified, lease = excluded.lease"
)


def read_store(path: Path) -> Snapshot:
    """What a store holds, beside a broker or without one; OSError when it is damaged or absent."""
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            _require_known_version(path, db)
            (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise OSError(f"{path}: {verdict}")
            (revision,) = db.execute("SELECT number FROM revision").fetchone()
            rows = db.execute("SELECT key, value, created, modified FROM entries")
            return Snapshot(revision, {row[0]: Entry(*row[1:]) for row in rows})
        finally:
            db.close()
    except (sqlite3.Error, TypeError) as error:
        raise OSError(f"{path}: {error}") from error


def _require_known_version(path: Path, db: sqlite3.Connection) -> None:
    """The version is SQLite's ``user_version``, 0 so far: a later pylog may count it up."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version != 0:
        raise OSError(f"{path} has version {version}, which this pylog does not know")


class SqliteStore:
    """See :class:`pylog.cluster.store.Store` for the contract of the methods."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; OSError when that fails."""
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            _require_known_version(path, self._db)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from error
        self._revision: int = self._db.execute("SELECT number FROM revision").fetchone()[0]
        self._commits: list[Commit] = []
        self._first_kept = self._revision + 1
        self._committed = asyncio.Event()
        self._leases = itertools.count(1)
        self._granted: set[int] = set()

    async def read(self, prefix: str) -> Snapshot:
        rows = self._db.execute(
            "SELECT key, value, created, modified FROM entries WHERE key >= ? AND key < ?",
            (prefix, prefix + "\U0010ffff"),
        )
        return Snapshot(self._revision, {row[0]: Entry(*row[1:]) for row in rows})

    async def commit(self, writes: Sequence[Write], conditions: Sequence[Condition] = ()) -> Commit:
        revision = self._revision + 1
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._check(writes, conditions)
                changes = [self._apply(write, revision) for write in writes]
                self._db.execute("UPDATE revision SET number = ?", (revision,))
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise OSError(f"metadata store: {error}") from error
        self._revision = revision
        return self._publish(Commit(revision, changes))

    def _check(self, writes: Sequence[Write], conditions: Sequence[Condition]) -> None:
        expected = [(write.key, write.modified) for write in writes if write.modified is not None]
        for key, modified in itertools.chain(expected, conditions):
            entry = self._entry(key)
            if (entry.modified if entry else 0) != modified:
                raise Conflict(key)

    def _entry(self, key: str) -> Entry | None:
        row = self._db.execute(
            "SELECT value, created, modified FROM entries WHERE key = ?", (key,)
        ).fetchone()
        return Entry(*row) if row else None

    def _apply(self, write: Write, revision: int) -> Change:
        if write.value is None:
            self._db.execute("DELETE FROM entries WHERE key = ?", (write.key,))
            return Change(write.key, None)
        before = self._entry(write.key)
        created = before.created if before else revision
        self._db.execute(_PUT, (write.key, write.value, created, revision, write.lease))
        return Change(write.key, Entry(write.value, created, revision))

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
        self._db.close()
