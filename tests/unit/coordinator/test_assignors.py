"""Server-side assignors: what holds for any members, topics and present assignment."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylog.coordinator.assignors import ASSIGNORS, Assignment, Subscriber, range_, uniform

TOPICS = [bytes([n]) * 16 for n in range(4)]
COUNTS = st.fixed_dictionaries({topic: st.integers(1, 9) for topic in TOPICS})
MEMBERS = st.dictionaries(
    st.sampled_from([f"m{n}" for n in range(6)]),
    st.frozensets(st.sampled_from(TOPICS), max_size=4).map(Subscriber),
    min_size=1,
)


def sizes(target: Mapping[str, Assignment]) -> dict[str, int]:
    return {member: sum(map(len, parts.values())) for member, parts in target.items()}


def pairs(assignment: Assignment) -> set[tuple[bytes, int]]:
    return {(topic, index) for topic, indexes in assignment.items() for index in indexes}


@pytest.mark.parametrize("name", ASSIGNORS)
@settings(max_examples=200, deadline=None)
@given(members=MEMBERS, counts=COUNTS, data=st.data())
def test_every_wanted_partition_has_one_owner_who_wants_it(
    name: str,
    members: dict[str, Subscriber],
    counts: dict[bytes, int],
    data: st.DataObject,
) -> None:
    before = ASSIGNORS[name](data.draw(MEMBERS), counts, {})
    target = ASSIGNORS[name](members, counts, before)
    assert target.keys() == members.keys()
    wanted = frozenset().union(*(m.topics for m in members.values()))
    owned = [pair for assignment in target.values() for pair in pairs(assignment)]
    assert sorted(owned) == sorted((t, i) for t in wanted for i in range(counts[t]))
    for member, assignment in target.items():
        assert assignment.keys() <= members[member].topics


@settings(max_examples=200, deadline=None)
@given(members=MEMBERS, counts=COUNTS)
def test_uniform_leaves_nobody_with_two_more_than_another_who_wants_the_same(
    members: dict[str, Subscriber], counts: dict[bytes, int]
) -> None:
    target = uniform(members, counts, {})
    size = sizes(target)
    for rich, assignment in target.items():
        for topic in assignment:
            for poor in members:
                if topic in members[poor].topics:
                    assert size[rich] - size[poor] <= 1


def everybody(*names: str, topics: int = 1) -> dict[str, Subscriber]:
    return {name: Subscriber(frozenset(TOPICS[:topics])) for name in names}


def test_uniform_moves_no_more_than_a_new_member_needs() -> None:
    counts = {TOPICS[0]: 9}
    before = uniform(everybody("a", "b"), counts, {})
    after = uniform(everybody("a", "b", "c"), counts, before)
    assert sizes(after) == {"a": 3, "b": 3, "c": 3}
    for member in ("a", "b"):
        assert pairs(after[member]) < pairs(before[member])


def test_uniform_changes_nothing_when_nothing_has_changed() -> None:
    counts = {TOPICS[0]: 7, TOPICS[1]: 4}
    members = everybody("a", "b", "c", topics=2)
    before = uniform(members, counts, {})
    assert uniform(members, counts, before) == before


def test_uniform_gives_the_partitions_of_who_left_to_the_others() -> None:
    counts = {TOPICS[0]: 6}
    before = uniform(everybody("a", "b", "c"), counts, {})
    after = uniform(everybody("a", "b"), counts, before)
    for member in ("a", "b"):
        assert pairs(before[member]) < pairs(after[member])


def test_range_gives_equal_topics_by_equal_numbers() -> None:
    counts = {TOPICS[0]: 5, TOPICS[1]: 5}
    target = range_(everybody("b", "a", topics=2), counts, {})
    assert target["a"] == dict.fromkeys(TOPICS[:2], frozenset({0, 1, 2}))
    assert target["b"] == dict.fromkeys(TOPICS[:2], frozenset({3, 4}))


def test_range_places_static_members_by_their_instance() -> None:
    topics = frozenset(TOPICS[:1])
    members = {
        "a": Subscriber(topics),
        "z1": Subscriber(topics, "desk-2"),
        "z2": Subscriber(topics, "desk-1"),
    }
    target = range_(members, {TOPICS[0]: 3}, {})
    order = {min(parts[TOPICS[0]]): member for member, parts in target.items()}
    assert [order[n] for n in range(3)] == ["z2", "z1", "a"]


def test_members_without_a_topic_get_nothing() -> None:
    members = {"a": Subscriber(frozenset()), "b": Subscriber(frozenset())}
    assert uniform(members, {}, {}) == range_(members, {}, {}) == {"a": {}, "b": {}}
