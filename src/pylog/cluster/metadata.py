"""The metadata of the cluster as this broker sees it: read the image, propose a change, listen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from pylog.cluster.image import Image, advance, image_of
from pylog.cluster.store import Commit, Compacted, Condition, Conflict, Store, Write

_log = logging.getLogger(__name__)

_ATTEMPTS: Final = 20
_RETRY_S: Final = 0.05


class Proposal(NamedTuple):
    """What a change writes, and the keys that it has relied on without writing them."""

    writes: Sequence[Write]
    conditions: Sequence[Condition] = ()


Listener = Callable[[Image, Image], None]


class Metadata:
    """Keeps :attr:`image` equal to the store.

    The image moves forward only, one commit at a time; listeners are called, in the order in which
    they were added, with the image before and after each.
    """

    def __init__(self, store: Store) -> None:
        self.image = Image()
        self._store = store
        self._listeners: list[Listener] = []
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the store and follow it from there."""
        self.image = image_of(await self._store.read(""))
        self._watching = asyncio.create_task(self._watch(), name="metadata-watch")

    async def stop(self) -> None:
        """Stop following. The store stays open: it is its opener's to close."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def listen(self, listener: Listener) -> None:
        """Call ``listener(before, after)`` at every change from now on."""
        self._listeners.append(listener)

    async def propose(self, plan: Callable[[Image], Proposal]) -> Image:
        """Commit what ``plan`` makes of the newest image; returns an image that has the change.

        When somebody else was faster the plan is made again on the image that has their change.
        What the plan raises passes through, with nothing written. An empty proposal writes
        nothing. OSError when the store fails.
        """
        for _ in range(_ATTEMPTS):
            writes, conditions = plan(self.image)
            if not writes:
                return self.image
            try:
                commit = await self._store.commit(writes, conditions)
            except Conflict:
                await self._refresh()
                continue
            await self._reach(commit)
            return self.image
        raise OSError("the metadata store refuses every commit")

    async def _refresh(self) -> None:
        """Take over the store as it is now, as one step."""
        image = image_of(await self._store.read(""))
        if image.revision > self.image.revision:
            self._replace(image)

    async def _reach(self, commit: Commit) -> None:
        if commit.revision == self.image.revision + 1:
            self._replace(advance(self.image, commit))
        elif commit.revision > self.image.revision:
            await self._refresh()

    def _replace(self, image: Image) -> None:
        before, self.image = self.image, image
        for listener in self._listeners:
            listener(before, image)

    async def _watch(self) -> None:
        while True:
            try:
                async for commit in self._store.watch("", self.image.revision):
                    await self._reach(commit)
            except Compacted:
                await self._refresh()
            except OSError as error:
                _log.error("metadata can't be followed", extra={"error": str(error)})
                await asyncio.sleep(_RETRY_S)
