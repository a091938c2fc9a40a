"""ShareGroupDescribe: epochs, members and assignments of share groups (KIP-932)."""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.cluster.image import Image
from pylog.coordinator.share_assignor import Assignment as Assigned
from pylog.coordinator.share_group_state import ShareGroup, ShareMember, by_topic
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.share_group_describe import (
    Assignment,
    DescribedGroup,
    Member,
    ShareGroupDescribeRequest,
    ShareGroupDescribeResponse,
    TopicPartitions,
)
from pylog.security.operations import GROUP_OPERATIONS

_ASSIGNOR = "simple"


async def handle(
    request: ShareGroupDescribeRequest, context: RequestContext
) -> ShareGroupDescribeResponse:
    groups = [_describe(group_id, context) for group_id in request.group_ids]
    for group in groups:
        if request.include_authorized_operations and group.error_code == ErrorCode.NONE:
            group.authorized_operations = GROUP_OPERATIONS
    return ShareGroupDescribeResponse(groups=groups)


def _describe(group_id: str, context: RequestContext) -> DescribedGroup:
    if not group_id:
        return DescribedGroup(group_id="", error_code=ErrorCode.INVALID_GROUP_ID)
    try:
        host = context.broker.coordinators.groups.host_of(group_id)
        group: ShareGroup = host.look(lambda shard: shard.share_group(group_id))
    except ApiError as error:
        return DescribedGroup(group_id=group_id, error_code=error.code, error_message=error.message)
    image = context.broker.metadata.image
    return DescribedGroup(
        group_id=group_id,
        group_state=group.state_name(),
        group_epoch=group.epoch,
        assignment_epoch=group.target_epoch,
        assignor_name=_ASSIGNOR,
        members=[_member(member, image) for member in group.members.values()],
    )


def _member(member: ShareMember, image: Image) -> Member:
    return Member(
        member_id=member.member_id,
        rack_id=member.rack_id,
        member_epoch=member.epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=list(member.topics),
        assignment=_assignment(member.assigned, image),
    )


def _assignment(assigned: Assigned, image: Image) -> Assignment:
    """Without topics that have been deleted."""
    return Assignment(
        topic_partitions=[
            TopicPartitions(
                topic_id=topic_id, topic_name=image.topic_names[topic_id], partitions=partitions
            )
            for topic_id, partitions in by_topic(assigned).items()
            if topic_id in image.topic_names
        ]
    )
