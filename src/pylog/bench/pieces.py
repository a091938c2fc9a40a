"""Pieces of the broker without the broker, to measure each by itself; see bench/pieces.h."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pylog.bench.load import ffi, lib


class Log:
    """A partition's log in an empty folder: checks, offsets and indexes as in the broker."""

    def __init__(self, folder: Path) -> None:
        self._log = lib.pl_piece_log_open(str(folder).encode())
        if self._log == ffi.NULL:
            raise OSError(f"no log can be opened in {folder}")

    def close(self) -> None:
        lib.pl_piece_log_close(self._log)

    def append(self, batch: bytes, count: int, per_write: int) -> None:
        """`count` appends of the batch, `per_write` of them in one write."""
        copies = ffi.from_buffer("uint8_t[]", bytearray(batch * per_write), require_writable=True)
        error = lib.pl_piece_log_append(self._log, copies, len(batch), count, per_write)
        if error != 0:
            raise OSError(f"append failed: {error}")

    def read(self, offsets: Sequence[int], max_bytes: int) -> int:
        """A fetch at each offset; the bytes of all."""
        buffer = ffi.new("uint8_t[]", max_bytes)
        read = lib.pl_piece_log_read(self._log, list(offsets), len(offsets), buffer, max_bytes)
        if read < 0:
            raise OSError("read failed")
        return int(read)


def produce_frames(stream: bytearray) -> int:
    """Cuts and reads Produce requests; how many partitions they write to. ValueError: malformed."""
    frames = ffi.from_buffer("uint8_t[]", stream, require_writable=True)
    found = int(lib.pl_piece_produce_frames(frames, len(stream)))
    if found < 0:
        raise ValueError("not a stream of Produce requests")
    return found
