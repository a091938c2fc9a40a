"""Streams groups at a broker: topics are made, rights are asked for, a killed broker knows all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.streams import internal, subtopology
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.share import configure_group, find_coordinator, new_topic
from tests.support.streams import Thread
from tests.support.wait import wait_until
from tests.support.wire import Wire

from pylog.coordinator.streams_tasks import read_tasks
from pylog.coordinator.streams_topics import StatusCode
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.api_versions import ApiVersionsRequest
from pylog.protocol.messages.create_acls import AclCreation, CreateAclsRequest
from pylog.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
)
from pylog.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from pylog.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pylog.protocol.messages.sasl_authenticate import SaslAuthenticateRequest
from pylog.protocol.messages.sasl_handshake import SaslHandshakeRequest
from pylog.protocol.messages.streams_group_describe import StreamsGroupDescribeRequest
from pylog.protocol.messages.streams_group_heartbeat import (
    KeyValue,
    TopicInfo,
)
from pylog.security.acl import PatternType, Permission, ResourceType
from pylog.security.operations import Operation
from pylog.testing import Broker

TOPIC_RESOURCE, GROUP_RESOURCE = 2, 32
CONTROLLED = {
    **QUICK_GROUPS,
    "listeners": "SASL_PLAINTEXT://127.0.0.1:0",
    "sasl.plain.users": "root:secret,ann:secret",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:root",
}


def describe(wire: Wire, group: str) -> Any:
    [described] = wire.ask(StreamsGroupDescribeRequest(group_ids=[group])).groups
    return described


def partitions(wire: Wire, topic: str) -> int:
    asked = MetadataRequest(
        topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=False
    )
    [told] = wire.ask(asked).topics
    return len(told.partitions)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(QUICK_GROUPS) as broker:
        yield broker


@pytest.fixture
def wire(broker: Broker, unique: str) -> Iterator[Wire]:
    with Wire(broker.bootstrap) as wire:
        find_coordinator(wire, unique)
        new_topic(wire, unique, 3)
        yield wire


def test_internal_topics_are_made_as_the_topology_asks(wire: Wire, unique: str) -> None:
    changelog = TopicInfo(
        name=f"{unique}-changelog",
        topic_configs=[KeyValue(key="cleanup.policy", value="compact")],
    )
    repartition = internal(f"{unique}-repartition")
    thread = Thread(
        wire,
        unique,
        subtopology("0", unique, sinks=[repartition.name]),
        subtopology("1", repartitions=[repartition], changelogs=[changelog]),
    )
    thread.beats()
    assert thread.notes.keys() == {StatusCode.MISSING_INTERNAL_TOPICS}
    wait_until(thread.has_tasks)
    assert thread.tasks == {(part, number) for part in "01" for number in range(3)}
    assert partitions(wire, repartition.name) == partitions(wire, changelog.name) == 3
    asked = DescribeConfigsResource(
        resource_type=TOPIC_RESOURCE,
        resource_name=changelog.name,
        configuration_keys=["cleanup.policy"],
    )
    [told] = wire.ask(DescribeConfigsRequest(resources=[asked])).results
    assert told.configs[0].value == "compact"

    group = describe(wire, unique)
    assert (group.group_state, group.assignor_name) == ("Stable", "sticky")
    second = group.topology.subtopologies[1]
    assert [topic.partitions for topic in second.state_changelog_topics] == [3]
    [member] = group.members
    assert read_tasks(member.assignment.active_tasks) == thread.tasks


def test_topic_that_can_not_be_made_is_told(wire: Wire, unique: str) -> None:
    changelog = TopicInfo(
        name=f"{unique}-changelog", topic_configs=[KeyValue(key="no.such", value="1")]
    )
    thread = Thread(wire, unique, subtopology("0", unique, changelogs=[changelog]))
    thread.beats()

    def is_told() -> bool:
        thread.beats()
        return "Creation failed" in thread.notes[StatusCode.MISSING_INTERNAL_TOPICS]

    wait_until(is_told)
    assert "no.such" in thread.notes[StatusCode.MISSING_INTERNAL_TOPICS]


@pytest.mark.parametrize("name", ["__consumer_offsets", "no/name"])
def test_topics_that_no_topology_may_have_are_refused(wire: Wire, unique: str, name: str) -> None:
    answer = Thread(wire, unique, subtopology("0", unique, sinks=[name])).beats()
    assert answer.error_code == ErrorCode.STREAMS_INVALID_TOPOLOGY
    assert name in answer.error_message


def test_settings_of_a_group_are_obeyed_and_bounded(wire: Wire, unique: str) -> None:
    configure_group(wire, unique, "streams.", heartbeat_interval_ms="7000")
    answer = Thread(wire, unique, subtopology("0", unique)).beats()
    assert answer.heartbeat_interval_ms == 7_000
    for name, value in (
        ("streams.session.timeout.ms", "1000"),
        ("streams.num.standby.replicas", "3"),
        ("streams.assignor.name", "random"),
    ):
        config = AlterableConfig(name=name, config_operation=0, value=value)
        resource = AlterConfigsResource(
            resource_type=GROUP_RESOURCE, resource_name=unique, configs=[config]
        )
        [told] = wire.ask(IncrementalAlterConfigsRequest(resources=[resource])).responses
        assert told.error_code == ErrorCode.INVALID_CONFIG, name


def test_feature_is_there(wire: Wire) -> None:
    request = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    levels = {f.name: f.max_version_level for f in wire.ask(request).finalized_features}
    assert levels["streams.version"] == 1


def test_member_goes_on_after_the_broker_was_killed(tmp_path: Path) -> None:
    broker = BrokerProcess(tmp_path / "data")
    broker.start()
    try:
        with Wire(broker.address) as wire:
            find_coordinator(wire, "app")
            new_topic(wire, "lines", 2)
            thread = Thread(wire, "app", subtopology("0", "lines"))
            wait_until(thread.has_tasks)
        broker.kill()
        broker.start()
        with Wire(broker.address) as wire:
            find_coordinator(wire, "app")
            before, thread.wire = thread.epoch, wire
            assert thread.beats().error_code == ErrorCode.NONE
            assert (thread.epoch, describe(wire, "app").group_state) == (before, "Stable")
    finally:
        broker.stop_if_running()


# ---- rights ----


@pytest.fixture(scope="module")
def controlled() -> Iterator[Broker]:
    with Broker(CONTROLLED) as broker:
        yield broker


def connect(broker: Broker, user: str) -> Wire:
    wire = Wire(broker.bootstrap)
    wire.ask(SaslHandshakeRequest(mechanism="PLAIN"))
    token = f"\0{user}\0secret".encode()
    assert wire.ask(SaslAuthenticateRequest(auth_bytes=token)).error_code == 0
    return wire


def allow(root: Wire, operation: Operation, kind: ResourceType, name: str) -> None:
    creation = AclCreation(
        resource_type=kind,
        resource_name=name,
        resource_pattern_type=PatternType.PREFIXED,
        principal="User:ann",
        host="*",
        operation=operation,
        permission_type=Permission.ALLOW,
    )
    [result] = root.ask(CreateAclsRequest(creations=[creation])).results
    assert result.error_code == 0, result.error_message


def test_rights_are_asked_for_one_after_the_other(controlled: Broker, unique: str) -> None:
    with connect(controlled, "root") as root, connect(controlled, "ann") as ann:
        find_coordinator(root, unique)
        new_topic(root, unique, 2)
        changelog = internal(f"{unique}-changelog")
        thread = Thread(ann, unique, subtopology("0", unique, changelogs=[changelog]))
        assert thread.beats().error_code == ErrorCode.GROUP_AUTHORIZATION_FAILED
        allow(root, Operation.READ, ResourceType.GROUP, unique)
        assert thread.beats().error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
        allow(root, Operation.DESCRIBE, ResourceType.TOPIC, unique)

        thread.beats()
        detail = thread.notes[StatusCode.MISSING_INTERNAL_TOPICS]
        assert f"Unauthorized to CREATE on topics {changelog.name}." in detail
        assert partitions(root, changelog.name) == 0
        allow(root, Operation.CREATE, ResourceType.TOPIC, unique)
        wait_until(thread.has_tasks)
        assert partitions(root, changelog.name) == 2


def test_group_of_hidden_topics_is_not_described(controlled: Broker, unique: str) -> None:
    with connect(controlled, "root") as root, connect(controlled, "ann") as ann:
        find_coordinator(root, unique)
        new_topic(root, unique, 1)
        Thread(root, unique, subtopology("0", unique)).beats()
        assert describe(ann, unique).error_code == ErrorCode.GROUP_AUTHORIZATION_FAILED
        allow(root, Operation.DESCRIBE, ResourceType.GROUP, unique)
        hidden = describe(ann, unique)
        assert (hidden.error_code, hidden.members) == (ErrorCode.TOPIC_AUTHORIZATION_FAILED, [])
        allow(root, Operation.DESCRIBE, ResourceType.TOPIC, unique)
        assert len(describe(ann, unique).members) == 1
