"""Access control lists (KIP-11, KIP-290): rules, filters of rules, and what they allow.

A rule allows or denies a principal at a host one operation on the resources that its pattern
matches. What is denied is not allowed whatever else is; what nobody allows isn't either.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from pylog.security.operations import Operation

ANY_HOST: Final = "*"
ANY_NAME: Final = "*"
ANYBODY: Final = "User:*"
CLUSTER_NAME: Final = "kafka-cluster"


class ResourceType(enum.IntEnum):
    """What is protected, numbered as in Kafka's protocol."""

    ANY = 1
    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5
    DELEGATION_TOKEN = 6
    USER = 7


class PatternType(enum.IntEnum):
    """How a rule names its resources; ANY and MATCH are of filters."""

    ANY = 1
    MATCH = 2
    LITERAL = 3
    PREFIXED = 4


class Permission(enum.IntEnum):
    """ANY is of filters."""

    ANY = 1
    DENY = 2
    ALLOW = 3


class Acl(NamedTuple):
    """One rule."""

    resource_type: int
    resource_name: str
    pattern_type: int
    principal: str
    host: str
    operation: int
    permission: int


class AclFilter(NamedTuple):
    """Rules to find; None, and ANY of a number, match all."""

    resource_type: int
    resource_name: str | None
    pattern_type: int
    principal: str | None
    host: str | None
    operation: int
    permission: int

    def matches(self, acl: Acl) -> bool:
        """Whether a rule is one of those to find."""
        return (
            self.resource_type in (ResourceType.ANY, acl.resource_type)
            and self._matches_pattern(acl)
            and self.principal in (None, acl.principal)
            and self.host in (None, acl.host)
            and self.operation in (Operation.ANY, acl.operation)
            and self.permission in (Permission.ANY, acl.permission)
        )

    def _matches_pattern(self, acl: Acl) -> bool:
        if self.pattern_type == PatternType.MATCH:
            return self.resource_name is None or covers(acl, self.resource_name)
        return self.pattern_type in (PatternType.ANY, acl.pattern_type) and (
            self.resource_name in (None, acl.resource_name)
        )


def covers(acl: Acl, name: str) -> bool:
    """Whether the pattern of a rule matches a resource of its type."""
    if acl.pattern_type == PatternType.PREFIXED:
        return name.startswith(acl.resource_name)
    return acl.resource_name in (name, ANY_NAME)


# What allowing an operation allows too.
_IMPLIED_BY: Final = {
    Operation.DESCRIBE: (Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER),
    Operation.DESCRIBE_CONFIGS: (Operation.ALTER_CONFIGS,),
}


class Authorizer:
    """Decides by a set of rules. Super users may do everything."""

    def __init__(
        self, acls: Iterable[Acl], super_users: frozenset[str], *, allow_without_rule: bool
    ) -> None:
        self._super_users = super_users
        self._allow_without_rule = allow_without_rule
        self._literal: dict[tuple[int, str], list[Acl]] = {}
        self._prefixed: dict[int, list[Acl]] = {}
        for acl in acls:
            if acl.pattern_type == PatternType.PREFIXED:
                self._prefixed.setdefault(acl.resource_type, []).append(acl)
            else:
                key = acl.resource_type, acl.resource_name
                self._literal.setdefault(key, []).append(acl)

    def is_super(self, principal: str) -> bool:
        """Whether no rule holds for a principal."""
        return principal in self._super_users

    def allows(
        self, principal: str, host: str, operation: Operation, kind: ResourceType, name: str
    ) -> bool:
        """Whether a principal at a host may do something to a resource."""
        if principal in self._super_users:
            return True
        rules = list(self._rules_of(kind, name))
        if not rules:
            return self._allow_without_rule
        mine = [acl for acl in rules if _is_for(acl, principal, host)]
        if any(acl.permission == Permission.DENY and _names(acl, operation) for acl in mine):
            return False
        granted = (operation, *_IMPLIED_BY.get(operation, ()))
        return any(
            acl.permission == Permission.ALLOW and any(_names(acl, item) for item in granted)
            for acl in mine
        )

    def allows_any(
        self, principal: str, host: str, operation: Operation, kind: ResourceType
    ) -> bool:
        """Whether there may be a resource to which a principal may do it: a rule allows one that
        no rule denies altogether."""
        if principal in self._super_users or self._allow_without_rule:
            return True
        mine = [acl for acl in self._all_of(kind) if _is_for(acl, principal, host)]
        denied = [
            acl for acl in mine if acl.permission == Permission.DENY and _names(acl, operation)
        ]
        return any(
            acl.permission == Permission.ALLOW
            and _names(acl, operation)
            and not any(_hides(other, acl) for other in denied)
            for acl in mine
        )

    def _rules_of(self, kind: int, name: str) -> Iterator[Acl]:
        yield from self._literal.get((kind, name), ())
        if name != ANY_NAME:
            yield from self._literal.get((kind, ANY_NAME), ())
        for acl in self._prefixed.get(kind, ()):
            if name.startswith(acl.resource_name):
                yield acl

    def _all_of(self, kind: int) -> Iterator[Acl]:
        for (of, _), rules in self._literal.items():
            if of == kind:
                yield from rules
        yield from self._prefixed.get(kind, ())


def _is_for(acl: Acl, principal: str, host: str) -> bool:
    return acl.principal in (principal, ANYBODY) and acl.host in (host, ANY_HOST)


def _names(acl: Acl, operation: Operation) -> bool:
    return acl.operation in (operation, Operation.ALL)


def _hides(denying: Acl, allowing: Acl) -> bool:
    """Whether all that one rule matches is matched by another."""
    if (
        allowing.pattern_type == PatternType.LITERAL
        and denying.pattern_type != allowing.pattern_type
    ):
        return allowing.resource_name != ANY_NAME and covers(denying, allowing.resource_name)
    if denying.pattern_type == PatternType.LITERAL:
        return denying.resource_name in (ANY_NAME, allowing.resource_name) and (
            denying.resource_name == ANY_NAME or allowing.pattern_type == PatternType.LITERAL
        )
    return covers(denying, allowing.resource_name)
