"""The embedded store: revisions, compare-and-swap, watches, leases, and what a restart keeps."""

from __future__ import annotations

import asyncio
import errno
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from pylog.cluster import sqlite_store
from pylog.cluster.revision_mark import MalformedMark, mark_of
from pylog.cluster.sqlite_store import SqliteStore, read_store
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


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "metadata.db")
    yield store
    await store.close()


async def test_a_commit_stamps_its_keys_with_its_revision(store: SqliteStore) -> None:
    first = await store.commit([Write("a", b"1", 0), Write("b", b"2", 0)])
    second = await store.commit([Write("a", b"3", first.revision)])
    snapshot = await store.read("")
    assert snapshot.revision == second.revision == first.revision + 1
    assert snapshot.entries == {
        "a": Entry(b"3", first.revision, second.revision),
        "b": Entry(b"2", first.revision, first.revision),
    }


async def test_a_prefix_reads_its_keys_only(store: SqliteStore) -> None:
    await store.commit([Write(key, b"", 0) for key in ("topics/a", "topics/b", "topicz", "topic")])
    assert list((await store.read("topics/")).entries) == ["topics/a", "topics/b"]


@pytest.mark.parametrize(
    "writes",
    [
        [Write("a", b"2", 0)],  # exists
        [Write("a", b"2", 99)],  # was never at that revision
        [Write("new", b"2", 5)],  # does not exist
        [Write("new", b"2", 0), Write("a", None, 99)],  # the second one spoils the first
    ],
)
async def test_a_commit_on_stale_keys_changes_nothing(
    store: SqliteStore, writes: Sequence[Write]
) -> None:
    await store.commit([Write("a", b"1", 0)])
    before = await store.read("")
    with pytest.raises(Conflict):
        await store.commit(writes)
    assert await store.read("") == before


async def test_a_condition_guards_a_key_that_is_not_written(store: SqliteStore) -> None:
    first = await store.commit([Write("a", b"1", 0)])
    await store.commit([Write("b", b"1", 0)], [Condition("a", first.revision)])
    await store.commit([Write("a", None, None)])
    with pytest.raises(Conflict):
        await store.commit([Write("c", b"1", 0)], [Condition("a", first.revision)])


async def test_a_watch_gives_what_was_committed_before_and_after_it_began(
    store: SqliteStore,
) -> None:
    first = await store.commit([Write("x/a", b"1", 0)])
    await store.commit([Write("y/b", b"1", 0)])
    watch = store.watch("x/", 0)
    assert await anext(watch) == first
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    assert not waiting.done()
    third = await store.commit([Write("x/a", None, None), Write("y/c", b"", 0)])
    assert await waiting == Commit(third.revision, [Change("x/a", None)])


async def test_a_watch_from_a_forgotten_revision_says_so(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "_COMMITS_KEPT", 2)
    for _ in range(6):
        await store.commit([Write("a", b"", None)])
    with pytest.raises(Compacted):
        await anext(store.watch("", 0))


async def test_a_restart_keeps_entries_and_revision_but_no_lease(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "metadata.db")
    lease = await store.grant_lease(10)
    assert await store.keep_lease(lease)
    await store.commit([Write("kept", b"1", 0), Write("leased", b"1", 0, lease)])
    await store.close()
    assert not await store.keep_lease(lease)

    again = SqliteStore(tmp_path / "metadata.db")
    snapshot = await again.read("")
    assert (snapshot.revision, list(snapshot.entries)) == (1, ["kept"])
    assert (await again.commit([Write("more", b"", 0)])).revision == 2
    await again.close()


async def test_a_store_that_can_not_be_opened_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "metadata.db").write_text("this is no database, and long enough to show it" * 30)
    with pytest.raises(OSError, match=r"metadata\.db"):
        SqliteStore(tmp_path / "metadata.db")


async def filled(path: Path) -> Snapshot:
    store = SqliteStore(path)
    for number in range(40):
        await store.commit([Write(f"topics/{number}", b"value of %d" % number, None)])
    await store.commit([Write("topics/7", None, None), Write("topics/8", b"another", None)])
    await store.close()
    return read_store(path)


async def test_a_flip_of_any_byte_is_found_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    before = await filled(path)
    good = path.read_bytes()
    found = 0
    for position in range(0, len(good), 11):
        flipped = bytearray(good)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        try:
            assert read_store(path) == before
        except OSError:
            found += 1
    assert found > 90


async def test_a_broker_does_not_start_with_a_value_that_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    await filled(path)
    good = path.read_bytes()
    assert good.count(b"value of 23") == 1
    path.write_bytes(good.replace(b"value of 23", b"value of 24"))
    with pytest.raises(OSError, match=r"does not match its checksum.*backup"):
        SqliteStore(path)


async def test_a_row_that_is_gone_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    await filled(path)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM entries WHERE key = 'topics/3'")
    db.close()
    with pytest.raises(OSError, match="checksum"):
        read_store(path)


async def left_by_a_kill(tmp_path: Path) -> tuple[Path, Snapshot]:
    """A store with commits in SQLite's write-ahead log, as a kill leaves it."""
    path, killed = tmp_path / "metadata.db", tmp_path / "killed"
    await filled(path)
    store = SqliteStore(path)
    for number in range(5):
        await store.commit([Write(f"late/{number}", b"%d" % number, 0)])
    shutil.copytree(tmp_path, killed)
    await store.close()
    return killed / path.name, read_store(path)


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log of a store."""
    return path.with_name(path.name + "-wal")


async def test_a_kill_loses_no_commit(tmp_path: Path) -> None:
    path, before = await left_by_a_kill(tmp_path)
    assert log_of(path).stat().st_size > 0
    store = SqliteStore(path)
    assert await store.read("") == before
    await store.close()


async def test_a_flip_in_the_log_after_a_kill_is_found_or_harmless(tmp_path: Path) -> None:
    path, before = await left_by_a_kill(tmp_path)
    good = {file: file.read_bytes() for file in path.parent.glob("metadata.db*")}
    found = 0
    for position in range(0, len(good[log_of(path)]), 331):
        for file, content in good.items():
            file.write_bytes(content)
        flipped = bytearray(good[log_of(path)])
        flipped[position] ^= 1 << position % 8
        log_of(path).write_bytes(flipped)
        if (store := opened(path)) is None:
            assert log_of(path).read_bytes() == flipped  # what can still be read is left
            found += 1
            continue
        assert await store.read("") == before
        await store.close()
    assert found > 40


def opened(path: Path) -> SqliteStore | None:
    """None when the store is refused as damaged."""
    try:
        return SqliteStore(path)
    except OSError as error:
        if "damaged" not in str(error):
            raise
        return None


async def test_acknowledged_commits_that_are_gone_are_missed(tmp_path: Path) -> None:
    path, before = await left_by_a_kill(tmp_path)
    log_of(path).unlink()
    for way in (SqliteStore, read_store):
        with pytest.raises(OSError, match=r"revision 46 was committed, and it ends at 41.*remove"):
            way(path)
    mark_of(path).unlink()
    store = SqliteStore(path)
    assert (await store.read("")).revision == before.revision - 5
    await store.close()


async def test_a_malformed_mark_is_told_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, before = await left_by_a_kill(tmp_path)
    good = mark_of(path).read_bytes()
    for position in range(len(good)):
        flipped = bytearray(good)
        flipped[position] ^= 1
        mark_of(path).write_bytes(flipped)
        with pytest.raises(MalformedMark, match="malformed"):
            read_store(path)
    store = SqliteStore(path)
    assert "without its mark" in caplog.text
    assert await store.read("") == before
    await store.close()
    assert mark_of(path).read_bytes() == good


async def test_a_commit_stands_though_it_can_not_be_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metadata.db"
    store = SqliteStore(path)
    with monkeypatch.context() as patch:
        patch.setattr("pylog.cluster.revision_mark.os.pwrite", failing)
        await store.commit([Write("a", b"1", 0)])
    assert "revision not noted" in caplog.text
    await store.close()
    assert read_store(path).revision == 1


def failing(*_: object) -> int:
    raise OSError(errno.EIO, "simulated")


async def test_refused_and_failed_commits_leave_the_checksum(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    store = SqliteStore(path)
    await store.commit([Write("a", b"1", 0)])
    with pytest.raises(Conflict):
        await store.commit([Write("b", b"2", 0), Write("a", b"2", 0)])
    await store.commit([Write("c", b"3", 0)])
    await store.close()
    assert read_store(path).entries.keys() == {"a", "c"}


async def test_a_store_without_checksums_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    with sqlite3.connect(path) as db:
        db.executescript(
            "CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, created INTEGER NOT "
            "NULL, modified INTEGER NOT NULL, lease INTEGER NOT NULL) WITHOUT ROWID;"
            "CREATE TABLE revision (number INTEGER NOT NULL); INSERT INTO revision VALUES (5);"
            "INSERT INTO entries VALUES ('a', x'31', 2, 5, 0), ('leased', x'32', 4, 4, 1);"
        )
    db.close()
    assert read_store(path).revision == 5
    store = SqliteStore(path)
    assert (await store.read("")).entries == {"a": Entry(b"1", 2, 5)}
    await store.commit([Write("b", b"3", 0)])
    await store.close()
    assert read_store(path).revision == 6
    path.write_bytes(path.read_bytes().replace(b"a1", b"a2"))
    with pytest.raises(OSError, match="checksum"):
        read_store(path)
