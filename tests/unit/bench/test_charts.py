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


def test_a_logarithmic_scale_gives_every_decade_the_same_room() -> None:
    scale = charts.scale([1, 1000], 0, 300)
    assert [scale.at(value) for value in (1, 10, 100, 1000)] == [0, 100, 200, 300]
    assert set(scale.ticks()) >= {1, 10, 100, 1000}


def test_a_scale_with_zero_is_linear() -> None:
    scale = charts.scale([0, 5], 0, 100)
    assert scale.at(2.5) == 50
    assert scale.ticks()[0] == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0512, "0.0512"), (1234, "1,234"), (594_253, "594k"), (1_370_000, "1.37M"), (2e9, "2G")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert charts.number(value) == text


def test_a_line_falls_from_left_to_right_when_its_values_do() -> None:
    drawn = charts.draw(line_chart([(100, 1), (1, 50)]))  # points in any order
    (way,) = re.findall(r'polyline points="([^"]*)"', drawn)
    (x1, y1), (x2, y2) = (map(float, pair.split(",")) for pair in way.split())
    assert x1 < x2
    assert y1 < y2  # pixels count downwards
    assert "a &lt;title&gt;" in drawn
    assert "p99: 50 ms (25 to 100) at 1 connections" in drawn


def test_bars_start_at_one_and_show_their_goal() -> None:
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
    (ahead, wide), (behind, narrow) = re.findall(r'rect x="([\d.]+)".*? width="([\d.]+)"', drawn)
    assert float(behind) + float(narrow) == pytest.approx(float(ahead))
    assert float(wide) == pytest.approx(2 * float(narrow), abs=0.2)  # 4 times against one half
    assert drawn.count('class="goal"') == 1
