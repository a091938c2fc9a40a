"""Real clients that authenticate, and Kafka's own tools that manage users and rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer
from tests.clients.client import Client
from tests.clients.conftest import Start
from tests.clients.kinds import kind_named
from tests.clients.tool_runner import Tools

from pylog.testing import Broker

AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
SETTINGS = {
    "listeners": "SASL_PLAINTEXT://127.0.0.1:0",
    "sasl.plain.users": "root:secret",
    "authorizer.class.name": AUTHORIZER,
    "super.users": "User:root",
}


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(SETTINGS) as broker:
        yield broker


RunTool = Callable[..., str]


@pytest.fixture
def run_tool(broker: Broker, agent_of: Start, tmp_path: Path) -> RunTool:
    """Kafka's command line tools as the super user: what one says that ends with `code`."""
    config = tmp_path / "root.properties"
    config.write_text(
        "security.protocol=SASL_PLAINTEXT\n"
        "sasl.mechanism=PLAIN\n"
        "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
        'username="root" password="secret";\n'
    )
    tools = Tools(Client(agent_of(kind_named("java")), broker.bootstrap))

    def run(script: str, *arguments: str, code: int = 0) -> str:
        ended = tools(script, "--command-config", str(config), *arguments, code=code)
        return ended.stdout + ended.stderr

    return run


def client_config(broker: Broker, mechanism: str, user: str, password: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": broker.bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": mechanism,
        "sasl.username": user,
        "sasl.password": password,
    }


def produce(config: dict[str, Any], topic: str) -> KafkaError | None:
    """The error of the delivery of one record."""
    errors: list[KafkaError | None] = []

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        errors.append(error)

    producer = Producer(config | {"message.timeout.ms": 20000})
    producer.produce(topic, b"value", on_delivery=on_delivery)
    producer.flush(30)
    return errors[0]


def test_librdkafka_authenticates_by_a_password(broker: Broker, unique: str) -> None:
    assert produce(client_config(broker, "PLAIN", "root", "secret"), unique) is None


def test_librdkafka_is_told_of_a_wrong_password(broker: Broker) -> None:
    errors: list[KafkaError] = []
    config = client_config(broker, "PLAIN", "root", "wrong") | {"error_cb": errors.append}
    producer = Producer(config)
    for _ in range(100):
        producer.poll(0.1)
        if errors:
            break
    assert errors[0].code() == KafkaError._AUTHENTICATION


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of kafka-python's own imports
def test_kafka_python_authenticates_by_a_password(broker: Broker, unique: str) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=broker.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_plain_username="root",
        sasl_plain_password="secret",
    )
    assert producer.send(unique, b"value").get(20).offset == 0
    producer.close()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_of_kafka_configs_may_do_what_kafka_acls_allows(
    broker: Broker, run_tool: RunTool, unique: str, mechanism: str
) -> None:
    user = ["--entity-type", "users", "--entity-name", unique]
    secret = f"{mechanism}=[iterations=4096,password=secret]"
    run_tool("kafka-configs", "--alter", *user, "--add-config", secret)
    assert mechanism in run_tool("kafka-configs", "--describe", *user)
    config = client_config(broker, mechanism, unique, "secret")
    refused = produce(config, unique)
    assert refused is not None
    assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    principal = ["--allow-principal", f"User:{unique}"]
    run_tool("kafka-acls", "--add", *principal, "--producer", "--topic", unique)
    assert produce(config, unique) is None
    run_tool("kafka-acls", "--add", *principal, "--consumer", "--topic", unique, "--group", "*")
    assert f"principal=User:{unique}" in run_tool("kafka-acls", "--list", "--topic", unique)
    consumer = Consumer(config | {"group.id": unique, "auto.offset.reset": "earliest"})
    consumer.subscribe([unique])
    message = consumer.poll(30)
    assert message is not None
    assert message.value() == b"value"
    consumer.close()


def test_kafka_delegation_tokens_is_told_that_they_are_switched_off(run_tool: RunTool) -> None:
    said = run_tool("kafka-delegation-tokens", "--create", "--max-life-time-period", "-1", code=1)
    assert "DelegationTokenDisabledException" in said
