"""DescribeLogDirs: the data folders, their free space, and the size of every log in them.

Behaviour
    A folder that has failed is told with KAFKA_STORAGE_ERROR and without its logs. Topics that are
    named but not here are left out, as in Kafka.
Version notes
    1  the lowest served; 3 an error of the whole answer; 4 sizes of the disk (KIP-827)
    5  whether a folder is cordoned (KIP-1066): never
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from pylog.apis.context import RequestContext
from pylog.engine import Partition
from pylog.log.layout import DataFolder
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)


async def handle(
    request: DescribeLogDirsRequest, context: RequestContext
) -> DescribeLogDirsResponse:
    dirs = context.broker.dirs
    by_folder: dict[DataFolder, list[Partition]] = {folder: [] for folder in dirs.online}
    for partition in _wanted(request, context):
        folder = context.broker.partitions.folder_of(partition.topic, partition.partition)
        if folder in by_folder:
            by_folder[folder].append(partition)
    online = [_describe(folder, partitions) for folder, partitions in by_folder.items()]
    return DescribeLogDirsResponse(results=online + [_failed(str(path)) for path in dirs.failed])


def _describe(folder: DataFolder, partitions: Iterable[Partition]) -> DescribeLogDirsResult:
    path = str(folder.path.absolute())
    try:
        disk = os.statvfs(path)
    except OSError:
        return _failed(path)
    return DescribeLogDirsResult(
        log_dir=path,
        topics=_topics(partitions),
        total_bytes=disk.f_blocks * disk.f_frsize,
        usable_bytes=disk.f_bavail * disk.f_frsize,
    )


def _failed(path: str) -> DescribeLogDirsResult:
    return DescribeLogDirsResult(error_code=ErrorCode.KAFKA_STORAGE_ERROR, log_dir=path)


def _wanted(request: DescribeLogDirsRequest, context: RequestContext) -> Iterable[Partition]:
    partitions = context.broker.partitions
    if request.topics is None:
        return partitions
    named = {(topic.topic, index) for topic in request.topics for index in topic.partitions}
    found = (partitions.get(topic, index) for topic, index in sorted(named))
    return [partition for partition in found if partition is not None]


def _topics(partitions: Iterable[Partition]) -> list[DescribeLogDirsTopic]:
    topics: dict[str, DescribeLogDirsTopic] = {}
    for partition in partitions:
        topic = topics.setdefault(partition.topic, DescribeLogDirsTopic(name=partition.topic))
        topic.partitions.append(
            DescribeLogDirsPartition(
                partition_index=partition.partition,
                partition_size=partition.offsets().size_bytes,
            )
        )
    return list(topics.values())
