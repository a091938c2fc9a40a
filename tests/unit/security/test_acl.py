"""What rules allow: Kafka's own rules of precedence, wildcards, prefixes and implications."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pylog.security.acl import (
    ANYBODY,
    Acl,
    AclFilter,
    Authorizer,
    PatternType,
    Permission,
    ResourceType,
)
from pylog.security.operations import Operation

TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP
READ, WRITE, ALL = Operation.READ, Operation.WRITE, Operation.ALL
ANN, HOST = "User:ann", "10.0.0.1"


def rule(
    operation: Operation = READ,
    name: str = "topic",
    *,
    principal: str = ANN,
    host: str = "*",
    deny: bool = False,
    prefixed: bool = False,
    kind: ResourceType = TOPIC,
) -> Acl:
    pattern = PatternType.PREFIXED if prefixed else PatternType.LITERAL
    permission = Permission.DENY if deny else Permission.ALLOW
    return Acl(kind, name, pattern, principal, host, operation, permission)


def allows(
    acls: Sequence[Acl],
    operation: Operation = READ,
    name: str = "topic",
    *,
    principal: str = ANN,
    host: str = HOST,
    open_: bool = False,
) -> bool:
    authorizer = Authorizer(acls, frozenset({"User:root"}), allow_without_rule=open_)
    return authorizer.allows(principal, host, operation, TOPIC, name)


@pytest.mark.parametrize(
    ("acls", "expected"),
    [
        ([], False),
        ([rule()], True),
        ([rule(WRITE)], False),
        ([rule(ALL)], True),
        ([rule(name="other")], False),
        ([rule(name="*")], True),
        ([rule(name="to", prefixed=True)], True),
        ([rule(name="to")], False),
        ([rule(name="topics", prefixed=True)], False),
        ([rule(principal="User:bob")], False),
        ([rule(principal=ANYBODY)], True),
        ([rule(host=HOST)], True),
        ([rule(host="10.0.0.2")], False),
        ([rule(kind=GROUP)], False),
        ([rule(), rule(deny=True)], False),
        ([rule(), rule(ALL, name="*", principal=ANYBODY, deny=True)], False),
        ([rule(), rule(name="t", prefixed=True, deny=True)], False),
        ([rule(), rule(WRITE, deny=True)], True),
        ([rule(), rule(principal="User:bob", deny=True)], True),
    ],
)
def test_a_rule_has_to_allow_and_none_to_deny(acls: Sequence[Acl], expected: bool) -> None:
    assert allows(acls) is expected


@pytest.mark.parametrize(
    ("given", "implied"),
    [
        (READ, Operation.DESCRIBE),
        (WRITE, Operation.DESCRIBE),
        (Operation.DELETE, Operation.DESCRIBE),
        (Operation.ALTER, Operation.DESCRIBE),
        (Operation.ALTER_CONFIGS, Operation.DESCRIBE_CONFIGS),
    ],
)
def test_some_operations_imply_others_when_allowed_only(
    given: Operation, implied: Operation
) -> None:
    assert allows([rule(given)], implied)
    assert not allows([rule(implied)], given)
    assert allows([rule(implied), rule(given, deny=True)], implied)


def test_super_users_may_do_everything() -> None:
    denied = [rule(ALL, "*", principal=ANYBODY, deny=True)]
    assert allows(denied, principal="User:root")


def test_without_any_rule_of_a_resource_everybody_may_when_so_configured() -> None:
    assert allows([], open_=True)
    assert allows([rule(WRITE, "other")], open_=True)
    assert not allows([rule(WRITE, principal="User:bob")], open_=True)


@pytest.mark.parametrize(
    ("acls", "expected"),
    [
        ([], False),
        ([rule(WRITE)], True),
        ([rule(READ)], False),
        ([rule(WRITE, deny=True)], False),
        ([rule(WRITE), rule(WRITE, deny=True)], False),
        ([rule(WRITE), rule(WRITE, "other", deny=True)], True),
        ([rule(WRITE), rule(ALL, "*", deny=True)], False),
        ([rule(WRITE), rule(ALL, "t", prefixed=True, deny=True)], False),
        ([rule(WRITE, "*"), rule(ALL, "t", prefixed=True, deny=True)], True),
        ([rule(WRITE, "*"), rule(ALL, "*", deny=True)], False),
        ([rule(WRITE, "to", prefixed=True), rule(WRITE, "t", prefixed=True, deny=True)], False),
        ([rule(WRITE, "t", prefixed=True), rule(WRITE, "to", prefixed=True, deny=True)], True),
        ([rule(WRITE, "t", prefixed=True), rule(WRITE, "t", deny=True)], True),
    ],
)
def test_any_topic_means_one_that_is_not_denied_altogether(
    acls: Sequence[Acl], expected: bool
) -> None:
    authorizer = Authorizer(acls, frozenset(), allow_without_rule=False)
    assert authorizer.allows_any(ANN, HOST, WRITE, TOPIC) is expected


RULES = [
    rule(),
    rule(name="*"),
    rule(name="to", prefixed=True),
    rule(WRITE, name="other", principal="User:bob", host=HOST),
    rule(kind=GROUP, name="topic", deny=True),
]


def find(**fields: object) -> list[Acl]:
    every = {
        "resource_type": ResourceType.ANY,
        "resource_name": None,
        "pattern_type": PatternType.ANY,
        "principal": None,
        "host": None,
        "operation": Operation.ANY,
        "permission": Permission.ANY,
    }
    wanted = AclFilter(**(every | fields))  # type: ignore[arg-type]
    return [acl for acl in RULES if wanted.matches(acl)]


def test_filters_narrow_by_each_of_their_fields() -> None:
    assert find() == RULES
    assert find(resource_type=GROUP) == [RULES[4]]
    assert find(resource_name="topic") == [RULES[0], RULES[4]]
    assert find(pattern_type=PatternType.PREFIXED) == [RULES[2]]
    assert find(resource_name="to", pattern_type=PatternType.LITERAL) == []
    assert find(principal="User:bob") == [RULES[3]]
    assert find(host=HOST) == [RULES[3]]
    assert find(operation=WRITE) == [RULES[3]]
    assert find(permission=Permission.DENY) == [RULES[4]]


def test_match_finds_all_rules_that_hold_for_a_name() -> None:
    found = find(resource_type=TOPIC, resource_name="topic", pattern_type=PatternType.MATCH)
    assert found == RULES[:3]
