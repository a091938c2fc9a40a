"""The embedded store: revisions, compare-and-swap, watches, leases, and what a restart keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from pylog.cluster import sqlite_store
from pylog.cluster.sqlite_store import SqliteStore
from pylog.cluster.store import Change, Commit, Compacted, Condition, Conflict, Entry, Write


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
