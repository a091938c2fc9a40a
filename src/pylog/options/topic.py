"""Settings of topics, most of which fall back on the broker's."""

from __future__ import annotations

from typing import Final

from pylog.config import Check, Dynamic, Kind, Option, Scope, Synonym, Table, at_least
from pylog.options import inert
from pylog.options.broker import BROKER


def _throttled_replicas(items: list[str]) -> str | None:
    for item in items:
        partition, separator, broker = item.partition(":")
        pair = separator and partition.isdigit() and broker.isdigit()
        if not pair and items != ["*"]:
            return "must be * or a list of partition:broker"
    return None


def _only_false(value: bool) -> str | None:
    return "remote storage is not served" if value else None


def _topic(name: str, doc: str, *synonyms: Synonym | str, check: Check | None = None) -> Option:
    """A topic's setting with the type, default and check of the broker's of the same meaning."""
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
        Option(
            "internal.segment.bytes",
            Kind.INT,
            None,
            "Replaces segment.bytes, below its least value too: for tests, and not shown.",
            at_least(14),
            Scope.TOPIC,
            Dynamic.CLUSTER,
            hidden=True,
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
        *inert.TOPIC,
    )
)
