"""What the long benchmarks conclude from their figures."""

from __future__ import annotations

import math

import pytest
from benchmarks.against_kafka import cases
from benchmarks.against_kafka.comparison import (
    KAFKA,
    P99,
    PYLOG,
    RATE,
    SINK,
    Comparison,
    Figure,
    Goal,
    bar_chart,
    goal_table,
)
from benchmarks.growth.series import Growth


def comparison(figure: Figure, kafka: list[float], pylog: list[float], goal: Goal) -> Comparison:
    return Comparison("case", figure, {KAFKA: kafka, PYLOG: pylog}, goal)


def test_a_rate_has_to_reach_its_goal_from_below_and_a_latency_from_above() -> None:
    assert comparison(RATE, [10], [25], Goal(2.5)).reached() is True
    assert comparison(RATE, [10], [24], Goal(2.5)).reached() is False
    assert comparison(P99, [10], [2.5], Goal(1 / 4)).reached() is True
    assert comparison(P99, [10], [2.6], Goal(1 / 4)).reached() is False


def test_a_ratio_is_that_of_the_medians_and_its_spread_is_repeat_by_repeat() -> None:
    one = comparison(RATE, [10, 100, 20], [20, 100, 60], Goal(2))
    assert one.ratio() == 60 / 20
    assert one.ratios() == [2, 1, 3]


def test_nothing_is_concluded_where_the_other_figure_is_zero() -> None:
    one = comparison(P99, [0], [1], Goal(1))
    assert one.ratio() is None
    assert one.reached() is None
    assert bar_chart("title", [one])["rows"] == []


def test_a_goal_against_what_was_not_measured_is_left_out_of_the_table() -> None:
    against_kafka = comparison(P99, [10], [1], Goal(1 / 2))
    against_sink = comparison(P99, [10], [1], Goal(1.1, SINK))
    rows = goal_table([against_kafka, against_sink])
    assert len(rows) == 2
    assert rows[1][-1] == "yes"


def test_a_bar_of_a_latency_is_how_many_times_less_it_is() -> None:
    (row,) = bar_chart("title", [comparison(P99, [10], [2], Goal(1 / 4))])["rows"]
    (bar,) = row["bars"]
    assert bar["middle"] == pytest.approx(5)
    assert bar["goal"] == pytest.approx(4)


STEPS = (1, 16, 100, 1000, 5000)


@pytest.mark.parametrize(
    ("cost", "verdict"),
    [
        (lambda _x: 10.0, True),
        (lambda x: 10 + 3 * math.log2(x), True),
        (lambda x: 10 + 0.1 * x, False),
        (lambda x: 50 + 0.02 * x, False),  # a large constant does not hide the line
        (lambda x: 5 * math.sqrt(x), False),
    ],
)
def test_growth_is_judged_by_its_last_step_too(cost: object, verdict: bool) -> None:
    growth = Growth("cost", "number", "µs")
    for x in STEPS:
        growth.add(x, [cost(x)])  # type: ignore[operator]
    assert growth.no_worse_than_logarithmic() is verdict


def test_what_is_no_cost_of_an_operation_is_not_judged() -> None:
    growth = Growth("memory", "number", "MB", judged=False)
    for x in STEPS:
        growth.add(x, [x])
    assert growth.no_worse_than_logarithmic() is None


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in (*cases.DATA_PLANE, *cases.SWEEP, *cases.FLUSHED)]
    assert len(set(names)) == len(names)
