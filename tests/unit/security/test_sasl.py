"""Dialogues of authentication: what a client sends, what it is answered, who it is then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pylog.protocol.errors import ApiError, ErrorCode
from pylog.security.plain import Plain
from pylog.security.sasl import Authentication, AuthenticationFailed, Mechanism, State, Step

GOOD = b"\0ann\0secret"


class Slow:
    """A mechanism of two steps, whose proof ends at 5000 ms."""

    def __init__(self) -> None:
        self._steps = 0

    def step(self, token: bytes) -> Step:
        self._steps += 1
        if token == b"bad":
            raise AuthenticationFailed("bad token")
        if self._steps == 1:
            return Step(b"go on")
        return Step(b"welcome", token.decode(), 5000)


def connection(max_lifetime_ms: int = 0) -> Authentication:
    mechanisms: dict[str, Callable[[], Mechanism]] = {
        "PLAIN": lambda: Plain({"ann": "secret", "bob": "other"}),
        "SLOW": Slow,
    }
    return Authentication(mechanisms, max_lifetime_ms)


def refused(code: ErrorCode) -> pytest.RaisesExc[ApiError]:
    return pytest.RaisesExc(ApiError, match=code.name)


def test_one_token_may_be_enough() -> None:
    auth = connection()
    auth.handshake("PLAIN")
    outcome = auth.token(GOOD, 0)
    assert (outcome.token, outcome.user, outcome.lifetime_ms) == (b"", "ann", 0)
    assert auth.state is State.DONE


def test_a_mechanism_may_take_several_tokens() -> None:
    auth = connection()
    auth.handshake("SLOW")
    assert auth.token(b"hello", 0).user is None
    assert auth.state is State.EXCHANGE
    assert auth.token(b"ann", 1000).user == "ann"


@pytest.mark.parametrize(
    ("max_lifetime_ms", "lifetime_ms"), [(0, 4000), (3000, 3000), (60_000, 4000)]
)
def test_a_session_ends_with_the_proof_or_the_setting(
    max_lifetime_ms: int, lifetime_ms: int
) -> None:
    auth = connection(max_lifetime_ms)
    auth.handshake("SLOW")
    auth.token(b"hello", 0)
    assert auth.token(b"ann", 1000).lifetime_ms == lifetime_ms


def test_a_mechanism_that_is_not_enabled_fails() -> None:
    auth = connection()
    with refused(ErrorCode.UNSUPPORTED_SASL_MECHANISM):
        auth.handshake("GSSAPI")
    with refused(ErrorCode.ILLEGAL_SASL_STATE):
        auth.handshake("PLAIN")


def test_a_token_without_a_handshake_fails() -> None:
    with refused(ErrorCode.ILLEGAL_SASL_STATE):
        connection().token(GOOD, 0)


def test_after_a_failure_nothing_is_taken() -> None:
    auth = connection()
    auth.handshake("SLOW")
    with refused(ErrorCode.SASL_AUTHENTICATION_FAILED):
        auth.token(b"bad", 0)
    assert auth.state is State.FAILED
    with refused(ErrorCode.ILLEGAL_SASL_STATE):
        auth.token(b"hello", 0)


def test_a_connection_authenticates_again_as_the_same_user() -> None:
    auth = connection()
    for _ in range(2):
        auth.handshake("PLAIN")
        assert auth.token(GOOD, 0).user == "ann"


def test_a_connection_can_not_become_another_users() -> None:
    auth = connection()
    auth.handshake("PLAIN")
    auth.token(GOOD, 0)
    auth.handshake("PLAIN")
    with refused(ErrorCode.SASL_AUTHENTICATION_FAILED):
        auth.token(b"\0bob\0other", 0)


def test_a_connection_keeps_its_mechanism() -> None:
    auth = connection()
    auth.handshake("PLAIN")
    auth.token(GOOD, 0)
    with refused(ErrorCode.UNSUPPORTED_SASL_MECHANISM):
        auth.handshake("SLOW")


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"ann",
        b"\0ann",
        b"\0ann\0",
        b"\0\0secret",
        b"\0ann\0wrong",
        b"\0ann\0secret\0more",
        b"\0eve\0secret",
        b"\0eve\0",
        b"bob\0ann\0secret",
        b"\0\xff\0\xff",
    ],
)
def test_plain_refuses_what_is_not_right(token: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        Plain({"ann": "secret"}).step(token)


def test_plain_takes_an_authorization_id_that_is_the_user() -> None:
    assert Plain({"ann": "secret"}).step(b"ann\0ann\0secret").user == "ann"
