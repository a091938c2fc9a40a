"""The contents of a log's files as plain values, for people and scripts.

Each item says its ``file`` and ``kind``: batch, record, offset, time, aborted, producer, epoch,
checkpoint, text, damage. Bytes become text: UTF-8, and ``\\xNN`` where they are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from pylog.codec import CodecError, Record, RecordBatch
from pylog.engine.producers import ProducerTracker
from pylog.log.checkpoint import (
    CLEANER_FILE,
    HIGH_WATERMARK_FILE,
    LEADER_EPOCH_FILE,
    LOG_START_FILE,
    RECOVERY_POINT_FILE,
    MalformedCheckpoint,
    read_begun_checkpoint,
    read_leader_epochs,
)
from pylog.log.files import (
    LOG,
    OFFSET_INDEX,
    SNAPSHOT,
    TIME_INDEX,
    TXN_INDEX,
    DamagedFile,
    read_batches,
    read_offset_index,
    read_time_index,
    read_txn_index,
)
from pylog.log.layout import log_folders_of, log_name
from pylog.protocol.records import GROUP, TRANSACTION, decode_key, decode_value, value_class
from pylog.protocol.records.types import Row
from pylog.protocol.wire import WireError

Item = dict[str, Any]
_DEEP: Final = {"__consumer_offsets": GROUP, "__transaction_state": TRANSACTION}
_CHECKPOINTS: Final = (RECOVERY_POINT_FILE, LOG_START_FILE, CLEANER_FILE, HIGH_WATERMARK_FILE)
_TEXTS: Final = ("meta.properties", "partition.metadata")


class Detail(NamedTuple):
    """How much is told: ``records``, and ``deep`` for those of internal topics decoded."""

    records: bool = False
    deep: bool = False


_BRIEF: Final = Detail()


def dump(path: Path, detail: Detail = _BRIEF) -> Iterator[Item]:
    """The items of a data folder, a log's folder or a single file. FileNotFoundError."""
    for file in _files(path):
        try:
            for item in _items(file, detail):
                yield {"file": str(file), **item}
        except DamagedFile as error:
            yield _damage(file, error.position, error.what)
        except (MalformedCheckpoint, ValueError) as error:
            yield _damage(file, None, str(error))


def _damage(file: Path, position: int | None, what: str) -> Item:
    return {"file": str(file), "kind": "damage", "position": position, "what": what}


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    named = {LEADER_EPOCH_FILE, *_CHECKPOINTS, *_TEXTS}
    for file in sorted(path.iterdir()):
        if file.is_file() and (file.suffix in _READERS or file.name in named):
            yield file
    if log_name(path) is None:
        for _, folder in sorted(log_folders_of(path).items()):
            yield from _files(folder)


def _items(file: Path, detail: Detail) -> Iterator[Item]:
    if file.name in _CHECKPOINTS:
        for (topic, partition), offset in read_begun_checkpoint(file).items():
            yield _item("checkpoint", topic=topic, partition=partition, offset=offset)
    elif file.name == LEADER_EPOCH_FILE:
        for epoch, start in read_leader_epochs(file):
            yield _item("epoch", epoch=epoch, start_offset=start)
    elif file.suffix in _READERS:
        yield from _READERS[file.suffix](file, detail)
    elif file.name in _TEXTS:
        for line in file.read_text("utf-8", "backslashreplace").splitlines():
            yield _item("text", text=line)
    else:
        raise ValueError("no file of a log")


def _item(kind: str, **fields: Any) -> Item:
    return {"kind": kind, **fields}


def _base(file: Path) -> int:
    if not file.stem.isdigit():
        raise ValueError("the name tells no base offset")
    return int(file.stem)


def _offset_entries(file: Path, _: Detail) -> Iterator[Item]:
    for entry in read_offset_index(file, _base(file)):
        yield _item("offset", **entry._asdict())


def _time_entries(file: Path, _: Detail) -> Iterator[Item]:
    for entry in read_time_index(file, _base(file)):
        yield _item("time", **entry._asdict())


def _aborted(file: Path, _: Detail) -> Iterator[Item]:
    for entry in read_txn_index(file):
        yield _item("aborted", **entry._asdict())


def _producers(file: Path, _: Detail) -> Iterator[Item]:
    tracker = ProducerTracker()
    tracker.load(file.read_bytes())
    for view in sorted(tracker.producers().values()):
        yield _item("producer", **view._asdict())


def _batches(file: Path, detail: Detail) -> Iterator[Item]:
    key = log_name(file.absolute().parent)
    types = _DEEP.get(key[0]) if key and detail.deep else None
    for position, batch in read_batches(file):
        yield _batch(position, batch)
        if detail.records or types:
            try:
                for record in batch:
                    yield _record(record, None if batch.is_control else types)
            except CodecError as error:
                raise DamagedFile(file, position, str(error)) from None


def _batch(position: int, batch: RecordBatch) -> Item:
    marker = batch.transaction_marker
    return _item(
        "batch",
        position=position,
        size=batch.size,
        base_offset=batch.base_offset,
        last_offset=batch.last_offset,
        records=len(batch),
        leader_epoch=batch.partition_leader_epoch,
        max_timestamp_ms=batch.max_timestamp_ms,
        append_time=batch.has_append_time,
        delete_horizon_ms=batch.delete_horizon_ms,
        compression=batch.compression.name.lower(),
        producer_id=batch.producer_id,
        producer_epoch=batch.producer_epoch,
        base_sequence=batch.base_sequence,
        transactional=batch.is_transactional,
        marker=None if marker is None else "commit" if marker.commit else "abort",
        crc=batch.crc,
    )


def _record(record: Record, types: dict[int, Row] | None) -> Item:
    item = _item(
        "record",
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        key=_text(record.key),
        value=_text(record.value),
        headers=[[name, _text(value)] for name, value in record.headers],
    )
    if types is not None and record.key is not None:
        item |= _decoded(record.key, record.value, types)
    return item


def _decoded(key: bytes, value: bytes | None, types: dict[int, Row]) -> Item:
    try:
        key_message = decode_key(key, types)
        if key_message is None:
            return {}
        cls = value_class(key_message, types)
        value_message = None if value is None else decode_value(cls, value)
    except WireError as error:
        return {"undecodable": str(error)}
    return {"key": repr(key_message), "value": repr(value_message)}


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "backslashreplace")


_READERS: Final[dict[str, Callable[[Path, Detail], Iterator[Item]]]] = {
    LOG: _batches,
    OFFSET_INDEX: _offset_entries,
    TIME_INDEX: _time_entries,
    TXN_INDEX: _aborted,
    SNAPSHOT: _producers,
}
