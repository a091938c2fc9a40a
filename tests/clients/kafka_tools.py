"""Kafka's command line tools: what each is for, and what it can do with pylog.

`docs/kafka-tools.md` is this table, written by `python -m tools.codegen`. The tests hold it to the
tools of Kafka's jars, and run every tool that it says works.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """Whether a tool works with pylog. What does not work is said in its note."""

    WORKS = "works"
    IN_PART = "in part"
    NO = "no"


@dataclass(frozen=True)
class KafkaTool:
    """A script of `bin/` in Apache Kafka, without `.sh`, and the class that it starts.

    A class that no script starts has its own name.
    """

    script: str
    main: str
    purpose: str
    verdict: Verdict = Verdict.WORKS
    note: str = ""


PACKAGE = "org.apache.kafka.tools"
_PART, _NO = Verdict.IN_PART, Verdict.NO

TOOLS = (
    KafkaTool(
        "kafka-acls", f"{PACKAGE}.AclCommand", "add, list and remove rules of access",
        note="needs `authorizer.class.name`, as with Kafka",
    ),
    KafkaTool(
        "kafka-broker-api-versions", f"{PACKAGE}.BrokerApiVersionsCommand",
        "tell the keys and versions that a broker serves",
    ),
    KafkaTool(
        "kafka-client-metrics", f"{PACKAGE}.ClientMetricsCommand",
        "say which metrics clients are asked for",
    ),
    KafkaTool(
        "kafka-cluster", f"{PACKAGE}.ClusterTool", "tell the id of the cluster and its brokers",
        _PART, "`unregister` says that it is not supported: a single broker is never taken out",
    ),
    KafkaTool(
        "kafka-configs", f"{PACKAGE}.ConfigCommand",
        "set and tell settings of topics, brokers, groups and client metrics; quotas; SCRAM users",
    ),
    KafkaTool(
        "kafka-console-consumer", f"{PACKAGE}.consumer.ConsoleConsumer", "print records",
        note="its formatters read pylog's internal topics too",
    ),
    KafkaTool("kafka-console-producer", f"{PACKAGE}.ConsoleProducer", "write lines as records"),
    KafkaTool(
        "kafka-console-share-consumer", f"{PACKAGE}.consumer.ConsoleShareConsumer",
        "print records as a member of a share group",
    ),
    KafkaTool(
        "kafka-consumer-groups", f"{PACKAGE}.consumer.group.ConsumerGroupCommand",
        "list, describe, reset and delete consumer groups",
    ),
    KafkaTool(
        "kafka-consumer-perf-test", f"{PACKAGE}.ConsumerPerformance", "measure reading",
    ),
    KafkaTool(
        "kafka-delegation-tokens", f"{PACKAGE}.DelegationTokenCommand",
        "hand out tokens to log in with", _PART,
        "says that tokens are switched off, as with Kafka without `delegation.token.secret.key`",
    ),
    KafkaTool(
        "kafka-delete-records", f"{PACKAGE}.DeleteRecordsCommand",
        "delete records before an offset",
    ),
    KafkaTool(
        "kafka-dump-log", f"{PACKAGE}.DumpLogSegments", "print and check segments and indexes",
        note="reads the files of pylog's data folder; `--cluster-metadata-decoder` has nothing to "
        "read: pylog keeps metadata in a file of its own",
    ),
    KafkaTool(
        "kafka-e2e-latency", f"{PACKAGE}.EndToEndLatency",
        "measure the time from a producer to a consumer",
    ),
    KafkaTool(
        "kafka-features", f"{PACKAGE}.FeatureCommand", "tell and change levels of features",
    ),
    KafkaTool(
        "kafka-get-offsets", f"{PACKAGE}.GetOffsetShell", "tell offsets of partitions",
    ),
    KafkaTool("kafka-groups", f"{PACKAGE}.GroupsCommand", "list groups of every type"),
    KafkaTool(
        "kafka-jmx", f"{PACKAGE}.JmxTool", "print metrics of a Java process", _NO,
        "pylog is no Java process; its metrics are at `metrics.listen`, for Prometheus",
    ),
    KafkaTool(
        "kafka-leader-election", f"{PACKAGE}.LeaderElectionCommand", "elect leaders",
        note="the only replica leads already, which is what the tool says",
    ),
    KafkaTool(
        "kafka-log-dirs", f"{PACKAGE}.LogDirsCommand", "tell the size of each log",
    ),
    KafkaTool(
        "kafka-metadata-quorum", f"{PACKAGE}.MetadataQuorumCommand",
        "tell who holds the metadata", _PART,
        "the broker alone is the quorum; `add-controller` and `remove-controller` are refused",
    ),
    KafkaTool(
        "kafka-producer-perf-test", f"{PACKAGE}.ProducerPerformance", "measure writing",
    ),
    KafkaTool(
        "kafka-reassign-partitions", f"{PACKAGE}.reassign.ReassignPartitionsCommand",
        "move partitions to other brokers or folders",
        note="between the folders of `log.dirs`; there is no other broker to move to",
    ),
    KafkaTool(
        "kafka-replica-verification", f"{PACKAGE}.ReplicaVerificationTool",
        "compare replicas of partitions", note="there is one replica: it never lags",
    ),
    KafkaTool(
        "kafka-share-consumer-perf-test", f"{PACKAGE}.ShareConsumerPerformance",
        "measure reading in a share group",
    ),
    KafkaTool(
        "kafka-share-groups", f"{PACKAGE}.consumer.group.ShareGroupCommand",
        "list, describe, reset and delete share groups",
    ),
    KafkaTool(
        "kafka-storage", "kafka.tools.StorageTool", "prepare folders for Kafka's broker", _NO,
        "`pylog serve` prepares its own folder",
    ),
    KafkaTool(
        "kafka-streams-application-reset", f"{PACKAGE}.StreamsResetter",
        "let an application of Kafka Streams begin again",
    ),
    KafkaTool(
        "kafka-streams-groups", f"{PACKAGE}.streams.StreamsGroupCommand",
        "list, describe, reset and delete groups of Kafka Streams",
    ),
    KafkaTool(
        "kafka-topics", f"{PACKAGE}.TopicCommand", "create, list, describe, alter, delete topics",
    ),
    KafkaTool(
        "kafka-transactions", f"{PACKAGE}.TransactionsCommand",
        "list, describe and end transactions and their producers",
    ),
    KafkaTool(
        "kafka-verifiable-consumer", f"{PACKAGE}.VerifiableConsumer",
        "read and tell of every step in JSON",
    ),
    KafkaTool(
        "kafka-verifiable-producer", f"{PACKAGE}.VerifiableProducer",
        "write and tell of every step in JSON",
    ),
    KafkaTool(
        "kafka-verifiable-share-consumer", f"{PACKAGE}.VerifiableShareConsumer",
        "read in a share group and tell of every step in JSON",
    ),
    KafkaTool(
        "ClientCompatibilityTest", f"{PACKAGE}.ClientCompatibilityTest",
        "Kafka's system tests: what clients can do with a broker",
    ),
    KafkaTool(
        "LogCompactionTester", f"{PACKAGE}.LogCompactionTester",
        "Kafka's system tests: compaction keeps the newest of each key",
    ),
    KafkaTool(
        "TransactionalMessageCopier", f"{PACKAGE}.TransactionalMessageCopier",
        "Kafka's system tests: copy a partition in transactions",
    ),
    KafkaTool(
        "OAuthCompatibilityTool", f"{PACKAGE}.OAuthCompatibilityTool",
        "try the OAuth settings of a client and of a broker against a provider of tokens", _NO,
        "talks to no broker",
    ),
)  # fmt: skip


def tool_named(script: str) -> KafkaTool:
    return next(tool for tool in TOOLS if tool.script == script)
