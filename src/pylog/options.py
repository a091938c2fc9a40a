"""The one table of settings: names, types, defaults and limits are Kafka's where Kafka has them."""

from __future__ import annotations

import re
from typing import Final

from pylog.config import (
    Check,
    Dynamic,
    Kind,
    Option,
    Scope,
    Synonym,
    Table,
    at_least,
    between,
    one_of,
    split_list,
)
from pylog.security.credentials import parse_passwords

_INT_MAX: Final = "2147483647"
_LONG_MAX: Final = "9223372036854775807"
_GIB: Final = str(1 << 30)
_NO, _ALL = Dynamic.NO, Dynamic.CLUSTER
_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


def _bool(name: str, default: str, doc: str, dynamic: Dynamic = _NO) -> Option:
    return Option(name, Kind.BOOLEAN, default, doc, None, Scope.BROKER, dynamic)


def _int(
    name: str, default: str, doc: str, check: Check | None = None, dynamic: Dynamic = _NO
) -> Option:
    return Option(name, Kind.INT, default, doc, check, Scope.BROKER, dynamic)


def _long(
    name: str, default: str | None, doc: str, check: Check | None = None, dynamic: Dynamic = _NO
) -> Option:
    return Option(name, Kind.LONG, default, doc, check, Scope.BROKER, dynamic)


def _double(
    name: str, default: str, doc: str, check: Check | None = None, dynamic: Dynamic = _NO
) -> Option:
    return Option(name, Kind.DOUBLE, default, doc, check, Scope.BROKER, dynamic)


def _text(
    name: str, default: str | None, doc: str, check: Check | None = None, dynamic: Dynamic = _NO
) -> Option:
    return Option(name, Kind.STRING, default, doc, check, Scope.BROKER, dynamic)


def _list(
    name: str, default: str | None, doc: str, check: Check | None = None, dynamic: Dynamic = _NO
) -> Option:
    return Option(name, Kind.LIST, default, doc, check, Scope.BROKER, dynamic)


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


def _gzip_level(level: int) -> str | None:
    return None if level == -1 or 1 <= level <= 9 else "must be -1 or from 1 to 9"


def _throttled_replicas(items: list[str]) -> str | None:
    for item in items:
        partition, separator, broker = item.partition(":")
        pair = separator and partition.isdigit() and broker.isdigit()
        if not pair and items != ["*"]:
            return "must be * or a list of partition:broker"
    return None


def _passwords(text: str) -> str | None:
    try:
        parse_passwords(text)
    except ValueError as error:
        return str(error)
    return None


def _only_false(value: bool) -> str | None:
    return "remote storage is not served" if value else None


_TYPES = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
_TIMESTAMPS = ("CreateTime", "LogAppendTime")

BROKER: Final = Table(
    (
        # ---- the broker and its listeners ----
        _int("node.id", "1", "Number of this broker, unique in its cluster.", at_least(0)),
        _text("broker.rack", None, "Name of the rack or zone where this broker stands."),
        _text("log.dir", "./pylog-data", "The data folder, where `log.dirs` names none."),
        Option(
            "log.dirs",
            Kind.LIST,
            None,
            "The data folders. Each partition is in one of them; a new one goes where the fewest "
            "are. The first also has the metadata: without it the broker ends, while any other "
            "may fail.",
            _folders,
            Scope.BROKER,
            _NO,
            (Synonym("log.dir"),),
        ),
        _int(
            "num.recovery.threads.per.data.dir",
            "2",
            "Logs of one data folder that are recovered at a time, after an end without order. "
            "They share `background.threads`.",
            at_least(1),
        ),
        _list(
            "listeners",
            "PLAINTEXT://127.0.0.1:9092",
            "Addresses to listen on, as NAME://HOST:PORT. Port 0 takes a free one; an empty host "
            "or 0.0.0.0 means every interface.",
        ),
        _list(
            "advertised.listeners",
            None,
            "Addresses that clients are told. Without it they are told those of `listeners`; "
            "where that names no host, the address that the client itself has reached.",
        ),
        _text(
            "listener.security.protocol.map",
            ",".join(f"{name}:{name}" for name in _PROTOCOLS),
            "Protocol of each listener name.",
            _protocol_map,
        ),
        _long(
            "connections.max.idle.ms",
            "600000",
            "A connection without a request for so long is closed; -1 keeps it.",
        ),
        _int(
            "max.connections", _INT_MAX, "Most connections of this broker at a time.", at_least(0)
        ),
        _int(
            "socket.request.max.bytes",
            "104857600",
            "Largest request that is read; a larger one closes its connection.",
            at_least(1),
        ),
        _int(
            "socket.send.buffer.bytes",
            "262144",
            "Bytes that the system may hold for a client that has not read them (SO_SNDBUF); -1 "
            "leaves it to the system. More costs CPU: it falls out of the processor's cache.",
            at_least(-1),
        ),
        _int(
            "socket.receive.buffer.bytes",
            "-1",
            "Bytes that the system takes in for the broker to read (SO_RCVBUF); -1 leaves it to "
            "the system.",
            at_least(-1),
        ),
        _int("fetch.max.bytes", "57671680", "Most record bytes in one answer.", at_least(1024)),
        _int(
            "max.incremental.fetch.session.cache.slots",
            "1000",
            "Fetch sessions that are kept (KIP-227).",
            at_least(0),
        ),
        _int(
            "background.threads",
            "10",
            "Threads for flushes, recovery, compaction and deletion of files.",
            between(1, 64),
        ),
        _int(
            "max.request.partition.size.limit",
            "2000",
            "Most partitions in one answer of DescribeTopicPartitions (KIP-966).",
            at_least(1),
        ),
        # ---- topics ----
        _bool(
            "auto.create.topics.enable",
            "true",
            "A client that asks for an unknown topic, and allows it, makes the topic.",
        ),
        _bool("delete.topic.enable", "true", "Topics may be deleted."),
        _int("num.partitions", "1", "Partitions of a topic made without a count.", at_least(1)),
        Option(
            "default.replication.factor",
            Kind.SHORT,
            "1",
            "Replicas of a topic made without a count.",
            at_least(1),
        ),
        _int(
            "min.insync.replicas",
            "1",
            "Replicas that must have a record before a producer with acks=all is answered.",
            at_least(1),
            _ALL,
        ),
        _bool(
            "unclean.leader.election.enable",
            "false",
            "A replica that lags may lead when no other is left, at the price of records.",
            _ALL,
        ),
        # ---- logs ----
        _text(
            "log.durability",
            "fsync",
            "What an acknowledgement waits for: `fsync`, the record is on the disk; `os`, it is in "
            "the page cache, which survives a killed process but no power cut (Kafka's way).",
            one_of("fsync", "os"),
        ),
        _int("log.segment.bytes", _GIB, "Size at which a new segment begins.", at_least(14), _ALL),
        _long(
            "log.roll.ms", None, "Age at which a new segment begins; see hours.", at_least(1), _ALL
        ),
        _int("log.roll.hours", "168", "Age at which a new segment begins.", at_least(1)),
        _long("log.roll.jitter.ms", None, "Random part of that age; see hours.", at_least(0), _ALL),
        _int("log.roll.jitter.hours", "0", "Random part of that age.", at_least(0)),
        _long("log.retention.ms", None, "How long records are kept; -1: for ever.", None, _ALL),
        Option(
            "log.retention.minutes",
            Kind.INT,
            None,
            "How long records are kept; see log.retention.ms.",
        ),
        _int("log.retention.hours", "168", "How long records are kept; see log.retention.ms."),
        _long(
            "log.retention.bytes",
            "-1",
            "Size of a partition above which its oldest segments go; -1: no bound.",
            None,
            _ALL,
        ),
        _long(
            "log.retention.check.interval.ms",
            "300000",
            "Time between two looks for segments to delete.",
            at_least(1),
        ),
        _list(
            "log.cleanup.policy",
            "delete",
            "What becomes of old records: `delete`, `compact` (the newest of a key stays), both, "
            "or, with an empty list, nothing.",
            one_of("compact", "delete"),
            _ALL,
        ),
        _int("log.index.size.max.bytes", "10485760", "Largest index.", at_least(4), _ALL),
        _int(
            "log.index.interval.bytes",
            "4096",
            "Bytes of records between two entries of an index.",
            at_least(0),
            _ALL,
        ),
        _long(
            "log.flush.interval.messages",
            _LONG_MAX,
            "Records after which a log is flushed where log.durability asks for no flush.",
            at_least(1),
            _ALL,
        ),
        _long("log.flush.interval.ms", None, "Time after which it is flushed.", None, _ALL),
        _long(
            "log.flush.scheduler.interval.ms",
            _LONG_MAX,
            "Used where log.flush.interval.ms is not set.",
        ),
        _int(
            "log.flush.offset.checkpoint.interval.ms",
            "60000",
            "Time between two checkpoints of what is flushed and where logs start.",
            at_least(1),
        ),
        _long(
            "log.segment.delete.delay.ms",
            "60000",
            "Time before the files of a deleted segment go.",
            at_least(0),
            _ALL,
        ),
        _text(
            "log.message.timestamp.type",
            "CreateTime",
            "Whose clock gives a record its time: the producer's or the broker's.",
            one_of(*_TIMESTAMPS),
            _ALL,
        ),
        _long(
            "log.message.timestamp.before.max.ms",
            _LONG_MAX,
            "How far behind the broker's clock a producer's time may be.",
            at_least(0),
            _ALL,
        ),
        _long(
            "log.message.timestamp.after.max.ms",
            "3600000",
            "How far ahead of the broker's clock a producer's time may be.",
            at_least(0),
            _ALL,
        ),
        _bool(
            "log.preallocate",
            "false",
            "Taken for compatibility; files grow as they are written.",
            _ALL,
        ),
        _int("message.max.bytes", "1048588", "Largest batch that is stored.", at_least(0), _ALL),
        _text(
            "compression.type",
            "producer",
            "Compression of what is stored; `producer` keeps what was sent.",
            one_of(*_TYPES),
            _ALL,
        ),
        _int("compression.gzip.level", "-1", "Level of gzip; -1: its default.", _gzip_level, _ALL),
        _int("compression.lz4.level", "9", "Level of lz4.", between(1, 17), _ALL),
        _int("compression.zstd.level", "3", "Level of zstd.", between(-131072, 22), _ALL),
        _int(
            "producer.id.expiration.ms",
            "86400000",
            "Time after which an idle producer's sequence is forgotten.",
            at_least(1),
            _ALL,
        ),
        # ---- compaction ----
        _long(
            "log.cleaner.delete.retention.ms",
            "86400000",
            "How long a tombstone stays readable.",
            at_least(0),
            _ALL,
        ),
        _long(
            "log.cleaner.min.compaction.lag.ms",
            "0",
            "Age below which a record is not compacted.",
            at_least(0),
            _ALL,
        ),
        _long(
            "log.cleaner.max.compaction.lag.ms",
            _LONG_MAX,
            "Age above which a record is due for compaction.",
            at_least(1),
            _ALL,
        ),
        _double(
            "log.cleaner.min.cleanable.ratio",
            "0.5",
            "Share of not yet compacted bytes above which a log is compacted.",
            between(0, 1),
            _ALL,
        ),
        _bool("log.cleaner.enable", "true", "Whether logs are compacted at all."),
        _int(
            "log.cleaner.threads",
            "1",
            "Logs that are compacted at a time; 64 at the most.",
            at_least(0),
            _ALL,
        ),
        _long(
            "log.cleaner.dedupe.buffer.size",
            "134217728",
            "Memory of all cleaner threads for the newest offset of each key, 24 bytes a key.",
            at_least(1 << 20),
            _ALL,
        ),
        _double(
            "log.cleaner.io.buffer.load.factor",
            "0.9",
            "Part of that memory that is used; the less, the quicker a key is found.",
            between(0.01, 1),
            _ALL,
        ),
        _int(
            "log.cleaner.io.buffer.size",
            "524288",
            "Buffers of all cleaner threads for reading and writing; 128 KiB each at the least.",
            at_least(0),
            _ALL,
        ),
        _double(
            "log.cleaner.io.max.bytes.per.second",
            "1.7976931348623157E308",
            "Bytes that all cleaner threads together read and write in a second.",
            at_least(1),
            _ALL,
        ),
        _long(
            "log.cleaner.backoff.ms",
            "15000",
            "Time between two looks for logs to compact, when there were none.",
            at_least(0),
            _ALL,
        ),
        # ---- groups ----
        _int(
            "offsets.topic.num.partitions", "50", "Partitions of __consumer_offsets.", at_least(1)
        ),
        Option(
            "offsets.topic.replication.factor",
            Kind.SHORT,
            "1",
            "Replicas of __consumer_offsets.",
            at_least(1),
        ),
        _int(
            "offsets.topic.segment.bytes",
            "104857600",
            "Segment size of __consumer_offsets.",
            at_least(1),
        ),
        _int(
            "offsets.retention.minutes",
            "10080",
            "How long the offsets of an empty group are kept.",
            at_least(1),
        ),
        _long(
            "offsets.retention.check.interval.ms",
            "600000",
            "Time between two looks for expired offsets.",
            at_least(1),
        ),
        _int("offset.metadata.max.bytes", "4096", "Longest text that may go with an offset."),
        _int(
            "group.initial.rebalance.delay.ms",
            "3000",
            "How long the first rebalance of an empty group waits for more members.",
        ),
        _int("group.min.session.timeout.ms", "6000", "Shortest session timeout of a member."),
        _int("group.max.session.timeout.ms", "1800000", "Longest session timeout of a member."),
        _int("group.max.size", _INT_MAX, "Most members of a group.", at_least(1)),
        # ---- authentication ----
        _list(
            "sasl.enabled.mechanisms",
            "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "Mechanisms by which clients of SASL listeners may authenticate.",
            one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"),
        ),
        Option(
            "sasl.plain.users",
            Kind.PASSWORD,
            None,
            "Users of the mechanism PLAIN, as USER:PASSWORD separated by commas.",
            _passwords,
        ),
        _bool(
            "sasl.oauthbearer.unsecured.enable",
            "false",
            "Tokens that nobody has signed are accepted: for tests only.",
        ),
        _text(
            "sasl.oauthbearer.jwks.file",
            None,
            "File with the keys (a JSON Web Key Set) that tokens are signed with.",
        ),
        _list(
            "sasl.oauthbearer.expected.audience",
            None,
            "A token must be for one of these; empty: for anybody.",
        ),
        _text("sasl.oauthbearer.expected.issuer", None, "A token must come from this issuer."),
        _long(
            "connections.max.reauth.ms",
            "0",
            "Time after which a connection has to authenticate again (KIP-368); 0: never.",
            at_least(0),
        ),
        _int(
            "connection.failed.authentication.delay.ms",
            "100",
            "How long a connection that failed to authenticate waits until it is closed.",
            at_least(0),
        ),
        # ---- share groups ----
        _int(
            "group.share.heartbeat.interval.ms",
            "5000",
            "Time between two heartbeats of a member of a share group.",
            at_least(1),
        ),
        _int(
            "group.share.session.timeout.ms",
            "45000",
            "Silence after which a member of a share group is removed.",
            at_least(1),
        ),
        _int(
            "group.share.assignment.interval.ms",
            "1000",
            "Least time between two assignments of a share group.",
            at_least(0),
            _ALL,
        ),
        _int(
            "group.share.min.assignment.interval.ms",
            "0",
            "Shortest share.assignment.interval.ms that a group may have.",
            at_least(0),
        ),
        _int(
            "group.share.max.assignment.interval.ms",
            "15000",
            "Longest share.assignment.interval.ms that a group may have.",
            at_least(0),
        ),
        _int("group.share.max.size", "200", "Most members of a share group.", between(1, 1000)),
        _int(
            "group.share.record.lock.duration.ms",
            "30000",
            "How long a member may keep a record before another one gets it.",
            between(1000, 3_600_000),
        ),
        _int(
            "group.share.delivery.count.limit",
            "5",
            "Most deliveries of a record that nobody accepts.",
            between(2, 25),
        ),
        _int(
            "group.share.partition.max.record.locks",
            "2000",
            "Records of a partition between the first that is not done and the last delivered.",
            between(100, 10_000),
        ),
        _int(
            "group.share.min.session.timeout.ms",
            "45000",
            "Shortest share.session.timeout.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.share.max.session.timeout.ms",
            "60000",
            "Longest share.session.timeout.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.share.min.heartbeat.interval.ms",
            "5000",
            "Shortest share.heartbeat.interval.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.share.max.heartbeat.interval.ms",
            "15000",
            "Longest share.heartbeat.interval.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.share.min.record.lock.duration.ms",
            "15000",
            "Shortest share.record.lock.duration.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.share.max.record.lock.duration.ms",
            "60000",
            "Longest share.record.lock.duration.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.share.min.delivery.count.limit",
            "2",
            "Least share.delivery.count.limit that a group may have.",
            at_least(1),
        ),
        _int(
            "group.share.max.delivery.count.limit",
            "10",
            "Greatest share.delivery.count.limit that a group may have.",
            at_least(1),
        ),
        _int(
            "group.share.min.partition.max.record.locks",
            "100",
            "Least share.partition.max.record.locks that a group may have.",
            at_least(1),
        ),
        _int(
            "group.share.max.partition.max.record.locks",
            "4000",
            "Greatest share.partition.max.record.locks that a group may have.",
            at_least(1),
        ),
        _text(
            "errors.deadletterqueue.topic.name.prefix",
            "dlq.",
            "What names of dead letter queues of share groups begin with; empty: with anything.",
            None,
            _ALL,
        ),
        _bool(
            "errors.deadletterqueue.auto.create.topics.enable",
            "false",
            "Whether a missing dead letter queue of a share group is created.",
            _ALL,
        ),
        _int(
            "group.share.max.share.sessions",
            "2000",
            "Most share sessions: members that fetch from this broker.",
            at_least(1),
        ),
        _int(
            "share.coordinator.state.topic.num.partitions",
            "50",
            "Partitions of __share_group_state.",
            at_least(1),
        ),
        Option(
            "share.coordinator.state.topic.replication.factor",
            Kind.SHORT,
            "1",
            "Replicas of __share_group_state.",
            at_least(1),
        ),
        _int(
            "share.coordinator.state.topic.segment.bytes",
            "104857600",
            "Segment size of __share_group_state.",
            at_least(1),
        ),
        _int(
            "share.coordinator.state.topic.prune.interval.ms",
            "300000",
            "Time between two looks for records of __share_group_state that are not needed.",
            at_least(1),
        ),
        _int(
            "share.coordinator.snapshot.update.records.per.snapshot",
            "500",
            "Updates of a share partition's state until all of it is written again.",
            between(0, 500),
        ),
        # ---- access control ----
        _text(
            "authorizer.class.name",
            None,
            "Set, access is controlled by rules (ACLs); not set, everybody may do everything.",
            one_of("org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ),
        _text(
            "super.users",
            "",
            "Principals that may do everything, as User:NAME separated by semicolons.",
        ),
        _bool(
            "allow.everyone.if.no.acl.found",
            "false",
            "Everybody may do everything to a resource that no rule matches.",
        ),
        # ---- metrics ----
        _text(
            "metrics.listen",
            None,
            "HOST:PORT where Prometheus finds metrics, under /metrics; not set: nowhere.",
        ),
        # ---- metrics of clients ----
        _int(
            "telemetry.max.bytes",
            "1048576",
            "Largest payload of metrics that a client may push (KIP-714).",
            at_least(1),
        ),
        _int(
            "group.consumer.session.timeout.ms",
            "45000",
            "Session timeout of a member of the consumer protocol.",
            at_least(1),
        ),
        _int(
            "group.consumer.heartbeat.interval.ms",
            "5000",
            "What a member of the consumer protocol is told to wait between two heartbeats.",
            at_least(1),
        ),
        _int(
            "group.consumer.min.session.timeout.ms",
            "45000",
            "Shortest consumer.session.timeout.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.consumer.max.session.timeout.ms",
            "60000",
            "Longest consumer.session.timeout.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.consumer.min.heartbeat.interval.ms",
            "5000",
            "Shortest consumer.heartbeat.interval.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.consumer.max.heartbeat.interval.ms",
            "15000",
            "Longest consumer.heartbeat.interval.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.consumer.max.size",
            _INT_MAX,
            "Most members of a group of the consumer protocol.",
            at_least(1),
        ),
        # ---- streams groups ----
        _int(
            "group.streams.session.timeout.ms",
            "45000",
            "Silence after which a member of a streams group is removed.",
            at_least(1),
        ),
        _int(
            "group.streams.min.session.timeout.ms",
            "45000",
            "Shortest streams.session.timeout.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.streams.max.session.timeout.ms",
            "60000",
            "Longest streams.session.timeout.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.streams.heartbeat.interval.ms",
            "5000",
            "What a member of a streams group is told to wait between two heartbeats.",
            at_least(1),
        ),
        _int(
            "group.streams.min.heartbeat.interval.ms",
            "5000",
            "Shortest streams.heartbeat.interval.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.streams.max.heartbeat.interval.ms",
            "15000",
            "Longest streams.heartbeat.interval.ms that a group may have.",
            at_least(1),
        ),
        _int(
            "group.streams.max.size",
            _INT_MAX,
            "Most members of a streams group.",
            at_least(1),
        ),
        _int(
            "group.streams.num.standby.replicas",
            "0",
            "Members that follow each task with state, besides the one that processes it.",
            at_least(0),
        ),
        _int(
            "group.streams.max.standby.replicas",
            "2",
            "Largest streams.num.standby.replicas that a group may have.",
            at_least(0),
        ),
        _int(
            "group.streams.initial.rebalance.delay.ms",
            "3000",
            "How long a streams group that was empty waits for members until it assigns tasks.",
            at_least(0),
        ),
        _int(
            "group.streams.assignment.interval.ms",
            "1000",
            "Least time between two assignments of a streams group.",
            at_least(0),
        ),
        _int(
            "group.streams.min.assignment.interval.ms",
            "0",
            "Smallest streams.assignment.interval.ms that a group may have.",
            at_least(0),
        ),
        _int(
            "group.streams.max.assignment.interval.ms",
            "15000",
            "Largest streams.assignment.interval.ms that a group may have.",
            at_least(0),
        ),
        _list(
            "group.streams.assignors",
            "sticky",
            "Assignors of streams groups; the first is the default.",
            one_of("sticky"),
        ),
        _list(
            "group.streams.rack.aware.assignment.tags",
            "",
            "Client tags that members of streams groups are to have, to spread standbys by.",
        ),
        # ---- transactions ----
        _int(
            "transaction.max.timeout.ms",
            "900000",
            "Longest timeout that a transactional producer may ask for.",
            at_least(1),
        ),
        _int(
            "transactional.id.expiration.ms",
            "604800000",
            "Time after which an idle transactional id is forgotten.",
            at_least(1),
        ),
        _int(
            "transaction.state.log.num.partitions",
            "50",
            "Partitions of __transaction_state.",
            at_least(1),
        ),
        Option(
            "transaction.state.log.replication.factor",
            Kind.SHORT,
            "1",
            "Replicas of __transaction_state.",
            at_least(1),
        ),
        _int(
            "transaction.state.log.segment.bytes",
            "104857600",
            "Segment size of __transaction_state.",
            at_least(1),
        ),
        _int(
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
            "10000",
            "Time between two looks for transactions that are over their timeout.",
            at_least(1),
        ),
        _int(
            "transaction.remove.expired.transaction.cleanup.interval.ms",
            "3600000",
            "Time between two looks for expired transactional ids.",
            at_least(1),
        ),
    )
)


def _topic(name: str, doc: str, *synonyms: Synonym | str, check: Check | None = None) -> Option:
    """A topic's setting with the type, default and check of the broker's of the same meaning.

    ``check`` is the topic's own, where the broker's has none.
    """
    named = tuple(Synonym(item) if isinstance(item, str) else item for item in synonyms)
    model = BROKER[named[0].name]
    default = BROKER[named[-1].name].default
    if default is not None and named[-1].factor != 1:
        default = str(int(default) * named[-1].factor)
    return Option(
        name,
        model.kind,
        default,
        doc,
        check or model.check,
        Scope.TOPIC,
        Dynamic.CLUSTER,
        named,
    )


def _own(name: str, kind: Kind, default: str, doc: str, check: Check | None = None) -> Option:
    return Option(name, kind, default, doc, check, Scope.TOPIC, Dynamic.CLUSTER)


_HOUR: Final = 3_600_000


def _group(name: str, synonym: str, doc: str) -> Option:
    """A group's setting with the type, default and check of the broker's."""
    model = BROKER[synonym]
    return Option(
        name,
        model.kind,
        model.default,
        doc,
        model.check,
        Scope.GROUP,
        Dynamic.CLUSTER,
        (Synonym(synonym),),
    )


def _of_group(name: str, kind: Kind, default: str, doc: str, check: Check | None = None) -> Option:
    """A setting that groups alone have."""
    return Option(name, kind, default, doc, check, Scope.GROUP, Dynamic.CLUSTER)


def _dead_letter_queue(topic: str) -> str | None:
    return "names of internal topics can't be used" if topic.startswith("__") else None


_DURATION: Final = re.compile(
    r"P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII
)
_BY_DURATION: Final = "by_duration:"


def reset_age_ms(text: str) -> int | None:
    """How old the first record may be, of a reset ``by_duration:PnDTnHnMnS``; None: no such."""
    match = _DURATION.fullmatch(text.removeprefix(_BY_DURATION))
    if not text.startswith(_BY_DURATION) or match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return int((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)


def _offset_reset(text: str) -> str | None:
    if text in ("earliest", "latest") or reset_age_ms(text) is not None:
        return None
    return "must be earliest, latest or by_duration:PnDTnHnMnS"


GROUP: Final = Table(
    (
        _group(
            "consumer.session.timeout.ms",
            "group.consumer.session.timeout.ms",
            "Session timeout of a member of the consumer protocol.",
        ),
        _group(
            "consumer.heartbeat.interval.ms",
            "group.consumer.heartbeat.interval.ms",
            "What a member of the consumer protocol is told to wait between two heartbeats.",
        ),
        _of_group(
            "errors.deadletterqueue.topic.name",
            Kind.STRING,
            "",
            "Topic for what a share group rejects or gets too often (KIP-1191); empty: none.",
            _dead_letter_queue,
        ),
        _of_group(
            "errors.deadletterqueue.copy.record.enable",
            Kind.BOOLEAN,
            "false",
            "Whether a dead letter has the key and value of its record, or only says where it was.",
        ),
        _of_group(
            "share.auto.offset.reset",
            Kind.STRING,
            "latest",
            "Where a share group begins in a partition: earliest, latest, by_duration:PnDTnHnMnS.",
            _offset_reset,
        ),
        _group(
            "share.assignment.interval.ms",
            "group.share.assignment.interval.ms",
            "Least time between two assignments of the group.",
        ),
        _group(
            "share.delivery.count.limit",
            "group.share.delivery.count.limit",
            "Most deliveries of a record that nobody accepts.",
        ),
        _group(
            "share.heartbeat.interval.ms",
            "group.share.heartbeat.interval.ms",
            "Time between two heartbeats of a member.",
        ),
        _of_group(
            "share.isolation.level",
            Kind.STRING,
            "read_uncommitted",
            "With read_committed, records of aborted transactions are not delivered.",
            one_of("read_uncommitted", "read_committed"),
        ),
        _group(
            "share.partition.max.record.locks",
            "group.share.partition.max.record.locks",
            "Records of a partition between the first that is not done and the last delivered.",
        ),
        _group(
            "share.record.lock.duration.ms",
            "group.share.record.lock.duration.ms",
            "How long a member may keep a record before another one gets it.",
        ),
        _of_group(
            "share.renew.acknowledge.enable",
            Kind.BOOLEAN,
            "true",
            "Whether members may renew their locks.",
        ),
        _group(
            "share.session.timeout.ms",
            "group.share.session.timeout.ms",
            "Silence after which a member is removed.",
        ),
        _group(
            "streams.session.timeout.ms",
            "group.streams.session.timeout.ms",
            "Silence after which a member of a streams group is removed.",
        ),
        _group(
            "streams.heartbeat.interval.ms",
            "group.streams.heartbeat.interval.ms",
            "What a member of a streams group is told to wait between two heartbeats.",
        ),
        _group(
            "streams.num.standby.replicas",
            "group.streams.num.standby.replicas",
            "Members that follow each task with state, besides the one that processes it.",
        ),
        _group(
            "streams.initial.rebalance.delay.ms",
            "group.streams.initial.rebalance.delay.ms",
            "How long the group, when it was empty, waits for more members until it assigns tasks.",
        ),
        _group(
            "streams.assignment.interval.ms",
            "group.streams.assignment.interval.ms",
            "Least time between two assignments.",
        ),
        _group(
            "streams.rack.aware.assignment.tags",
            "group.streams.rack.aware.assignment.tags",
            "Client tags that the members are to have.",
        ),
        Option(
            "streams.assignor.name",
            Kind.STRING,
            None,
            "Who assigns the tasks: one of group.streams.assignors, or when not set the first.",
            one_of("sticky"),
            Scope.GROUP,
            Dynamic.CLUSTER,
        ),
    )
)


TOPIC: Final = Table(
    (
        _topic(
            "cleanup.policy",
            "What becomes of old records: delete, compact, both, or nothing.",
            "log.cleanup.policy",
        ),
        _topic("compression.gzip.level", "Level of gzip.", "compression.gzip.level"),
        _topic("compression.lz4.level", "Level of lz4.", "compression.lz4.level"),
        _topic("compression.type", "Compression of what is stored.", "compression.type"),
        _topic("compression.zstd.level", "Level of zstd.", "compression.zstd.level"),
        _topic(
            "delete.retention.ms",
            "How long a tombstone stays readable.",
            "log.cleaner.delete.retention.ms",
        ),
        _own(
            "errors.deadletterqueue.group.enable",
            Kind.BOOLEAN,
            "false",
            "Whether the topic may be a dead letter queue of groups (KIP-1191).",
        ),
        _topic(
            "file.delete.delay.ms",
            "Time before the files of a deleted segment go.",
            "log.segment.delete.delay.ms",
        ),
        _topic(
            "flush.messages",
            "Records after which the log is flushed where log.durability asks for no flush.",
            "log.flush.interval.messages",
        ),
        _topic(
            "flush.ms",
            "Time after which the log is flushed where log.durability asks for no flush.",
            "log.flush.interval.ms",
            "log.flush.scheduler.interval.ms",
            check=at_least(0),
        ),
        _own(
            "follower.replication.throttled.replicas",
            Kind.LIST,
            "",
            "Replicas, as partition:broker or *, whose fetching is throttled.",
            _throttled_replicas,
        ),
        _topic(
            "index.interval.bytes",
            "Bytes of records between two entries of an index.",
            "log.index.interval.bytes",
        ),
        _own(
            "leader.replication.throttled.replicas",
            Kind.LIST,
            "",
            "Replicas, as partition:broker or *, whose sending is throttled.",
            _throttled_replicas,
        ),
        _topic(
            "max.compaction.lag.ms",
            "Age above which a record is due for compaction.",
            "log.cleaner.max.compaction.lag.ms",
        ),
        _topic("max.message.bytes", "Largest batch that is stored.", "message.max.bytes"),
        _topic(
            "message.timestamp.after.max.ms",
            "How far ahead of the broker's clock a producer's time may be.",
            "log.message.timestamp.after.max.ms",
        ),
        _topic(
            "message.timestamp.before.max.ms",
            "How far behind the broker's clock a producer's time may be.",
            "log.message.timestamp.before.max.ms",
        ),
        _topic(
            "message.timestamp.type",
            "Whose clock gives a record its time.",
            "log.message.timestamp.type",
        ),
        _topic(
            "min.cleanable.dirty.ratio",
            "Share of not yet compacted bytes from which the log is compacted.",
            "log.cleaner.min.cleanable.ratio",
        ),
        _topic(
            "min.compaction.lag.ms",
            "Age below which a record is not compacted.",
            "log.cleaner.min.compaction.lag.ms",
        ),
        _topic(
            "min.insync.replicas",
            "Replicas that must have a record before a producer with acks=all is answered.",
            "min.insync.replicas",
        ),
        _topic("preallocate", "Taken for compatibility; files grow as written.", "log.preallocate"),
        _own(
            "remote.storage.enable",
            Kind.BOOLEAN,
            "false",
            "Old segments move to remote storage. Only false is served.",
            _only_false,
        ),
        _topic(
            "retention.bytes",
            "Size of a partition above which its oldest segments go; -1: no bound.",
            "log.retention.bytes",
        ),
        _topic(
            "retention.ms",
            "How long records are kept; -1: for ever.",
            "log.retention.ms",
            Synonym("log.retention.minutes", 60_000),
            Synonym("log.retention.hours", _HOUR),
            check=at_least(-1),
        ),
        _topic("segment.bytes", "Size at which a new segment begins.", "log.segment.bytes"),
        _topic("segment.index.bytes", "Largest index.", "log.index.size.max.bytes"),
        _topic(
            "segment.jitter.ms",
            "Random part of the age at which a new segment begins.",
            "log.roll.jitter.ms",
            Synonym("log.roll.jitter.hours", _HOUR),
        ),
        _topic(
            "segment.ms",
            "Age at which a new segment begins.",
            "log.roll.ms",
            Synonym("log.roll.hours", _HOUR),
        ),
        _topic(
            "unclean.leader.election.enable",
            "A replica that lags may lead when no other is left, at the price of records.",
            "unclean.leader.election.enable",
        ),
    )
)

CLIENT_METRICS: Final = Table(
    Option(name, kind, default, doc, None, Scope.CLIENT_METRICS, Dynamic.CLUSTER)
    for name, kind, default, doc in (
        ("metrics", Kind.LIST, "", "Prefixes of the metrics that clients push; `*`: all."),
        ("interval.ms", Kind.INT, "300000", "Time between two pushes, from 100 to 3600000."),
        (
            "match",
            Kind.LIST,
            "",
            "Whom it is asked of: client_id, client_instance_id, client_software_name, "
            "client_software_version, client_source_address or client_source_port, each as "
            "NAME=REGEX; all of them have to match.",
        ),
    )
)
