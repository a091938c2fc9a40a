"""Record batches of Kafka's format (magic 2), CRC-32C, compression: without a broker.

    data = encode_batch([Record(b"key", b"value", timestamp_ms)], compression=Compression.ZSTD)
    for batch in decode_batches(data):
        for record in batch:
            print(record.offset, record.key, record.value)

The work is done by the native codec (``pylog/codec.h``), which C programs can use too: see
``get_include`` and ``get_library``. Times are milliseconds since the Unix epoch, -1 for none.
Malformed input raises ``CodecError``, a ``ValueError``.

Format: Kafka's documentation, "Record Batch"; KIP-98, KIP-32, KIP-110.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

import pylog
from pylog import _codec
from pylog._codec import BatchBuilder, CodecError, Record, crc32c, murmur2

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "BatchBuilder",
    "CodecError",
    "Column",
    "Columns",
    "Compression",
    "Record",
    "RecordBatch",
    "TransactionMarker",
    "compress",
    "crc32c",
    "decode_batches",
    "decompress",
    "encode_batch",
    "encode_marker",
    "get_include",
    "get_library",
    "murmur2",
]


_HAS_DELETE_HORIZON = 1 << 6  # of the attributes: the base timestamp is something else then


class Compression(enum.IntEnum):
    """Compression types, by their number in a batch's attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


class TransactionMarker(NamedTuple):
    """The end of a producer's transaction in this partition (KIP-98)."""

    commit: bool
    coordinator_epoch: int


class Column(NamedTuple):
    """All keys or all values of a batch, one behind the other.

    Record ``i`` has ``data[positions[i]:positions[i + 1]]``, unless ``nulls[i]``.
    """

    positions: NDArray[np.int32]  # one more than there are records
    nulls: NDArray[np.bool_]
    data: NDArray[np.uint8]


class Columns(NamedTuple):
    """The records of a batch as read-only arrays; headers are left out."""

    offsets: NDArray[np.int64]
    timestamps_ms: NDArray[np.int64]
    keys: Column
    values: Column


class RecordBatch(_codec.RawBatch):
    """One checked batch: its header as properties, its records by iteration.

    ``len(batch)`` is the number of records, ``bytes(batch)`` the batch itself. Decompression
    happens on first use, so that is where ``CodecError`` may still come from.
    """

    __slots__ = ()

    @property
    def compression(self) -> Compression:
        return Compression(self.compression_type)

    @property
    def delete_horizon_ms(self) -> int | None:
        """From when on compaction drops the tombstones in it, once that is set (KIP-534)."""
        return self.base_timestamp_ms if self.attributes & _HAS_DELETE_HORIZON else None

    @property
    def transaction_marker(self) -> TransactionMarker | None:
        """What a control batch says of a transaction; None for any other batch."""
        found = self.marker()
        return None if found is None else TransactionMarker(*found)

    def columns(self) -> Columns:
        """Copies the records into arrays. Needs numpy."""
        import numpy as np

        def column(positions: bytes, nulls: bytes, data: bytes) -> Column:
            return Column(
                np.frombuffer(positions, np.int32),
                np.frombuffer(nulls, np.bool_),
                np.frombuffer(data, np.uint8),
            )

        offsets, timestamps, keys, values = self.fill_columns()
        return Columns(
            np.frombuffer(offsets, np.int64),
            np.frombuffer(timestamps, np.int64),
            column(*keys),
            column(*values),
        )


class BatchOptions(TypedDict, total=False):
    """Options of ``BatchBuilder`` and ``encode_batch``; what is left out is absent or 0.

    ``level`` is the compression library's own: gzip 1 to 9, lz4 1 to 17, zstd -131072 to 22.
    """

    compression: int
    level: int | None
    producer_id: int
    producer_epoch: int
    base_sequence: int
    transactional: bool
    control: bool
    base_offset: int
    partition_leader_epoch: int


def encode_batch(records: Iterable[Record], **options: Unpack[BatchOptions]) -> bytes:
    """One batch of these records, at consecutive offsets from ``base_offset`` on.

    Raises ``CodecError`` without records, above 1 GiB, or for a level that does not exist.
    """
    builder = BatchBuilder(**options)
    for record in records:
        builder.append(record.key, record.value, record.timestamp_ms, record.headers)
    return builder.build()


def decode_batches(data: bytes | bytearray | memoryview) -> Iterator[RecordBatch]:
    """The batches in ``data``, each checked (length, magic, CRC-32C, counts) when it is reached.

    A batch that is cut at the end is left out: a Fetch may end in the middle of one. Messages of
    magic 0 and 1 come as one batch with their offsets kept. Raises ``CodecError``.
    """
    return iter(_codec.BatchIterator(data, RecordBatch))


def encode_marker(
    marker: TransactionMarker, producer_id: int, producer_epoch: int, timestamp_ms: int
) -> bytes:
    """The control batch that ends a producer's transaction."""
    commit, coordinator_epoch = marker
    return _codec.encode_marker(
        commit, coordinator_epoch, producer_id, producer_epoch, timestamp_ms
    )


def compress(
    data: bytes | bytearray | memoryview, compression: int, level: int | None = None
) -> bytes:
    """As Kafka frames each type; snappy in the blocks of snappy-java."""
    return _codec.compress(data, compression, level)


def decompress(
    data: bytes | bytearray | memoryview, compression: int, max_bytes: int | None = None
) -> bytes:
    """At most ``max_bytes`` (1 GiB) come out; more, and malformed data, raises ``CodecError``."""
    return _codec.decompress(data, compression, max_bytes)


def _installed(part: str) -> str:
    for folder in pylog.__path__:
        path = os.path.join(folder, part)
        if os.path.exists(path):
            return path
    raise FileNotFoundError(f"this installation of pylog has no {part}")


def get_include() -> str:
    """The folder for the compiler's ``-I``: ``#include <pylog/codec.h>``."""
    return _installed("include")


def get_library() -> str:
    """The static library of the codec. Link it with ``-lzstd -llz4 -lsnappy -lz``."""
    return _installed("lib/libpylog_codec.a")
