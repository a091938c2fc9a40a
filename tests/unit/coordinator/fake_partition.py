"""A partition in memory: appends wait until the test lets them, or fail as it says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pylog.codec import decode_batches


class AppendError(Exception):
    """As the engine's error: ``code`` is one of Kafka's."""

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


@dataclass(frozen=True)
class Offsets:
    log_start: int


@dataclass(frozen=True)
class Chunk:
    data: bytes
    next_offset: int


@dataclass
class FakePartition:
    """``appends`` are the committed ones; ``held`` and ``failing`` act on the next."""

    appends: list[bytes] = field(default_factory=list)
    reads: int = 0
    failing: int | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def offsets(self) -> Offsets:
        return Offsets(0)

    async def append(self, batch: bytes) -> None:
        await self.gate.wait()
        if self.failing is not None:
            code, self.failing = self.failing, None
            raise AppendError(code)
        self.appends.append(batch)

    async def read(self, offset: int, max_bytes: int, *, to_log_end: bool = False) -> Chunk:
        """One append at a time; its number is its offset."""
        self.reads += 1
        if offset == len(self.appends):
            return Chunk(b"", offset)
        return Chunk(self.appends[offset], offset + 1)

    def batch_counts(self) -> list[int]:
        """Batches in each append."""
        return [len(list(decode_batches(data))) for data in self.appends]
