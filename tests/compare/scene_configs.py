"""Settings of topics, brokers, groups and subscriptions: describe and alter them."""

from __future__ import annotations

from typing import Any

from tests.compare.dialogue import Dialogue

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)
HUGE = str(2**63 - 1)
VALUES = {
    "cleanup.policy": ("delete", "compact,delete", "", "compact,compact", "none", "delete,x"),
    "compression.gzip.level": ("1", "-1", "0", "10", "x"),
    "compression.lz4.level": ("1", "17", "0", "18"),
    "compression.type": ("gzip", "zstd", "uncompressed", "producer", "none", "GZIP", ""),
    "compression.zstd.level": ("-131072", "22", "23", "-131073"),
    "delete.retention.ms": ("0", "-1", "x", HUGE),
    "errors.deadletterqueue.group.enable": ("true", "false", "x"),
    "file.delete.delay.ms": ("0", "-1"),
    "flush.messages": ("1", "0", "-1"),
    "flush.ms": ("0", "-1"),
    "follower.replication.throttled.replicas": ("*", "0:1,1:1", "", "none", "0", "a:b"),
    "index.interval.bytes": ("0", "-1", "2147483648"),
    "leader.replication.throttled.replicas": ("*", "0:1", "x"),
    "local.retention.bytes": ("-2", "-1", "1", "-3"),
    "local.retention.ms": ("-2", "-1", "1", "-3"),
    "max.compaction.lag.ms": ("1", "0", "-1"),
    "max.decompressed.message.bytes": ("0", "1", "-1", "2147483647", "2147483648"),
    "max.message.bytes": ("0", "-1", "2147483647", "1e3", " 5 ", ""),
    "message.timestamp.after.max.ms": ("0", "-1"),
    "message.timestamp.before.max.ms": ("0", "-1"),
    "message.timestamp.type": ("CreateTime", "LogAppendTime", "createtime", "x"),
    "min.cleanable.dirty.ratio": ("0", "1", "0.25", "1.1", "-0.1", "x"),
    "min.compaction.lag.ms": ("0", "-1"),
    "min.insync.replicas": ("1", "2", "0", "-1"),
    "preallocate": ("true", "TRUE", "yes", "1"),
    "remote.copy.lag.bytes": ("-1", "0", "-3"),
    "remote.copy.lag.ms": ("-1", "0", "-3"),
    "remote.log.copy.disable": ("false", "true", "x"),
    "remote.log.delete.on.disable": ("false", "true", "x"),
    "remote.storage.enable": ("false", "true", "x"),
    "retention.bytes": ("-1", "0", "-2"),
    "retention.ms": ("-1", "0", "-2"),
    "segment.bytes": ("1048576", "1048575", "0", "2147483647", "2147483648"),
    "internal.segment.bytes": ("1048576", "14"),
    "segment.index.bytes": ("4", "3", "0"),
    "segment.jitter.ms": ("0", "-1"),
    "segment.ms": ("1", "0", "-1"),
    "unclean.leader.election.enable": ("true", "x"),
    "message.format.version": ("3.0",),
    "message.downconversion.enable": ("true",),
    "unknown.setting": ("1",),
    "": ("1",),
    "Retention.ms": ("1",),
}
GROUP_VALUES = {
    "consumer.session.timeout.ms": ("45000", "60000", "1", "60001", "x", "0", "-1"),
    "consumer.heartbeat.interval.ms": ("5000", "15000", "1", "15001"),
    "consumer.assignment.interval.ms": ("0", "1000", "-1", "x", "15001"),
    "consumer.assignor.offload.enable": ("true", "false", "x"),
    "share.session.timeout.ms": ("45000", "60000", "44999", "60001", "0"),
    "share.heartbeat.interval.ms": ("5000", "15000", "4999", "15001"),
    "share.record.lock.duration.ms": ("15000", "60000", "14999", "60001", "1000", "0"),
    "share.delivery.count.limit": ("2", "10", "1", "11", "0"),
    "share.partition.max.record.locks": ("100", "2000", "99", "4000", "10001"),
    "share.auto.offset.reset": (
        "earliest",
        "latest",
        "none",
        "by_duration:PT1H",
        "by_duration:-PT1H",
        "x",
    ),
    "share.isolation.level": ("read_committed", "read_uncommitted", "x"),
    "share.renew.acknowledge.enable": ("true", "x"),
    "share.assignment.interval.ms": ("0", "1000", "-1"),
    "share.assignor.offload.enable": ("true", "x"),
    "streams.session.timeout.ms": ("45000", "60000", "1", "60001"),
    "streams.heartbeat.interval.ms": ("5000", "15000", "4999", "15001"),
    "streams.num.standby.replicas": ("0", "1", "2", "3", "-1"),
    "streams.initial.rebalance.delay.ms": ("0", "3000", "-1"),
    "streams.assignment.interval.ms": ("0", "1000", "-1"),
    "streams.assignor.offload.enable": ("true", "x"),
    "streams.task.offset.interval.ms": ("15000", "60000", "1", "-1"),
    "unknown.setting": ("1",),
    "errors.deadletterqueue.topic.name": ("", "x", "__x"),
}
METRICS_VALUES = {
    "metrics": ("*", "", "a,b", "org.apache.kafka."),
    "interval.ms": ("100", "3600000", "99", "3600001", "x", "0", "-1"),
    "match": (
        "client_id=a",
        "client_id=[",
        "x=y",
        "client_id",
        "",
        "client_software_name=.*,client_id=a",
    ),
    "unknown": ("1",),
}
BROKER_VALUES = {
    "log.retention.ms": ("-1", "x", "0"),
    "log.retention.hours": ("1",),
    "num.partitions": ("2",),
    "message.max.bytes": ("1000", "-1"),
    "log.segment.bytes": ("1048576", "1048575"),
    "log.cleaner.threads": ("2",),
    "num.io.threads": ("8", "0"),
    "max.connections": ("1000", "-1"),
    "max.connections.per.ip": ("1000", "-1"),
    "max.connections.per.ip.overrides": ("127.0.0.1:1000",),
    "max.connection.creation.rate": ("1000",),
    "unclean.leader.election.enable": ("true", "x"),
    "min.insync.replicas": ("1", "0"),
    "compression.type": ("gzip", "x"),
    "transaction.partition.verification.enable": ("true", "x"),
    "producer.id.expiration.ms": ("1000", "0"),
    "leader.replication.throttled.rate": ("1000", "-1"),
    "follower.replication.throttled.rate": ("1000", "-1"),
    "replica.alter.log.dirs.io.max.bytes.per.second": ("1000", "-1"),
    "unknown.setting": ("1",),
    "node.id": ("5",),
    "listeners": ("PLAINTEXT://127.0.0.1:1",),
    "log.dirs": ("/tmp/x",),
    "auto.create.topics.enable": ("true",),
    "background.threads": ("20", "0"),
    "group.consumer.session.timeout.ms": ("45000",),
    "cordoned.log.dirs": ("",),
}


def play(d: Dialogue) -> None:
    d.try_to_ask(
        "CreateTopics",
        7,
        topics=[{"name": "orders", "num_partitions": 1, "replication_factor": 1}],
        timeout_ms=10_000,
    )
    _describe(d)
    _values(d)
    _steps(d)
    _replace(d)
    _create(d)
    _list(d)


def describe(
    d: Dialogue, title: str, kind: int, name: str, version: int = 4, **fields: Any
) -> None:
    row = {"resource_type": kind, "resource_name": name, "configuration_keys": None}
    keys = fields.pop("keys", None)
    row["configuration_keys"] = keys
    fields = {"include_synonyms": True, "include_documentation": True} | fields
    if version < 3:
        fields.pop("include_documentation")
    d.ask(f"describe {title}", "DescribeConfigs", version, resources=[row], **fields)


def alter(
    d: Dialogue,
    title: str,
    kind: int,
    name: str,
    *steps: tuple[int, str, str | None],
    **fields: Any,
) -> None:
    rows = [{"config_operation": op, "name": key, "value": value} for op, key, value in steps]
    resources = [{"resource_type": kind, "resource_name": name, "configs": rows}]
    version = fields.pop("version", 1)
    d.ask(f"alter {title}", "IncrementalAlterConfigs", version, resources=resources, **fields)


def _describe(d: Dialogue) -> None:
    for version in range(1, 5):
        describe(
            d, f"a topic's retention v{version}", TOPIC, "orders", version, keys=["retention.ms"]
        )
    for key in VALUES:
        describe(d, f"topic {key}", TOPIC, "orders", keys=[key])
    describe(d, "no key", TOPIC, "orders", keys=[])
    describe(d, "unknown topic", TOPIC, "nobody", keys=["retention.ms"])
    describe(d, "empty topic name", TOPIC, "", keys=["retention.ms"])
    describe(d, "wrong topic name", TOPIC, "a b", keys=["retention.ms"])
    describe(d, "without synonyms", TOPIC, "orders", keys=["retention.ms"], include_synonyms=False)
    for key in (*BROKER_VALUES, "log.roll.ms", "log.retention.minutes", "log.flush.interval.ms"):
        if key not in ("listeners", "log.dirs", "node.id"):
            describe(d, f"broker {key}", BROKER, "1", keys=[key])
    describe(d, "all brokers", BROKER, "")
    describe(d, "another broker", BROKER, "2", keys=["log.retention.ms"])
    describe(d, "no broker's number", BROKER, "x", keys=["log.retention.ms"])
    for key in GROUP_VALUES:
        describe(d, f"group {key}", GROUP, "readers", keys=[key])
    describe(d, "group", GROUP, "readers")
    describe(d, "group without name", GROUP, "")
    describe(d, "subscription", METRICS, "unknown")
    describe(d, "subscription without name", METRICS, "")
    for kind in (0, 1, 3, 64, -1):
        describe(d, f"resource type {kind}", kind, "1")
    describe(d, "loggers of another broker", LOGGER, "2")
    describe(d, "loggers without name", LOGGER, "")
    describe(d, "unknown logger", LOGGER, "1", keys=["nobody"])
    d.ask("describe nothing", "DescribeConfigs", 4, resources=[])
    rows = [
        {"resource_type": TOPIC, "resource_name": "orders", "configuration_keys": ["preallocate"]}
    ]
    d.ask("describe twice", "DescribeConfigs", 4, resources=rows * 2)


def _values(d: Dialogue) -> None:
    for kind, name, values in (
        (TOPIC, "orders", VALUES),
        (GROUP, "readers", GROUP_VALUES),
        (METRICS, "subscription", METRICS_VALUES),
        (BROKER, "1", BROKER_VALUES),
        (BROKER, "", BROKER_VALUES),
    ):
        for key, texts in values.items():
            for text in texts:
                where = f"{kind} {name!r} {key}={text}"
                alter(d, where, kind, name, (SET, key, text), validate_only=True)


def _steps(d: Dialogue) -> None:
    alter(d, "one", TOPIC, "orders", (SET, "retention.ms", "1000"))
    describe(d, "after it", TOPIC, "orders", keys=["retention.ms"])
    alter(d, "deleting it", TOPIC, "orders", (DELETE, "retention.ms", None))
    alter(d, "deleting it again, with a value", TOPIC, "orders", (DELETE, "retention.ms", "5"))
    alter(d, "deleting an unknown one", TOPIC, "orders", (DELETE, "unknown.setting", None))
    alter(d, "appending", TOPIC, "orders", (APPEND, "cleanup.policy", "compact"))
    describe(d, "appended", TOPIC, "orders", keys=["cleanup.policy"])
    alter(d, "appending again", TOPIC, "orders", (APPEND, "cleanup.policy", "compact"))
    alter(d, "subtracting", TOPIC, "orders", (SUBTRACT, "cleanup.policy", "delete"))
    describe(d, "subtracted", TOPIC, "orders", keys=["cleanup.policy"])
    alter(
        d, "subtracting what is not there", TOPIC, "orders", (SUBTRACT, "cleanup.policy", "delete")
    )
    alter(d, "subtracting all", TOPIC, "orders", (SUBTRACT, "cleanup.policy", "compact"))
    describe(d, "nothing left", TOPIC, "orders", keys=["cleanup.policy"])
    alter(d, "deleting the list", TOPIC, "orders", (DELETE, "cleanup.policy", None))
    alter(d, "appending to no list", TOPIC, "orders", (APPEND, "retention.ms", "1"))
    alter(d, "subtracting from no list", TOPIC, "orders", (SUBTRACT, "retention.ms", "1"))
    alter(d, "appending to an unknown one", TOPIC, "orders", (APPEND, "unknown.setting", "1"))
    alter(d, "appending nothing", TOPIC, "orders", (APPEND, "cleanup.policy", None))
    alter(d, "setting nothing", TOPIC, "orders", (SET, "retention.ms", None))
    alter(d, "by an unknown operation", TOPIC, "orders", (4, "retention.ms", "1"))
    alter(d, "by a negative operation", TOPIC, "orders", (-1, "retention.ms", "1"))
    alter(
        d, "twice the same", TOPIC, "orders", (SET, "retention.ms", "1"), (SET, "retention.ms", "2")
    )
    alter(
        d,
        "one right, one wrong",
        TOPIC,
        "orders",
        (SET, "retention.ms", "1"),
        (SET, "retention.bytes", "x"),
    )
    describe(d, "neither holds", TOPIC, "orders", keys=["retention.ms"])
    lags = (SET, "min.compaction.lag.ms", "10"), (SET, "max.compaction.lag.ms", "5")
    alter(d, "lags that exclude each other", TOPIC, "orders", *lags)
    alter(d, "none", TOPIC, "orders")
    alter(d, "of an unknown topic", TOPIC, "nobody", (SET, "retention.ms", "1"))
    alter(d, "of a topic without name", TOPIC, "", (SET, "retention.ms", "1"))
    alter(d, "of another broker", BROKER, "2", (SET, "log.retention.ms", "1000"))
    alter(d, "of no broker's number", BROKER, "x", (SET, "log.retention.ms", "1000"))
    alter(d, "of a negative broker", BROKER, "-1", (SET, "log.retention.ms", "1000"))
    alter(d, "of a group without name", GROUP, "", (SET, "consumer.session.timeout.ms", "45000"))
    alter(d, "of a subscription without name", METRICS, "", (SET, "metrics", "*"))
    for kind in (0, 1, 3, 64):
        alter(d, f"of resource type {kind}", kind, "1", (SET, "retention.ms", "1"))
    alter(d, "of this broker", BROKER, "1", (SET, "log.retention.ms", "3600000"))
    alter(d, "of all brokers", BROKER, "", (SET, "log.retention.ms", "7200000"))
    describe(d, "of both", BROKER, "1", keys=["log.retention.ms"])
    describe(d, "of all", BROKER, "")
    describe(d, "a topic below", TOPIC, "orders", keys=["retention.ms"])
    alter(d, "back", BROKER, "1", (DELETE, "log.retention.ms", None))
    alter(d, "back for all", BROKER, "", (DELETE, "log.retention.ms", None))
    least = "min.insync.replicas"
    alter(d, "copies in sync of all brokers", BROKER, "", (SET, least, "2"))
    describe(d, "copies in sync of a topic", TOPIC, "orders", keys=[least])
    alter(d, "copies in sync away, of all brokers", BROKER, "", (DELETE, least, None))
    alter(d, "copies in sync away, of this broker", BROKER, "1", (DELETE, least, None))
    alter(d, "copies in sync of all brokers back", BROKER, "", (SET, least, "1"))
    alter(d, "a group's", GROUP, "readers", (SET, "consumer.session.timeout.ms", "50000"))
    describe(d, "a group's", GROUP, "readers", keys=["consumer.session.timeout.ms"])
    alter(
        d, "a subscription", METRICS, "all", (SET, "metrics", "a.,b."), (SET, "interval.ms", "1000")
    )
    describe(d, "a subscription", METRICS, "all")
    alter(d, "loggers of another broker", LOGGER, "2", (SET, "kafka", "INFO"))
    alter(d, "an unknown logger", LOGGER, "1", (SET, "nobody.there", "INFO"))
    alter(d, "the root logger away", LOGGER, "1", (DELETE, "root", None))
    alter(d, "root logger to an unknown level", LOGGER, "1", (SET, "root", "LOUD"))
    alter(d, "root logger by appending", LOGGER, "1", (APPEND, "root", "INFO"))
    alter(d, "root logger", LOGGER, "1", (SET, "root", "WARN"))
    describe(d, "root logger", LOGGER, "1", keys=["root"])
    for version in (0, 1):
        alter(d, f"v{version}", TOPIC, "orders", (SET, "preallocate", "false"), version=version)
    row = {"resource_type": TOPIC, "resource_name": "orders", "configs": []}
    d.ask("alter twice", "IncrementalAlterConfigs", 1, resources=[row, row])
    d.ask("alter nothing", "IncrementalAlterConfigs", 1, resources=[])


def _replace(d: Dialogue) -> None:
    def replace(
        title: str, kind: int, name: str, *pairs: tuple[str, str | None], **fields: Any
    ) -> None:
        rows = [{"name": key, "value": value} for key, value in pairs]
        resources = [{"resource_type": kind, "resource_name": name, "configs": rows}]
        version = fields.pop("version", 2)
        d.ask(f"replace {title}", "AlterConfigs", version, resources=resources, **fields)

    for version in range(3):
        replace(f"v{version}", TOPIC, "orders", ("retention.ms", f"{version}000"), version=version)
    replace("all", TOPIC, "orders", ("retention.bytes", "1000"))
    describe(d, "replaced", TOPIC, "orders", keys=["retention.ms", "retention.bytes"])
    replace("by nothing", TOPIC, "orders")
    replace("by null", TOPIC, "orders", ("retention.ms", None))
    replace("by an unknown one", TOPIC, "orders", ("unknown.setting", "1"))
    replace("by a wrong value", TOPIC, "orders", ("retention.ms", "x"))
    replace("by one twice", TOPIC, "orders", ("retention.ms", "1"), ("retention.ms", "2"))
    replace("of an unknown topic", TOPIC, "nobody", ("retention.ms", "1"))
    replace("of a group", GROUP, "writers", ("consumer.session.timeout.ms", "50000"))
    replace("of a group, wrongly", GROUP, "writers", ("consumer.session.timeout.ms", "1"))
    replace("of a subscription", METRICS, "some", ("metrics", "*"))
    replace("of loggers", LOGGER, "1", ("root", "INFO"))
    replace("of another broker", BROKER, "2", ("log.retention.ms", "1000"))
    replace("of this broker", BROKER, "1", ("log.retention.ms", "1000"))
    replace("of this broker back", BROKER, "1")
    replace("of this broker's copies in sync", BROKER, "1", ("min.insync.replicas", "1"))
    replace("of all brokers by nothing", BROKER, "")
    describe(d, "all brokers, replaced", BROKER, "")
    replace("of resource type 1", 1, "x", ("log.retention.ms", "1000"))


def _create(d: Dialogue) -> None:
    def create(title: str, **configs: str | None) -> None:
        rows = [{"name": key.replace("_", "."), "value": value} for key, value in configs.items()]
        row = {"name": title.replace(" ", "-"), "num_partitions": 1, "replication_factor": 1}
        d.ask(
            f"create with {title}",
            "CreateTopics",
            7,
            hidden=("configs",),
            topics=[row | {"configs": rows}],
            timeout_ms=10_000,
        )

    create("retention", retention_ms="1000")
    create("an unknown setting", unknown_setting="1")
    create("a wrong value", retention_ms="x")
    create("a null value", retention_ms=None)
    create("small segments", segment_bytes="100")
    create("too many in sync", min_insync_replicas="2")
    create("remote storage", remote_storage_enable="true")
    create("lags that exclude each other", min_compaction_lag_ms="10", max_compaction_lag_ms="5")
    answer = d.ask(
        "create v7 with all its settings",
        "CreateTopics",
        7,
        topics=[{"name": "all", "num_partitions": 1, "replication_factor": 1}],
        timeout_ms=10_000,
    )
    assert answer.topics[0].error_code == 0


def _list(d: Dialogue) -> None:
    d.ask("list v0", "ListConfigResources", 0)
    d.ask("list v1", "ListConfigResources", 1)
    for kind in (0, 1, TOPIC, BROKER, LOGGER, METRICS, GROUP, 64, -1):
        d.ask(f"list of type {kind}", "ListConfigResources", 1, resource_types=[kind])
    d.ask("list of two types", "ListConfigResources", 1, resource_types=[GROUP, METRICS, GROUP])
