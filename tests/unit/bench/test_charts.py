"""Charts of the reports: scales, marks and what they tell."""

from __future__ import annotations

import re

import pytest

from pylog.bench import charts
from pylog.bench.charts import BarChart, LineChart


def line_chart(points: list[tuple[float, float]]) -> LineChart:
    return {
        "kind": "lines",
        "title": "a <title>",
        "x_label": "connections",
        "y_label": "ms",
        "series": [
            {
                "name": "p99",
                "colour": 1,
                "dashed": True,
                "points": [
                    {"x": x, "middle": y, "least": y / 2, "greatest": y * 2} for x, y in points
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0512, "0.0512"), (1234, "1,234"), (594_253, "594k"), (1_370_000, "1.37M"), (2e9, "2G")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert charts.number(value) == text


def test_a_line_chart_is_a_drawing_in_the_colours_of_the_page() -> None:
    drawn = charts.draw(line_chart([(100, 1), (1, 50)]))  # points in any order
    assert drawn.count("<svg") == 1
    assert "<?xml" not in drawn
    assert "a &lt;title&gt;" in drawn
    used = set(re.findall(r"var\((--[a-z0-9]*)\)", drawn))
    assert {"--c1", "--text", "--soft", "--rule"} <= used
    assert not re.search("#0000[ef]", drawn)
    for text in ("p99", "connections", "ms"):
        assert f">{text}</text>" in drawn


def test_a_value_of_zero_has_a_place() -> None:
    assert charts.draw(line_chart([(1, 0), (2, 5)])).count("<svg") == 1


def test_bars_show_their_factors_and_goals() -> None:
    chart: BarChart = {
        "kind": "bars",
        "title": "factors",
        "x_label": "times better",
        "rows": [
            {
                "label": "case",
                "bars": [
                    {"name": "p99", "middle": 4, "least": 3, "greatest": 5, "goal": 2.5},
                    {"name": "CPU", "middle": 0.5, "least": 0.5, "greatest": 0.5, "goal": None},
                ],
            }
        ],
    }
    drawn = charts.draw(chart)
    for text in ("case", "p99", "CPU", "times better"):
        assert f">{text}</text>" in drawn
    assert "\N{MULTIPLICATION SIGN}0.5" in drawn
    assert "var(--behind)" in drawn
