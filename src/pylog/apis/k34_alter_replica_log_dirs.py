"""AlterReplicaLogDirs: move replicas to another log folder of this broker (KIP-113).

Behaviour
    There is one folder, so a replica is where it is told to go, or the folder is not known:
    LOG_DIR_NOT_FOUND, before the partition is looked for, as in Kafka. A log that can't be used
    has KAFKA_STORAGE_ERROR.
Version notes
    1  the lowest served; 2 flexible
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)


async def handle(
    request: AlterReplicaLogDirsRequest, context: RequestContext
) -> AlterReplicaLogDirsResponse:
    here = str(context.broker.folder.path.absolute())
    results: dict[str, AlterReplicaLogDirTopicResult] = {}
    for folder in request.dirs:
        for topic in folder.topics:
            result = results.setdefault(
                topic.name, AlterReplicaLogDirTopicResult(topic_name=topic.name)
            )
            result.partitions += [
                AlterReplicaLogDirPartitionResult(
                    partition_index=index,
                    error_code=_code(context, topic.name, index)
                    if folder.path == here
                    else ErrorCode.LOG_DIR_NOT_FOUND,
                )
                for index in topic.partitions
            ]
    return AlterReplicaLogDirsResponse(results=list(results.values()))


def _code(context: RequestContext, topic: str, index: int) -> ErrorCode:
    partition = context.broker.partitions.get(topic, index)
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if context.broker.partitions.is_offline(topic, index):
        return ErrorCode.KAFKA_STORAGE_ERROR
    return ErrorCode.NONE
