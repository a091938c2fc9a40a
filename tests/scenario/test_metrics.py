"""The metrics of a broker, and those that its clients push."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from tests.support.wire import Wire
from tests.unit.telemetry.otlp_samples import GAUGE, delta_sum, double, metric, metrics_data, point

from pylog.protocol.messages.get_telemetry_subscriptions import GetTelemetrySubscriptionsRequest
from pylog.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from pylog.protocol.messages.list_config_resources import ListConfigResourcesRequest
from pylog.protocol.messages.metadata import MetadataRequest
from pylog.protocol.messages.push_telemetry import PushTelemetryRequest
from pylog.testing import Broker

CLIENT_METRICS = 16


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker({"metrics.listen": "127.0.0.1:0"}) as broker:
        yield broker


def url(broker: Broker, path: str) -> str:
    return f"http://127.0.0.1:{broker.server.metrics_port}{path}"


def read(broker: Broker) -> dict[str, float]:
    """Values by name and labels, as they stand there."""
    with urllib.request.urlopen(url(broker, "/metrics")) as answer:
        text = answer.read().decode()
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z][a-z_0-9]*(\{.*\})? \S+", line) for line in samples), samples
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in samples}


def test_requests_are_counted(broker: Broker) -> None:
    with Wire(broker.bootstrap) as wire:
        for _ in range(3):
            wire.ask(MetadataRequest(topics=[]))
        values = read(broker)
    assert values['pylog_control_requests_total{api="Metadata"}'] == 3
    assert values['pylog_control_requests_busy_seconds_total{api="Metadata"}'] > 0
    assert values["pylog_engine_requests_control_total"] == 3
    assert values["pylog_connections"] == 1


def test_what_a_client_pushes_is_there(broker: Broker) -> None:
    with Wire(broker.bootstrap) as wire:
        setting = AlterableConfig(name="metrics", config_operation=0, value="a.")
        resource = AlterConfigsResource(
            resource_type=CLIENT_METRICS, resource_name="sub", configs=[setting]
        )
        request = IncrementalAlterConfigsRequest(resources=[resource])
        assert wire.ask(request).responses[0].error_code == 0
        listed = wire.ask(ListConfigResourcesRequest(resource_types=[CLIENT_METRICS]))
        assert [item.resource_name for item in listed.config_resources] == ["sub"]
        asked = wire.ask(GetTelemetrySubscriptionsRequest())
        assert asked.requested_metrics == ["a."]
        gauge = metric("a.gauge", GAUGE, point(double(4, 2.5), {"some.key": 'a "b"'}))
        push = PushTelemetryRequest(
            client_instance_id=asked.client_instance_id,
            subscription_id=asked.subscription_id,
            metrics=metrics_data(gauge, delta_sum("a.total", 4)),
        )
        assert wire.ask(push).error_code == 0
    values = {re.sub(r'client_instance_id="[^"]*",', "", key): v for key, v in read(broker).items()}
    labels = 'client_id="wire",client_software_name=""'
    assert values[f'pylog_client_a_gauge{{{labels},some_key="a \\"b\\""}}'] == 2.5
    assert values[f"pylog_client_a_total{{{labels}}}"] == 4
    assert values["pylog_telemetry_clients"] == 1


def test_other_paths_are_not_found(broker: Broker) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url(broker, "/"))


def test_without_the_setting_nothing_listens() -> None:
    with Broker() as broker:
        assert not hasattr(broker.server, "metrics_port")
