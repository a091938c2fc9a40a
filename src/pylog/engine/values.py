"""Settings, results and events of the native engine, as values; :mod:`pylog.engine` uses them.

Offsets, times and sizes are integers; -1 stands for "none" as in Kafka's protocol.
"""

from __future__ import annotations

import enum
import math
from typing import Final, NamedTuple

_FOREVER: Final = 2**63 - 1


class EngineError(Exception):
    """A refusal by the engine; ``code`` is an error code of Kafka's protocol."""

    def __init__(self, code: int, action: str) -> None:
        super().__init__(f"{action}: error code {code}")
        self.code = code


class TimestampType(enum.IntEnum):
    """Who gives a record its time (``message.timestamp.type``)."""

    CREATE_TIME = 0
    LOG_APPEND_TIME = 1


class Durability(enum.IntEnum):
    """What an acknowledgement waits for (``log.durability``)."""

    FSYNC = 0
    OS = 1


class EngineOptions(NamedTuple):
    """Settings that hold for the life of an engine; names and defaults as in Kafka."""

    node_id: int = 1
    worker_threads: int = 10
    max_connections: int = 100_000
    max_frame_bytes: int = 100 * 1024 * 1024
    fetch_max_bytes: int = 55 * 1024 * 1024
    fetch_session_slots: int = 1000
    send_buffer_bytes: int = -1
    receive_buffer_bytes: int = -1
    idle_timeout_ms: int = 600_000
    housekeep_interval_ms: int = 300_000


class LogConfig(NamedTuple):
    """Settings of one partition's log: Kafka's topic settings of the same names.

    -1 stands for "no bound" in ``retention_*``; ``compression`` is -1 for ``producer``, else the
    compression bits of the batch attributes.
    """

    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * 86_400_000
    segment_index_bytes: int = 10 * 1024 * 1024
    index_interval_bytes: int = 4096
    max_message_bytes: int = 1_048_588
    timestamp_before_max_ms: int = _FOREVER
    timestamp_after_max_ms: int = 3_600_000
    retention_ms: int = 7 * 86_400_000
    retention_bytes: int = -1
    file_delete_delay_ms: int = 60_000
    delete_retention_ms: int = 86_400_000
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = _FOREVER
    flush_messages: int = _FOREVER
    flush_ms: int = _FOREVER
    producer_id_expiration_ms: int = 86_400_000
    min_cleanable_dirty_ratio: float = 0.5
    timestamp_type: TimestampType = TimestampType.CREATE_TIME
    durability: Durability = Durability.FSYNC
    compression: int = -1
    compression_level_set: bool = False
    compression_level: int = 0
    delete_policy: bool = True
    compact_policy: bool = False


class CleanerSettings(NamedTuple):
    """How logs are compacted: Kafka's ``log.cleaner.*`` settings; sizes are of all threads."""

    threads: int = 1  # 0: nothing is compacted
    map_bytes: int = 128 * 1024 * 1024
    map_load: float = 0.9
    io_bytes: int = 512 * 1024
    bytes_per_second: float = math.inf
    backoff_ms: int = 15_000


class PartitionSpec(NamedTuple):
    """A partition to open: where its log is and what the checkpoints say about it."""

    topic: str
    partition: int
    topic_id: bytes  # 16
    folder: str
    config: LogConfig = LogConfig()
    clean_shutdown: bool = False
    recovery_point: int = 0
    log_start_offset: int = 0
    leader_epoch: int = 0
    cleaned_end: int = 0


class PartitionOffsets(NamedTuple):
    """Where a partition stands.

    ``offline``: a write or flush of its log has failed; ``cleaned_end``: compaction has seen
    everything below; ``uncleanable``: it has met what it can't read, and leaves the log alone.
    """

    log_start: int
    flushed_end: int
    log_end: int
    high_watermark: int
    last_stable: int
    recovery_point: int
    size_bytes: int
    leader_epoch: int
    segment_count: int
    offline: bool
    cleaned_end: int
    uncleanable: bool


class AppendResult(NamedTuple):
    """Offsets that an append was given: the first, and the one after the last."""

    first_offset: int
    end_offset: int


class ReadResult(NamedTuple):
    """Whole batches from the one that holds the offset asked for; empty at the end."""

    data: bytes
    next_offset: int


class BatchView(NamedTuple):
    """Where a batch lies. ``deliverable`` is false for control batches and aborted ones."""

    first_offset: int
    last_offset: int
    size_bytes: int
    deliverable: bool


class Survey(NamedTuple):
    """Batches without their records, and the offset to look at next."""

    batches: list[BatchView]
    next_offset: int


class RecordsPart(NamedTuple):
    """Records as a part of a reply: whole batches from the one that holds ``offset``."""

    partition: int  # handle
    offset: int
    max_bytes: int


class TimeOffset(NamedTuple):
    """A record found by its time."""

    offset: int
    timestamp_ms: int
    leader_epoch: int


class ProducerView(NamedTuple):
    """What a partition knows of a producer. -1: no such thing."""

    producer_id: int
    epoch: int
    last_sequence: int
    last_timestamp_ms: int
    coordinator_epoch: int
    transaction_start: int  # offset of the first record of its open transaction


class AccessBit(enum.IntFlag):
    """What a client may do to a topic in the fast lane."""

    READ = 1
    WRITE = 2


class Opened(NamedTuple):
    """A connection that waits for :meth:`Engine.admit`."""

    connection: int
    listener: int
    peer: str  # address of the client without the port


class Guard(enum.IntFlag):
    """What connections of a listener have to pass before they are served."""

    NONE = 0
    ASK = 1
    SASL = 2


class AbortedTransaction(NamedTuple):
    """An entry of a transaction index; ``last_stable_offset`` is that after its end."""

    producer_id: int
    first_offset: int
    last_offset: int  # of the marker
    last_stable_offset: int


class QuotaMatch(enum.IntEnum):
    """How a quota asks for a user or a client id: not, by default, or by name."""

    ANY = 0
    DEFAULT = 1
    NAMED = 2


class QuotaRule(NamedTuple):
    """Limits of the clients that match; a limit of None leaves it to weaker rules."""

    user: tuple[QuotaMatch, str]
    client_id: tuple[QuotaMatch, str]
    limits: tuple[float | None, ...]  # a second: bytes in and out, percent of time, connections


class EngineCounters(NamedTuple):
    """What the engine has counted since it was created."""

    connections_opened: int
    connections_closed: int
    connections_refused: int
    frames_refused: int
    requests_produce: int
    requests_fetch: int
    requests_control: int
    bytes_received: int
    bytes_sent: int
    records_appended: int
    batches_appended: int
    bytes_appended: int
    bytes_fetched: int
    flushes: int
    flush_errors: int
    write_errors: int
    cleans: int
    clean_errors: int
    clean_bytes_read: int
    clean_bytes_written: int
    clean_records_removed: int
    clean_busy_ns: int
    reactor_turns: int
    reactor_busy_ns: int


class Request(NamedTuple):
    """A request of the control lane; its connection waits for one :meth:`Engine.reply`."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    listener: int
    connection: int  # handle
    body: bytes  # after the request header
    peer: str  # address of the client without the port
    local: str  # address that the client reached; it is one that works for this client
    received_ns: int  # monotonic


class Verification(NamedTuple):
    """A producer's first batch of a transaction on a partition (KIP-890)."""

    partition: int  # handle
    producer_id: int
    producer_epoch: int


class Unverified(NamedTuple):
    """A Produce request whose connection waits for one :meth:`Engine.verified`."""

    connection: int  # handle
    api_version: int
    transactional_id: str
    items: list[Verification]
