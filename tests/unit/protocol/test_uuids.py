"""Uuids in text, as Kafka's tools write them."""

from __future__ import annotations

import pytest

from pylog.protocol.uuids import ZERO_UUID, uuid_from_text, uuid_to_text


def test_text_is_url_safe_base64_without_padding() -> None:
    assert uuid_to_text(ZERO_UUID) == "AAAAAAAAAAAAAAAAAAAAAA"
    assert uuid_to_text(b"\xff" * 16) == "_____________________w"
    assert uuid_to_text(b"\xfb" * 16) == "-_v7-_v7-_v7-_v7-_v7-w"


@pytest.mark.parametrize("uuid", [ZERO_UUID, bytes(range(16)), b"\xfe" * 16])
def test_text_is_read_back(uuid: bytes) -> None:
    assert uuid_from_text(uuid_to_text(uuid)) == uuid


@pytest.mark.parametrize(
    "text", ["", "AAAA", "A" * 21, "A" * 23, "+" * 22, "é" * 22, "AAAAAAAAAAAAAAAAAAAAA="]
)
def test_other_text_is_no_uuid(text: str) -> None:
    with pytest.raises(ValueError, match="no uuid"):
        uuid_from_text(text)


def test_other_lengths_are_no_uuid() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        uuid_to_text(b"short")
