"""Access control of a broker: who is asked about, and what the engine is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pylog.cluster.image import Image
from pylog.config import BrokerConfig
from pylog.engine.engine import Engine
from pylog.engine.values import AccessBit
from pylog.security.acl import Authorizer, ResourceType
from pylog.security.operations import Operation

if TYPE_CHECKING:
    from pylog.security.session import Session

ANYTHING: Final = 0  # the subject whose access is not controlled
_NO_TOPIC: Final = ""  # has the rules of all that have none of their own


@dataclass(slots=True)
class _Subject:
    """A principal at a host, as long as it has a connection."""

    number: int
    connections: set[int] = field(default_factory=set)


class Access:
    """Decides for the control lane, and pushes to the engine what the fast lane may do."""

    def __init__(self, config: BrokerConfig) -> None:
        self.enabled = config.optional_text("authorizer.class.name") is not None
        names = config.text("super.users").split(";")
        self._super_users = frozenset(name.strip() for name in names if name.strip())
        self._allow_without_rule = config.flag("allow.everyone.if.no.acl.found")
        self._subjects: dict[tuple[str, str], _Subject] = {}
        self._of_connection: dict[int, tuple[str, str]] = {}
        self._free: list[int] = []
        self._image = Image()
        self._authorizer = self._make_authorizer()

    def open(self, engine: Engine) -> None:
        """Before the engine serves."""
        self._engine = engine

    def allows(self, session: Session, operation: Operation, kind: ResourceType, name: str) -> bool:
        """Whether who is behind a connection may do something."""
        return not self.enabled or self._authorizer.allows(
            session.principal, session.host, operation, kind, name
        )

    def allows_any(self, session: Session, operation: Operation, kind: ResourceType) -> bool:
        """Whether there may be a resource to which it may do it."""
        return not self.enabled or self._authorizer.allows_any(
            session.principal, session.host, operation, kind
        )

    # ---- subjects ----

    def subject_of(self, principal: str, host: str, connection: int) -> int:
        """The engine's number for a principal at a host, which a connection is of from now on."""
        if not self.enabled:
            return ANYTHING
        key = principal, host
        if self._of_connection.get(connection) != key:
            self.forget(connection)
        subject = self._subjects.get(key)
        if subject is None:
            number = self._free.pop() if self._free else len(self._subjects) + 1
            subject = self._subjects[key] = _Subject(number)
            self._push(key, self._names(), replace=True)
        subject.connections.add(connection)
        self._of_connection[connection] = key
        return subject.number

    def forget(self, connection: int) -> None:
        """The connection is gone."""
        key = self._of_connection.pop(connection, None)
        if key is None:
            return
        subject = self._subjects[key]
        subject.connections.discard(connection)
        if not subject.connections:
            del self._subjects[key]
            self._free.append(subject.number)

    def follow(self, before: Image, after: Image) -> None:
        """The image has changed: push what follows from it, before partitions are opened."""
        self._image = after
        if not self.enabled:
            return
        if before.acls is not after.acls:
            self._authorizer = self._make_authorizer()
            self._push_to_all(self._names(), replace=True)
        elif before.topics is not after.topics:
            self._push_to_all(after.topics.keys() - before.topics.keys(), replace=False)

    def _names(self) -> Iterable[str]:
        """The topics, and those that a rule names before they are there."""
        named = {
            acl.resource_name for acl in self._image.acls if acl.resource_type == ResourceType.TOPIC
        }
        return named | self._image.topics.keys()

    def _make_authorizer(self) -> Authorizer:
        return Authorizer(
            self._image.acls, self._super_users, allow_without_rule=self._allow_without_rule
        )

    def _push_to_all(self, topics: Iterable[str], *, replace: bool) -> None:
        names = list(topics)
        for key in self._subjects if names or replace else ():
            self._push(key, names, replace=replace)

    def _push(self, key: tuple[str, str], topics: Iterable[str], *, replace: bool) -> None:
        bits = self._bits_for(*key)
        grants = [(topic, bits(topic)) for topic in topics]
        self._engine.set_grants(self._subjects[key].number, bits(_NO_TOPIC), replace, grants)

    def _bits_for(self, principal: str, host: str) -> Callable[[str], int]:
        def bits(topic: str) -> int:
            allows, kind = self._authorizer.allows, ResourceType.TOPIC
            may_read = allows(principal, host, Operation.READ, kind, topic)
            may_write = allows(principal, host, Operation.WRITE, kind, topic)
            return AccessBit.READ * may_read | AccessBit.WRITE * may_write

        return bits
