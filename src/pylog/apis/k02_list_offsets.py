"""ListOffsets: where a log starts and ends, and which offset belongs to a time.

Behaviour
    A partition that is named twice has one answer, INVALID_REQUEST.
    A time gives the first record at or after it, with that record's time; -1 when there is none.
    With read_committed nothing above the last stable offset is told.
    Special times: -1 latest, -2 earliest, -3 the record with the highest time (KIP-734, from 7),
    -4 earliest on local disk (KIP-405, from 8), -5 last in remote storage (KIP-1005, from 9),
    -6 first that waits for remote storage (KIP-1023, from 11). There is no remote storage: -4 is
    -2, and -5 and -6 give no offset.
Version notes
    2  isolation level (KIP-98); 4 leader epochs (KIP-320); 10 timeout_ms
Not done
    timeout_ms, which Kafka uses for remote storage only.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pylog.apis._partitions import code_of, last_of_each, led_here, repeated
from pylog.apis.context import RequestContext
from pylog.engine.partition import Partition
from pylog.engine.values import EngineError
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3
EARLIEST_LOCAL: Final = -4
LATEST_REMOTE: Final = -5
EARLIEST_PENDING_UPLOAD: Final = -6
_SINCE_VERSION: Final = {
    LATEST: 0,
    EARLIEST: 0,
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_REMOTE: 9,
    EARLIEST_PENDING_UPLOAD: 11,
}
_READ_COMMITTED: Final = 1
_EPOCH_VERSION: Final = 4  # leader epochs in answers (KIP-320)
_CONSUMER: Final = -1  # replica_id of a client; a broker asks for the end of the log


class _Found(NamedTuple):
    offset: int = -1
    timestamp_ms: int = -1
    leader_epoch: int = -1


async def handle(request: ListOffsetsRequest, context: RequestContext) -> ListOffsetsResponse:
    twice = repeated(
        (topic.name, item.partition_index) for topic in request.topics for item in topic.partitions
    )
    wanted = last_of_each((topic.name, topic.partitions) for topic in request.topics)
    topics = []
    for name, partitions in wanted.items():
        answers = []
        for item in partitions.values():
            answer = ListOffsetsPartitionResponse(partition_index=item.partition_index)
            try:
                if (name, item.partition_index) in twice:
                    raise ApiError(ErrorCode.INVALID_REQUEST)
                found = await _find(request, name, item, context)
                answer.offset, answer.timestamp = found.offset, found.timestamp_ms
                if context.version >= _EPOCH_VERSION:
                    answer.leader_epoch = found.leader_epoch
            except (ApiError, EngineError) as error:
                answer.error_code = code_of(error)
            answers.append(answer)
        topics.append(ListOffsetsTopicResponse(name=name, partitions=answers))
    return ListOffsetsResponse(topics=topics)


async def _find(
    request: ListOffsetsRequest, topic: str, item: ListOffsetsPartition, context: RequestContext
) -> _Found:
    partition, state = led_here(
        context.broker, topic, item.partition_index, item.current_leader_epoch
    )
    asked = item.timestamp
    committed = request.isolation_level == _READ_COMMITTED
    if asked < 0 and context.version < _SINCE_VERSION.get(asked, context.version + 1):
        raise ApiError(ErrorCode.UNSUPPORTED_VERSION)
    if asked == LATEST:
        offsets = partition.offsets()
        end = offsets.last_stable if committed else offsets.high_watermark
        if request.replica_id != _CONSUMER:
            end = offsets.log_end
        return _Found(end, leader_epoch=state.leader_epoch)
    if asked in (EARLIEST, EARLIEST_LOCAL):
        start = partition.offsets().log_start
        return _Found(start, leader_epoch=epoch_at(partition, start, state.leader_epoch))
    if asked in (LATEST_REMOTE, EARLIEST_PENDING_UPLOAD):
        return _Found()
    found = await partition.find_time(asked, read_committed=committed)
    if found is None:
        return _Found()
    return _Found(found.offset, found.timestamp_ms, found.leader_epoch)


def epoch_at(partition: Partition, offset: int, latest: int) -> int:
    """The leader epoch under which ``offset`` was or will be written; -1 when it is not known."""
    low, high = 0, latest
    while low < high:
        middle = (low + high) // 2
        _, end = partition.epoch_end(middle)
        if end > offset:
            high = middle
        else:
            low = middle + 1
    found, _ = partition.epoch_end(high)
    return found
