"""Settings of groups: within the broker's bounds, and with each other."""

from __future__ import annotations

import pytest

from pylog.cluster.configs import check_group_configs
from pylog.config import BrokerConfig
from pylog.options import BROKER
from pylog.protocol.errors import ApiError, ErrorCode

WIDE = {
    f"group.{kind}.{bound}.{what}": value
    for kind in ("consumer", "share", "streams")
    for bound, value in (("min", "1"), ("max", "100000"))
    for what in ("session.timeout.ms", "heartbeat.interval.ms")
}


def refusal(overrides: dict[str, str], **broker: str) -> ErrorCode:
    config = BrokerConfig(BROKER, broker)
    with pytest.raises(ApiError) as refused:
        check_group_configs(config, overrides)
    return refused.value.code


@pytest.mark.parametrize("kind", ["consumer", "share", "streams"])
def test_session_outlasts_the_wait_for_a_heartbeat(kind: str) -> None:
    session, heartbeat = f"{kind}.session.timeout.ms", f"{kind}.heartbeat.interval.ms"
    config = BrokerConfig(BROKER, WIDE)
    check_group_configs(config, {session: "5001", heartbeat: "5000"})
    check_group_configs(config, {heartbeat: "44999"})
    assert refusal({session: "5000"}, **WIDE) == ErrorCode.INVALID_CONFIG
    assert refusal({heartbeat: "45000"}, **WIDE) == ErrorCode.INVALID_CONFIG
    assert refusal({session: "9", heartbeat: "9"}, **WIDE) == ErrorCode.INVALID_CONFIG


@pytest.mark.parametrize(
    ("name", "within", "beyond"),
    [
        ("streams.session.timeout.ms", "50000", "44999"),
        ("streams.heartbeat.interval.ms", "15000", "15001"),
        ("streams.assignment.interval.ms", "0", "15001"),
        ("streams.num.standby.replicas", "2", "3"),
        ("streams.initial.rebalance.delay.ms", "0", "-1"),
        ("streams.assignor.name", "sticky", "range"),
    ],
)
def test_settings_of_streams_groups_have_bounds(name: str, within: str, beyond: str) -> None:
    check_group_configs(BrokerConfig(BROKER, {}), {name: within})
    assert refusal({name: beyond}) == ErrorCode.INVALID_CONFIG
