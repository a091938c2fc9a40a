"""From the settings of a topic to what the engine wants to know about its logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from zlib import crc32

from pylog.config import BrokerConfig
from pylog.engine.values import CleanerSettings, Durability, LogConfig, TimestampType
from pylog.options import TOPIC

# The compression bits of a batch's attributes; -1 keeps what the producer has sent.
_COMPRESSION: Final = {
    "producer": -1,
    "uncompressed": 0,
    "gzip": 1,
    "snappy": 2,
    "lz4": 3,
    "zstd": 4,
}
# Levels that ask for what the library does by itself. For lz4 Apache Kafka takes the fast
# compressor at its default level, and the strong one at any other.
_USUAL_LEVELS: Final = {"gzip": -1, "lz4": 9}
_DURABILITY: Final = {"fsync": Durability.FSYNC, "os": Durability.OS}
_TIMESTAMP_TYPES: Final = {
    "CreateTime": TimestampType.CREATE_TIME,
    "LogAppendTime": TimestampType.LOG_APPEND_TIME,
}


def log_config(config: BrokerConfig, overrides: Mapping[str, str]) -> LogConfig:
    """The settings of a topic's logs, from its own and, behind them, the broker's."""

    def value(name: str) -> Any:
        return config.resource_value(TOPIC[name], overrides)

    compression = value("compression.type")
    level = _compression_level(compression, value)
    policy = value("cleanup.policy")
    return LogConfig(
        segment_bytes=value("internal.segment.bytes") or value("segment.bytes"),
        segment_ms=value("segment.ms"),
        segment_index_bytes=value("segment.index.bytes"),
        index_interval_bytes=value("index.interval.bytes"),
        max_message_bytes=value("max.message.bytes"),
        timestamp_before_max_ms=value("message.timestamp.before.max.ms"),
        timestamp_after_max_ms=value("message.timestamp.after.max.ms"),
        retention_ms=value("retention.ms"),
        retention_bytes=value("retention.bytes"),
        file_delete_delay_ms=value("file.delete.delay.ms"),
        delete_retention_ms=value("delete.retention.ms"),
        min_compaction_lag_ms=value("min.compaction.lag.ms"),
        max_compaction_lag_ms=value("max.compaction.lag.ms"),
        flush_messages=value("flush.messages"),
        flush_ms=value("flush.ms"),
        producer_id_expiration_ms=config.integer("producer.id.expiration.ms"),
        min_cleanable_dirty_ratio=value("min.cleanable.dirty.ratio"),
        timestamp_type=_TIMESTAMP_TYPES[value("message.timestamp.type")],
        durability=_DURABILITY[config.text("log.durability")],
        compression=_COMPRESSION[compression],
        compression_level_set=level is not None,
        compression_level=level or 0,
        delete_policy="delete" in policy,
        compact_policy="compact" in policy,
    )


def cleaner_settings(config: BrokerConfig) -> CleanerSettings:
    """How a broker compacts its logs."""
    enabled = config.flag("log.cleaner.enable")
    return CleanerSettings(
        threads=config.integer("log.cleaner.threads") if enabled else 0,
        map_bytes=config.integer("log.cleaner.dedupe.buffer.size"),
        map_load=config.number("log.cleaner.io.buffer.load.factor"),
        io_bytes=config.integer("log.cleaner.io.buffer.size"),
        bytes_per_second=config.number("log.cleaner.io.max.bytes.per.second"),
        backoff_ms=config.integer("log.cleaner.backoff.ms"),
    )


def _compression_level(compression: str, value: Any) -> int | None:
    if compression not in ("gzip", "lz4", "zstd"):
        return None
    level: int = value(f"compression.{compression}.level")
    return None if level == _USUAL_LEVELS.get(compression) else level


def spread_rolls(settings: LogConfig, jitter_ms: int, topic: str, partition: int) -> LogConfig:
    """Shorten segment.ms by a part of the jitter that is fixed for a partition.

    Logs that began together then don't all roll in the same moment.
    """
    limit_ms = min(jitter_ms, settings.segment_ms - 1)
    if limit_ms <= 0:
        return settings
    spread_ms = crc32(f"{topic}-{partition}".encode()) % (limit_ms + 1)
    return settings._replace(segment_ms=settings.segment_ms - spread_ms)
