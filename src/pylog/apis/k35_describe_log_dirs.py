"""DescribeLogDirs: the data folder, its free space, and the size of every log in it.

Behaviour
    There is one folder. Topics that are named but not here are left out, as in Kafka. The lag of
    an offset is that of a replica that is moved between folders: 0, as nothing moves.
Version notes
    1  the lowest served; 3 an error of the whole answer; 4 sizes of the disk (KIP-827)
    5  whether a folder is cordoned (KIP-1066): never
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from pylog.apis.context import RequestContext
from pylog.engine import Partition
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
    folder = context.broker.folder.path.absolute()
    disk = os.statvfs(folder)
    result = DescribeLogDirsResult(
        log_dir=str(folder),
        topics=_topics(_wanted(request, context)),
        total_bytes=disk.f_blocks * disk.f_frsize,
        usable_bytes=disk.f_bavail * disk.f_frsize,
    )
    return DescribeLogDirsResponse(results=[result])


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
