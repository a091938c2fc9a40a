"""Records of an internal topic: messages in a shard, bytes in its partition."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pylog.coordinator.effects import Record
from pylog.protocol import records
from pylog.protocol.records.types import Row

_log = logging.getLogger(__name__)


class RecordSchema:
    """The record types of one internal topic (``GROUP``, ``TRANSACTION``, ... of the protocol)."""

    def __init__(self, types: Mapping[int, Row]) -> None:
        self._types = types

    def encode(self, record: Record) -> tuple[bytes, bytes | None]:
        key = records.encode_key(record.key)
        if record.value is None:
            return key, None
        return key, records.encode_value(record.value, record.version)

    def decode(self, key: bytes | None, value: bytes | None) -> Record | None:
        """None for a type that this release does not know: it is skipped, as Kafka does."""
        message = None if key is None else records.decode_key(key, self._types)
        if message is None:
            _log.warning("skipped a record of unknown type, key %r", key)
            return None
        if value is None:
            return Record(message, None)
        cls = records.value_class(message, self._types)
        return Record(message, records.decode_value(cls, value), records.record_type(value))
