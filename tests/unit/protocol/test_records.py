"""Keys and values of the internal topics."""

from __future__ import annotations

import pytest

from pylog.protocol import records
from pylog.protocol.records.consumer_group import ConsumerGroupMemberMetadataValue
from pylog.protocol.records.offsets import OffsetCommitKey, OffsetCommitValue
from pylog.protocol.records.transaction_log import TransactionLogKey, TransactionLogValue
from pylog.protocol.wire import WireError


def test_a_key_is_its_type_and_the_message() -> None:
    key = OffsetCommitKey(group="g", topic="t", partition=3)
    data = records.encode_key(key)
    assert data == b"\0\1" + b"\0\1g" + b"\0\1t" + b"\0\0\0\3"
    assert records.record_type(data) == 1
    assert records.decode_key(data, records.GROUP) == key
    assert records.value_class(key, records.GROUP) is OffsetCommitValue


def test_a_value_is_its_version_and_the_message() -> None:
    value = OffsetCommitValue(offset=5, metadata="m")
    for version in (1, 3, 4):
        data = records.encode_value(value, version)
        assert data[:2] == version.to_bytes(2, "big")
        assert records.decode_value(OffsetCommitValue, data).offset == 5


def test_the_same_type_means_another_record_in_another_topic() -> None:
    data = records.encode_key(TransactionLogKey(transactional_id="x"))
    assert isinstance(records.decode_key(data, records.TRANSACTION), TransactionLogKey)
    assert not isinstance(
        records.decode_key(data[:2] + b"\0\1g\0\1t" + bytes(4), records.GROUP), TransactionLogKey
    )


def test_a_key_of_an_unknown_type_is_none() -> None:
    assert records.decode_key(b"\x7f\0" + b"anything", records.GROUP) is None


def test_a_key_or_value_without_its_first_two_bytes_is_refused() -> None:
    with pytest.raises(WireError):
        records.decode_key(b"\0", records.GROUP)
    with pytest.raises(WireError):
        records.decode_value(TransactionLogValue, b"")
    with pytest.raises(WireError):
        records.decode_value(TransactionLogValue, b"\0\x09")


def test_a_tagged_struct_may_be_null() -> None:
    value = ConsumerGroupMemberMetadataValue(classic_member_metadata=None)
    data = records.encode_value(value, 0)
    assert data.endswith(b"\1" + b"\0\1\0")  # one field: tag 0, one byte, null
    assert records.decode_value(ConsumerGroupMemberMetadataValue, data) == value
