"""Producer ids: unique, whoever asks and however often brokers start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pylog.cluster.sqlite_store import SqliteStore
from pylog.coordinator.producer_ids import ProducerIds
from pylog.protocol.errors import ApiError


async def test_are_unique_across_brokers_and_restarts(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store")
    try:
        brokers = [ProducerIds(store), ProducerIds(store)]
        taken = [await ids.take_one() for _ in range(1_500) for ids in brokers]
        taken.append(await ProducerIds(store).take_one())
        assert len(taken) == len(set(taken))
        assert min(taken) >= 0
    finally:
        await store.close()


async def test_many_that_ask_at_once_share_one_block(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store")
    try:
        ids = ProducerIds(store)
        taken = await asyncio.gather(*(ids.take_one() for _ in range(500)))
        assert sorted(taken) == list(range(500))
    finally:
        await store.close()


async def test_step_that_finds_none_is_refused_and_can_be_tried_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store")
    try:
        ids = ProducerIds(store)
        with pytest.raises(ApiError):
            ids.take()
        await ids.ready()
        assert ids.take() == 0
    finally:
        await store.close()
