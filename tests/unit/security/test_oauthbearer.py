"""OAUTHBEARER: tokens that are taken, and tokens that are not."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pylog.security.oauthbearer import OAuthBearer, verify_signed, verify_unsecured
from pylog.security.sasl import AuthenticationFailed

NOW_S = 1000.0
GOOD = {"sub": "ann", "exp": 2000}


def encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def unsecured(claims: dict[str, Any], algorithm: str = "none") -> str:
    return f"{encode({'alg': algorithm})}.{encode(claims)}."


def initial(token: str, header: str = "n,,") -> bytes:
    return f"{header}\1auth=Bearer {token}\1\1".encode()


def server() -> OAuthBearer:
    return OAuthBearer(verify_unsecured, lambda: NOW_S)


def test_a_token_says_who_and_until_when() -> None:
    step = server().step(initial(unsecured(GOOD)))
    assert (step.token, step.user, step.expires_ms) == (b"", "ann", 2_000_000)


def test_extensions_are_let_pass() -> None:
    message = b"n,a=ann,\1ext=1\1auth=Bearer " + unsecured(GOOD).encode() + b"\1more=2\1\1"
    assert server().step(message).user == "ann"


@pytest.mark.parametrize(
    "token",
    [
        "abc",
        "a.b.",
        unsecured(GOOD, "HS256"),
        unsecured(GOOD) + "sig",
        unsecured({"exp": 2000}),
        unsecured({"sub": "", "exp": 2000}),
        unsecured({"sub": "ann"}),
        unsecured({"sub": "ann", "exp": "2000"}),
        unsecured({"sub": "ann", "exp": 1000}),
        unsecured({"sub": "ann", "exp": 2000, "nbf": 1001}),
    ],
)
def test_a_token_that_is_refused_is_answered_before_the_end(token: str) -> None:
    exchange = server()
    step = exchange.step(initial(token))
    assert json.loads(step.token) == {"status": "invalid_token"}
    assert step.user is None
    with pytest.raises(AuthenticationFailed):
        exchange.step(b"\1")


@pytest.mark.parametrize(
    "message",
    [b"", b"n,,", b"\1auth=Bearer x\1\1", b"n,,\1auth=Basic x\1\1", b"n,,\1auth=Bearer x"],
)
def test_a_wrong_message_is_refused(message: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        server().step(message)


def test_nobody_acts_for_somebody_else() -> None:
    with pytest.raises(AuthenticationFailed):
        server().step(initial(unsecured(GOOD), "n,a=bob,"))


def test_signed_tokens_are_checked_with_the_keys_of_the_set() -> None:
    jwt = pytest.importorskip("jwt")
    secret = b"0123456789abcdef0123456789abcdef"
    key = base64.urlsafe_b64encode(secret).decode().rstrip("=")
    key_set = json.dumps({"keys": [{"kty": "oct", "kid": "one", "alg": "HS256", "k": key}]})
    verify = verify_signed(key_set, ["pylog"], "issuer")
    claims = {"sub": "ann", "exp": 4_000_000_000, "aud": "pylog", "iss": "issuer"}

    def sign(claims: dict[str, Any], secret: bytes = secret, kid: str = "one") -> str:
        return str(jwt.encode(claims, secret, "HS256", headers={"kid": kid}))

    assert verify(sign(claims))["sub"] == "ann"
    for token in (
        sign(claims, secret=b"f" * 32),
        sign(claims, kid="two"),
        sign(claims | {"aud": "other"}),
        sign(claims | {"iss": "other"}),
        sign(claims | {"exp": 1000}),
        unsecured(claims),
    ):
        with pytest.raises(ValueError, match=r"."):
            verify(token)
