"""What each key of the control lane needs: one row a key, as Kafka's broker asks for it.

A key without a row needs nothing (KIP-11, KIP-290 and the KIPs of the keys).

Not done: a regular expression of a consumer group finds topics that the member may not describe;
Produce checks the topics, and its transactional id where the transaction is begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pylog.security.acl import ResourceType
from pylog.security.operations import Operation

_TOPIC, _GROUP = ResourceType.TOPIC, ResourceType.GROUP
_CLUSTER, _TRANSACTION = ResourceType.CLUSTER, ResourceType.TRANSACTIONAL_ID


class Need(NamedTuple):
    """Of a whole request: an operation on the resource that a field names."""

    operation: Operation
    kind: ResourceType
    field: str | None = None  # none: the cluster


class Inner(NamedTuple):
    """Where a refused item has its errors, when it has one for each of a list of its own."""

    request: str
    response: str
    number: str = "partition_index"
    error: str = "error_code"


class Items(NamedTuple):
    """Of each item of a list. ``key`` is where it has its name, "" when it is the name itself."""

    operation: Operation
    kind: ResourceType | None  # None: as the request says, see guard.py
    request: str
    response: str
    key: str = "name"
    response_key: str = "name"
    inner: Inner | None = None
    or_cluster: bool = False  # allowed too when the operation is allowed on the cluster


class Shown(NamedTuple):
    """Of each item of a response, which is left out when it may not be described."""

    kind: ResourceType
    response: str
    key: str


class Rule(NamedTuple):
    """What a key needs."""

    whole: Sequence[Need] = ()
    items: Sequence[Items] = ()
    shown: Sequence[Shown] = ()
    always_served: bool = False  # even when every item is refused: its response says more


def _group(operation: Operation) -> Need:
    return Need(operation, _GROUP, "group_id")


def _cluster(operation: Operation) -> Rule:
    return Rule([Need(operation, _CLUSTER)])


_PARTITIONS = Inner("partitions", "partitions")
_MY_TRANSACTION = Need(Operation.WRITE, _TRANSACTION, "transactional_id")
_READ_GROUP = _group(Operation.READ)
_O = Operation
_SHARED = Items(_O.READ, _TOPIC, "topics", "responses", inner=_PARTITIONS)
_RESULT_OF_TXN = Inner(
    "partitions", "results_by_partition", "partition_index", "partition_error_code"
)

RULES: Final[dict[int, Rule]] = {
    2: Rule(items=[Items(_O.DESCRIBE, _TOPIC, "topics", "topics", inner=_PARTITIONS)]),
    3: Rule(
        items=[Items(_O.DESCRIBE, _TOPIC, "topics", "topics")],
        shown=[Shown(_TOPIC, "topics", "name")],
        always_served=True,
    ),
    8: Rule([_READ_GROUP], [Items(_O.READ, _TOPIC, "topics", "topics", inner=_PARTITIONS)]),
    9: Rule(
        [_group(_O.DESCRIBE)],
        [Items(_O.DESCRIBE, _GROUP, "groups", "groups", "group_id", "group_id")],
        [Shown(_TOPIC, "topics", "name"), Shown(_TOPIC, "groups.topics", "name")],
    ),
    10: Rule(items=[Items(_O.DESCRIBE, None, "coordinator_keys", "coordinators", "", "key")]),
    11: Rule([_READ_GROUP]),
    12: Rule([_READ_GROUP]),
    13: Rule([_READ_GROUP]),
    14: Rule([_READ_GROUP]),
    15: Rule(items=[Items(_O.DESCRIBE, _GROUP, "groups", "groups", "", "group_id")]),
    16: Rule(shown=[Shown(_GROUP, "groups", "group_id")]),
    19: Rule(items=[Items(_O.CREATE, _TOPIC, "topics", "topics", or_cluster=True)]),
    20: Rule(
        items=[
            Items(_O.DELETE, _TOPIC, "topics", "responses"),
            Items(_O.DELETE, _TOPIC, "topic_names", "responses", ""),
        ]
    ),
    21: Rule(items=[Items(_O.DELETE, _TOPIC, "topics", "topics", inner=_PARTITIONS)]),
    23: Rule(
        items=[
            Items(
                _O.DESCRIBE,
                _TOPIC,
                "topics",
                "topics",
                "topic",
                "topic",
                Inner("partitions", "partitions", "partition"),
            )
        ]
    ),
    24: Rule(
        [Need(_O.WRITE, _TRANSACTION, "v3_and_below_transactional_id")],
        [
            Items(
                _O.WRITE,
                _TOPIC,
                "v3_and_below_topics",
                "results_by_topic_v3_and_below",
                inner=_RESULT_OF_TXN,
            )
        ],
    ),
    25: Rule([_MY_TRANSACTION, _READ_GROUP]),
    26: Rule([_MY_TRANSACTION]),
    27: _cluster(_O.CLUSTER_ACTION),
    28: Rule(
        [_MY_TRANSACTION, _READ_GROUP],
        [Items(_O.READ, _TOPIC, "topics", "topics", inner=_PARTITIONS)],
    ),
    29: _cluster(_O.DESCRIBE),
    30: _cluster(_O.ALTER),
    31: _cluster(_O.ALTER),
    32: Rule(
        items=[
            Items(
                _O.DESCRIBE_CONFIGS, None, "resources", "results", "resource_name", "resource_name"
            )
        ]
    ),
    33: Rule(
        items=[
            Items(
                _O.ALTER_CONFIGS, None, "resources", "responses", "resource_name", "resource_name"
            )
        ]
    ),
    34: _cluster(_O.ALTER),
    35: _cluster(_O.DESCRIBE),
    37: Rule(items=[Items(_O.ALTER, _TOPIC, "topics", "results")]),
    42: Rule(items=[Items(_O.DELETE, _GROUP, "groups_names", "results", "", "group_id")]),
    43: _cluster(_O.ALTER),
    44: Rule(
        items=[
            Items(
                _O.ALTER_CONFIGS, None, "resources", "responses", "resource_name", "resource_name"
            )
        ]
    ),
    45: _cluster(_O.ALTER),
    46: _cluster(_O.DESCRIBE),
    47: Rule([_group(_O.DELETE)], [Items(_O.READ, _TOPIC, "topics", "topics", inner=_PARTITIONS)]),
    48: _cluster(_O.DESCRIBE_CONFIGS),
    49: _cluster(_O.ALTER_CONFIGS),
    50: _cluster(_O.DESCRIBE),
    51: _cluster(_O.ALTER),
    55: _cluster(_O.DESCRIBE),
    57: _cluster(_O.ALTER),
    61: Rule(
        items=[
            Items(
                _O.READ, _TOPIC, "topics", "topics", inner=Inner("partition_indexes", "partitions")
            )
        ]
    ),
    65: Rule(
        items=[
            Items(
                _O.DESCRIBE,
                _TRANSACTION,
                "transactional_ids",
                "transaction_states",
                "",
                "transactional_id",
            )
        ]
    ),
    66: Rule(shown=[Shown(_TRANSACTION, "transaction_states", "transactional_id")]),
    68: Rule([_READ_GROUP]),
    69: Rule(items=[Items(_O.DESCRIBE, _GROUP, "group_ids", "groups", "", "group_id")]),
    74: _cluster(_O.DESCRIBE_CONFIGS),
    75: Rule(
        items=[Items(_O.DESCRIBE, _TOPIC, "topics", "topics")],
        shown=[Shown(_TOPIC, "topics", "name")],
    ),
    76: Rule([_READ_GROUP]),
    77: Rule(items=[Items(_O.DESCRIBE, _GROUP, "group_ids", "groups", "", "group_id")]),
    78: Rule([_READ_GROUP], [_SHARED], always_served=True),
    79: Rule([_READ_GROUP], [_SHARED], always_served=True),
    83: _cluster(_O.CLUSTER_ACTION),
    84: _cluster(_O.CLUSTER_ACTION),
    85: _cluster(_O.CLUSTER_ACTION),
    86: _cluster(_O.CLUSTER_ACTION),
    87: _cluster(_O.CLUSTER_ACTION),
    88: Rule([_READ_GROUP]),
    89: Rule(items=[Items(_O.DESCRIBE, _GROUP, "group_ids", "groups", "", "group_id")]),
    90: Rule(items=[Items(_O.DESCRIBE, _GROUP, "groups", "groups", "group_id", "group_id")]),
    91: Rule([_READ_GROUP]),
    92: Rule([_group(_O.DELETE)]),
}
