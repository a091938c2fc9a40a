"""ShareFetch: acknowledge what was delivered, and get records that nobody else has (KIP-932).

Behaviour
    A request belongs to a share session. Epoch 0 opens one with the topics that it names, epoch -1
    ends it and releases what the member holds; in between topics come and go as named. Records are
    whole batches straight from the log; which of them the member has, acquired_records says.
    The answer waits for min_bytes, max_wait_ms at the longest. What it fetches is charged to the
    client's quota after it was acquired: a client above it gets its records and is muted then.
Version notes
    1  the first that is served
    2  share_acquire_mode: not a record more than max_records (KIP-1206); is_renew_ack: the request
       renews locks and fetches nothing (KIP-1222)
"""

from __future__ import annotations

from collections.abc import Mapping

from pylog.apis.context import RequestContext
from pylog.apis.share_requests import acknowledge, acknowledgements, check_member
from pylog.coordinator.share_partition import Wish
from pylog.coordinator.share_service import Fetched, FetchWish, ShareGroupService
from pylog.coordinator.share_sessions import (
    FINAL_EPOCH,
    INITIAL_EPOCH,
    ShareSession,
    TopicPartition,
)
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.share_fetch import (
    AcquiredRecords,
    PartitionData,
    ShareFetchableTopicResponse,
    ShareFetchRequest,
    ShareFetchResponse,
)

HAS_RECORDS = True
_BATCH_OPTIMIZED, _RECORD_LIMIT = 0, 1  # share_acquire_mode

Errors = Mapping[TopicPartition, ApiError | None]


async def handle(request: ShareFetchRequest, context: RequestContext) -> ShareFetchResponse:
    service = context.broker.coordinators.share_groups
    group_id, member_id = check_member(request.group_id, request.member_id)
    asked = acknowledgements(request.topics)
    _check(request, bool(asked))
    session = _session(request, context, service)
    errors = await acknowledge(service, group_id, member_id, asked, request.is_renew_ack)
    fetched: dict[TopicPartition, Fetched] = {}
    if request.share_session_epoch == FINAL_EPOCH:
        await service.release(session)
    elif not request.is_renew_ack:
        fetched = await service.fetch(session, _wish(request, context))
        _charge(fetched, context)
    told = [
        partition
        for partition in {**dict.fromkeys(errors), **fetched}
        if partition in errors
        or request.share_session_epoch == INITIAL_EPOCH
        or _has_something(fetched[partition])
    ]
    return ShareFetchResponse(
        acquisition_lock_timeout_ms=service.config(group_id).limits.lock_ms,
        responses=_by_topic(
            {p: _partition_data(p[1], fetched.get(p, Fetched()), errors.get(p)) for p in told}
        ),
    )


def _check(request: ShareFetchRequest, acknowledges: bool) -> None:
    if acknowledges and request.share_session_epoch == INITIAL_EPOCH:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Nothing can be acknowledged in a new session.")
    wishes = (request.max_bytes, request.min_bytes, request.max_records, request.max_wait_ms)
    if request.share_acquire_mode not in (_BATCH_OPTIMIZED, _RECORD_LIMIT):
        raise ApiError(ErrorCode.INVALID_REQUEST, "Unknown mode to acquire records in.")
    if request.is_renew_ack and any(wishes):
        raise ApiError(ErrorCode.INVALID_REQUEST, "Locks are renewed by a request without a fetch.")


def _session(
    request: ShareFetchRequest, context: RequestContext, service: ShareGroupService
) -> ShareSession:
    group_id, member_id = check_member(request.group_id, request.member_id)
    epoch = request.share_session_epoch
    if epoch == INITIAL_EPOCH:
        session = service.sessions.open(group_id, member_id, context.connection)
    else:
        session = service.sessions.use(group_id, member_id, epoch)
    session.update(
        (
            (topic.topic_id, partition.partition_index)
            for topic in request.topics
            for partition in topic.partitions
        ),
        (
            (topic.topic_id, index)
            for topic in request.forgotten_topics_data
            for index in topic.partitions
        ),
    )
    return session


def _wish(request: ShareFetchRequest, context: RequestContext) -> FetchWish:
    max_bytes = min(request.max_bytes, context.broker.config.integer("fetch.max.bytes"))
    if context.broker.quotas.limit_fetch:
        most = context.broker.engine.most_fetched(context.user, context.client_id or "")
        max_bytes = min(max_bytes, most)
    strict = request.share_acquire_mode == _RECORD_LIMIT
    wish = Wish(request.member_id or "", request.max_records, request.batch_size, strict)
    return FetchWish(wish, request.max_wait_ms, min(request.min_bytes, max_bytes), max_bytes)


def _charge(fetched: Mapping[TopicPartition, Fetched], context: RequestContext) -> None:
    if context.broker.quotas.limit_fetch:
        size_bytes = sum(f.taken.records.max_bytes for f in fetched.values() if f.taken is not None)
        user, client_id = context.user, context.client_id or ""
        context.throttle_ms = context.broker.engine.charge_fetch(user, client_id, size_bytes)


def _has_something(fetched: Fetched) -> bool:
    return fetched.error is not None or fetched.taken is not None


def _partition_data(index: int, fetched: Fetched, refused: ApiError | None) -> PartitionData:
    data = PartitionData(partition_index=index, records=b"")
    if fetched.error is not None:
        data.error_code, data.error_message = fetched.error.code, fetched.error.message
    if refused is not None:
        data.acknowledge_error_code = refused.code
        data.acknowledge_error_message = refused.message
    if fetched.taken is not None:
        data.records = fetched.taken.records  # type: ignore[assignment]  # see HAS_RECORDS
        data.acquired_records = [
            AcquiredRecords(
                first_offset=acquired.first_offset,
                last_offset=acquired.last_offset,
                delivery_count=acquired.deliveries,
            )
            for acquired in fetched.taken.acquired
        ]
    return data


def _by_topic(data: Mapping[TopicPartition, PartitionData]) -> list[ShareFetchableTopicResponse]:
    topics: dict[bytes, ShareFetchableTopicResponse] = {}
    for (topic_id, _), partition in data.items():
        topic = topics.setdefault(topic_id, ShareFetchableTopicResponse(topic_id=topic_id))
        topic.partitions.append(partition)
    return list(topics.values())
