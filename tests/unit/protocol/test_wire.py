"""Encoding and decoding: refusals, damage and hostile sizes."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.samples import Sampler, message_classes, versions

from pylog.protocol.message import Message
from pylog.protocol.messages.describe_log_dirs import DescribeLogDirsRequest
from pylog.protocol.messages.fetch import FetchRequest, FetchTopic, ForgottenTopic
from pylog.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)
from pylog.protocol.wire import WireError, decode, encode

CLASSES = sorted(message_classes(), key=lambda cls: cls.__name__)


def test_a_message_survives_the_wire() -> None:
    request = MetadataRequest(topics=[MetadataRequestTopic(name="t")])
    assert decode(MetadataRequest, encode(request, 9), 9) == request
    assert encode(request, 1) == b"\0\0\0\1" + b"\0\1t"


def test_fields_that_the_version_lacks_hold_their_defaults() -> None:
    decoded = decode(MetadataRequest, b"\0\0\0\0", 1)
    assert decoded == MetadataRequest()
    assert decoded.allow_auto_topic_creation is True


def test_a_buffer_of_any_kind_is_decoded() -> None:
    for data in (b"\0\0\0\0", bytearray(4), memoryview(b"....\0\0\0\0")[4:]):
        assert decode(MetadataRequest, data, 1) == MetadataRequest()


def test_lists_and_structs_are_not_shared_between_messages() -> None:
    assert MetadataRequest().topics is not MetadataRequest().topics
    assert FetchRequest().replica_state is not FetchRequest().replica_state
    one, other = (decode(MetadataResponse, encode(MetadataResponse(), 1), 1) for _ in range(2))
    assert one.topics is not other.topics


def test_a_field_that_the_version_lacks_is_dropped_when_it_may_be_ignored() -> None:
    assert encode(MetadataResponse(cluster_id="c"), 1) == encode(MetadataResponse(), 1)


def test_a_field_that_the_version_lacks_is_refused_when_it_may_not() -> None:
    request = FetchRequest(forgotten_topics_data=[ForgottenTopic(topic="t")])
    encode(request, 7)
    with pytest.raises(WireError, match="forgotten_topics_data"):
        encode(request, 6)


@pytest.mark.parametrize("version", [-1, 14, 1000])
def test_a_version_that_does_not_exist_is_refused(version: int) -> None:
    with pytest.raises(WireError, match="versions 0 to 13"):
        encode(MetadataRequest(), version)
    with pytest.raises(WireError, match="versions 0 to 13"):
        decode(MetadataRequest, b"", version)


def test_null_is_refused_where_the_version_has_none() -> None:
    with pytest.raises(WireError, match="topics"):
        encode(MetadataRequest(topics=None), 0)
    assert encode(MetadataRequest(topics=None), 1) == b"\xff\xff\xff\xff"
    with pytest.raises(WireError, match="topics"):
        decode(MetadataRequest, b"\xff\xff\xff\xff", 0)
    assert decode(MetadataRequest, b"\xff\xff\xff\xff", 1).topics is None


@pytest.mark.parametrize("max_bytes", [1 << 31, -(1 << 31) - 1, 1 << 70])
def test_a_number_out_of_its_range_is_refused(max_bytes: int) -> None:
    with pytest.raises(WireError, match="max_bytes"):
        encode(FetchRequest(max_bytes=max_bytes), 4)


def test_a_value_that_does_not_fit_its_type_is_refused() -> None:
    with pytest.raises(WireError, match="rack_id"):
        encode(FetchRequest(rack_id="\ud800"), 11)
    with pytest.raises(WireError, match="too long"):
        encode(FetchRequest(rack_id="x" * 32768), 11)
    with pytest.raises(WireError, match="topic_id"):
        encode(FetchRequest(topics=[FetchTopic(topic_id=b"short")]), 13)
    with pytest.raises(TypeError):
        encode(FetchRequest(max_bytes="1"), 4)  # type: ignore[arg-type]


def test_text_that_is_no_utf8_gets_replacement_characters() -> None:
    data = encode(MetadataRequest(topics=[MetadataRequestTopic(name="ab")]), 1)
    topics = decode(MetadataRequest, data.replace(b"ab", b"\xff\xfe"), 1).topics
    assert topics is not None
    assert topics[0].name == "\ufffd\ufffd"


def test_unknown_tagged_fields_are_skipped() -> None:
    plain = encode(MetadataRequest(), 9)
    assert plain.endswith(b"\0")
    tagged = plain[:-1] + b"\2" + b"\x05\3abc" + b"\x90\x4e\0"
    assert decode(MetadataRequest, tagged, 9) == MetadataRequest()


def test_a_tagged_field_must_have_its_stated_size() -> None:
    plain = encode(FetchRequest(cluster_id="c"), 12)
    assert plain.endswith(b"\1\0\2\2c")
    assert decode(FetchRequest, plain, 12).cluster_id == "c"
    with pytest.raises(WireError, match="cluster_id"):
        decode(FetchRequest, plain[:-5] + b"\1\0\3\2c.", 12)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 left"),
        (b"\0\0\0\1", "with 0 bytes left"),
        (b"\x7f\xff\xff\xff\0\0", "with 2 bytes left"),
        (b"\xff\xff\xff\xfe", "with 0 bytes left"),
        (b"\0\0\0\1\0\2a", "with 1 bytes left"),
    ],
)
def test_malformed_bytes_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode(MetadataRequest, data, 1)


def test_bytes_behind_a_message_are_skipped() -> None:
    assert decode(MetadataRequest, b"\0\0\0\0more", 1) == MetadataRequest(topics=[])


@pytest.mark.parametrize("varint", [b"\xff" * 5, b"\xff\xff\xff\xff\x1f", b"\x80" * 6 + b"\1"])
def test_a_varint_above_32_bits_is_refused(varint: bytes) -> None:
    with pytest.raises(WireError, match="varint"):
        decode(MetadataRequest, varint, 9)


def test_an_array_of_very_many_elements_is_refused() -> None:
    count = (1 << 20) + 1
    data = b"\0\0\0\1\0\1t" + count.to_bytes(4, "big") + bytes(4 * count)
    with pytest.raises(WireError, match="elements"):
        decode(DescribeLogDirsRequest, data, 1)


def test_a_size_allocates_nothing_that_the_data_does_not_have() -> None:
    hostile = b"\x7f\xff\xff\xff" + bytes(1000)
    tracemalloc.start()
    with pytest.raises(WireError):
        decode(MetadataRequest, hostile, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * len(hostile)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_truncated_message_is_refused(cls: type[Message]) -> None:
    for version in versions(cls):
        whole = encode(Sampler(7).message(cls, version), version)
        for size in range(len(whole)):
            with pytest.raises(WireError):
                decode(cls, whole[:size], version)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CLASSES), st.integers(0, 2**32), st.data())
def test_a_damaged_message_is_refused_or_decoded(
    cls: type[Message], seed: int, data: st.DataObject
) -> None:
    version = data.draw(st.sampled_from(versions(cls)))
    damaged = bytearray(encode(Sampler(seed).message(cls, version), version))
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            at = data.draw(st.integers(0, len(damaged) - 1))
            damaged[at] = data.draw(st.integers(0, 255))
    decoded_or_refused(cls, bytes(damaged), version)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CLASSES), st.binary(max_size=200), st.data())
def test_any_bytes_are_refused_or_decoded(
    cls: type[Message], noise: bytes, data: st.DataObject
) -> None:
    decoded_or_refused(cls, noise, data.draw(st.sampled_from(versions(cls))))


def decoded_or_refused(cls: type[Message], data: bytes, version: int) -> None:
    """What can be decoded can be encoded, and that is stable (a NaN is not equal to itself)."""
    try:
        message = decode(cls, data, version)
    except WireError:
        return
    again = encode(message, version)
    assert encode(decode(cls, again, version), version) == again
