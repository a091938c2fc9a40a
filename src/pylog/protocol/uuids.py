"""Uuids on the wire are 16 bytes; in text Kafka writes them as URL-safe base64 without padding."""

from __future__ import annotations

import base64
import re
from typing import Final

ZERO_UUID: Final = bytes(16)


def uuid_to_text(uuid: bytes) -> str:
    """Sixteen bytes as Kafka's tools print them: 22 characters."""
    if len(uuid) != 16:
        raise ValueError(f"a uuid has 16 bytes, not {len(uuid)}")
    return base64.urlsafe_b64encode(uuid)[:22].decode("ascii")


def uuid_from_text(text: str) -> bytes:
    """The sixteen bytes of 22 characters; ValueError for anything else."""
    if re.fullmatch(r"[A-Za-z0-9_-]{22}", text, re.ASCII) is None:
        raise ValueError(f"no uuid: {text!r}")
    return base64.urlsafe_b64decode(text + "==")
