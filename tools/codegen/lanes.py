"""Which keys pylog serves, and in which lane: the one list that is written by hand.

``fast``: C, ``src/native/api/kNN_name.c``. ``control``: Python, ``src/pylog/apis/kNN_name.py``.
ApiVersions lists exactly the keys of ``LANES``. Adding or removing one here and running
``python -m tools.codegen`` changes every table that is made from it.

Not here: keys between Kafka's own brokers and controllers, whose work pylog does by other means.
"""

from __future__ import annotations

LANES: dict[int, str] = {
    0: "fast",  # Produce
    1: "fast",  # Fetch
    2: "control",  # ListOffsets
    3: "control",  # Metadata
    8: "control",  # OffsetCommit
    9: "control",  # OffsetFetch
    10: "control",  # FindCoordinator
    11: "control",  # JoinGroup
    12: "control",  # Heartbeat
    13: "control",  # LeaveGroup
    14: "control",  # SyncGroup
    15: "control",  # DescribeGroups
    16: "control",  # ListGroups
    17: "control",  # SaslHandshake
    18: "control",  # ApiVersions
    19: "control",  # CreateTopics
    20: "control",  # DeleteTopics
    21: "control",  # DeleteRecords
    22: "control",  # InitProducerId
    23: "control",  # OffsetForLeaderEpoch
    24: "control",  # AddPartitionsToTxn
    25: "control",  # AddOffsetsToTxn
    26: "control",  # EndTxn
    27: "control",  # WriteTxnMarkers
    28: "control",  # TxnOffsetCommit
    29: "control",  # DescribeAcls
    30: "control",  # CreateAcls
    31: "control",  # DeleteAcls
    32: "control",  # DescribeConfigs
    33: "control",  # AlterConfigs
    34: "control",  # AlterReplicaLogDirs
    35: "control",  # DescribeLogDirs
    36: "control",  # SaslAuthenticate
    37: "control",  # CreatePartitions
    38: "control",  # CreateDelegationToken
    39: "control",  # RenewDelegationToken
    40: "control",  # ExpireDelegationToken
    41: "control",  # DescribeDelegationToken
    42: "control",  # DeleteGroups
    43: "control",  # ElectLeaders
    44: "control",  # IncrementalAlterConfigs
    45: "control",  # AlterPartitionReassignments
    46: "control",  # ListPartitionReassignments
    47: "control",  # OffsetDelete
    48: "control",  # DescribeClientQuotas
    49: "control",  # AlterClientQuotas
    50: "control",  # DescribeUserScramCredentials
    51: "control",  # AlterUserScramCredentials
    55: "control",  # DescribeQuorum
    57: "control",  # UpdateFeatures
    60: "control",  # DescribeCluster
    61: "control",  # DescribeProducers
    65: "control",  # DescribeTransactions
    66: "control",  # ListTransactions
    68: "control",  # ConsumerGroupHeartbeat
    69: "control",  # ConsumerGroupDescribe
    71: "control",  # GetTelemetrySubscriptions
    72: "control",  # PushTelemetry
    74: "control",  # ListConfigResources
    75: "control",  # DescribeTopicPartitions
    76: "control",  # ShareGroupHeartbeat
    77: "control",  # ShareGroupDescribe
    78: "control",  # ShareFetch
    79: "control",  # ShareAcknowledge
    83: "control",  # InitializeShareGroupState
    84: "control",  # ReadShareGroupState
    85: "control",  # WriteShareGroupState
    86: "control",  # DeleteShareGroupState
    87: "control",  # ReadShareGroupStateSummary
    88: "control",  # StreamsGroupHeartbeat
    89: "control",  # StreamsGroupDescribe
    90: "control",  # DescribeShareGroupOffsets
    91: "control",  # AlterShareGroupOffsets
    92: "control",  # DeleteShareGroupOffsets
}

ADVERTISED_FROM: dict[int, int] = {
    # Kafka's brokers say 0 although 3 is the least they take: librdkafka before 2.10 looks for
    # Produce 0 to learn whether a broker knows gzip, snappy and lz4.
    0: 0,
}

EMBEDDED: dict[str, str] = {
    # Messages that travel inside the bytes of others, by the module that holds them.
    "ConsumerProtocolSubscription": "consumer_protocol",
    "ConsumerProtocolAssignment": "consumer_protocol",
}

RECORDS: dict[str, tuple[str, dict[str, str]]] = {
    # Records of internal topics: jar → (registry, beginning of the message name → module). The
    # longest beginning wins.
    "kafka-group-coordinator": (
        "GROUP",
        {
            "OffsetCommit": "offsets",
            "LegacyOffsetCommit": "offsets",
            "GroupMetadata": "classic_group",
            "ConsumerGroup": "consumer_group",
            "ShareGroup": "share_group",
            "StreamsGroup": "streams_group",
        },
    ),
    "kafka-transaction-coordinator": ("TRANSACTION", {"TransactionLog": "transaction_log"}),
    "kafka-share-coordinator": ("SHARE_STATE", {"Share": "share_state"}),
}

CURSORS: dict[str, dict[str, str]] = {
    # Requests that C reads in place, and what their structs are called there.
    "ProduceRequest": {"TopicProduceData": "topic", "PartitionProduceData": "partition"},
    "FetchRequest": {
        "ReplicaState": "replica_state",
        "FetchTopic": "topic",
        "FetchPartition": "partition",
        "ForgottenTopic": "forgotten_topic",
    },
}

STREAMED = {"responses", "partition_responses", "partitions"}
"""Lists in them whose elements C writes one by one, as they come."""

WRITERS: dict[str, dict[str, str]] = {
    # Responses that C writes, and what their structs are called there.
    "ProduceResponse": {
        "BatchIndexAndErrorMessage": "record_error",
        "LeaderIdAndEpoch": "leader",
        "PartitionProduceResponse": "partition",
        "TopicProduceResponse": "topic",
        "NodeEndpoint": "node",
    },
    "FetchResponse": {
        "EpochEndOffset": "diverging_epoch",
        "LeaderIdAndEpoch": "leader",
        "SnapshotId": "snapshot_id",
        "AbortedTransaction": "aborted_transaction",
        "PartitionData": "partition",
        "FetchableTopicResponse": "topic",
        "NodeEndpoint": "node",
    },
}
