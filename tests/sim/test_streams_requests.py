"""Any heartbeat of a streams group is answered or refused with a code; none breaks the group."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sim.streams import GROUP, WITH_STANDBY, StreamsWorld, Thread, stateful

from pylog.coordinator.group_base import Client
from pylog.protocol.messages.streams_group_heartbeat import (
    CopartitionGroup,
    KeyValue,
    RequestEndpoint,
    RequestTaskIds,
    StreamsGroupHeartbeatRequest,
    Subtopology,
    TaskOffset,
    TopicInfo,
    Topology,
)
from pylog.protocol.wire import encode

NAMES = st.sampled_from(["", "0", "1", "lines", "counts", "anna", "bob", "é", "a" * 300])
NUMBERS = st.sampled_from([-(2**31), -2, -1, 0, 1, 2, 3, 4, 5, 100, 2**31 - 1])
INDEXES = st.lists(st.integers(-2, 3), max_size=3)


def lists(elements: st.SearchStrategy[object]) -> st.SearchStrategy[list[object]]:
    return st.lists(elements, max_size=3)


PAIRS = lists(st.builds(KeyValue, key=NAMES, value=NAMES))
TOPICS = lists(
    st.builds(TopicInfo, name=NAMES, partitions=NUMBERS, replication_factor=INDEXES.map(len))
)
GROUPS = lists(
    st.builds(
        CopartitionGroup,
        source_topics=INDEXES,
        source_topic_regex=INDEXES,
        repartition_source_topics=INDEXES,
    )
)
SUBTOPOLOGIES = lists(
    st.builds(
        Subtopology,
        subtopology_id=NAMES,
        source_topics=lists(NAMES),
        source_topic_regex=st.sampled_from([[], [], [".*"]]),
        state_changelog_topics=TOPICS,
        repartition_sink_topics=lists(NAMES),
        repartition_source_topics=TOPICS,
        copartition_groups=GROUPS,
    )
)
TOPOLOGIES = st.builds(Topology, epoch=NUMBERS, subtopologies=SUBTOPOLOGIES)
TASKS = lists(st.builds(RequestTaskIds, subtopology_id=NAMES, partitions=st.lists(NUMBERS)))
OFFSETS = lists(st.builds(TaskOffset, subtopology_id=NAMES, partition=NUMBERS, offset=NUMBERS))
FIELDS: dict[str, st.SearchStrategy[object]] = {
    "member_id": NAMES,
    "member_epoch": NUMBERS,
    "endpoint_information_epoch": NUMBERS,
    "instance_id": st.none() | NAMES,
    "rack_id": st.none() | NAMES,
    "rebalance_timeout_ms": NUMBERS,
    "topology": st.none() | TOPOLOGIES,
    "active_tasks": st.none() | TASKS,
    "standby_tasks": st.none() | TASKS,
    "warmup_tasks": st.none() | TASKS,
    "process_id": st.none() | NAMES,
    "user_endpoint": st.none()
    | st.builds(RequestEndpoint, host=NAMES, port=st.integers(0, 65_535)),
    "client_tags": st.none() | PAIRS,
    "task_offsets": st.none() | OFFSETS,
    "task_end_offsets": st.none() | OFFSETS,
    "shutdown_application": st.booleans(),
}
CHANGES = st.lists(
    st.sampled_from(sorted(FIELDS)).flatmap(
        lambda name: FIELDS[name].map(lambda value: (name, value))
    ),
    max_size=4,
).map(dict)


def heartbeat(joins: bool, changes: dict[str, object]) -> StreamsGroupHeartbeatRequest:
    """One that is in order, but for the changes."""
    request = StreamsGroupHeartbeatRequest(group_id=GROUP, member_id="anna", member_epoch=2)
    if joins:
        request.member_id, request.member_epoch = "bob", 0
        request.rebalance_timeout_ms = 60_000
        request.topology = stateful()
        request.process_id = "p"
        request.active_tasks = request.standby_tasks = request.warmup_tasks = []
    for name, value in changes.items():
        setattr(request, name, value)
    return request


@settings(max_examples=400, deadline=None)
@given(st.lists(st.builds(heartbeat, st.booleans(), CHANGES), max_size=6), st.booleans())
def test_any_heartbeat_is_answered_or_refused(
    requests: list[StreamsGroupHeartbeatRequest], into_a_group: bool
) -> None:
    world, client = StreamsWorld(WITH_STANDBY, lines=4, counts=4), Client("anybody", "/1.2.3.4", 1)
    if into_a_group:
        Thread(world, "anna", topology=stateful()).joins()
    for request in requests:
        told = world.ask(
            lambda shard, p, now, r=request: shard.streams_heartbeat(r, client, p, now)
        )
        assert not told.waits
        if told.error is None:
            encode(told.answer.response, 1)
        world.after(1_000)
    before = {group_id: group.members for group_id, group in world.shard.groups.items()}
    world.restart()
    assert {name: group.members for name, group in world.shard.groups.items()} == before
