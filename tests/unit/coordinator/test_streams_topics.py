"""How many partitions the internal topics of a topology get, and what hinders it (KIP-1071)."""

from __future__ import annotations

import pytest
from tests.sim.streams import internal, subtopology

from pylog.coordinator.streams_topics import ConfiguredTopology, StatusCode, configured
from pylog.coordinator.streams_topology import read_topology, topology_record
from pylog.coordinator.topics_view import TopicInfo, TopicsView
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.streams_group_heartbeat import Subtopology, Topology


def fit(*parts: Subtopology, **topics: int) -> ConfiguredTopology:
    """Names of topics have _ for -."""
    infos = (
        (name.replace("_", "-"), TopicInfo(name.encode().ljust(16), count))
        for name, count in topics.items()
    )
    topology = read_topology(Topology(epoch=0, subtopologies=list(parts)))
    return configured(topology, TopicsView.of(1, infos))


def missing(fitted: ConfiguredTopology) -> dict[str, int]:
    return {topic.name: topic.partitions for topic in fitted.missing}


def problem(fitted: ConfiguredTopology) -> tuple[StatusCode, str]:
    assert fitted.problem is not None
    return fitted.problem


def test_tasks_are_as_many_as_the_largest_source_has_partitions() -> None:
    fitted = fit(subtopology("0", "a", "b"), a=2, b=5)
    assert fitted.is_ready
    assert fitted.subtopologies["0"].task_count == 5


def test_changelog_has_a_partition_for_each_task() -> None:
    fitted = fit(subtopology("0", "a", changelogs=[internal("store")]), a=3)
    assert missing(fitted) == {"store": 3}
    assert problem(fitted) == (
        StatusCode.MISSING_INTERNAL_TOPICS,
        "Internal topics are missing: store",
    )
    assert fitted.subtopologies["0"].is_stateful


def test_repartition_topic_is_as_large_as_what_is_written_into_it() -> None:
    """Through two hops, and the second subtopology is read first."""
    fitted = fit(
        subtopology("0", repartitions=[internal("second")], changelogs=[internal("store")]),
        subtopology("1", "a", sinks=["first"]),
        subtopology("2", repartitions=[internal("first")], sinks=["second"]),
        a=6,
    )
    assert missing(fitted) == {"first": 6, "second": 6, "store": 6}


def test_number_that_the_application_has_fixed_holds() -> None:
    fitted = fit(
        subtopology("0", "a", sinks=["rep"]),
        subtopology("1", repartitions=[internal("rep", 2)], changelogs=[internal("store")]),
        a=6,
    )
    assert missing(fitted) == {"rep": 2, "store": 2}


def test_copartitioned_repartition_topic_is_as_large_as_the_other_source() -> None:
    fitted = fit(
        subtopology("0", "a", sinks=["rep"]),
        subtopology("1", "b", repartitions=[internal("rep")], together=([0], [0])),
        a=6,
        b=2,
    )
    assert missing(fitted) == {"rep": 2}
    assert fitted.subtopologies["1"].task_count == 2


def test_copartitioned_repartition_topics_are_as_large_as_the_largest() -> None:
    fitted = fit(
        subtopology("0", "a", sinks=["left"]),
        subtopology("1", "b", sinks=["right"]),
        subtopology("2", repartitions=[internal("left"), internal("right")], together=([], [0, 1])),
        a=6,
        b=2,
    )
    assert missing(fitted) == {"left": 6, "right": 6}


def test_sources_that_have_to_be_alike_are_not() -> None:
    assert problem(fit(subtopology("0", "a", "b", together=([0, 1], [])), a=2, b=3)) == (
        StatusCode.INCORRECTLY_PARTITIONED_TOPICS,
        "Following topics do not have the same number of partitions: [{a=2, b=3}]",
    )


def test_fixed_repartition_topic_does_not_fit_its_source() -> None:
    fitted = fit(subtopology("0", "a", repartitions=[internal("rep", 3)], together=([0], [0])), a=4)
    code, detail = problem(fitted)
    assert code == StatusCode.INCORRECTLY_PARTITIONED_TOPICS
    assert "[3] of repartition topic [rep]" in detail


def test_existing_changelog_has_another_number_of_partitions() -> None:
    fitted = fit(subtopology("0", "a", changelogs=[internal("the-store")]), a=4, the_store=2)
    assert problem(fitted) == (
        StatusCode.INCORRECTLY_PARTITIONED_TOPICS,
        "Existing topic the-store has different number of partitions: expected 4, found 2",
    )
    assert not fitted.subtopologies


def test_missing_sources_are_named_up_to_three() -> None:
    assert problem(fit(subtopology("0", "a", "b", "c", "d", "e"), a=1)) == (
        StatusCode.MISSING_SOURCE_TOPICS,
        "Source topics b, c, d and 1 additional topics are missing.",
    )


@pytest.mark.parametrize(
    "parts",
    [
        [subtopology("0")],
        [subtopology("0", "a", sinks=["x"]), subtopology("1", repartitions=[internal("y")])],
        [
            subtopology("0", sinks=["x"], repartitions=[internal("y")]),
            subtopology("1", sinks=["y"], repartitions=[internal("x")]),
        ],
        [subtopology("0", "a"), subtopology("0", "a")],
        [subtopology("0", "a", together=([1], []))],
        [subtopology("0", "a", together=([-1], []))],
    ],
    ids=["no source", "never written", "loop", "twice", "index", "negative index"],
)
def test_topology_that_makes_no_sense_is_refused(parts: list[Subtopology]) -> None:
    with pytest.raises(ApiError) as refused:
        fit(*parts, a=1)
    assert refused.value.code == ErrorCode.STREAMS_INVALID_TOPOLOGY


def test_topology_is_the_same_when_it_was_stored() -> None:
    parts = [
        subtopology("0", "a", sinks=["rep"], changelogs=[internal("store", retention="1")]),
        subtopology("1", "b", repartitions=[internal("rep", 3)], together=([0], [0])),
    ]
    topology = read_topology(Topology(epoch=4, subtopologies=parts))
    assert read_topology(topology_record(topology)) == topology
    other_order = Topology(epoch=4, subtopologies=parts[::-1])
    assert read_topology(other_order) == topology
