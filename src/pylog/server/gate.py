"""Who is let in: the guards of listeners, and the authentication of connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pylog.config import BrokerConfig, ConfigError
from pylog.engine.engine import Engine
from pylog.engine.values import Guard, Opened
from pylog.protocol.errors import ApiError
from pylog.security.credentials import ScramMechanism, parse_passwords
from pylog.security.sasl import Authentication, Mechanism, Outcome
from pylog.security.session import ANONYMOUS, Session

if TYPE_CHECKING:
    from pylog.cluster.users import Users
    from pylog.security.oauthbearer import Verify
    from pylog.server.access import Access
    from pylog.server.listeners import Endpoint


class Gate:
    """Authenticates connections, and tells the engine who they are."""

    def __init__(self, config: BrokerConfig, endpoints: list[Endpoint], access: Access) -> None:
        """ConfigError for mechanisms that can't be served."""
        self._config = config
        self._access = access
        self._sasl_listeners = {
            endpoint.name for endpoint in endpoints if endpoint.protocol.startswith("SASL_")
        }
        self.mechanism_names = config.items("sasl.enabled.mechanisms")
        self._passwords = parse_passwords(config.optional_text("sasl.plain.users") or "")
        self._verify = self._token_check() if self._sasl_listeners else None

    def open(self, engine: Engine, users: Users, endpoints: list[Endpoint]) -> None:
        """Set the guards; before the engine serves."""
        self._engine = engine
        self._mechanisms = self._make_mechanisms(users)
        for number, endpoint in enumerate(endpoints):
            if endpoint.name in self._sasl_listeners:
                engine.guard(number, Guard.SASL)
            elif self._access.enabled:
                engine.guard(number, Guard.ASK)

    def _token_check(self) -> Verify | None:
        if "OAUTHBEARER" not in self.mechanism_names:
            return None
        from pylog.security.oauthbearer import verify_signed, verify_unsecured

        path = self._config.optional_text("sasl.oauthbearer.jwks.file")
        if path is None:
            if not self._config.flag("sasl.oauthbearer.unsecured.enable"):
                raise ConfigError(
                    "sasl.enabled.mechanisms: OAUTHBEARER needs sasl.oauthbearer.jwks.file"
                )
            return verify_unsecured
        try:
            return verify_signed(
                Path(path).read_text(),
                self._config.items("sasl.oauthbearer.expected.audience"),
                self._config.optional_text("sasl.oauthbearer.expected.issuer"),
            )
        except (OSError, ImportError, ValueError) as error:
            raise ConfigError(f"sasl.oauthbearer.jwks.file: {error}") from error

    def _make_mechanisms(self, users: Users) -> Mapping[str, Callable[[], Mechanism]]:
        if not self._sasl_listeners:
            return {}
        from pylog.security.oauthbearer import OAuthBearer
        from pylog.security.plain import Plain
        from pylog.security.scram import Scram

        made: dict[str, Callable[[], Mechanism]] = {"PLAIN": partial(Plain, self._passwords)}
        for mechanism in ScramMechanism:
            find = partial(users.find, mechanism=mechanism)
            made[mechanism.sasl_name] = partial(Scram, mechanism, find)
        if self._verify is not None:
            made["OAUTHBEARER"] = partial(OAuthBearer, self._verify, time.time)
        return {name: made[name] for name in self.mechanism_names}

    # ---- one connection ----

    def authentication(self, session: Session, listener: str) -> Authentication | None:
        """The machine of a connection; None where its listener wants no authentication."""
        if session.authentication is None and listener in self._sasl_listeners:
            longest_ms = self._config.integer("connections.max.reauth.ms")
            session.authentication = Authentication(self._mechanisms, longest_ms)
        return session.authentication

    def take_stranger(self, opened: Opened) -> None:
        """The engine's callback: a connection of a listener without authentication."""
        user = ANONYMOUS.partition(":")[2]
        subject = self._access.subject_of(ANONYMOUS, opened.peer, opened.connection)
        self._engine.identify(opened.connection, user, subject, -1)
        self._engine.admit(opened.connection)

    def expect_tokens(self, connection: int) -> None:
        """Its handshake was of version 0: what comes next are bare tokens."""
        self._engine.expect_tokens(connection)

    def take_token(self, session: Session, connection: int, token: bytes) -> Outcome:
        """Go on with the exchange of a connection; let it in at the end. ApiError."""
        assert session.authentication is not None
        outcome = session.authentication.token(token, int(time.time() * 1000))
        if outcome.user is not None:
            session.principal = f"User:{outcome.user}"
            subject = self._access.subject_of(session.principal, session.host, connection)
            self._engine.identify(connection, outcome.user, subject, outcome.lifetime_ms or -1)
        return outcome

    def take_bare_token(self, session: Session, connection: int, token: bytes) -> None:
        """Likewise for a token without a request around it, which is answered by a bare token."""
        try:
            outcome = self.take_token(session, connection, token)
        except ApiError:
            self.turn_away(connection)
        else:
            self._engine.send_token(connection, outcome.token)

    def turn_away(self, connection: int) -> None:
        """Close a connection that has failed, after the answer, and late: who guesses, waits."""
        delay_ms = self._config.integer("connection.failed.authentication.delay.ms")
        loop = asyncio.get_running_loop()
        loop.call_later(max(delay_ms, 1) / 1000, self._close, connection)

    def _close(self, connection: int) -> None:
        if not self._engine.closed:
            self._engine.close_connection(connection)
