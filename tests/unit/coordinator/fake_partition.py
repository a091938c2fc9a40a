"""A partition in memory: appends wait until the test lets them, or fail as it says."""

from __future__ import annotations

import asyncio
import struct
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
    high_watermark: int


@dataclass(frozen=True)
class Appended:
    first_offset: int


@dataclass(frozen=True)
class Chunk:
    data: bytes
    next_offset: int


@dataclass
class FakePartition:
    """``appends`` are the committed ones; ``held`` and ``failing`` act on the next."""

    appends: list[bytes] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)  # offsets behind the appends
    log_start: int = 0
    reads: int = 0
    failing: int | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def log_end(self) -> int:
        return self.ends[-1] if self.ends else 0

    def offsets(self) -> Offsets:
        return Offsets(self.log_start, self.log_end)

    async def append(self, batch: bytes) -> Appended:
        await self.gate.wait()
        if self.failing is not None:
            code, self.failing = self.failing, None
            raise AppendError(code)
        base_offset = self.log_end
        data, end = _placed(batch, base_offset)
        self.appends.append(data)
        self.ends.append(end)
        return Appended(base_offset)

    async def read(self, offset: int, max_bytes: int, *, to_log_end: bool = False) -> Chunk:
        """One append at a time."""
        self.reads += 1
        assert offset >= self.log_start
        for data, end in zip(self.appends, self.ends, strict=True):
            if end > offset:
                return Chunk(data, end)
        return Chunk(b"", offset)

    async def delete_records(self, before_offset: int) -> int:
        assert before_offset <= self.log_end
        self.log_start = before_offset
        return before_offset

    def batch_counts(self) -> list[int]:
        """Batches in each append."""
        return [len(list(decode_batches(data))) for data in self.appends]


def _placed(data: bytes, offset: int) -> tuple[bytes, int]:
    """Batches with the offsets that a log gives them, and the offset behind them."""
    placed = bytearray(data)
    at = 0
    while at < len(placed):
        (length,) = struct.unpack_from(">i", placed, at + 8)
        (last,) = struct.unpack_from(">i", placed, at + 23)
        struct.pack_into(">q", placed, at, offset)
        offset += last + 1
        at += 12 + length
    return bytes(placed), offset
