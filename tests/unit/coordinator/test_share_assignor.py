"""What holds for every assignment of a share group."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pylog.coordinator.share_assignor import Assignment, assign

TOPICS = [bytes([n]) * 16 for n in range(3)]
MEMBERS = st.dictionaries(
    st.sampled_from("abcdef"), st.frozensets(st.sampled_from(TOPICS)), min_size=1
)
PARTITIONS = st.dictionaries(st.sampled_from(TOPICS), st.integers(0, 6))


def shares(
    members: dict[str, frozenset[bytes]],
    partitions: dict[bytes, int],
    current: dict[str, Assignment],
) -> dict[str, Assignment]:
    return assign(members, {t: range(count) for t, count in partitions.items()}, current)


@given(MEMBERS, PARTITIONS, MEMBERS, PARTITIONS)
def test_every_partition_has_a_reader_and_every_member_has_work(
    members: dict[str, frozenset[bytes]],
    partitions: dict[bytes, int],
    before: dict[str, frozenset[bytes]],
    partitions_before: dict[bytes, int],
) -> None:
    found = shares(members, partitions, shares(before, partitions_before, {}))
    assert found.keys() == members.keys()
    there = {(t, i) for t, count in partitions.items() for i in range(count)}
    for member, share in found.items():
        mine = {p for p in there if p[0] in members[member]}
        assert share <= mine
        assert bool(share) == bool(mine)
    wanted = {p for p in there if any(p[0] in topics for topics in members.values())}
    assert {p for share in found.values() for p in share} == wanted


@given(st.integers(1, 6), st.integers(1, 12), st.integers(1, 6))
def test_shares_of_like_members_differ_by_one(count: int, partitions: int, before: int) -> None:
    def members(number: int) -> dict[str, frozenset[bytes]]:
        return {str(n): frozenset(TOPICS[:1]) for n in range(number)}

    first = shares(members(before), {TOPICS[0]: partitions}, {})
    found = shares(members(count), {TOPICS[0]: partitions}, first)
    sizes = [len(share) for share in found.values()]
    assert max(sizes) - min(sizes) <= 1
    again = shares(members(count), {TOPICS[0]: partitions}, found)
    assert again == found, "what fits stays"
