"""Access control end to end: each refusal in Kafka's code, in both lanes, and what is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.wire import Wire

from pylog.codec import Record, encode_batch
from pylog.protocol.errors import ErrorCode
from pylog.protocol.message import Message
from pylog.protocol.messages import (
    add_partitions_to_txn,
    alter_client_quotas,
    alter_configs,
    consumer_group_describe,
    consumer_group_heartbeat,
    create_acls,
    create_partitions,
    create_topics,
    delete_acls,
    delete_groups,
    delete_records,
    delete_topics,
    describe_acls,
    describe_configs,
    describe_groups,
    describe_transactions,
    fetch,
    find_coordinator,
    init_producer_id,
    join_group,
    list_groups,
    list_offsets,
    metadata,
    offset_commit,
    offset_fetch,
    produce,
)
from pylog.protocol.messages.sasl_authenticate import SaslAuthenticateRequest
from pylog.protocol.messages.sasl_handshake import SaslHandshakeRequest
from pylog.security.acl import Acl, PatternType, Permission, ResourceType
from pylog.security.operations import Operation
from pylog.testing import Broker

CONTROLLED = {
    "listeners": "SASL_PLAINTEXT://127.0.0.1:0,PLAINTEXT://127.0.0.1:0",
    "sasl.plain.users": "root:secret,ann:secret",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:root",
}
TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP
CLUSTER, TRANSACTION = ResourceType.CLUSTER, ResourceType.TRANSACTIONAL_ID


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(CONTROLLED) as broker:
        yield broker


def connect(broker: Broker, user: str) -> Wire:
    wire = Wire(broker.bootstrap)
    wire.ask(SaslHandshakeRequest(mechanism="PLAIN"))
    token = f"\0{user}\0secret".encode()
    assert wire.ask(SaslAuthenticateRequest(auth_bytes=token)).error_code == 0
    return wire


@pytest.fixture
def root(broker: Broker) -> Iterator[Wire]:
    with connect(broker, "root") as wire:
        yield wire


@pytest.fixture
def ann(broker: Broker) -> Iterator[Wire]:
    with connect(broker, "ann") as wire:
        yield wire


@pytest.fixture
def topic(root: Wire, unique: str) -> str:
    new = create_topics.CreatableTopic(name=unique, num_partitions=1, replication_factor=1)
    root.ask(create_topics.CreateTopicsRequest(topics=[new], timeout_ms=1000))
    return unique


def allow(
    root: Wire,
    operation: Operation,
    kind: ResourceType,
    name: str,
    *,
    principal: str = "User:ann",
    deny: bool = False,
) -> None:
    creation = create_acls.AclCreation(
        resource_type=kind,
        resource_name=name,
        resource_pattern_type=PatternType.LITERAL,
        principal=principal,
        host="*",
        operation=operation,
        permission_type=Permission.DENY if deny else Permission.ALLOW,
    )
    (result,) = root.ask(create_acls.CreateAclsRequest(creations=[creation])).results
    assert result.error_code == 0, result.error_message


def produce_code(wire: Wire, topic: str) -> int:
    part = produce.PartitionProduceData(index=0, records=bytes(encode_batch([Record(None, b"x")])))
    data = produce.TopicProduceData(name=topic, partition_data=[part])
    request = produce.ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[data])
    return int(wire.ask(request, 9).responses[0].partition_responses[0].error_code)


def fetch_code(wire: Wire, topic: str) -> int:
    part = fetch.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000)
    wanted = fetch.FetchTopic(topic=topic, partitions=[part])
    request = fetch.FetchRequest(
        max_wait_ms=0, min_bytes=0, max_bytes=1000, session_epoch=-1, topics=[wanted]
    )
    return int(wire.ask(request, 12).responses[0].partitions[0].error_code)


def described(wire: Wire, topic: str) -> metadata.MetadataResponseTopic:
    wanted = metadata.MetadataRequestTopic(name=topic)
    request = metadata.MetadataRequest(
        topics=[wanted],
        allow_auto_topic_creation=False,
        include_topic_authorized_operations=True,
    )
    (found,) = wire.ask(request).topics
    assert isinstance(found, metadata.MetadataResponseTopic)
    return found


def test_both_lanes_follow_the_rules_at_once(root: Wire, ann: Wire, topic: str) -> None:
    failed = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert (produce_code(ann, topic), fetch_code(ann, topic)) == (failed, failed)
    assert described(ann, topic).error_code == failed
    allow(root, Operation.WRITE, TOPIC, topic)
    assert (produce_code(ann, topic), fetch_code(ann, topic)) == (0, failed)
    assert described(ann, topic).error_code == 0
    allow(root, Operation.READ, TOPIC, topic)
    assert (produce_code(ann, topic), fetch_code(ann, topic)) == (0, 0)
    allow(root, Operation.ALL, TOPIC, topic, deny=True)
    assert (produce_code(ann, topic), fetch_code(ann, topic)) == (failed, failed)
    every = delete_acls.DeleteAclsFilter(
        resource_type_filter=TOPIC,
        resource_name_filter=topic,
        pattern_type_filter=PatternType.MATCH,
        principal_filter=None,
        host_filter=None,
        operation=Operation.ANY,
        permission_type=Permission.DENY,
    )
    (result,) = root.ask(delete_acls.DeleteAclsRequest(filters=[every])).filter_results
    assert len(result.matching_acls) == 1
    assert (produce_code(ann, topic), fetch_code(ann, topic)) == (0, 0)


def test_a_rule_holds_for_topics_that_are_made_after_it(root: Wire, ann: Wire, unique: str) -> None:
    allow(root, Operation.WRITE, TOPIC, unique)
    assert produce_code(ann, unique) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    new = create_topics.CreatableTopic(name=unique, num_partitions=1, replication_factor=1)
    root.ask(create_topics.CreateTopicsRequest(topics=[new], timeout_ms=1000))
    assert produce_code(ann, unique) == 0


def test_the_unauthenticated_are_anonymous(broker: Broker, root: Wire, topic: str) -> None:
    port = broker.server.endpoints[1].port
    with Wire(f"127.0.0.1:{port}") as stranger:
        assert produce_code(stranger, topic) == ErrorCode.TOPIC_AUTHORIZATION_FAILED
        allow(root, Operation.WRITE, TOPIC, topic, principal="User:ANONYMOUS")
        assert produce_code(stranger, topic) == 0


def test_super_users_need_no_rules(root: Wire, topic: str) -> None:
    assert (produce_code(root, topic), fetch_code(root, topic)) == (0, 0)


def test_what_may_not_be_described_is_hidden(root: Wire, ann: Wire, topic: str) -> None:
    names = {found.name for found in ann.ask(metadata.MetadataRequest(topics=None)).topics}
    assert topic not in names
    allow(root, Operation.DESCRIBE, TOPIC, topic)
    names = {found.name for found in ann.ask(metadata.MetadataRequest(topics=None)).topics}
    assert topic in names


def test_authorized_operations_are_those_that_are_allowed(
    root: Wire, ann: Wire, topic: str
) -> None:
    allow(root, Operation.READ, TOPIC, topic)
    bits = described(ann, topic).topic_authorized_operations
    assert bits == 1 << Operation.READ | 1 << Operation.DESCRIBE


def test_a_topic_is_not_made_for_who_may_not_make_it(root: Wire, ann: Wire, unique: str) -> None:
    allow(root, Operation.WRITE, TOPIC, unique)
    wanted = metadata.MetadataRequest(
        topics=[metadata.MetadataRequestTopic(name=unique)], allow_auto_topic_creation=True
    )
    assert ann.ask(wanted).topics[0].error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    allow(root, Operation.CREATE, TOPIC, unique)
    assert ann.ask(wanted).topics[0].error_code == 0


def code_of(response: Any, path: str) -> int:
    """The attribute at a path; where it leads through a list, of its only item."""
    for name in path.split("."):
        response = getattr(response, name)
        if isinstance(response, list):
            (response,) = response
    return int(response)


def of_topic(topic: str) -> list[tuple[Message, str]]:
    offsets = list_offsets.ListOffsetsPartition(partition_index=0, timestamp=-1)
    records = delete_records.DeleteRecordsPartition(partition_index=0, offset=0)
    resource = describe_configs.DescribeConfigsResource(
        resource_type=2, resource_name=topic, configuration_keys=None
    )
    altered = alter_configs.AlterConfigsResource(resource_type=2, resource_name=topic)
    return [
        (
            list_offsets.ListOffsetsRequest(
                replica_id=-1,
                topics=[list_offsets.ListOffsetsTopic(name=topic, partitions=[offsets])],
            ),
            "topics.partitions.error_code",
        ),
        (
            create_topics.CreateTopicsRequest(
                topics=[create_topics.CreatableTopic(name=topic, num_partitions=1)]
            ),
            "topics.error_code",
        ),
        (
            delete_topics.DeleteTopicsRequest(
                topics=[delete_topics.DeleteTopicState(name=topic)], timeout_ms=10_000
            ),
            "responses.error_code",
        ),
        (
            delete_records.DeleteRecordsRequest(
                topics=[delete_records.DeleteRecordsTopic(name=topic, partitions=[records])]
            ),
            "topics.partitions.error_code",
        ),
        (
            create_partitions.CreatePartitionsRequest(
                timeout_ms=10_000,
                topics=[create_partitions.CreatePartitionsTopic(name=topic, count=2)],
            ),
            "results.error_code",
        ),
        (describe_configs.DescribeConfigsRequest(resources=[resource]), "results.error_code"),
        (alter_configs.AlterConfigsRequest(resources=[altered]), "responses.error_code"),
    ]


def of_group(group: str) -> list[tuple[Message, str]]:
    wanted = offset_fetch.OffsetFetchRequestGroup(group_id=group, topics=None)
    return [
        (
            find_coordinator.FindCoordinatorRequest(coordinator_keys=[group]),
            "coordinators.error_code",
        ),
        (join_group.JoinGroupRequest(group_id=group, protocol_type="consumer"), "error_code"),
        (describe_groups.DescribeGroupsRequest(groups=[group]), "groups.error_code"),
        (delete_groups.DeleteGroupsRequest(groups_names=[group]), "results.error_code"),
        (offset_fetch.OffsetFetchRequest(groups=[wanted]), "groups.error_code"),
    ]


def of_transaction(name: str) -> list[tuple[Message, str]]:
    return [
        (
            find_coordinator.FindCoordinatorRequest(key_type=1, coordinator_keys=[name]),
            "coordinators.error_code",
        ),
        (init_producer_id.InitProducerIdRequest(transactional_id=name), "error_code"),
        (
            describe_transactions.DescribeTransactionsRequest(transactional_ids=[name]),
            "transaction_states.error_code",
        ),
    ]


def of_cluster() -> list[tuple[Message, str]]:
    quota = alter_client_quotas.RequestEntryData()
    every = describe_acls.DescribeAclsRequest(
        resource_type_filter=1, pattern_type_filter=1, operation=1, permission_type=1
    )
    creation = create_acls.AclCreation()
    broker = describe_configs.DescribeConfigsResource(resource_type=4, resource_name="1")
    return [
        (init_producer_id.InitProducerIdRequest(transactional_id=None), "error_code"),
        (every, "error_code"),
        (create_acls.CreateAclsRequest(creations=[creation]), "results.error_code"),
        (alter_client_quotas.AlterClientQuotasRequest(entries=[quota]), "entries.error_code"),
        (describe_configs.DescribeConfigsRequest(resources=[broker]), "results.error_code"),
    ]


REFUSALS = [
    *((request, path, ErrorCode.TOPIC_AUTHORIZATION_FAILED) for request, path in of_topic("t")),
    *((request, path, ErrorCode.GROUP_AUTHORIZATION_FAILED) for request, path in of_group("g")),
    *(
        (request, path, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        for request, path in of_transaction("x")
    ),
    *((request, path, ErrorCode.CLUSTER_AUTHORIZATION_FAILED) for request, path in of_cluster()),
]


@pytest.fixture(scope="module")
def nobody() -> Iterator[Wire]:
    """A client that may do nothing, of a broker where nobody else changes rules."""
    with Broker(CONTROLLED) as broker, connect(broker, "ann") as wire:
        yield wire


@pytest.mark.parametrize(
    ("request_", "path", "code"), REFUSALS, ids=lambda value: type(value).__name__
)
def test_who_has_no_right_gets_kafkas_code(
    nobody: Wire, request_: Message, path: str, code: ErrorCode
) -> None:
    assert code_of(nobody.ask(request_), path) == code


def commit(group: str, topics: list[str]) -> offset_commit.OffsetCommitRequest:
    part = offset_commit.OffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    return offset_commit.OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=-1,
        topics=[offset_commit.OffsetCommitRequestTopic(name=t, partitions=[part]) for t in topics],
    )


def prepare(root: Wire, group: str) -> None:
    """The group's coordinator is loaded when this returns."""
    root.ask(find_coordinator.FindCoordinatorRequest(coordinator_keys=[group]))


def commit_codes(wire: Wire, group: str, topics: list[str]) -> dict[str, int]:
    answer = wire.ask(commit(group, topics), 9)
    return {topic.name: topic.partitions[0].error_code for topic in answer.topics}


def test_a_commit_needs_the_group_and_each_topic(
    root: Wire, ann: Wire, topic: str, unique: str
) -> None:
    prepare(root, unique)
    failed = ErrorCode.GROUP_AUTHORIZATION_FAILED
    assert commit_codes(ann, unique, [topic, "secret"]) == {topic: failed, "secret": failed}
    allow(root, Operation.READ, GROUP, unique)
    allow(root, Operation.READ, TOPIC, topic)
    assert commit_codes(ann, unique, [topic, "secret"]) == {
        topic: 0,
        "secret": ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    }


def test_offsets_of_topics_that_may_not_be_described_are_refused_or_hidden(
    root: Wire, ann: Wire, topic: str, unique: str
) -> None:
    group = f"{unique}-offsets"
    prepare(root, group)
    assert commit_codes(root, group, [topic]) == {topic: 0}
    allow(root, Operation.DESCRIBE, GROUP, group)

    def offsets(version: int, *, named: bool) -> list[tuple[int, int]]:
        names = {
            "topics": [offset_fetch.OffsetFetchRequestTopic(name=topic, partition_indexes=[0])]
        }
        request = offset_fetch.OffsetFetchRequest(
            group_id=group, **(names if named else {"topics": None})
        )
        if version >= 8:
            wanted = [offset_fetch.OffsetFetchRequestTopics(name=topic, partition_indexes=[0])]
            asked = offset_fetch.OffsetFetchRequestGroup(
                group_id=group, topics=wanted if named else None
            )
            request = offset_fetch.OffsetFetchRequest(groups=[asked])
        answer = ann.ask(request, version)
        topics = answer.groups[0].topics if version >= 8 else answer.topics
        return [(p.committed_offset, p.error_code) for t in topics for p in t.partitions]

    for version in (7, 9):
        assert offsets(version, named=True) == [(-1, ErrorCode.TOPIC_AUTHORIZATION_FAILED)]
        assert offsets(version, named=False) == []
    allow(root, Operation.DESCRIBE, TOPIC, topic)
    for version in (7, 9):
        assert offsets(version, named=True) == offsets(version, named=False)
        assert offsets(version, named=True)[0][1] == 0


def test_a_member_may_describe_what_it_subscribes_to(
    root: Wire, ann: Wire, topic: str, unique: str
) -> None:
    group = f"{unique}-members"
    prepare(root, group)
    allow(root, Operation.READ, GROUP, group)
    allow(root, Operation.DESCRIBE, GROUP, group)

    def joins(wire: Wire) -> int:
        request = consumer_group_heartbeat.ConsumerGroupHeartbeatRequest(
            group_id=group,
            member_id="m",
            rebalance_timeout_ms=1000,
            subscribed_topic_names=[topic],
            topic_partitions=[],
        )
        return int(wire.ask(request).error_code)

    def described(wire: Wire) -> tuple[int, int]:
        request = consumer_group_describe.ConsumerGroupDescribeRequest(group_ids=[group])
        (found,) = wire.ask(request).groups
        return found.error_code, len(found.members)

    assert joins(ann) == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert joins(root) == 0
    assert described(ann) == (ErrorCode.TOPIC_AUTHORIZATION_FAILED, 0)
    allow(root, Operation.DESCRIBE, TOPIC, topic)
    assert described(ann) == (0, 1)
    assert joins(ann) == 0


def test_a_transaction_needs_its_id_and_each_topic(root: Wire, ann: Wire, topic: str) -> None:
    wanted = [
        add_partitions_to_txn.AddPartitionsToTxnTopic(name=name, partitions=[0])
        for name in (topic, "secret")
    ]
    request = add_partitions_to_txn.AddPartitionsToTxnRequest(
        v3_and_below_transactional_id=topic, v3_and_below_topics=wanted
    )

    def codes() -> set[int]:
        answer = ann.ask(request, 3)
        return {
            part.partition_error_code
            for found in answer.results_by_topic_v3_and_below
            for part in found.results_by_partition
        }

    assert codes() == {ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED}


def test_groups_are_listed_for_who_may_describe_them(
    root: Wire, ann: Wire, topic: str, unique: str
) -> None:
    prepare(root, unique)
    assert commit_codes(root, unique, [topic]) == {topic: 0}

    def seen(wire: Wire) -> set[str]:
        return {group.group_id for group in wire.ask(list_groups.ListGroupsRequest()).groups}

    assert unique in seen(root)
    assert unique not in seen(ann)
    allow(root, Operation.DESCRIBE, GROUP, unique)
    assert unique in seen(ann)


def test_rules_that_can_not_be_are_refused(root: Wire) -> None:
    good = Acl(TOPIC, "t", PatternType.LITERAL, "User:x", "*", Operation.READ, Permission.ALLOW)
    wrong = [
        good._replace(resource_type=1),
        good._replace(resource_name=""),
        good._replace(pattern_type=PatternType.MATCH),
        good._replace(principal="x"),
        good._replace(operation=1),
        good._replace(permission=1),
        good._replace(resource_type=CLUSTER),
    ]
    creations = [
        create_acls.AclCreation(
            resource_type=acl.resource_type,
            resource_name=acl.resource_name,
            resource_pattern_type=acl.pattern_type,
            principal=acl.principal,
            host=acl.host,
            operation=acl.operation,
            permission_type=acl.permission,
        )
        for acl in [*wrong, good]
    ]
    results = root.ask(create_acls.CreateAclsRequest(creations=creations)).results
    codes = [result.error_code for result in results]
    assert codes == [ErrorCode.INVALID_REQUEST] * len(wrong) + [0]


def test_rules_outlive_a_restart(unique: str) -> None:
    with Broker(CONTROLLED) as broker:
        with connect(broker, "root") as root:
            allow(root, Operation.WRITE, TOPIC, unique)
        broker.restart()
        with connect(broker, "ann") as ann:
            assert produce_code(ann, unique) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_without_an_authorizer_there_are_no_rules() -> None:
    with Broker() as broker, Wire(broker.bootstrap) as wire:
        for request, path in of_cluster()[1:3]:
            assert code_of(wire.ask(request), path) == ErrorCode.SECURITY_DISABLED
