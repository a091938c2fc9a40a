"""What a broker keeps to know users by."""

from __future__ import annotations

import enum
from typing import NamedTuple


class ScramMechanism(enum.IntEnum):
    """Numbered as in AlterUserScramCredentials."""

    SCRAM_SHA_256 = 1
    SCRAM_SHA_512 = 2

    @property
    def sasl_name(self) -> str:
        """Its name in SASL."""
        return self.name.replace("_", "-")

    @property
    def hash_name(self) -> str:
        """Its hash, as hashlib names it."""
        return self.name.removeprefix("SCRAM_").replace("_", "").lower()


class Credential(NamedTuple):
    """What is kept of a password that its user proves to know by SCRAM."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


def parse_passwords(text: str) -> dict[str, str]:
    """``user:password`` pairs behind commas; ValueError when one is none."""
    passwords = {}
    for pair in text.split(","):
        if not pair.strip():
            continue
        user, separator, password = pair.strip().partition(":")
        if not (user and separator and password):
            raise ValueError("expected USER:PASSWORD, separated by commas")
        passwords[user] = password
    return passwords
