"""What a handler of the control lane is given, besides the decoded request.

Every file ``kNN_name.py`` in this folder defines::

    async def handle(request: NameRequest, context: RequestContext) -> NameResponse | None

It raises only :class:`pylog.protocol.errors.ApiError`; anything else is a bug: it is logged with
its traceback and closes the connection. ``None`` sends no answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pylog.security.session import Session
from pylog.telemetry.subscriptions import ClientIdentity

if TYPE_CHECKING:
    from pylog.server.broker import Broker


@dataclass(slots=True)
class RequestContext:
    """One request's surroundings."""

    broker: Broker  # the services: config, engine, metadata, groups, transactions, ...
    api_key: int
    version: int
    client_id: str | None
    client_host: str  # address without port
    local_host: str  # address that the client reached
    listener: str  # name of the listener, e.g. "PLAINTEXT"
    connection: int  # engine handle
    session: Session  # of that connection
    throttle_ms: int = 0  # set by the handler: mutes the connection for so long (KIP-219)

    @property
    def principal(self) -> str:
        """Who asks, with its type: "User:ANONYMOUS" without authentication."""
        return self.session.principal

    @property
    def identity(self) -> ClientIdentity:
        """Who asks, as subscriptions to client metrics see it."""
        software = self.session.software_name, self.session.software_version
        return ClientIdentity("", self.client_id or "", *software, self.client_host, "")

    @property
    def user(self) -> str:
        """The name of the principal, without its type."""
        return self.principal.partition(":")[2]
