"""DescribeLogDirs: the data folders, their free space, and the size of every log in them.

Behaviour
    A log that is moved to another folder is told in both; in the new one as a future log, which
    lags by all of its offsets until the switch.
    A folder that has failed is told with KAFKA_STORAGE_ERROR and without its logs. Topics that are
    named but not here are left out, as in Kafka.
Version notes
    1  the lowest served; 3 an error of the whole answer; 4 sizes of the disk (KIP-827)
    5  whether a folder is cordoned (KIP-1066): never
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from pylog.apis.context import RequestContext
from pylog.engine.partition import Partition
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
    dirs, partitions = context.broker.dirs, context.broker.partitions
    by_folder: dict[DataFolder, list[_Log]] = {folder: [] for folder in dirs.online}
    for partition in _wanted(request, context):
        key = partition.topic, partition.partition
        here, future = partitions.folder_of(*key), partitions.moves.targets.get(key)
        if here in by_folder:
            by_folder[here].append(_Log(partition, False))
        if future in by_folder:
            by_folder[future].append(_Log(partition, True))
    online = [_describe(folder, logs) for folder, logs in by_folder.items()]
    return DescribeLogDirsResponse(results=online + [_failed(str(path)) for path in dirs.failed])


class _Log(NamedTuple):
    partition: Partition
    is_future: bool  # on its way here


def _describe(folder: DataFolder, logs: Iterable[_Log]) -> DescribeLogDirsResult:
    path = str(folder.path.absolute())
    try:
        disk = os.statvfs(path)
    except OSError:
        return _failed(path)
    return DescribeLogDirsResult(
        log_dir=path,
        topics=_topics(logs),
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


def _topics(logs: Iterable[_Log]) -> list[DescribeLogDirsTopic]:
    topics: dict[str, DescribeLogDirsTopic] = {}
    for partition, is_future in logs:
        topic = topics.setdefault(partition.topic, DescribeLogDirsTopic(name=partition.topic))
        offsets = partition.offsets()
        topic.partitions.append(
            DescribeLogDirsPartition(
                partition_index=partition.partition,
                partition_size=0 if is_future else offsets.size_bytes,
                offset_lag=offsets.log_end - offsets.log_start if is_future else 0,
                is_future_key=is_future,
            )
        )
    return list(topics.values())
