"""Metrics that a real client pushes because a subscription asks for them (KIP-714)."""

from __future__ import annotations

import time

from confluent_kafka import Producer
from tests.support.wait import wait_until
from tests.support.wire import Wire

from pylog.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from pylog.testing import Broker


def subscribe(broker: Broker) -> None:
    settings = {"metrics": "*", "interval.ms": "100", "match": "client_software_name=.*python.*"}
    configs = [AlterableConfig(name=key, value=text) for key, text in settings.items()]
    resource = AlterConfigsResource(resource_type=16, resource_name="all", configs=configs)
    with Wire(broker.bootstrap) as wire:
        answer = wire.ask(IncrementalAlterConfigsRequest(resources=[resource]))
        assert answer.responses[0].error_code == 0


def test_librdkafka_pushes_what_it_is_asked_for(pylog_broker: Broker) -> None:
    subscribe(pylog_broker)
    producer = Producer({"bootstrap.servers": pylog_broker.bootstrap, "client.id": "pushing"})
    producer.produce("t", b"value")
    producer.flush(30)

    def pushed() -> set[str]:
        series = pylog_broker.server.client_metrics.series(time.monotonic() * 1000)
        return {point.name for who, point in series if who.client_id == "pushing"}

    names = wait_until(pushed)
    assert any("connection" in name for name in names), names
