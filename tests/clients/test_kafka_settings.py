"""The settings of Kafka itself, beside those of pylog: each is known, with Kafka's default."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from tests.clients.client import Client
from tools.codegen.differences import (
    OTHER_DEFAULTS,
    OTHER_LIMITS,
    OWN_SETTINGS,
    SETTINGS_WITHOUT_EFFECT,
)

from pylog import options
from pylog.config import ConfigError, Option

TABLES = {
    "broker": options.BROKER,
    "topic": options.TOPIC,
    "group": options.GROUP,
    "client-metrics": options.CLIENT_METRICS,
}
PATTERNS = [pattern for _, patterns in SETTINGS_WITHOUT_EFFECT for pattern in patterns]
# Kafka has these beside its table: what can only be altered, and what its authorizer reads.
OF_REPLICATION = {
    "follower.replication.throttled.rate",
    "leader.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
}
OF_THE_AUTHORIZER = {"allow.everyone.if.no.acl.found", "super.users"}
# Numbers around the limits that settings have, and words that some settings know.
VALUES = (
    "", "-2", "-1", "0", "0.5", "1", "1_000", "2", "9", "10", "22", "23", "1024", "1048576",
    "2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "1e3", "nan",
    "true", "TRUE", "no", "compact", "delete", "compact,delete", "compact,shred", "gzip", "zstd",
    "producer", "CreateTime", "LogAppendTime", "earliest", "latest", "none", "by_duration:PT1H",
    "read_committed", "sticky", "0:1", "*", "a:b",
)  # fmt: skip

Defaults = dict[str, str | None]


@pytest.fixture
def kafka(java: Client) -> dict[str, Defaults]:
    """Defaults of Kafka's settings, by what they belong to and by name."""
    settings: dict[str, Any] = java.agent.call("settings")
    return settings


@pytest.mark.parametrize("kind", TABLES)
def test_each_setting_of_kafka_is_known(kafka: dict[str, Defaults], kind: str) -> None:
    assert set(kafka[kind]) - set(TABLES[kind].by_name) == set()


def test_no_reason_for_no_effect_is_about_nothing_or_about_a_setting_that_has_one() -> None:
    settings = [option for table in TABLES.values() for option in table.by_name.values()]
    for pattern in PATTERNS:
        matching = [option for option in settings if fnmatchcase(option.name, pattern)]
        assert matching, pattern
        assert all(option.no_effect for option in matching), pattern


def test_defaults_are_those_of_kafka_but_for_the_ones_that_are_told(
    kafka: dict[str, Defaults],
) -> None:
    other: Defaults = {}
    for kind, table in TABLES.items():
        for name, default in kafka[kind].items():
            option = table.by_name.get(name)
            if option is not None and ordered(default) != ordered(option.default):
                other[name] = default
    assert other == {name: default for name, (default, _) in OTHER_DEFAULTS.items()}


def ordered(default: str | None) -> list[str]:
    """The items of a list in one order; no default and an empty one are the same."""
    return sorted((default or "").split(","))


@pytest.mark.parametrize("kind", ["topic", "group"])
def test_a_setting_takes_no_value_that_kafka_refuses(java: Client, kind: str) -> None:
    accepted = java.agent.call("accepted", values=VALUES)[kind]
    looser = {}
    for name, option in TABLES[kind].by_name.items():
        more = [value for value in VALUES if takes(option, value) and value not in accepted[name]]
        if more and name not in OTHER_LIMITS:
            looser[name] = more
    assert looser == {}


def test_a_topic_takes_the_values_that_kafka_takes(java: Client) -> None:
    accepted = java.agent.call("accepted", values=VALUES)["topic"]
    for name, option in TABLES["topic"].by_name.items():
        refused = [value for value in accepted[name] if not takes(option, value)]
        assert refused == [] or name in OTHER_LIMITS, name


def takes(option: Option, value: str) -> bool:
    try:
        option.parse(value)
    except ConfigError:
        return False
    return True


def test_the_settings_that_kafka_does_not_have_are_told(kafka: dict[str, Defaults]) -> None:
    own = {name for kind, table in TABLES.items() for name in set(table.by_name) - set(kafka[kind])}
    assert own == {*OWN_SETTINGS, *OF_THE_AUTHORIZER, *OF_REPLICATION}
