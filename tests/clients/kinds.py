"""The clients under test: how each agent is started and what its client can do."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".cache" / "clients"
EVERY_COMPRESSION = ("none", "gzip", "snappy", "lz4", "zstd")

# What a client may be unable to do; everything else is common to all of them.
ADMIN = frozenset({
    "create_topic", "delete_topic", "create_partitions", "delete_records", "configs",
    "list_groups", "delete_group", "committed", "set_committed", "offset",
})  # fmt: skip
CLIENT = frozenset({
    "group", "static", "idempotent", "acks", "timestamp", "binary", "commit", "manual_commit",
    "seek",
    "null_header", "null_record",
    "transactions",
    "transactional_groups",
})  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """One client library. `can` holds names of ADMIN and CLIENT, and of protocols of groups."""

    name: str
    command: tuple[str, ...]
    compressions: tuple[str, ...] = EVERY_COMPRESSION
    can: frozenset[str] = field(default=ADMIN | CLIENT)


def _python_agent(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"tests.clients.agents.{name}_agent")


JAVA = (
    "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx384m",
    "-cp", f"{TOOLS}/classes:{TOOLS}/jars/*",
)  # fmt: skip

EVERYTHING = ADMIN | CLIENT
NEW_GROUPS = frozenset({"consumer_protocol", "consumer_static", "share"})
KINDS = (
    Kind("confluent", _python_agent("confluent"), can=EVERYTHING | NEW_GROUPS),
    Kind(
        "kafka-python",
        _python_agent("kafka_python"),
        can=EVERYTHING - {"null_header", "null_record"},
    ),
    Kind(
        "aiokafka",
        _python_agent("aiokafka"),
        can=EVERYTHING - {"delete_group", "set_committed", "null_record"},
    ),
    Kind(
        "kcat",
        _python_agent("kcat"),
        can=frozenset({"group", "static", "idempotent", "acks", "offset", "commit", "seek"}),
    ),
    Kind("java", (*JAVA, "pylog.clients.Agent"), can=EVERYTHING | NEW_GROUPS),
    Kind(
        "kafkajs",
        ("node", f"{ROOT}/tests/clients/node/agent.js"),
        can=EVERYTHING - {"static", "null_header"},
    ),
    Kind(
        "sarama",
        (f"{TOOLS}/sarama-agent",),
        can=EVERYTHING - {"seek", "set_committed"},
    ),
    Kind(
        "franz",
        (f"{TOOLS}/franz-agent",),
        # Transactions with a group are its GroupTransactSession. Its static members leave a group
        # of KIP-848 without naming their instance (v1.22), which Kafka refuses.
        can=(EVERYTHING | NEW_GROUPS) - {"transactional_groups", "consumer_static"},
    ),
)


def kind_named(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


def kinds(*needs: str) -> pytest.MarkDecorator:
    """Parametrises a test over every client that can do all of `needs`."""
    able = [kind for kind in KINDS if kind.can >= set(needs)]
    return pytest.mark.parametrize("kind", able, ids=lambda kind: kind.name)


def kinds_and_compressions() -> pytest.MarkDecorator:
    """Parametrises a test over every client with every compression that it has."""
    pairs = [(kind, compression) for kind in KINDS for compression in kind.compressions]
    ids = [f"{kind.name}-{compression}" for kind, compression in pairs]
    return pytest.mark.parametrize(("kind", "compression"), pairs, ids=ids)
