"""How a cost grows with a number, and whether that is no worse than the number's logarithm."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pylog.bench.charts import LineChart, Point, Series, number

NOISE = 1.25  # of a median, on a machine that is shared


@dataclass(slots=True, eq=False)
class Growth:
    """One cost; `repeats` holds (x, its repeats) in the order of x. `judged`: a cost of one
    operation, which may not grow faster than the logarithm."""

    what: str
    of: str  # the number that grows
    unit: str
    repeats: list[tuple[float, list[float]]] = field(default_factory=list)
    judged: bool = True

    def add(self, x: float, values: Sequence[float]) -> None:
        self.repeats.append((x, list(values)))

    def medians(self) -> list[tuple[float, float]]:
        return [(x, statistics.median(values)) for x, values in self.repeats]

    def no_worse_than_logarithmic(self) -> bool | None:
        """None: not judged, or too few points.

        Two tests. Over all, a doubling of x may add at most the first cost once more. And the
        last step may not cost more than the logarithm itself grows there: a line with a large
        constant passes the first and fails this.
        """
        points = self.medians()
        if not self.judged or len(points) < 3:
            return None
        (first_x, first), (before_x, before), (last_x, last) = points[0], points[-2], points[-1]
        over_all = 1 + math.log2(last_x / first_x)
        last_step = math.log(last_x) / math.log(before_x) if before_x > 1 else over_all
        return last <= first * over_all * NOISE and last <= before * last_step * NOISE

    def row(self) -> list[str]:
        """For the table: what it costs at each x, and the verdict."""
        costs = ", ".join(f"{number(x)}: {number(median)}" for x, median in self.medians())
        points = self.medians()
        times = f"{points[-1][1] / points[0][1]:.2f}" if points and points[0][1] else "-"
        verdict = {True: "yes", False: "no", None: "-"}[self.no_worse_than_logarithmic()]
        return [self.what, self.of, self.unit, costs, times, verdict]

    def line(self, colour: int) -> Series:
        points: list[Point] = [
            {
                "x": x,
                "middle": statistics.median(values),
                "least": min(values),
                "greatest": max(values),
            }
            for x, values in self.repeats
        ]
        return {"name": self.what, "colour": colour, "dashed": not self.judged, "points": points}

    def document(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "of": self.of,
            "unit": self.unit,
            "repeats": self.repeats,
            "no_worse_than_logarithmic": self.no_worse_than_logarithmic(),
        }


def table(found: Sequence[Growth]) -> list[list[str]]:
    """A row for each cost."""
    head = ["cost", "against", "unit", "number: cost", "last / first"]
    return [[*head, "no worse than logarithmic"], *(one.row() for one in found)]


def charts(found: Sequence[Growth]) -> list[LineChart]:
    """A chart for each pair of number and unit."""
    pairs = dict.fromkeys((one.of, one.unit) for one in found if one.repeats)
    return [
        {
            "kind": "lines",
            "title": f"Cost against {of}, {unit}",
            "x_label": of,
            "y_label": unit,
            "series": [
                one.line(colour)
                for colour, one in enumerate(
                    one for one in found if (one.of, one.unit) == (of, unit) and one.repeats
                )
            ],
        }
        for of, unit in pairs
    ]
