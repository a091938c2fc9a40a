"""What a group of each type is shown to be: who has which partition, and how far it is."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import click
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from pylog.cli import _client
from pylog.cli._direct import Direct, check
from pylog.protocol.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
)
from pylog.protocol.messages.list_groups import ListedGroup, ListGroupsRequest
from pylog.protocol.messages.share_group_describe import ShareGroupDescribeRequest
from pylog.protocol.messages.streams_group_describe import StreamsGroupDescribeRequest

Place = tuple[str, int]  # topic and partition


class ListedRow(NamedTuple):
    """A group in a list; ``protocol`` is the classic protocol's type, empty for a simple group."""

    group: str
    type: str
    state: str
    protocol: str


@dataclass(frozen=True, slots=True)
class Description:
    """A group, and a row of ``columns`` for each partition that it reads or has read."""

    group: str
    type: str
    state: str
    members: int
    columns: tuple[str, ...]  # as `_client.print_table` takes them
    partitions: list[dict[str, Any]]


class _Members(NamedTuple):
    number: int
    owners: dict[Place, list[str]]


def list_rows(direct: Direct) -> list[ListedRow]:
    """All groups, by name."""
    return sorted(_row_of(group) for group in _listed(direct))


def describe(direct: Direct, admin: AdminClient, name: str) -> Description:
    """Look at one group. click.ClickException when there is none of this name."""
    row = next((_row_of(group) for group in _listed(direct) if group.group_id == name), None)
    if row is None:
        raise click.ClickException(f"no group {name}")
    if row.type == "share":
        members = _share_members(direct, name)
        columns: tuple[str, ...] = ("topic", "#partition", "#start", "#lag", "members")
        partitions = _share_rows(direct, name, members.owners)
    else:
        look = _streams_members if row.type == "streams" else _consumers
        members = look(direct, admin, name)
        columns = ("topic", "#partition", "#committed", "#end", "#lag", "member")
        partitions = _lag_rows(admin, name, members.owners)
    return Description(name, row.type, row.state, members.number, columns, partitions)


def _listed(direct: Direct) -> list[ListedGroup]:
    answer = direct.ask(ListGroupsRequest())
    check(answer.error_code)
    groups: list[ListedGroup] = answer.groups
    return groups


def _row_of(group: ListedGroup) -> ListedRow:
    """``PreparingRebalance`` becomes ``preparing_rebalance``."""
    state = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", group.group_state).lower()
    return ListedRow(group.group_id, group.group_type.lower(), state, group.protocol_type)


def _label(member: Any) -> str:
    return f"{member.client_id}@{member.client_host.lstrip('/')}"


def _consumers(_: Direct, admin: AdminClient, name: str) -> _Members:
    group = admin.describe_consumer_groups([name])[name].result(_client.TIMEOUT_S)
    owners = {
        (place.topic, place.partition): [f"{member.client_id}@{member.host.lstrip('/')}"]
        for member in group.members
        for place in member.assignment.topic_partitions
    }
    return _Members(len(group.members), owners)


def _streams_members(direct: Direct, admin: AdminClient, name: str) -> _Members:
    [group] = direct.ask(StreamsGroupDescribeRequest(group_ids=[name])).groups
    check(group.error_code, group.error_message)
    owners: dict[Place, list[str]] = {}
    sources = dict(_sources(group))
    topics = admin.list_topics(timeout=_client.TIMEOUT_S).topics
    for member in group.members:
        for task in member.assignment.active_tasks:
            for topic in sources.get(task.subtopology_id, ()):
                known = topics[topic].partitions if topic in topics else {}
                owners |= {(topic, i): [_label(member)] for i in task.partitions if i in known}
    return _Members(len(group.members), owners)


def _sources(group: Any) -> Iterator[tuple[str, list[str]]]:
    """What each subtopology reads and commits."""
    for part in group.topology.subtopologies or () if group.topology else ():
        internal = [topic.name for topic in part.repartition_source_topics]
        yield part.subtopology_id, part.source_topics + internal


def _share_members(direct: Direct, name: str) -> _Members:
    [group] = direct.ask(ShareGroupDescribeRequest(group_ids=[name])).groups
    check(group.error_code, group.error_message)
    owners: defaultdict[Place, list[str]] = defaultdict(list)
    for member in group.members:
        for topic in member.assignment.topic_partitions:
            for index in topic.partitions:
                owners[topic.topic_name, index].append(_label(member))
    return _Members(len(group.members), owners)


def _share_rows(direct: Direct, name: str, owners: dict[Place, list[str]]) -> list[dict[str, Any]]:
    asked = DescribeShareGroupOffsetsRequestGroup(group_id=name, topics=None)
    [group] = direct.ask(DescribeShareGroupOffsetsRequest(groups=[asked])).groups
    check(group.error_code, group.error_message)
    told = {
        (topic.topic_name, partition.partition_index): partition
        for topic in group.topics
        for partition in topic.partitions
    }
    return [
        {
            "topic": place[0],
            "partition": place[1],
            "start": _known(told[place].start_offset) if place in told else None,
            "lag": _known(told[place].lag) if place in told else None,
            "members": owners.get(place, []),
        }
        for place in sorted(told.keys() | owners.keys())
    ]


def _known(number: int) -> int | None:
    return number if number >= 0 else None


def _committed(admin: AdminClient, name: str) -> dict[Place, int]:
    future = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name]
    result = future.result(_client.TIMEOUT_S)
    return {(p.topic, p.partition): p.offset for p in result.topic_partitions or []}


def _lag_rows(
    admin: AdminClient, name: str, owners: dict[Place, list[str]]
) -> list[dict[str, Any]]:
    committed = _committed(admin, name)
    places = sorted(committed.keys() | owners.keys())
    ends = offsets_at(admin, places, OffsetSpec.latest())
    rows = []
    for place in places:
        offset = _known(committed.get(place, -1))
        rows.append(
            {
                "topic": place[0],
                "partition": place[1],
                "committed": offset,
                "end": ends[place],
                "lag": ends[place] - offset if offset is not None else None,
                "member": owners[place][0] if place in owners else None,
            }
        )
    return rows


def offsets_at(admin: AdminClient, places: list[Place], spec: OffsetSpec) -> dict[Place, int]:
    """The offset of each partition at its start, its end or a time."""
    specs = {TopicPartition(*place): spec for place in places}
    futures = admin.list_offsets(specs) if specs else {}
    return {
        (partition.topic, partition.partition): info.offset
        for partition, info in _client.wait_all(futures).items()
    }
