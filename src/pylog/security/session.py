"""What the control plane keeps of a connection, from its first request until it is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pylog.security.sasl import Authentication

ANONYMOUS: Final = "User:ANONYMOUS"


@dataclass(slots=True)
class Session:
    """One connection: who is behind it, and with which software."""

    principal: str = ANONYMOUS
    host: str = ""  # address of the client, without the port
    software_name: str = ""
    software_version: str = ""
    authentication: Authentication | None = None  # where the listener wants one


class Sessions:
    """Sessions by the engine's handle of their connection."""

    def __init__(self) -> None:
        self._by_connection: dict[int, Session] = {}

    def of(self, connection: int, host: str) -> Session:
        """The session of a connection, which begins now when it has none."""
        session = self._by_connection.get(connection)
        if session is None:
            session = self._by_connection[connection] = Session(host=host)
        return session

    def end(self, connection: int) -> None:
        """The connection is gone."""
        self._by_connection.pop(connection, None)
