"""AlterReplicaLogDirs: move replicas to another log folder of this broker (KIP-113).

Behaviour
    The answer comes at once; DescribeLogDirs tells when the replica has moved. Meanwhile it is
    served where it was, but for the moment of the switch. A replica that is told to be where it is
    stays there, whatever it was told before.
    A folder that is not known, or has failed, is answered with LOG_DIR_NOT_FOUND before the
    partition is looked for, as in Kafka. A log that can't be used has KAFKA_STORAGE_ERROR.
Version notes
    1  the lowest served; 2 flexible
Not done
    A place for a replica that is not there yet.
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.log.layout import DataFolder
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
    folders = {str(item.path.absolute()): item for item in context.broker.dirs.online}
    wanted: dict[str, dict[int, DataFolder | None]] = {}  # where to, by topic and partition
    for place in request.dirs:
        folder = folders.get(place.path)
        for topic in place.topics:
            wanted.setdefault(topic.name, {}).update(dict.fromkeys(topic.partitions, folder))
    return AlterReplicaLogDirsResponse(
        results=[
            AlterReplicaLogDirTopicResult(
                topic_name=name,
                partitions=[
                    AlterReplicaLogDirPartitionResult(
                        partition_index=index, error_code=_code(context, name, index, folder)
                    )
                    for index, folder in partitions.items()
                ],
            )
            for name, partitions in wanted.items()
        ]
    )


def _code(context: RequestContext, topic: str, index: int, folder: DataFolder | None) -> ErrorCode:
    partitions = context.broker.partitions
    if folder is None:
        return ErrorCode.LOG_DIR_NOT_FOUND
    if partitions.is_offline(topic, index):
        return ErrorCode.KAFKA_STORAGE_ERROR
    if partitions.get(topic, index) is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    partitions.move((topic, index), folder)
    return ErrorCode.NONE
