"""Authentication of a connection (KIP-12, KIP-43, KIP-152, KIP-368) as a pure state machine.

=============  ============================  =====================================================
state          request                       becomes
=============  ============================  =====================================================
START          handshake                     EXCHANGE; FAILED for a mechanism that is not enabled
EXCHANGE       token                         EXCHANGE, DONE or FAILED, as the mechanism says
DONE           handshake                     EXCHANGE, to authenticate again as the same user
any other      any other                     FAILED
=============  ============================  =====================================================

A mechanism is a machine of its own: tokens in, tokens out, at the end a user. None of them reads a
clock or a store: credentials and times are given.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pylog.protocol.errors import ApiError, ErrorCode


class AuthenticationFailed(Exception):
    """The client is not who it says, or does not say it properly; the text is for the client."""


class Step(NamedTuple):
    """A mechanism's answer to a token; with a ``user`` it is the last."""

    token: bytes
    user: str | None = None
    expires_ms: int | None = None  # wall clock, when the proof that was given ends


class Mechanism(Protocol):
    """One exchange."""

    def step(self, token: bytes) -> Step:
        """Answer a token. AuthenticationFailed."""
        ...


class State(enum.Enum):
    START = "start"
    EXCHANGE = "exchange"
    DONE = "done"
    FAILED = "failed"


class Outcome(NamedTuple):
    """The answer to one token; once it is over, who it is and for how long in ms (0: no end)."""

    token: bytes
    user: str | None = None
    lifetime_ms: int = 0


@dataclass(slots=True)
class Authentication:
    """The machine of one connection. ``mechanisms`` makes a new exchange by name."""

    mechanisms: Mapping[str, Callable[[], Mechanism]]
    max_lifetime_ms: int = 0  # connections.max.reauth.ms; 0: no bound
    state: State = State.START
    _mechanism: str = ""
    _exchange: Mechanism | None = None
    _user: str | None = None

    def handshake(self, name: str) -> None:
        """Begin with a mechanism. UNSUPPORTED_SASL_MECHANISM, ILLEGAL_SASL_STATE."""
        if self.state not in (State.START, State.DONE):
            raise self._fail(ApiError(ErrorCode.ILLEGAL_SASL_STATE))
        if name not in self.mechanisms or (self._user is not None and name != self._mechanism):
            raise self._fail(ApiError(ErrorCode.UNSUPPORTED_SASL_MECHANISM))
        self._mechanism = name
        self._exchange = self.mechanisms[name]()
        self.state = State.EXCHANGE

    def token(self, token: bytes, now_ms: int) -> Outcome:
        """Go on. SASL_AUTHENTICATION_FAILED, ILLEGAL_SASL_STATE."""
        if self.state is not State.EXCHANGE or self._exchange is None:
            raise self._fail(ApiError(ErrorCode.ILLEGAL_SASL_STATE))
        try:
            step = self._exchange.step(token)
            if step.user is None:
                return Outcome(step.token)
            return self._succeed(step, now_ms)
        except AuthenticationFailed as error:
            failed = ApiError(ErrorCode.SASL_AUTHENTICATION_FAILED, str(error))
            raise self._fail(failed) from None

    def _succeed(self, step: Step, now_ms: int) -> Outcome:
        if self._user not in (None, step.user):
            raise AuthenticationFailed("A connection can't become another user's.")
        self.state = State.DONE
        self._user = step.user
        self._exchange = None
        bounds = [self.max_lifetime_ms] if self.max_lifetime_ms > 0 else []
        if step.expires_ms is not None:
            bounds.append(max(step.expires_ms - now_ms, 1))
        return Outcome(step.token, step.user, min(bounds, default=0))

    def _fail(self, error: ApiError) -> ApiError:
        self.state = State.FAILED
        self._exchange = None
        return error
