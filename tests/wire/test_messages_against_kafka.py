"""Our bytes are Kafka's bytes: every message, every version, both directions."""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.oracle import Oracle, OracleError
from tests.wire.samples import Sampler, message_classes, to_json, versions

from pylog.protocol.message import Message
from pylog.protocol.wire import WireError, decode, encode

SEEDS = range(30)


def has_records(cls: type[Any]) -> bool:
    """Whether a struct in it has records, which Kafka's JSON cannot carry."""
    return any(
        row[1] == "records" or (row[7] is not None and has_records(row[7])) for row in cls.FIELDS
    )


CLASSES = [pytest.param(cls, id=cls.__name__) for cls in message_classes()]
IN_JSON = [param for param in CLASSES if not has_records(param.values[0])]


@pytest.mark.parametrize("cls", CLASSES)
def test_kafka_decodes_what_we_encode(cls: type[Message], oracle: Oracle) -> None:
    for version in versions(cls):
        for seed in SEEDS:
            message = Sampler(seed).message(cls, version)
            ours = encode(message, version)
            shown, again = oracle.decode(cls, version, ours)
            assert again == ours, (version, seed)
            if not has_records(cls):
                assert shown == to_json(message, version), (version, seed)


@pytest.mark.parametrize("cls", IN_JSON)
def test_we_decode_what_kafka_encodes(cls: type[Message], oracle: Oracle) -> None:
    for version in versions(cls):
        for seed in SEEDS:
            message = Sampler(seed).message(cls, version)
            theirs = oracle.encode(cls, version, to_json(message, version))
            assert decode(cls, theirs, version) == message, (version, seed)
            assert encode(message, version) == theirs, (version, seed)


@pytest.mark.parametrize("cls", CLASSES)
def test_defaults_are_those_of_kafka(cls: type[Message], oracle: Oracle) -> None:
    for version in versions(cls):
        try:
            theirs = oracle.default(cls, version)
        except OracleError:
            with pytest.raises(WireError):
                encode(cls(), version)
        else:
            assert encode(cls(), version) == theirs, version
            assert decode(cls, theirs, version) == cls(), version


@pytest.mark.parametrize("cls", CLASSES)
def test_we_drop_and_refuse_the_fields_that_kafka_drops_and_refuses(
    cls: type[Message], oracle: Oracle
) -> None:
    newest = cls.VERSIONS[1]
    for version in versions(cls):
        for seed in SEEDS:
            data = encode(Sampler(seed).message(cls, newest), newest)
            message = decode(cls, data, newest)
            theirs = converted_by_kafka(oracle, cls, data, newest, version)
            if theirs is None:
                with pytest.raises(WireError):
                    encode(message, version)
            else:
                assert encode(message, version) == theirs, (version, seed)


def converted_by_kafka(
    oracle: Oracle, cls: type[Message], data: bytes, from_version: int, to_version: int
) -> bytes | None:
    """The bytes in the other version; None when Kafka refuses for what that version lacks."""
    try:
        return oracle.convert(cls, data, from_version, to_version)
    except OracleError as refusal:
        if any(name in str(refusal) for name in ("UnsupportedVersion", "NullPointer")):
            return None
        raise
