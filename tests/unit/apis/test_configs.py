"""DescribeConfigs, AlterConfigs and IncrementalAlterConfigs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.wire import Wire
from tests.unit.apis.topics import make_topic, produce

from pylog.cluster.configs import Operation, ResourceType
from pylog.config import Kind, Source, Table
from pylog.options import BROKER, TOPIC
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages import alter_configs, incremental_alter_configs
from pylog.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
)
from pylog.testing import Broker

SET, DELETE, APPEND, SUBTRACT = Operation
TOPIC_TYPE, BROKER_TYPE = ResourceType.TOPIC, ResourceType.BROKER
METRICS_TYPE = ResourceType.CLIENT_METRICS
Change = tuple[str, int, str | None]


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker({"log.retention.hours": "2", "num.partitions": "3"}) as broker:
        yield broker


def describe(
    wire: Wire, name: str, kind: int = TOPIC_TYPE, keys: list[str] | None = None, version: int = 4
) -> Any:
    resource = DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=keys
    )
    request = DescribeConfigsRequest(
        resources=[resource],
        include_synonyms=True,
        include_documentation=version >= 3,
    )
    (result,) = wire.ask(request, version).results
    return result


def shown(table: Table) -> list[str]:
    return [name for name, option in table.by_name.items() if not option.hidden]


def setting(wire: Wire, name: str, key: str, kind: int = TOPIC_TYPE) -> Any:
    (entry,) = describe(wire, name, kind, [key]).configs
    return entry


def change(
    wire: Wire, name: str, *changes: Change, kind: int = TOPIC_TYPE, validate_only: bool = False
) -> tuple[int, str | None]:
    resource = incremental_alter_configs.AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[
            incremental_alter_configs.AlterableConfig(
                name=key, config_operation=operation, value=value
            )
            for key, operation, value in changes
        ],
    )
    request = incremental_alter_configs.IncrementalAlterConfigsRequest(
        resources=[resource], validate_only=validate_only
    )
    (response,) = wire.ask(request).responses
    return response.error_code, response.error_message


def replace(wire: Wire, name: str, **texts: str | None) -> int:
    resource = alter_configs.AlterConfigsResource(
        resource_type=TOPIC_TYPE,
        resource_name=name,
        configs=[
            alter_configs.AlterableConfig(name=key.replace("_", "."), value=value)
            for key, value in texts.items()
        ],
    )
    (response,) = wire.ask(alter_configs.AlterConfigsRequest(resources=[resource])).responses
    code: int = response.error_code
    return code


@pytest.mark.parametrize("version", range(1, 5))
def test_a_topic_shows_all_its_settings(wire: Wire, unique: str, version: int) -> None:
    make_topic(wire, unique)
    result = describe(wire, unique, version=version)
    assert (result.error_code, result.resource_name) == (0, unique)
    assert [entry.name for entry in result.configs] == shown(TOPIC)


def test_a_setting_tells_value_source_type_and_synonyms(wire: Wire, unique: str) -> None:
    make_topic(wire, unique, retention_ms="7")
    entry = setting(wire, unique, "retention.ms")
    assert (entry.value, entry.config_source, entry.config_type) == ("7", Source.TOPIC, Kind.LONG)
    assert (entry.read_only, entry.is_sensitive) == (False, False)
    assert entry.documentation
    own = ("retention.ms", "7", Source.TOPIC)
    assert [(s.name, s.value, s.source) for s in entry.synonyms] == [own], "hours are not told"
    entry = setting(wire, unique, "retention.bytes")
    assert [(s.name, s.value, s.source) for s in entry.synonyms] == [
        ("log.retention.bytes", "-1", Source.DEFAULT)
    ]


def test_a_setting_of_the_broker_reaches_its_topics_in_their_unit(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    entry = setting(wire, unique, "retention.ms")
    assert (entry.value, entry.config_source) == ("7200000", Source.STATIC)


def test_a_broker_shows_all_its_settings(wire: Wire) -> None:
    result = describe(wire, "1", BROKER_TYPE)
    entries = {entry.name: entry for entry in result.configs}
    assert list(entries) == shown(BROKER)
    count = entries["num.partitions"]
    assert (count.value, count.config_source, count.read_only) == ("3", Source.STATIC, True)
    assert entries["broker.rack"].value is None
    assert not entries["log.retention.ms"].read_only


def test_only_the_keys_that_are_asked_for_are_shown(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    result = describe(wire, unique, keys=["retention.ms", "no.such"])
    assert [entry.name for entry in result.configs] == ["retention.ms"]


def test_synonyms_and_documentation_are_left_out_unless_asked_for(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    resource = DescribeConfigsResource(resource_type=TOPIC_TYPE, resource_name=unique)
    (result,) = wire.ask(DescribeConfigsRequest(resources=[resource])).results
    assert all(not e.synonyms and e.documentation is None for e in result.configs)


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        (TOPIC_TYPE, "nobody", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC_TYPE, "a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (BROKER_TYPE, "2", ErrorCode.INVALID_REQUEST),
        (BROKER_TYPE, "one", ErrorCode.INVALID_REQUEST),
        (99, "x", ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_does_not_exist_is_not_described(
    wire: Wire, kind: int, name: str, code: ErrorCode
) -> None:
    assert describe(wire, name, kind).error_code == code


def test_single_settings_are_set_and_deleted(wire: Wire, unique: str) -> None:
    make_topic(wire, unique, retention_ms="7")
    changes = [
        ("retention.ms", DELETE, None),
        ("no.such", DELETE, None),
        ("max.message.bytes", SET, "2000"),
    ]
    assert change(wire, unique, *changes) == (ErrorCode.NONE, None)
    assert setting(wire, unique, "retention.ms").config_source == Source.STATIC
    assert setting(wire, unique, "max.message.bytes").value == "2000"


def test_lists_grow_and_shrink_from_the_value_in_force(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    assert change(wire, unique, ("cleanup.policy", APPEND, "compact"))[0] == ErrorCode.NONE
    assert setting(wire, unique, "cleanup.policy").value == "delete,compact"
    assert change(wire, unique, ("cleanup.policy", APPEND, "compact"))[0] == ErrorCode.NONE
    assert change(wire, unique, ("cleanup.policy", SUBTRACT, "delete"))[0] == ErrorCode.NONE
    assert setting(wire, unique, "cleanup.policy").value == "compact"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ([("no.such", SET, "1")], ErrorCode.INVALID_CONFIG),
        ([("retention.ms", SET, "soon")], ErrorCode.INVALID_CONFIG),
        ([("retention.ms", SET, None)], ErrorCode.INVALID_REQUEST),
        ([("retention.ms", APPEND, "1")], ErrorCode.INVALID_CONFIG),
        ([("retention.ms", SUBTRACT, "1")], ErrorCode.INVALID_CONFIG),
        ([("cleanup.policy", APPEND, "shred")], ErrorCode.INVALID_CONFIG),
        ([("retention.ms", 9, "1")], ErrorCode.INVALID_REQUEST),
        ([("retention.ms", SET, "1"), ("retention.ms", DELETE, None)], ErrorCode.INVALID_REQUEST),
        ([("max.message.bytes", SET, "9"), ("no.such", SET, "1")], ErrorCode.INVALID_CONFIG),
        (
            [("min.compaction.lag.ms", SET, "9"), ("max.compaction.lag.ms", SET, "8")],
            ErrorCode.INVALID_CONFIG,
        ),
    ],
)
def test_a_change_that_is_not_in_order_changes_nothing(
    wire: Wire, unique: str, changes: list[Change], code: ErrorCode
) -> None:
    make_topic(wire, unique)
    before = [(e.name, e.value) for e in describe(wire, unique).configs]
    got, message = change(wire, unique, *changes)
    assert got == code
    assert message
    assert [(e.name, e.value) for e in describe(wire, unique).configs] == before


def test_a_change_can_be_tried(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    tried = change(wire, unique, ("retention.ms", SET, "7"), validate_only=True)
    assert tried == (ErrorCode.NONE, None)
    assert setting(wire, unique, "retention.ms").config_source == Source.STATIC


def test_settings_as_a_whole_replace_what_was_set(wire: Wire, unique: str) -> None:
    make_topic(wire, unique, retention_ms="7", max_message_bytes="2000")
    assert replace(wire, unique, retention_ms="8") == ErrorCode.NONE
    assert setting(wire, unique, "retention.ms").value == "8"
    assert setting(wire, unique, "max.message.bytes").config_source == Source.DEFAULT
    assert replace(wire, unique, no_such="1") == ErrorCode.INVALID_CONFIG
    assert replace(wire, unique, retention_ms=None) == ErrorCode.INVALID_REQUEST
    assert setting(wire, unique, "retention.ms").value == "8"


def test_a_resource_is_altered_once_in_a_request(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    for module, request_class in (
        (alter_configs, alter_configs.AlterConfigsRequest),
        (incremental_alter_configs, incremental_alter_configs.IncrementalAlterConfigsRequest),
    ):
        resource = module.AlterConfigsResource(resource_type=TOPIC_TYPE, resource_name=unique)
        answers = wire.ask(request_class(resources=[resource, resource])).responses
        assert [item.error_code for item in answers] == [ErrorCode.INVALID_REQUEST] * 2


def test_settings_come_in_the_order_of_the_question(wire: Wire) -> None:
    asked = ["num.partitions", "nobody.knows", "default.replication.factor"]
    for keys in (asked, asked[::-1], [*asked, "num.partitions"]):
        told = [entry.name for entry in describe(wire, "1", BROKER_TYPE, keys).configs]
        assert told == list(dict.fromkeys(key for key in keys if key != "nobody.knows"))


def test_a_setting_of_all_brokers_is_under_that_of_one(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    key = "log.retention.ms"
    assert change(wire, "", (key, SET, "11"), kind=BROKER_TYPE) == (ErrorCode.NONE, None)
    assert setting(wire, unique, "retention.ms").config_source == Source.CLUSTER
    of_all = {entry.name: entry for entry in describe(wire, "", BROKER_TYPE).configs}
    assert of_all.keys() == {key, "min.insync.replicas"}
    assert (of_all[key].value, of_all[key].config_source) == ("11", Source.CLUSTER)
    assert change(wire, "1", (key, SET, "12"), kind=BROKER_TYPE) == (ErrorCode.NONE, None)
    entry = setting(wire, "1", key, BROKER_TYPE)
    assert (entry.value, entry.config_source) == ("12", Source.BROKER)
    assert setting(wire, unique, "retention.ms").value == "12"
    for name in ("", "1"):
        assert change(wire, name, (key, DELETE, None), kind=BROKER_TYPE)[0] == ErrorCode.NONE
    assert setting(wire, unique, "retention.ms").value == "7200000"


@pytest.mark.parametrize(
    ("name", "key", "value", "code"),
    [
        ("1", "num.partitions", "4", ErrorCode.INVALID_REQUEST),  # fixed at the start
        ("", "listeners", "PLAINTEXT://:1", ErrorCode.INVALID_REQUEST),
        ("1", "log.retention.ms", "soon", ErrorCode.INVALID_REQUEST),
        ("1", "no.such", "1", ErrorCode.INVALID_CONFIG),
        ("7", "log.retention.ms", "1", ErrorCode.INVALID_REQUEST),
        ("one", "log.retention.ms", "1", ErrorCode.INVALID_REQUEST),
    ],
)
def test_a_broker_is_not_altered_out_of_order(
    wire: Wire, name: str, key: str, value: str, code: ErrorCode
) -> None:
    assert change(wire, name, (key, SET, value), kind=BROKER_TYPE)[0] == code


def test_a_change_holds_for_the_next_batch_and_after_a_restart(unique: str) -> None:
    with Broker() as broker:
        with Wire(broker.bootstrap) as wire:
            make_topic(wire, unique)
            produce(wire, unique, [1])
            assert change(wire, unique, ("max.message.bytes", SET, "10"))[0] == ErrorCode.NONE
            with pytest.raises(AssertionError):
                produce(wire, unique, [1])
        broker.restart()
        with Wire(broker.bootstrap) as wire:
            assert setting(wire, unique, "max.message.bytes").value == "10"
            with pytest.raises(AssertionError):
                produce(wire, unique, [1])


def test_a_subscription_to_metrics_shows_what_is_set_and_defaults(wire: Wire, unique: str) -> None:
    def shown() -> dict[str, tuple[str, int, int]]:
        entries = describe(wire, unique, METRICS_TYPE).configs
        return {e.name: (e.value, e.config_source, len(e.synonyms)) for e in entries}

    defaults = {
        "interval.ms": ("300000", Source.DEFAULT, 0),
        "match": ("", Source.DEFAULT, 0),
        "metrics": ("", Source.DEFAULT, 0),
    }
    assert shown() == defaults
    assert change(wire, unique, ("interval.ms", SET, "1000"), kind=METRICS_TYPE)[0] == 0
    assert shown() == {**defaults, "interval.ms": ("1000", Source.CLIENT_METRICS, 1)}
