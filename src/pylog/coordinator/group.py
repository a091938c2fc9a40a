"""One shard of ``__consumer_offsets``: groups of every type in one dictionary, and their offsets.

Two tables make it open for another type of group: which object takes a request, by the group's
type, and which function replays a record, by the type of its key.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pylog.coordinator.classic_state import ClassicGroup, ClassicState
from pylog.coordinator.consumer_migration import (
    ClassicMembers,
    can_downgrade,
    can_upgrade,
    downgrade,
    upgrade,
)
from pylog.coordinator.consumer_state import LEAVE, LEAVE_STATIC, RESTORES, ConsumerGroup
from pylog.coordinator.effects import Effects, Marker, Producer, Promise, Record, TimerName
from pylog.coordinator.group_base import Client, Committer, Group, GroupSettings
from pylog.coordinator.group_classic import ClassicGroups, sync_timer
from pylog.coordinator.group_consumer import ConsumerGroups, ConsumerSettings, check_heartbeat
from pylog.coordinator.group_share import JOIN_EPOCH, ShareGroups, ShareSettings
from pylog.coordinator.group_streams import StreamsGroups, StreamsSettings
from pylog.coordinator.offsets import FetchedOffset, Offsets, OffsetToCommit, TopicPartition
from pylog.coordinator.share_group_state import REPLAYS as SHARE_REPLAYS
from pylog.coordinator.share_group_state import SharedTopic, ShareGroup
from pylog.coordinator.streams_records import REPLAYS as STREAMS_REPLAYS
from pylog.coordinator.streams_requests import (
    JOIN,
    leaves,
)
from pylog.coordinator.streams_requests import (
    check_heartbeat as check_streams_heartbeat,
)
from pylog.coordinator.streams_state import StreamsGroup
from pylog.coordinator.topics_view import TopicsView
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from pylog.protocol.messages.delete_groups import DeletableGroupResult
from pylog.protocol.messages.describe_groups import DescribedGroup, DescribedGroupMember
from pylog.protocol.messages.heartbeat import HeartbeatRequest
from pylog.protocol.messages.join_group import JoinGroupRequest
from pylog.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from pylog.protocol.messages.list_groups import ListedGroup
from pylog.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from pylog.protocol.messages.streams_group_heartbeat import StreamsGroupHeartbeatRequest
from pylog.protocol.messages.sync_group import SyncGroupRequest
from pylog.protocol.records.classic_group import GroupMetadataKey, GroupMetadataValue
from pylog.protocol.records.consumer_group import ConsumerGroupMetadataKey
from pylog.protocol.records.offsets import OffsetCommitKey, OffsetCommitValue

_EXPIRY_TIMER: TimerName = ("expiry",)
_OFFSET_COMMIT_WITH_GROUP_NOT_FOUND = 9  # OffsetCommit version


def _random_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What groups obey and look at, besides their own state."""

    settings: GroupSettings = field(default_factory=GroupSettings)
    new_id: Callable[[], str] = _random_id
    topics: Callable[[], TopicsView] = TopicsView
    consumer_settings: Callable[[str], ConsumerSettings] = lambda group_id: ConsumerSettings()
    share_settings: Callable[[str], ShareSettings] = lambda group_id: ShareSettings()
    streams_settings: Callable[[str], StreamsSettings] = lambda group_id: StreamsSettings()


class GroupShard:
    """Groups whose id hashes to one partition. Every public method is one step, or a look."""

    def __init__(self, around: Surroundings) -> None:
        self.groups: dict[str, Group] = {}
        self.offsets = Offsets(around.settings)
        self._around = around
        self._settings = around.settings
        self._loaded = False
        self._classic = ClassicGroups(around.settings, around.new_id)
        self._consumer = ConsumerGroups(around.consumer_settings, around.topics, around.new_id)
        self._mixed = ClassicMembers(self._consumer, around.settings.max_size)
        self._share = ShareGroups(around.share_settings, around.topics)
        self._streams = StreamsGroups(around.streams_settings, around.topics)
        self._replays: dict[type, Callable[[Any, Any, int], None]] = {
            OffsetCommitKey: self._replay_offset,
            GroupMetadataKey: self._replay_classic,
            **dict.fromkeys(RESTORES, self._replay_consumer),
            **dict.fromkeys(STREAMS_REPLAYS, self._replay_streams),
        }

    # ---- members of the classic protocol ----

    def join(
        self, request: JoinGroupRequest, client: Client, promise: Promise, now_ms: int
    ) -> Effects:
        self._check_join(request)
        group = self.groups.get(request.group_id)
        if isinstance(group, ConsumerGroup) and not group.is_empty():
            return self._mixed.join(group, request, client, promise, now_ms)
        before = Effects()
        if isinstance(group, StreamsGroup) and not group.is_empty():
            raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if group is None or isinstance(group, (ConsumerGroup, StreamsGroup)):
            if request.member_id != "":
                raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
            if group is not None:
                group.write_tombstones(before)
            group = ClassicGroup(request.group_id, now_ms)
        if not isinstance(group, ClassicGroup):
            raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        out = self._classic.join(group, request, client, promise, now_ms)
        out.records[:0] = before.records
        if group.members or group.pending_members:
            self.groups[request.group_id] = group
        return out

    def _check_join(self, request: JoinGroupRequest) -> None:
        _check_group_id(request.group_id)
        shortest_ms = self._settings.min_session_timeout_ms
        longest_ms = self._settings.max_session_timeout_ms
        if not shortest_ms <= request.session_timeout_ms <= longest_ms:
            raise ApiError(ErrorCode.INVALID_SESSION_TIMEOUT)

    def sync(self, request: SyncGroupRequest, promise: Promise, now_ms: int) -> Effects:
        group = self._group_of_member(request.group_id)
        if isinstance(group, ConsumerGroup):
            return self._mixed.sync(group, request, promise)
        return self._classic.sync(group, request, promise, now_ms)

    def heartbeat(self, request: HeartbeatRequest, promise: Promise) -> Effects:
        group = self._group_of_member(request.group_id)
        if isinstance(group, ConsumerGroup):
            return self._mixed.heartbeat(group, request, promise)
        return self._classic.heartbeat(group, request, promise)

    def leave(self, request: LeaveGroupRequest, promise: Promise, now_ms: int) -> Effects:
        group = self._group_of_member(request.group_id)
        if isinstance(group, ClassicGroup):
            return self._classic.leave(group, request, promise, now_ms)
        out = Effects()
        gone, answers = self._mixed.leaving(group, request)
        if gone:
            self._remove_consumers(group, set(gone), now_ms, out)
        out.reply(promise, LeaveGroupResponse(members=answers))
        return out

    def _group_of_member(self, group_id: str) -> ClassicGroup | ConsumerGroup:
        _check_group_id(group_id)
        group = self.groups.get(group_id)
        if not isinstance(group, (ClassicGroup, ConsumerGroup)):
            raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
        return group

    # ---- members of the consumer protocol ----

    def consumer_heartbeat(
        self,
        request: ConsumerGroupHeartbeatRequest,
        client: Client,
        promise: Promise,
        now_ms: int,
    ) -> Effects:
        check_heartbeat(request, client.version)
        out = Effects()
        if request.member_epoch in (LEAVE, LEAVE_STATIC):
            group = self.consumer_group(request.group_id)
            member = self._consumer.leave(group, request, promise, out)
            if member is not None:
                self._remove_consumers(group, {member.member_id}, now_ms, out)
            return out
        if request.member_epoch == 0:
            group = self._consumer_group_to_join(request.group_id, now_ms, out)
        else:
            group = self.consumer_group(request.group_id)
        self._consumer.heartbeat(group, request, client, promise, now_ms, out)
        return out

    def consumer_group(self, group_id: str) -> ConsumerGroup:
        group = self.groups.get(group_id)
        if not isinstance(group, ConsumerGroup):
            what = "not found" if group is None else "not a consumer group"
            raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is {what}.")
        return group

    def _consumer_group_to_join(self, group_id: str, now_ms: int, out: Effects) -> ConsumerGroup:
        """The group, or what becomes of a classic one, or a new one."""
        group = self.groups.get(group_id)
        if isinstance(group, ClassicGroup):
            if group.is_empty():
                group.write_tombstones(out)
                return ConsumerGroup(group_id)
            if can_upgrade(group, self._around.consumer_settings(group_id).max_size):
                return upgrade(group, self._around.topics(), now_ms, out)
        return ConsumerGroup(group_id) if group is None else self.consumer_group(group_id)

    def _remove_consumers(
        self, group: ConsumerGroup, gone: set[str], now_ms: int, out: Effects
    ) -> None:
        """Fence them; if only classic members are left, the group is theirs again."""
        some_left_was_consumer = any(group.members[m].classic is None for m in gone)
        if some_left_was_consumer and can_downgrade(group, gone, self._settings.max_size):
            downgrade(group, gone, self._around.topics(), now_ms, out)
        else:
            self._consumer.fence(group, gone, out)

    # ---- share groups ----

    def share_heartbeat(
        self,
        request: ShareGroupHeartbeatRequest,
        client: Client,
        promise: Promise,
        now_ms: int,
    ) -> Effects:
        """The answer is a Beat."""
        if request.group_id not in self.groups and request.member_epoch == JOIN_EPOCH:
            group = ShareGroup(request.group_id)
        else:
            group = self.share_group(request.group_id)
        return self._share.heartbeat(group, request, client, promise, now_ms)

    def share_initialized(
        self, group_id: str, partitions: Mapping[bytes, SharedTopic], promise: Promise
    ) -> Effects:
        """The group is made, if need be: offsets may be set before its first member comes."""
        group = self.share_group(group_id) if group_id in self.groups else ShareGroup(group_id)
        return self._share.initialized(group, partitions, promise)

    def forget_shared_topics(
        self, group_id: str, topic_ids: Iterable[bytes], promise: Promise
    ) -> Effects:
        return self._share.forget_topics(self.share_group(group_id), topic_ids, promise)

    def forget_deleted(self, topic_ids: set[bytes], promise: Promise) -> Effects:
        """These topics are no more, nor is what share groups have read of them."""
        out = Effects()
        for group in self.groups.values():
            if isinstance(group, ShareGroup) and topic_ids & group.share_partitions().keys():
                self._share.write_forgotten(group, topic_ids, out)
        out.reply(promise, None)
        return out

    def share_group(self, group_id: str) -> ShareGroup:
        group = self.groups.get(group_id)
        if not isinstance(group, ShareGroup):
            raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, f"There is no share group {group_id}.")
        return group

    # ---- streams groups ----

    def streams_heartbeat(
        self,
        request: StreamsGroupHeartbeatRequest,
        client: Client,
        promise: Promise,
        now_ms: int,
    ) -> Effects:
        """The answer is a StreamsBeat."""
        check_streams_heartbeat(request)
        out = Effects()
        if leaves(request):
            self._streams.leave(self.streams_group(request.group_id), request, promise, out)
            return out
        if request.member_epoch == JOIN:
            group = self._streams_group_to_join(request.group_id, out)
        else:
            group = self.streams_group(request.group_id)
        self._streams.heartbeat(group, request, client, promise, now_ms, out)
        self.groups[request.group_id] = group
        return out

    def streams_group(self, group_id: str) -> StreamsGroup:
        group = self.groups.get(group_id)
        if not isinstance(group, StreamsGroup):
            what = "not found" if group is None else "is not a streams group"
            raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} {what}.")
        return group

    def _streams_group_to_join(self, group_id: str, out: Effects) -> StreamsGroup:
        """The group, or a new one, also in place of an empty classic one."""
        group = self.groups.get(group_id)
        if isinstance(group, ClassicGroup) and group.is_empty():
            group.write_tombstones(out)
            return StreamsGroup(group_id)
        return StreamsGroup(group_id) if group is None else self.streams_group(group_id)

    # ---- offsets ----

    def commit(
        self,
        group_id: str,
        committer: Committer,
        offsets: Sequence[OffsetToCommit],
        retention_ms: int,
        promise: Promise,
        now_ms: int,
    ) -> Effects:
        """The answer is a list of codes, one for each offset."""
        out = Effects()
        group = self._group_to_commit(group_id, committer)
        if group is not None:
            group.check_commit(committer, offsets)
            if isinstance(group, ClassicGroup):
                self._classic.hold_session(group, committer.member_id, out)
        out.reply(promise, self.offsets.commit(group_id, offsets, retention_ms, now_ms, out))
        return out

    def commit_in_transaction(
        self,
        group_id: str,
        committer: Committer,
        producer: Producer,
        offsets: Sequence[OffsetToCommit],
        promise: Promise,
        now_ms: int,
    ) -> Effects:
        """Like ``commit``; readers see the offsets when the transaction commits."""
        _check_group_id(group_id)
        self.offsets.check_epoch(producer)
        out = Effects(producer=producer)
        group = self._group_to_commit(group_id, committer)
        if group is not None:
            try:
                group.check_commit(committer, offsets)
            except ApiError as error:
                if error.code == ErrorCode.STALE_MEMBER_EPOCH:
                    raise ApiError(ErrorCode.ILLEGAL_GENERATION) from error
                raise
        out.reply(promise, self.offsets.commit(group_id, offsets, -1, now_ms, out))
        return out

    def end_transaction(self, marker: Marker, promise: Promise) -> Effects:
        out = Effects(marker=marker)
        out.reply(promise, None)
        return out

    def _group_to_commit(self, group_id: str, committer: Committer) -> Group | None:
        group = self.groups.get(group_id)
        if group is None and committer.epoch >= 0:
            if committer.transactional or committer.version < _OFFSET_COMMIT_WITH_GROUP_NOT_FOUND:
                raise ApiError(ErrorCode.ILLEGAL_GENERATION)
            raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND)
        return group

    def fetch_offsets(
        self,
        group_id: str,
        member: tuple[str | None, int],
        topics: Sequence[tuple[str, bytes, Sequence[int]]] | None,
        require_stable: bool,
        promise: Promise,
    ) -> Effects:
        """``topics``: name, topic id (zero: unknown), partitions; None: all that are committed.

        The answer is a list of (name, list of FetchedOffset).
        """
        group = self.groups.get(group_id)
        if group is not None:
            group.check_fetch(*member)
        if topics is None:
            committed = self.offsets.topics(group_id)
            topics = [(name, bytes(16), committed[name]) for name in committed]
        answer: list[tuple[str, list[FetchedOffset]]] = [
            (name, self.offsets.fetch(group_id, name, topic_id, partitions, require_stable))
            for name, topic_id, partitions in topics
        ]
        out = Effects()
        out.reply(promise, answer)
        return out

    def delete_offsets(
        self, group_id: str, partitions: Sequence[TopicPartition], promise: Promise
    ) -> Effects:
        """The answer is a list of codes, one for each partition."""
        _check_group_id(group_id)
        group = self.groups.get(group_id)
        if group is None:
            raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND)
        group.check_offset_delete()
        out = Effects()
        free = [key for key in partitions if not group.is_subscribed(key[0])]
        self.offsets.delete(group_id, free, out)
        subscribed = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
        codes = [
            subscribed if group.is_subscribed(topic) else ErrorCode.NONE for topic, _ in partitions
        ]
        out.reply(promise, codes)
        return out

    def delete_topics(self, topics: set[str], promise: Promise) -> Effects:
        out = Effects()
        self.offsets.delete_topics(topics, out)
        out.reply(promise, None)
        return out

    # ---- admin ----

    def list_groups(self, states: set[str], types: set[str]) -> list[ListedGroup]:
        """Empty sets: no filter. Names are compared without regard to case."""
        return [
            ListedGroup(
                group_id=group.group_id,
                protocol_type=group.protocol_type or "",
                group_state=group.state_name(),
                group_type=group.type.value,
            )
            for group in self.groups.values()
            if (not states or group.state_name().lower() in states)
            and (not types or group.type.value in types)
        ]

    def describe(self, group_id: str) -> DescribedGroup | None:
        """None when there is no classic group of this name."""
        group = self.groups.get(group_id)
        return _described(group) if isinstance(group, ClassicGroup) else None

    def delete_groups(self, group_ids: Iterable[str], promise: Promise) -> Effects:
        """The answer is a list of DeletableGroupResult."""
        out = Effects()
        results = []
        for group_id in group_ids:
            group = self.groups.get(group_id)
            if group is None:
                code = ErrorCode.GROUP_ID_NOT_FOUND
            elif not group.is_empty():
                code = ErrorCode.NON_EMPTY_GROUP
            else:
                code = ErrorCode.NONE
                self.offsets.delete_all(group_id, out)
                group.write_tombstones(out)
            results.append(DeletableGroupResult(group_id=group_id, error_code=code))
        out.reply(promise, results)
        return out

    # ---- time ----

    def on_loaded(self, now_ms: int) -> Effects:
        self._loaded = True
        out = Effects()
        classic = [g for g in self.groups.values() if isinstance(g, ClassicGroup)]
        self._classic.on_loaded(classic, now_ms, out)
        for group in self.groups.values():
            if isinstance(group, ConsumerGroup):
                self._consumer.on_loaded(group, out)
        share = [g for g in self.groups.values() if isinstance(g, ShareGroup)]
        self._share.on_loaded(share, out)
        for group in self.groups.values():
            if isinstance(group, StreamsGroup):
                self._streams.on_loaded(group, out)
        out.set_timer(_EXPIRY_TIMER, self._settings.offsets_retention_check_interval_ms)
        return out

    def on_timer(self, name: TimerName, now_ms: int) -> Effects:
        out = Effects()
        if name == _EXPIRY_TIMER:
            self._expire(now_ms, out)
            return out
        group = self.groups.get(name[1])
        if isinstance(group, ClassicGroup):
            self._on_classic_timer(group, name, now_ms, out)
        elif isinstance(group, ConsumerGroup) and name[-1] in group.members:
            self._remove_consumers(group, {name[-1]}, now_ms, out)
        elif isinstance(group, ShareGroup):
            self._share.on_session_timer(group, name[2], out)
        elif isinstance(group, StreamsGroup):
            self._streams.on_timer(group, name, now_ms, out)
        return out

    def _on_classic_timer(
        self, group: ClassicGroup, name: TimerName, now_ms: int, out: Effects
    ) -> None:
        if name[0] == "session":
            self._classic.on_session_timer(group, name[2], now_ms, out)
        elif name[0] == "join":
            self._classic.on_join_timer(group, now_ms, out)
        elif name[0] == "downgraded":
            self._classic.rebalance(group, now_ms, out)
        elif name == sync_timer(group.group_id):
            self._classic.on_sync_timer(group, now_ms, out)

    def _expire(self, now_ms: int, out: Effects) -> None:
        """Offsets past their retention go, and empty groups that have none."""
        for group in self.groups.values():
            idle = self.offsets.expire(group, now_ms, out) and group.is_empty()
            if idle and group.has_offsets:
                group.write_tombstones(out)
        out.set_timer(_EXPIRY_TIMER, self._settings.offsets_retention_check_interval_ms)

    # ---- replay ----

    def replay(self, record: Record, producer_id: int) -> None:
        replay_share = SHARE_REPLAYS.get(type(record.key))
        if replay_share is not None:
            replay_share(self.groups, record.key, record.value)
            return
        self._replays[type(record.key)](record.key, record.value, producer_id)

    def replay_marker(self, producer: Producer, commit: bool) -> None:
        self.offsets.replay_marker(producer, commit)

    def _replay_offset(
        self, key: OffsetCommitKey, value: OffsetCommitValue | None, producer_id: int
    ) -> None:
        if value is not None and key.group not in self.groups:
            self.groups[key.group] = ClassicGroup(key.group, value.commit_timestamp)
        self.offsets.replay(key, value, producer_id)

    def _replay_classic(
        self, key: GroupMetadataKey, value: GroupMetadataValue | None, _: int
    ) -> None:
        group = self.groups.get(key.group)
        if value is None:
            if isinstance(group, ClassicGroup):
                del self.groups[key.group]
            return
        if not self._loaded or not isinstance(group, ClassicGroup):
            group = ClassicGroup(key.group, None)
            self.groups[key.group] = group
        group.restore(value)

    def _replay_streams(self, key: Any, value: Any, _: int) -> None:
        STREAMS_REPLAYS[type(key)](self.groups, key, value)

    def _replay_consumer(self, key: Any, value: Any, _: int) -> None:
        group = self.groups.get(key.group_id)
        if not isinstance(group, ConsumerGroup):
            if value is None:
                return  # of what the group was before
            group = ConsumerGroup(key.group_id)
            self.groups[key.group_id] = group
        if value is None and isinstance(key, ConsumerGroupMetadataKey):
            del self.groups[key.group_id]
            return
        RESTORES[type(key)](group, key, value)


def _check_group_id(group_id: str) -> None:
    if group_id == "":
        raise ApiError(ErrorCode.INVALID_GROUP_ID)


def _described(group: ClassicGroup) -> DescribedGroup:
    protocol = group.protocol if group.state is ClassicState.STABLE else None
    return DescribedGroup(
        group_id=group.group_id,
        group_state=group.state_name(),
        protocol_type=group.protocol_type or "",
        protocol_data=protocol or "",
        members=[
            DescribedGroupMember(
                member_id=m.member_id,
                group_instance_id=m.instance_id,
                client_id=m.client_id,
                client_host=m.client_host,
                member_metadata=m.protocols[protocol] if protocol is not None else b"",
                member_assignment=m.assignment,
            )
            for m in group.members.values()
        ],
    )
