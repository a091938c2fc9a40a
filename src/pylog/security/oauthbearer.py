"""The mechanism OAUTHBEARER, the server's side (RFC 7628, KIP-255).

A client shows a bearer token; who it is and until when stands in the token. A token that is
refused is answered with a JSON text, and the client's reply to that ends the exchange.

Unsecured tokens (RFC 7515, ``alg`` none) are for tests. Signed ones need the package PyJWT with
its ``crypto`` extra: ``pip install pylog[oauth]``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pylog.security.sasl import AuthenticationFailed, Step

Claims = Mapping[str, Any]
Verify = Callable[[str], Claims]

_INITIAL: Final = re.compile(
    rb"[ny],(?:a=(?P<authorization>[^,\x01]+))?,\x01"
    rb"(?:[A-Za-z]+=[^\x01]*\x01)*?auth=[Bb]earer +(?P<token>[A-Za-z0-9._~+/=-]+)\x01"
    rb"(?:[A-Za-z]+=[^\x01]*\x01)*\x01"
)
_REFUSAL: Final = b'{"status":"invalid_token"}'
_END: Final = b"\x01"


class OAuthBearer:
    """One exchange. ``verify`` gives the claims of a token, or raises ValueError."""

    def __init__(self, verify: Verify, now_s: Callable[[], float]) -> None:
        self._verify = verify
        self._now_s = now_s
        self._refused: str | None = None

    def step(self, token: bytes) -> Step:
        """Answer a message. AuthenticationFailed."""
        if self._refused is not None:
            raise AuthenticationFailed(self._refused)
        message = _INITIAL.fullmatch(token)
        if message is None:
            raise AuthenticationFailed("Invalid OAUTHBEARER client first message")
        try:
            user, expires_s = self._read(message["token"].decode())
        except ValueError as error:
            self._refused = f"Authentication failed: {error}"
            return Step(_REFUSAL)
        if message["authorization"] not in (None, user.encode()):
            raise AuthenticationFailed(
                "Authentication failed: Client requested an authorization id that is different "
                "from the token's principal name"
            )
        return Step(b"", user, int(expires_s * 1000))

    def _read(self, token: str) -> tuple[str, float]:
        claims = self._verify(token)
        user, expires_s = claims.get("sub"), claims.get("exp")
        if not isinstance(user, str) or not user:
            raise ValueError("the token names no subject")
        if not isinstance(expires_s, int | float) or isinstance(expires_s, bool):
            raise ValueError("the token has no expiration")
        if expires_s <= self._now_s():
            raise ValueError("the token has expired")
        begins_s = claims.get("nbf", 0)
        if not isinstance(begins_s, int | float) or begins_s > self._now_s():
            raise ValueError("the token is not valid yet")
        return user, float(expires_s)


def verify_unsecured(token: str) -> Claims:
    """The claims of a token that nobody has signed. ValueError."""
    parts = token.split(".")
    if len(parts) != 3 or parts[2]:
        raise ValueError("the token is not an unsecured JWS")
    header, claims = (_json(part) for part in parts[:2])
    if header.get("alg") != "none":
        raise ValueError("the token is not an unsecured JWS")
    return claims


def _json(part: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("the token is malformed") from None
    if not isinstance(value, dict):
        raise ValueError("the token is malformed")
    return value


def verify_signed(key_set: str, audience: list[str], issuer: str | None) -> Verify:
    """Checks signatures with the keys of a JSON Web Key Set (RFC 7517). ValueError."""
    import jwt

    keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(key_set).keys}

    def verify(token: str) -> Claims:
        try:
            key = keys.get(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise ValueError("the token is signed with an unknown key")
            claims: Claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                audience=audience or None,
                issuer=issuer,
                options={"verify_aud": bool(audience)},
            )
        except jwt.PyJWTError as error:
            raise ValueError(str(error)) from None
        return claims

    return verify
