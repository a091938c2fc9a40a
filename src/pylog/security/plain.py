"""The mechanism PLAIN (RFC 4616): a name and a password in clear text, in one token.

Users are those of the setting sasl.plain.users, where Kafka reads a JAAS configuration.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from pylog.security.sasl import AuthenticationFailed, Step

_REFUSED = "Authentication failed: Invalid username or password"


class Plain:
    """Checks against passwords by user."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = passwords

    def step(self, token: bytes) -> Step:
        """``authorization id NUL user NUL password``; the first is empty or the user."""
        try:
            authorization_id, user, password = token.decode().split("\0")
        except ValueError:
            raise AuthenticationFailed("Invalid SASL/PLAIN response") from None
        if not user or not password:
            raise AuthenticationFailed("Authentication failed: username or password not specified")
        expected = self._passwords.get(user)
        same = hmac.compare_digest((expected or "").encode(), password.encode())
        if expected is None or not same:
            raise AuthenticationFailed(_REFUSED)
        if authorization_id not in ("", user):
            raise AuthenticationFailed(
                "Authentication failed: Client requested an authorization id that is different "
                "from username"
            )
        return Step(b"", user)
