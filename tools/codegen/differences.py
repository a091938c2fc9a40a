"""Where pylog differs from Apache Kafka on purpose: what can't be read from other tables.

``docs/differences.md`` is made of this, of the list of keys, of the option table, and of what the
files of keys say under "Not done". The generator refuses a key that is neither served nor here;
`tests/clients/test_kafka_settings.py` compares the settings with Kafka's own.
"""

from __future__ import annotations

NOT_SERVED: dict[int, str] = {
    64: "the only broker is not taken out of its cluster",
    80: "there is no quorum of controllers to change",
    81: "there is no quorum of controllers to change",
    93: "descriptions of topologies go to a plug-in in Java (KIP-1331)",
    94: "there is no quorum of controllers to change",
}
"""Keys of Kafka's broker without a lane, and why."""

_QUORUM = "the broker decides alone: no controllers, no registration with them"
_COPIES = "one broker has the only copy: nothing is copied to another"
_REMOTE = "there is no remote storage"
_PLUG_INS = "classes in Java are not loaded"
_INSIDE = "they tune threads, queues and caches that pylog does not have"
_TLS = "TLS is not served: listeners are PLAINTEXT or SASL_PLAINTEXT"
_LOGIN = "the broker logs in nowhere"
_TOKENS = "keys of tokens come from `sasl.oauthbearer.jwks.file`, they are not fetched"
_TOPICS = "topics of coordinators are made as the coordinators need them"
_FIXED = "the value is fixed"

SETTINGS_WITHOUT_EFFECT: tuple[tuple[str, tuple[str, ...]], ...] = (
    (_TLS, ("ssl.*",)),
    ("Kerberos is not served", ("sasl.kerberos.*",)),
    (
        _TOKENS,
        (
            "sasl.oauthbearer.allow.*", "sasl.oauthbearer.assertion.*",
            "sasl.oauthbearer.client.*", "sasl.oauthbearer.clock.*",
            "sasl.oauthbearer.jwks.endpoint.*", "sasl.oauthbearer.jwt.*",
            "sasl.oauthbearer.scope*", "sasl.oauthbearer.sub.*",
            "sasl.oauthbearer.token.*",
        ),
    ),
    (
        "users of PLAIN are those of `sasl.plain.users`; callbacks are classes in Java",
        ("sasl.jaas.config", "sasl.server.callback.handler.class"),
    ),
    (_LOGIN, ("sasl.login.*", "sasl.client.callback.handler.class")),
    ("delegation tokens are not served", ("delegation.token.*",)),
    (
        _QUORUM,
        (
            "broker.heartbeat.interval.ms", "broker.session.timeout.ms", "controlled.shutdown.*",
            "controller.*", "early.start.listeners", "initial.broker.registration.timeout.ms",
            "internal.metadata.*", "metadata.*", "process.roles",
            "sasl.mechanism.controller.protocol", "server.max.startup.time.ms", "unstable.*",
        ),
    ),
    (
        "logs move between folders without a quota, and no folder is cordoned (KIP-1066)",
        (
            "alter.log.dirs.*", "cordoned.log.dirs", "num.replica.alter.*",
            "replica.alter.log.dirs.*",
        ),
    ),
    (
        _COPIES,
        (
            "add.partitions.to.txn.retry.*", "auto.leader.rebalance.enable", "follower.fetch.*",
            "inter.broker.listener.name",
            "leader.imbalance.*", "log.dir.failure.timeout.ms", "num.replica.*", "replica.*",
            "replication.quota.*", "*.replication.throttled.rate",
            "request.timeout.ms", "sasl.mechanism.inter.broker.protocol",
            "security.inter.broker.protocol", "socket.connection.setup.*",
            "unclean.leader.election.interval.ms",
        ),
    ),
    (
        _REMOTE,
        (
            "local.retention.*", "log.local.*", "log.remote.*", "remote.copy.*", "remote.fetch.*",
            "remote.list.*", "remote.log.*",
        ),
    ),
    (
        _PLUG_INS,
        (
            "*.policy.class.name", "*.persister.class.name", "*.manager.class.name",
            "*.plugin.class", "client.quota.callback.class", "config.providers",
            "group.consumer.assignors", "group.share.assignors", "kafka.metrics.*",
            "metric.reporters", "principal.builder.class", "security.providers",
        ),
    ),
    (
        _INSIDE,
        (
            "*.append.linger.ms", "*.assignor.offload.enable", "*.background.threads",
            "*.cached.buffer.max.bytes", "*.load.buffer.size", "*.purge.interval.requests",
            "group.coordinator.threads", "metrics.num.*", "metrics.recording.*",
            "metrics.sample.*", "num.io.threads", "num.network.threads",
            "offsets.commit.timeout.ms", "queued.*",
            "quota.window.*", "share.coordinator.threads", "share.coordinator.write.timeout.ms",
            "socket.listen.backlog.size",
        ),
    ),
    (
        "connections are limited as a whole, by `max.connections`",
        ("max.connection.creation.rate", "max.connections.per.ip*"),
    ),
    (
        "members of consumer groups get a new assignment in the heartbeat that asks for one",
        ("*consumer.*assignment.interval.ms",),
    ),
    (
        "groups move between the classic and the consumer protocol in both directions",
        ("group.consumer.migration.policy",),
    ),
    (
        "expressions are resolved again whenever a topic comes or goes",
        ("group.consumer.regex.refresh.interval.ms",),
    ),
    (
        "every protocol of groups is on",
        ("group.coordinator.rebalance.protocols",),
    ),
    (
        "the assignor of streams groups gives no warm-up tasks",
        (
            "*streams.acceptable.recovery.lag", "*streams.*warmup.replicas",
            "*streams.*task.offset.interval.ms",
        ),
    ),
    (
        "records of coordinators are not compressed",
        ("offsets.topic.compression.codec", "share.coordinator.state.topic.compression.codec"),
    ),
    (
        "a topic of one replica has no others to wait for",
        ("share.coordinator.state.topic.min.isr", "transaction.state.log.min.isr"),
    ),
    (
        "a transaction is always checked before a producer writes in it",
        ("transaction.partition.verification.enable",),
    ),
    ("two-phase commit (KIP-939) is not served", ("transaction.two.phase.commit.enable",)),
    (
        _FIXED,
        (
            "group.share.initialize.retry.interval.ms",
            "log.flush.start.offset.checkpoint.interval.ms", "log.initial.task.delay.ms",
            "max.decompressed.message.bytes", "producer.id.expiration.check.interval.ms",
            "sasl.server.max.receive.size", "share.coordinator.cold.partition.snapshot.interval.ms",
        ),
    ),
    ("`node.id` is its name", ("broker.id",)),
)  # fmt: skip
"""Settings of Kafka that have no effect here, by why; the first match holds."""

_ONE = "one broker has one replica"

OTHER_DEFAULTS: dict[str, tuple[str | None, str]] = {
    "listeners": ("PLAINTEXT://:9092", "nobody else's machine reaches a broker by accident"),
    "log.dir": ("/tmp/kafka-logs", "nothing is kept where the system may clear it"),
    "node.id": (None, "a broker starts without settings"),
    "offsets.topic.replication.factor": ("3", _ONE),
    "sasl.enabled.mechanisms": ("GSSAPI", "Kerberos is not served"),
    "share.coordinator.state.topic.replication.factor": ("3", _ONE),
    "socket.receive.buffer.bytes": ("102400", "the system adapts it to the connection"),
    "socket.send.buffer.bytes": ("102400", "measured: large answers cost less CPU"),
    "transaction.state.log.replication.factor": ("3", _ONE),
}
"""Settings whose default is not Kafka's: Kafka's, and why."""

OTHER_LIMITS: dict[str, str] = {
    "remote.storage.enable": "false only: there is no remote storage",
    "internal.segment.bytes": "from 14 on; Kafka takes any number",
}
"""Settings of topics and groups that do not take just the values that Kafka takes, and how."""

OWN_SETTINGS = (
    "log.durability",
    "metrics.listen",
    "sasl.oauthbearer.jwks.file",
    "sasl.oauthbearer.unsecured.enable",
    "sasl.plain.users",
)
"""Settings that Kafka does not have."""

BEHAVIOUR: tuple[tuple[str, str], ...] = (
    (
        "Durability",
        "With the default `log.durability = fsync` a record is acknowledged, and shown to "
        "consumers, when it is flushed to the disk. Kafka leaves the flush to the system, as "
        "`log.durability = os` does.",
    ),
    (
        "Settings",
        "They come from the command line, the environment and a TOML file; `server.properties` is "
        "not read. One that not even Kafka knows keeps the broker from starting; Kafka ignores it.",
    ),
    (
        "Versions",
        "A request in a version that is not served is answered with UNSUPPORTED_VERSION where its "
        "answer has a place for an error. Kafka closes the connection. Produce 0 to 2 are "
        "served: Kafka lists them and closes the connection of who sends one.",
    ),
    ("Errors", "Codes are Kafka's. The texts that go with them are pylog's own."),
    (
        "Metadata",
        "Topics, settings, users, rules and quotas are in `metadata.db` (SQLite). There is no "
        "topic `__cluster_metadata` to read; DescribeQuorum gives the store's revision for its "
        "offsets, and the broker for the only voter, whatever level `kraft.version` has.",
    ),
    (
        "Features",
        "Clients are told the level that was set, and keep to it. The broker itself serves the "
        "newer protocols of groups and transactions at every level; only dead letter queues of "
        "share groups depend on theirs.",
    ),
    (
        "Topics",
        "One that Metadata creates is answered with its leaders at once, where Kafka answers "
        "UNKNOWN_TOPIC_OR_PARTITION first. The topics of coordinators can't be deleted.",
    ),
    (
        "Transactions",
        "EndTxn is answered when the markers are written, or after a second; Kafka answers when "
        "the end is decided (`docs/adr/0005-coordinators.md`).",
    ),
    (
        "Streams groups",
        "A member that reports other tasks than it has been given, as a client does after an "
        "error, is told its tasks again. Kafka's broker leaves it so until its rebalance timeout.",
    ),
    (
        "Metrics",
        "They are served to Prometheus at `metrics.listen`, with what clients push (KIP-714). "
        "There is no JMX.",
    ),
    (
        "Rules of access",
        "A regular expression of a consumer group finds topics that the member may not describe; "
        "it may not read them either way.",
    ),
)
"""What a user may notice, beside what single keys don't do."""
