"""Settings of the broker about logs, which topics fall back on."""

from __future__ import annotations

from typing import Final

from pylog.config import Kind, Option, at_least, between, one_of
from pylog.options.make import ALL, LONG_MAX, boolean, double, integer, items, long, text

_MIB: Final = 1 << 20
_GIB: Final = str(1 << 30)


def _gzip_level(level: int) -> str | None:
    return None if level == -1 or 1 <= level <= 9 else "must be -1 or from 1 to 9"


_TYPES = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
_TIMESTAMPS = ("CreateTime", "LogAppendTime")


def _for_ever(age_ms: int) -> str | None:
    return None if age_ms == -1 or age_ms >= 1 else "must be -1 or at least 1"


OPTIONS: Final = (
    # ---- logs ----
    text(
        "log.durability",
        "fsync",
        "What an acknowledgement waits for: `fsync`, the record is on the disk; `os`, it is in "
        "the page cache, which survives a killed process but no power cut (Kafka's way).",
        one_of("fsync", "os"),
    ),
    integer("log.segment.bytes", _GIB, "Size at which a new segment begins.", at_least(_MIB), ALL),
    long("log.roll.ms", None, "Age at which a new segment begins; see hours.", at_least(1), ALL),
    integer("log.roll.hours", "168", "Age at which a new segment begins.", at_least(1)),
    long("log.roll.jitter.ms", None, "Random part of that age; see hours.", at_least(0), ALL),
    integer("log.roll.jitter.hours", "0", "Random part of that age.", at_least(0)),
    long("log.retention.ms", None, "How long records are kept; -1: for ever.", _for_ever, ALL),
    Option(
        "log.retention.minutes",
        Kind.INT,
        None,
        "How long records are kept; see log.retention.ms.",
        at_least(-1),
    ),
    integer(
        "log.retention.hours",
        "168",
        "How long records are kept; see log.retention.ms.",
        at_least(-1),
    ),
    long(
        "log.retention.bytes",
        "-1",
        "Size of a partition above which its oldest segments go; -1: no bound.",
        None,
        ALL,
    ),
    long(
        "log.retention.check.interval.ms",
        "300000",
        "Time between two looks for segments to delete.",
        at_least(1),
    ),
    items(
        "log.cleanup.policy",
        "delete",
        "What becomes of old records: `delete`, `compact` (the newest of a key stays), both, "
        "or, with an empty list, nothing.",
        one_of("compact", "delete"),
        ALL,
    ),
    integer("log.index.size.max.bytes", "10485760", "Largest index.", at_least(4), ALL),
    integer(
        "log.index.interval.bytes",
        "4096",
        "Bytes of records between two entries of an index.",
        at_least(0),
        ALL,
    ),
    long(
        "log.flush.interval.messages",
        LONG_MAX,
        "Records after which a log is flushed where log.durability asks for no flush.",
        at_least(1),
        ALL,
    ),
    long("log.flush.interval.ms", None, "Time after which it is flushed.", at_least(0), ALL),
    long(
        "log.flush.scheduler.interval.ms",
        LONG_MAX,
        "Used where log.flush.interval.ms is not set.",
        at_least(0),
    ),
    integer(
        "log.flush.offset.checkpoint.interval.ms",
        "60000",
        "Time between two checkpoints of what is flushed and where logs start.",
        at_least(1),
    ),
    long(
        "log.segment.delete.delay.ms",
        "60000",
        "Time before the files of a deleted segment go.",
        at_least(0),
        ALL,
    ),
    text(
        "log.message.timestamp.type",
        "CreateTime",
        "Whose clock gives a record its time: the producer's or the broker's.",
        one_of(*_TIMESTAMPS),
        ALL,
    ),
    long(
        "log.message.timestamp.before.max.ms",
        LONG_MAX,
        "How far behind the broker's clock a producer's time may be.",
        at_least(0),
        ALL,
    ),
    long(
        "log.message.timestamp.after.max.ms",
        "3600000",
        "How far ahead of the broker's clock a producer's time may be.",
        at_least(0),
        ALL,
    ),
    boolean(
        "log.preallocate",
        "false",
        "Taken for compatibility; files grow as they are written.",
        ALL,
    ),
    integer("message.max.bytes", "1048588", "Largest batch that is stored.", at_least(0), ALL),
    text(
        "compression.type",
        "producer",
        "Compression of what is stored; `producer` keeps what was sent.",
        one_of(*_TYPES),
        ALL,
    ),
    integer("compression.gzip.level", "-1", "Level of gzip; -1: its default.", _gzip_level, ALL),
    integer("compression.lz4.level", "9", "Level of lz4.", between(1, 17), ALL),
    integer("compression.zstd.level", "3", "Level of zstd.", between(-131072, 22), ALL),
    integer(
        "producer.id.expiration.ms",
        "86400000",
        "Time after which an idle producer's sequence is forgotten.",
        at_least(1),
        ALL,
    ),
    # ---- compaction ----
    long(
        "log.cleaner.delete.retention.ms",
        "86400000",
        "How long a tombstone stays readable.",
        at_least(0),
        ALL,
    ),
    long(
        "log.cleaner.min.compaction.lag.ms",
        "0",
        "Age below which a record is not compacted.",
        at_least(0),
        ALL,
    ),
    long(
        "log.cleaner.max.compaction.lag.ms",
        LONG_MAX,
        "Age above which a record is due for compaction.",
        at_least(1),
        ALL,
    ),
    double(
        "log.cleaner.min.cleanable.ratio",
        "0.5",
        "Share of not yet compacted bytes above which a log is compacted.",
        between(0, 1),
        ALL,
    ),
    boolean("log.cleaner.enable", "true", "Whether logs are compacted at all."),
    integer(
        "log.cleaner.threads",
        "1",
        "Logs that are compacted at a time; 64 at the most.",
        at_least(0),
        ALL,
    ),
    long(
        "log.cleaner.dedupe.buffer.size",
        "134217728",
        "Memory of all cleaner threads for the newest offset of each key, 24 bytes a key.",
        at_least(1 << 20),
        ALL,
    ),
    double(
        "log.cleaner.io.buffer.load.factor",
        "0.9",
        "Part of that memory that is used; the less, the quicker a key is found.",
        between(0.01, 1),
        ALL,
    ),
    integer(
        "log.cleaner.io.buffer.size",
        "524288",
        "Buffers of all cleaner threads for reading and writing; 128 KiB each at the least.",
        at_least(0),
        ALL,
    ),
    double(
        "log.cleaner.io.max.bytes.per.second",
        "1.7976931348623157E308",
        "Bytes that all cleaner threads together read and write in a second.",
        at_least(1),
        ALL,
    ),
    long(
        "log.cleaner.backoff.ms",
        "15000",
        "Time between two looks for logs to compact, when there were none.",
        at_least(0),
        ALL,
    ),
)
