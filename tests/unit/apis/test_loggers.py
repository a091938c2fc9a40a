"""Levels of the broker's loggers, described and altered while it runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from tests.support.wire import Wire

from pylog.config import Source
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
)
from pylog.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)

LOGGERS = 8
SET, DELETE, APPEND, SUBTRACT = range(4)
PARENT, CHILD = "pylog.test", "pylog.test.child"
Change = tuple[str, int, str | None]


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """The broker of these tests is in this process: so are its loggers."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.WARNING)
    for name in (PARENT, CHILD):
        logging.getLogger(name).setLevel(logging.NOTSET)
    yield
    root.setLevel(before)


def levels(wire: Wire) -> dict[str, str]:
    resource = DescribeConfigsResource(
        resource_type=LOGGERS, resource_name="1", configuration_keys=None
    )
    (result,) = wire.ask(DescribeConfigsRequest(resources=[resource])).results
    assert result.error_code == ErrorCode.NONE
    assert {entry.config_source for entry in result.configs} == {Source.BROKER_LOGGER}
    return {entry.name: entry.value for entry in result.configs}


def alter(wire: Wire, *changes: Change, broker: str = "1", validate_only: bool = False) -> int:
    configs = [
        AlterableConfig(name=name, config_operation=operation, value=value)
        for name, operation, value in changes
    ]
    resource = AlterConfigsResource(resource_type=LOGGERS, resource_name=broker, configs=configs)
    request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)
    code: int = wire.ask(request).responses[0].error_code
    return code


def test_a_logger_has_the_level_of_the_nearest_above_it_that_has_one(wire: Wire) -> None:
    assert (levels(wire)["root"], levels(wire)[CHILD]) == ("WARN", "WARN")
    assert alter(wire, (PARENT, SET, "DEBUG")) == ErrorCode.NONE
    assert levels(wire)[CHILD] == "DEBUG"
    assert logging.getLogger(CHILD).isEnabledFor(logging.DEBUG)
    assert alter(wire, ("root", SET, "FATAL"), (PARENT, DELETE, None)) == ErrorCode.NONE
    assert levels(wire)[CHILD] == "FATAL"
    assert not logging.getLogger(CHILD).isEnabledFor(logging.ERROR)


@pytest.mark.parametrize("level", ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"])
def test_a_level_is_described_as_it_was_set(wire: Wire, level: str) -> None:
    assert alter(wire, (CHILD, SET, level)) == ErrorCode.NONE
    assert levels(wire)[CHILD] == level


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ((CHILD, SET, "debug"), ErrorCode.INVALID_CONFIG),
        ((CHILD, SET, "OFF"), ErrorCode.INVALID_CONFIG),
        ((CHILD, SET, None), ErrorCode.INVALID_REQUEST),
        ((CHILD, APPEND, "INFO"), ErrorCode.INVALID_REQUEST),
        ((CHILD, SUBTRACT, "INFO"), ErrorCode.INVALID_REQUEST),
        ((CHILD, 9, "INFO"), ErrorCode.INVALID_REQUEST),
        (("no.such", SET, "INFO"), ErrorCode.INVALID_CONFIG),
        (("no.such", DELETE, None), ErrorCode.INVALID_CONFIG),
        (("root", DELETE, None), ErrorCode.INVALID_REQUEST),
        ((PARENT, SET, "ERROR"), ErrorCode.INVALID_REQUEST),  # named twice
    ],
)
def test_a_change_that_is_not_in_order_changes_no_level(
    wire: Wire, change: Change, code: ErrorCode
) -> None:
    before = levels(wire)
    assert alter(wire, (PARENT, SET, "TRACE"), change) == code
    assert levels(wire) == before


def test_levels_are_those_of_one_broker_and_may_be_tried(wire: Wire) -> None:
    for broker in ("", "2", "x"):
        assert alter(wire, (CHILD, SET, "INFO"), broker=broker) == ErrorCode.INVALID_REQUEST
    assert alter(wire, (CHILD, SET, "INFO"), validate_only=True) == ErrorCode.NONE
    assert levels(wire)[CHILD] == "WARN"
