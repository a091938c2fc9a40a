"""Whom the sticky task assignor gives what (KIP-1071)."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pylog.coordinator.streams_assignor import AssignableMember, TaskKind, assign
from pylog.coordinator.streams_tasks import Task, Tasks

STATEFUL = [TaskKind("0", 4, True)]
STATELESS = [TaskKind("0", 4, False)]


def held(*active: int, standby: tuple[int, ...] = ()) -> Tasks:
    return Tasks(
        frozenset(("0", number) for number in active),
        frozenset(("0", number) for number in standby),
    )


def all_tasks(kinds: list[TaskKind]) -> list[Task]:
    return [(kind.subtopology_id, number) for kind in kinds for number in range(kind.tasks)]


def test_nobody_gets_nothing() -> None:
    assert assign({}, STATEFUL, 1) == {}


def test_everybody_gets_a_share() -> None:
    target = assign({m: AssignableMember(m) for m in "abcd"}, STATELESS, 0)
    assert [len(target[m].active) for m in "abcd"] == [1, 1, 1, 1]


def test_larger_process_gets_more() -> None:
    processes = {"a1": "a", "a2": "a", "a3": "a", "b1": "b"}
    target = assign({m: AssignableMember(p) for m, p in processes.items()}, STATELESS, 0)
    assert [len(tasks.active) for tasks in target.values()] == [1, 1, 1, 1]


def test_owner_keeps_what_is_within_its_share() -> None:
    members = {"a": AssignableMember("a", held(0, 1, 2, 3)), "b": AssignableMember("b")}
    target = assign(members, STATELESS, 0)
    assert (target["a"], target["b"]) == (held(0, 1), held(2, 3))


def test_task_goes_to_its_standby_when_the_owner_is_gone() -> None:
    members = {
        "a": AssignableMember("a", held(0)),
        "b": AssignableMember("b", held(1, standby=(2, 3))),
        "c": AssignableMember("c"),
        "d": AssignableMember("d"),
    }
    target = assign(members, STATEFUL, 0)
    assert target["a"] == held(0)
    assert target["b"] == held(1), "its share is full"
    members["b"] = AssignableMember("b", held(standby=(3,)))
    target = assign(members, STATEFUL, 0)
    assert target["b"] == held(3)


def test_task_goes_where_most_of_its_state_is() -> None:
    members = {
        "a": AssignableMember("a", offsets={("0", 0): 10}),
        "b": AssignableMember("b", offsets={("0", 0): 900}),
    }
    assert ("0", 0) in assign(members, STATEFUL, 0)["b"].active


def test_standbys_need_processes_not_threads() -> None:
    one = {m: AssignableMember("p") for m in "ab"}
    assert not any(tasks.standby for tasks in assign(one, STATEFUL, 1).values())
    two = {"a": AssignableMember("p"), "b": AssignableMember("q")}
    target = assign(two, STATEFUL, 3)
    assert target["a"].standby == target["b"].active
    assert target["b"].standby == target["a"].active


def test_tasks_without_state_have_no_standbys() -> None:
    kinds = [TaskKind("0", 2, False), TaskKind("1", 2, True)]
    target = assign({m: AssignableMember(m) for m in "ab"}, kinds, 1)
    assert {task for tasks in target.values() for task in tasks.standby} == {("1", 0), ("1", 1)}


KINDS = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=3).map(
    lambda rows: [TaskKind(str(n), tasks, stateful) for n, (tasks, stateful) in enumerate(rows)]
)
PROCESSES = st.lists(st.sampled_from(["p", "q", "r"]), min_size=1, max_size=6)


@given(KINDS, PROCESSES, st.integers(0, 2), st.randoms(use_true_random=False))
def test_every_task_has_one_owner_and_its_standbys(
    kinds: list[TaskKind], processes: list[str], standbys: int, random: object
) -> None:
    choice = random.choice  # type: ignore[attr-defined]
    names = [f"m{number}" for number in range(len(processes))]
    owners = {task: choice([*names, None]) for task in all_tasks(kinds)}
    members = {
        name: AssignableMember(process, Tasks(frozenset(t for t, o in owners.items() if o == name)))
        for name, process in zip(names, processes, strict=True)
    }
    target = assign(members, kinds, standbys)
    active = Counter(task for tasks in target.values() for task in tasks.active)
    assert active == Counter(all_tasks(kinds))
    wanted = min(standbys, len(set(processes)) - 1)
    standby = Counter(task for tasks in target.values() for task in tasks.standby)
    stateful = all_tasks([kind for kind in kinds if kind.stateful])
    assert standby == Counter({task: wanted for task in stateful if wanted})
    on_process = Counter(
        (members[name].process_id, task)
        for name, tasks in target.items()
        for task in tasks.active | tasks.standby
    )
    assert all(times == 1 for times in on_process.values())


@given(KINDS, PROCESSES)
def test_nothing_moves_when_nothing_has_changed(
    kinds: list[TaskKind], processes: list[str]
) -> None:
    names = [f"m{number}" for number in range(len(processes))]
    fresh = {n: AssignableMember(p) for n, p in zip(names, processes, strict=True)}
    target = assign(fresh, kinds, 0)
    again = {n: AssignableMember(member.process_id, target[n]) for n, member in fresh.items()}
    assert assign(again, kinds, 0) == target


@given(KINDS, PROCESSES)
def test_new_group_is_balanced_over_its_threads(
    kinds: list[TaskKind], processes: list[str]
) -> None:
    members = {f"m{number}": AssignableMember(process) for number, process in enumerate(processes)}
    counts = [len(tasks.active) for tasks in assign(members, kinds, 0).values()]
    assert max(counts) - min(counts) <= 1
