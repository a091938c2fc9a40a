"""The mechanisms SCRAM-SHA-256 and SCRAM-SHA-512, the server's side (RFC 5802, RFC 7677).

The broker keeps no password: a client proves that it knows one, and the broker that it has what
was derived from it. A user who does not exist is led through the same exchange, so that nobody
learns names by asking.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from typing import Final

from pylog.security.credentials import Credential, ScramMechanism
from pylog.security.sasl import AuthenticationFailed, Step

MAX_ITERATIONS: Final = 16_384
MIN_ITERATIONS: Final = 4_096

_REFUSED: Final = "Authentication failed during authentication due to invalid credentials"
_FIRST: Final = re.compile(
    r"(?P<header>[ny],(?:a=(?P<authorization>[^,]+))?,)"
    r"(?P<bare>(?:m=[^,]*,)?n=(?P<user>[^,]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,.+)?)"
)
_FINAL: Final = re.compile(
    r"(?P<without_proof>c=(?P<binding>[^,]+),r=(?P<nonce>[^,]+)(?:,.+)?),p=(?P<proof>[^,]+)"
)


def credential_of(
    mechanism: ScramMechanism, salt: bytes, iterations: int, salted_password: bytes
) -> Credential:
    """From the password after its iterations of hashing, which clients do themselves."""
    name = mechanism.hash_name
    client_key = hmac.digest(salted_password, b"Client Key", name)
    stored_key = hashlib.new(name, client_key).digest()
    return Credential(
        salt, iterations, stored_key, hmac.digest(salted_password, b"Server Key", name)
    )


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise AuthenticationFailed("Invalid SCRAM message: not base64") from None


class Scram:
    """One exchange: client-first → server-first, client-final → server-final."""

    def __init__(
        self,
        mechanism: ScramMechanism,
        find: Callable[[str], Credential | None],
        make_nonce: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self._mechanism = mechanism
        self._find = find
        self._make_nonce = make_nonce
        self._answer: Callable[[str], Step] = self._first

    def step(self, token: bytes) -> Step:
        """Answer the message that is due. AuthenticationFailed."""
        try:
            text = token.decode()
        except UnicodeDecodeError:
            raise AuthenticationFailed("Invalid SCRAM message: not UTF-8") from None
        return self._answer(text)

    def _first(self, text: str) -> Step:
        message = _FIRST.fullmatch(text)
        if message is None or message["bare"].startswith("m="):
            raise AuthenticationFailed("Invalid SCRAM client first message")
        self._user = message["user"].replace("=2C", ",").replace("=3D", "=")
        if message["authorization"] not in (None, message["user"]):
            raise AuthenticationFailed(
                "Authentication failed: Client supplied an authorization id that is different "
                "from username"
            )
        self._credential = self._find(self._user) or self._decoy()
        self._header = message["header"]
        self._nonce = message["nonce"] + self._make_nonce()
        salt = base64.b64encode(self._credential.salt).decode()
        answer = f"r={self._nonce},s={salt},i={self._credential.iterations}"
        self._so_far = f"{message['bare']},{answer}"
        self._answer = self._final
        return Step(answer.encode())

    def _decoy(self) -> Credential:
        """The same salt each time somebody asks for a name that is nobody's; no proof fits it."""
        size = hashlib.new(self._mechanism.hash_name).digest_size
        salt = hmac.digest(_DECOY_SECRET, self._user.encode(), "sha256")[:16]
        return Credential(salt, MIN_ITERATIONS, bytes(size), bytes(size))

    def _final(self, text: str) -> Step:
        message = _FINAL.fullmatch(text)
        if message is None:
            raise AuthenticationFailed("Invalid SCRAM client final message")
        if message["nonce"] != self._nonce or _decode(message["binding"]) != self._header.encode():
            raise AuthenticationFailed("Invalid SCRAM client final message")
        signed = f"{self._so_far},{message['without_proof']}".encode()
        self._check_proof(_decode(message["proof"]), signed)
        signature = hmac.digest(self._credential.server_key, signed, self._mechanism.hash_name)
        return Step(b"v=" + base64.b64encode(signature), self._user)

    def _check_proof(self, proof: bytes, signed: bytes) -> None:
        name = self._mechanism.hash_name
        signature = hmac.digest(self._credential.stored_key, signed, name)
        if len(proof) != len(signature):
            raise AuthenticationFailed(_REFUSED)
        stored_key = hashlib.new(name, _xor(proof, signature)).digest()
        if not hmac.compare_digest(stored_key, self._credential.stored_key):
            raise AuthenticationFailed(_REFUSED)


_DECOY_SECRET: Final = secrets.token_bytes(32)
