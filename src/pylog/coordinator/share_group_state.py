"""What a share group is in memory and in ``__consumer_offsets``; ``group_share`` has its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pylog.coordinator.effects import Effects
from pylog.coordinator.group_base import Committer, Group, GroupType
from pylog.coordinator.offsets import OffsetToCommit
from pylog.coordinator.share_assignor import Assignment
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.records import share_group as records

_STATE_STABLE = 0  # of a member's assignment, in its record
ByTopic = dict[bytes, list[int]]


@dataclass(frozen=True, slots=True)
class ShareMember:
    """A member, as its records tell. ``epoch`` 0: it was told of no assignment yet."""

    member_id: str
    rack_id: str | None
    client_id: str
    client_host: str
    topics: tuple[str, ...]
    epoch: int = 0
    previous_epoch: int = 0
    assigned: Assignment = frozenset()


@dataclass(frozen=True, slots=True)
class SharedTopic:
    """Partitions of a topic whose share state is, or is being, initialized."""

    name: str
    partitions: frozenset[int]


class ShareGroup(Group):
    """One share group. Only ``replay`` changes it."""

    type = GroupType.SHARE
    has_offsets = False

    def __init__(self, group_id: str) -> None:
        super().__init__(group_id)
        self.epoch = 0
        self.metadata_hash = 0
        self.target_epoch = 0
        self.assigned_ms = 0  # when the target was computed
        self.members: dict[str, ShareMember] = {}
        self.target: dict[str, Assignment] = {}
        self.initializing: dict[bytes, SharedTopic] = {}
        self.initialized: dict[bytes, SharedTopic] = {}
        self.deleting: dict[bytes, str] = {}

    @property
    def protocol_type(self) -> str | None:
        return "share"

    def state_name(self) -> str:
        return "Stable" if self.members else "Empty"

    def is_empty(self) -> bool:
        return not self.members

    def check_commit(self, committer: Committer, offsets: Sequence[OffsetToCommit] = ()) -> None:
        raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, "Share groups commit no offsets.")

    def check_fetch(self, member_id: str | None, member_epoch: int) -> None:
        raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, "Share groups have no committed offsets.")

    def check_offset_delete(self) -> None:
        raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, "Share groups have no committed offsets.")

    def is_subscribed(self, topic: str) -> bool:
        return any(topic in member.topics for member in self.members.values())

    def offsets_idle_since_ms(self, commit_timestamp_ms: int) -> int | None:
        return None

    def write_tombstones(self, out: Effects) -> None:
        for member_id in self.members:
            write_member_gone(self.group_id, member_id, out)
        key = self.group_id
        out.write(records.ShareGroupTargetAssignmentMetadataKey(group_id=key), None)
        out.write(records.ShareGroupStatePartitionMetadataKey(group_id=key), None)
        out.write(records.ShareGroupMetadataKey(group_id=key), None)

    def share_partitions(self) -> dict[bytes, SharedTopic]:
        """All that may have share state."""
        return united(self.initialized, self.initializing)


def united(
    left: Mapping[bytes, SharedTopic], right: Mapping[bytes, SharedTopic]
) -> dict[bytes, SharedTopic]:
    united = dict(left)
    for topic_id, shared in right.items():
        before = united.get(topic_id, SharedTopic(shared.name, frozenset()))
        united[topic_id] = SharedTopic(shared.name, before.partitions | shared.partitions)
    return united


def by_topic(assignment: Assignment) -> ByTopic:
    found: ByTopic = {}
    for topic_id, index in sorted(assignment):
        found.setdefault(topic_id, []).append(index)
    return found


# ---- records ----


def write_member(group_id: str, member: ShareMember, out: Effects) -> None:
    out.write(
        records.ShareGroupMemberMetadataKey(group_id=group_id, member_id=member.member_id),
        records.ShareGroupMemberMetadataValue(
            rack_id=member.rack_id,
            client_id=member.client_id,
            client_host=member.client_host,
            subscribed_topic_names=list(member.topics),
        ),
    )


def write_member_gone(group_id: str, member_id: str, out: Effects) -> None:
    for key in (
        records.ShareGroupCurrentMemberAssignmentKey,
        records.ShareGroupTargetAssignmentMemberKey,
        records.ShareGroupMemberMetadataKey,
    ):
        out.write(key(group_id=group_id, member_id=member_id), None)


def write_epoch(group_id: str, epoch: int, metadata_hash: int, out: Effects) -> None:
    out.write(
        records.ShareGroupMetadataKey(group_id=group_id),
        records.ShareGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash),
    )


def write_target(group_id: str, member_id: str, share: Assignment, out: Effects) -> None:
    out.write(
        records.ShareGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id),
        records.ShareGroupTargetAssignmentMemberValue(
            topic_partitions=[
                records.TopicPartition(topic_id=topic_id, partitions=partitions)
                for topic_id, partitions in by_topic(share).items()
            ]
        ),
    )


def write_current(group_id: str, member: ShareMember, out: Effects) -> None:
    out.write(
        records.ShareGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member.member_id),
        records.ShareGroupCurrentMemberAssignmentValue(
            member_epoch=member.epoch,
            previous_member_epoch=member.previous_epoch,
            state=_STATE_STABLE,
            assigned_partitions=[
                records.TopicPartitions(topic_id=topic_id, partitions=partitions)
                for topic_id, partitions in by_topic(member.assigned).items()
            ],
        ),
    )


def write_shared(
    group_id: str,
    initializing: Mapping[bytes, SharedTopic],
    initialized: Mapping[bytes, SharedTopic],
    deleting: Mapping[bytes, str],
    out: Effects,
) -> None:
    out.write(
        records.ShareGroupStatePartitionMetadataKey(group_id=group_id),
        records.ShareGroupStatePartitionMetadataValue(
            initializing_topics=_infos(initializing),
            initialized_topics=_infos(initialized),
            deleting_topics=[
                records.TopicInfo(topic_id=topic_id, topic_name=name)
                for topic_id, name in deleting.items()
            ],
        ),
    )


def _infos(shared: Mapping[bytes, SharedTopic]) -> list[records.TopicPartitionsInfo]:
    return [
        records.TopicPartitionsInfo(
            topic_id=topic_id, topic_name=topic.name, partitions=sorted(topic.partitions)
        )
        for topic_id, topic in shared.items()
    ]


# ---- replay ----

Groups = MutableMapping[str, Group]


def _group_of(groups: Groups, group_id: str) -> ShareGroup:
    group = groups.get(group_id)
    if not isinstance(group, ShareGroup):
        group = groups[group_id] = ShareGroup(group_id)
    return group


def _replay_epoch(
    groups: Groups,
    key: records.ShareGroupMetadataKey,
    value: records.ShareGroupMetadataValue | None,
) -> None:
    if value is None:
        groups.pop(key.group_id, None)
        return
    group = _group_of(groups, key.group_id)
    group.epoch, group.metadata_hash = value.epoch, value.metadata_hash


def _replay_member(
    groups: Groups,
    key: records.ShareGroupMemberMetadataKey,
    value: records.ShareGroupMemberMetadataValue | None,
) -> None:
    group = _group_of(groups, key.group_id)
    if value is None:
        group.members.pop(key.member_id, None)
        return
    known = group.members.get(key.member_id) or ShareMember(key.member_id, None, "", "", ())
    group.members[key.member_id] = replace(
        known,
        rack_id=value.rack_id,
        client_id=value.client_id,
        client_host=value.client_host,
        topics=tuple(value.subscribed_topic_names),
    )


def _replay_target_epoch(
    groups: Groups,
    key: records.ShareGroupTargetAssignmentMetadataKey,
    value: records.ShareGroupTargetAssignmentMetadataValue | None,
) -> None:
    group = _group_of(groups, key.group_id)
    value = value or records.ShareGroupTargetAssignmentMetadataValue()
    group.target_epoch, group.assigned_ms = value.assignment_epoch, value.assignment_timestamp


def _replay_target(
    groups: Groups,
    key: records.ShareGroupTargetAssignmentMemberKey,
    value: records.ShareGroupTargetAssignmentMemberValue | None,
) -> None:
    target = _group_of(groups, key.group_id).target
    if value is None:
        target.pop(key.member_id, None)
    else:
        target[key.member_id] = _assignment(value.topic_partitions)


def _replay_current(
    groups: Groups,
    key: records.ShareGroupCurrentMemberAssignmentKey,
    value: records.ShareGroupCurrentMemberAssignmentValue | None,
) -> None:
    members = _group_of(groups, key.group_id).members
    if value is not None and key.member_id in members:
        members[key.member_id] = replace(
            members[key.member_id],
            epoch=value.member_epoch,
            previous_epoch=value.previous_member_epoch,
            assigned=_assignment(value.assigned_partitions),
        )


def _replay_shared(
    groups: Groups,
    key: records.ShareGroupStatePartitionMetadataKey,
    value: records.ShareGroupStatePartitionMetadataValue | None,
) -> None:
    group = _group_of(groups, key.group_id)
    value = value or records.ShareGroupStatePartitionMetadataValue()
    group.initializing = _shared(value.initializing_topics)
    group.initialized = _shared(value.initialized_topics)
    group.deleting = {info.topic_id: info.topic_name for info in value.deleting_topics}


def _shared(infos: list[records.TopicPartitionsInfo]) -> dict[bytes, SharedTopic]:
    return {i.topic_id: SharedTopic(i.topic_name, frozenset(i.partitions)) for i in infos}


def _assignment(
    topics: list[records.TopicPartition] | list[records.TopicPartitions],
) -> Assignment:
    return frozenset((topic.topic_id, index) for topic in topics for index in topic.partitions)


REPLAYS: Final[Mapping[type, Callable[[Groups, Any, Any], None]]] = {
    records.ShareGroupMetadataKey: _replay_epoch,
    records.ShareGroupMemberMetadataKey: _replay_member,
    records.ShareGroupTargetAssignmentMetadataKey: _replay_target_epoch,
    records.ShareGroupTargetAssignmentMemberKey: _replay_target,
    records.ShareGroupCurrentMemberAssignmentKey: _replay_current,
    records.ShareGroupStatePartitionMetadataKey: _replay_shared,
}
"""By the type of the key."""
