"""Proposals: made on the newest image, again when somebody was faster, told to all listeners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pylog.cluster.image import Image, encode, feature_key
from pylog.cluster.metadata import Metadata, Proposal
from pylog.cluster.sqlite_store import SqliteStore
from pylog.cluster.store import Write

KEY = feature_key("f")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "metadata.db")
    yield store
    await store.close()


@pytest.fixture
async def metadata(store: SqliteStore) -> AsyncIterator[Metadata]:
    metadata = Metadata(store)
    await metadata.start()
    yield metadata
    await metadata.stop()


def raise_by_one(image: Image) -> Proposal:
    level = image.features.get("f", 0)
    return Proposal([Write(KEY, encode(level + 1), image.version(KEY))])


async def test_a_proposal_is_in_the_image_when_it_returns(metadata: Metadata) -> None:
    image = await metadata.propose(raise_by_one)
    assert image is metadata.image
    assert image.features == {"f": 1}


async def test_proposals_of_two_brokers_both_count(store: SqliteStore, metadata: Metadata) -> None:
    other = Metadata(store)
    await other.start()
    await asyncio.gather(*(item.propose(raise_by_one) for item in (metadata, other) * 5))
    assert (await store.read("")).entries[KEY].value == b"10"
    await other.stop()


async def test_a_proposal_on_an_outdated_image_is_made_again(
    store: SqliteStore, metadata: Metadata
) -> None:
    seen = []

    def plan(image: Image) -> Proposal:
        seen.append(image.features.get("f", 0))
        return raise_by_one(image)

    await store.commit([Write(KEY, encode(7), 0)])  # not yet in the image
    await metadata.propose(plan)
    assert seen == [0, 7]
    assert metadata.image.features == {"f": 8}


async def test_what_others_commit_arrives_and_is_told(
    store: SqliteStore, metadata: Metadata
) -> None:
    told: asyncio.Queue[tuple[dict[str, int], dict[str, int]]] = asyncio.Queue()
    metadata.listen(lambda a, b: told.put_nowait((dict(a.features), dict(b.features))))
    await store.commit([Write(KEY, encode(3), 0)])
    assert await told.get() == ({}, {"f": 3})
    await metadata.propose(raise_by_one)
    assert await told.get() == ({"f": 3}, {"f": 4})
    assert told.empty()


async def test_what_a_plan_raises_passes_through_and_writes_nothing(
    store: SqliteStore, metadata: Metadata
) -> None:
    def plan(image: Image) -> Proposal:
        raise LookupError

    with pytest.raises(LookupError):
        await metadata.propose(plan)
    assert (await store.read("")).revision == 0


async def test_an_empty_proposal_writes_nothing(store: SqliteStore, metadata: Metadata) -> None:
    await metadata.propose(lambda image: Proposal([]))
    assert (await store.read("")).revision == 0
