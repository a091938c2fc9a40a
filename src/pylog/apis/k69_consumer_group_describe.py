"""ConsumerGroupDescribe: members of consumer groups, what they have and what they are to have.

Version notes
    1 tells which protocol a member speaks (KIP-1099)
"""

from __future__ import annotations

from collections.abc import Mapping

from pylog.apis.context import RequestContext
from pylog.coordinator.assignors import Assignment
from pylog.coordinator.consumer_state import ConsumerGroup, ConsumerMember
from pylog.coordinator.group_consumer import preferred_assignor
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.consumer_group_describe import (
    Assignment as AssignmentMessage,
)
from pylog.protocol.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
    Member,
    TopicPartitions,
)
from pylog.security.operations import GROUP_OPERATIONS

_CLASSIC_MEMBER, _CONSUMER_MEMBER = 0, 1


async def handle(
    request: ConsumerGroupDescribeRequest, context: RequestContext
) -> ConsumerGroupDescribeResponse:
    groups = [_describe(name, context) for name in request.group_ids]
    for group in groups:
        if request.include_authorized_operations and group.error_code == ErrorCode.NONE:
            group.authorized_operations = GROUP_OPERATIONS
    return ConsumerGroupDescribeResponse(groups=groups)


def _describe(group_id: str, context: RequestContext) -> DescribedGroup:
    try:
        if group_id == "":
            raise ApiError(ErrorCode.INVALID_GROUP_ID)
        group: ConsumerGroup = context.broker.coordinators.groups.host_of(group_id).look(
            lambda shard: shard.consumer_group(group_id)
        )
    except ApiError as error:
        return DescribedGroup(group_id=group_id, error_code=error.code, error_message=error.message)
    names = context.broker.metadata.image.topic_names
    return DescribedGroup(
        group_id=group_id,
        group_state=group.state_name(),
        group_epoch=group.epoch,
        assignment_epoch=group.target_epoch,
        assignor_name=preferred_assignor(group.members.values()),
        members=[_member(member, group, names) for member in group.members.values()],
    )


def _member(member: ConsumerMember, group: ConsumerGroup, names: Mapping[bytes, str]) -> Member:
    return Member(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        member_epoch=member.epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=list(member.topics),
        subscribed_topic_regex=member.regex or "",
        assignment=_assignment(member.assigned, names),
        target_assignment=_assignment(group.target.get(member.member_id, {}), names),
        member_type=_CONSUMER_MEMBER if member.classic is None else _CLASSIC_MEMBER,
    )


def _assignment(assigned: Assignment, names: Mapping[bytes, str]) -> AssignmentMessage:
    return AssignmentMessage(
        topic_partitions=[
            TopicPartitions(
                topic_id=topic_id, topic_name=names[topic_id], partitions=sorted(partitions)
            )
            for topic_id, partitions in assigned.items()
            if topic_id in names
        ]
    )
