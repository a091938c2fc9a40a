"""Settings of the broker as a whole: listeners, topics, metrics."""

from __future__ import annotations

from typing import Final

from pylog.config import Kind, Option, Scope, Synonym, at_least, between, split_list
from pylog.options.make import ALL, INT_MAX, NO, boolean, integer, items, long, text

_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


def _folders(folders: list[str]) -> str | None:
    if not folders:
        return "at least one folder is needed"
    return None if len(set(folders)) == len(folders) else "a folder is named twice"


def _protocol_map(text: str) -> str | None:
    for pair in split_list(text):
        name, separator, protocol = pair.partition(":")
        if not (name and separator and protocol in _PROTOCOLS):
            return f"{pair!r} is not NAME:PROTOCOL with one of {', '.join(_PROTOCOLS)}"
    return None


OPTIONS: Final = (
    # ---- the broker and its listeners ----
    integer("node.id", "1", "Number of this broker, unique in its cluster.", at_least(0)),
    text("broker.rack", None, "Name of the rack or zone where this broker stands."),
    text("log.dir", "./pylog-data", "The data folder, where `log.dirs` names none."),
    Option(
        "log.dirs",
        Kind.LIST,
        None,
        "The data folders. Each partition is in one of them; a new one goes where the fewest "
        "are. The first also has the metadata: without it the broker ends, while any other "
        "may fail.",
        _folders,
        Scope.BROKER,
        NO,
        (Synonym("log.dir"),),
    ),
    integer(
        "num.recovery.threads.per.data.dir",
        "2",
        "Logs of one data folder that are recovered at a time, after an end without order. "
        "They share `background.threads`.",
        at_least(1),
    ),
    items(
        "listeners",
        "PLAINTEXT://127.0.0.1:9092",
        "Addresses to listen on, as NAME://HOST:PORT. Port 0 takes a free one; an empty host "
        "or 0.0.0.0 means every interface.",
    ),
    items(
        "advertised.listeners",
        None,
        "Addresses that clients are told. Without it they are told those of `listeners`; "
        "where that names no host, the address that the client itself has reached.",
    ),
    text(
        "listener.security.protocol.map",
        ",".join(f"{name}:{name}" for name in _PROTOCOLS),
        "Protocol of each listener name.",
        _protocol_map,
    ),
    long(
        "connections.max.idle.ms",
        "600000",
        "A connection without a request for so long is closed; -1 keeps it.",
    ),
    integer("max.connections", INT_MAX, "Most connections of this broker at a time.", at_least(0)),
    integer(
        "socket.request.max.bytes",
        "104857600",
        "Largest request that is read; a larger one closes its connection.",
        at_least(1),
    ),
    integer(
        "socket.send.buffer.bytes",
        "262144",
        "Bytes that the system may hold for a client that has not read them (SO_SNDBUF); -1 "
        "leaves it to the system. More costs CPU: it falls out of the processor's cache.",
        at_least(-1),
    ),
    integer(
        "socket.receive.buffer.bytes",
        "-1",
        "Bytes that the system takes in for the broker to read (SO_RCVBUF); -1 leaves it to "
        "the system.",
        at_least(-1),
    ),
    integer("fetch.max.bytes", "57671680", "Most record bytes in one answer.", at_least(1024)),
    integer(
        "max.incremental.fetch.session.cache.slots",
        "1000",
        "Fetch sessions that are kept (KIP-227).",
        at_least(0),
    ),
    integer(
        "background.threads",
        "10",
        "Threads for flushes, recovery, compaction and deletion of files.",
        between(1, 64),
    ),
    integer(
        "max.request.partition.size.limit",
        "2000",
        "Most partitions in one answer of DescribeTopicPartitions (KIP-966).",
        at_least(1),
    ),
    # ---- topics ----
    boolean(
        "auto.create.topics.enable",
        "true",
        "A client that asks for an unknown topic, and allows it, makes the topic.",
    ),
    boolean("delete.topic.enable", "true", "Topics may be deleted."),
    integer("num.partitions", "1", "Partitions of a topic made without a count.", at_least(1)),
    Option(
        "default.replication.factor",
        Kind.SHORT,
        "1",
        "Replicas of a topic made without a count.",
        at_least(1),
    ),
    integer(
        "min.insync.replicas",
        "1",
        "Replicas that must have a record before a producer with acks=all is answered.",
        at_least(1),
        ALL,
    ),
    boolean(
        "unclean.leader.election.enable",
        "false",
        "A replica that lags may lead when no other is left, at the price of records.",
        ALL,
    ),
    # ---- metrics ----
    text(
        "metrics.listen",
        None,
        "HOST:PORT where Prometheus finds metrics, under /metrics; not set: nowhere.",
    ),
    # ---- metrics of clients ----
    integer(
        "telemetry.max.bytes",
        "1048576",
        "Largest payload of metrics that a client may push (KIP-714).",
        at_least(1),
    ),
)
