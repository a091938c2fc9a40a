"""What was found: a figure of pylog beside the same figure of others, and what it should be."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pylog.bench.charts import Bar, BarChart, BarRow
from pylog.bench.suite import CaseResult

KAFKA, PYLOG, SINK, PYLOG_OS = "Apache Kafka", "pylog", "sinkd", "pylog os"


@dataclass(frozen=True, slots=True)
class Goal:
    """At most (of figures where more is better: at least) `bound` times the figure of `of`."""

    bound: float
    of: str = KAFKA


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure by name, as tables show it; `field` is that of a measurement of a load."""

    name: str
    unit: str
    more_is_better: bool = False
    field: str = ""


RATE = Figure("requests/s", "/s", True, "requests_per_s")
MEGABYTES = Figure("MB/s", "MB/s", True, "payload_mb_per_s")
P50 = Figure("p50", "µs", False, "p50_us")
P99 = Figure("p99", "µs", False, "p99_us")
P999 = Figure("p99.9", "µs", False, "p999_us")
CPU = Figure("CPU a request", "µs", False, "broker_cpu_us_per_request")
CPU_GB = Figure("CPU a GB", "s", False, "broker_cpu_s_per_gb")
MEAN_MS, P50_MS, P99_MS, P999_MS = (Figure(n, "ms") for n in ("mean", "p50", "p99", "p99.9"))
OF_A_LOAD = (RATE, P50, P99, P999, CPU)


@dataclass(slots=True)
class Comparison:
    """Every repeat of one figure of one case, by target; those of one repeat belong together."""

    case: str
    figure: Figure
    values: dict[str, list[float]]
    goal: Goal | None = None
    group: str = ""

    def median(self, target: str) -> float:
        return statistics.median(self.values[target])

    def ratios(self, of: str = KAFKA) -> list[float]:
        """pylog's figure over that of `of`, repeat by repeat; none where that is zero."""
        pairs = zip(self.values[PYLOG], self.values[of], strict=True)
        return [pylog / other for pylog, other in pairs if other]

    def ratio(self, of: str = KAFKA) -> float | None:
        """Of the medians; None where that of `of` is zero (Kafka's tool rounds to 1 ms)."""
        other = self.median(of)
        return self.median(PYLOG) / other if other else None

    def reached(self) -> bool | None:
        """None: there is no goal, or nothing to hold it against."""
        if self.goal is None or (found := self.ratio(self.goal.of)) is None:
            return None
        return found >= self.goal.bound if self.figure.more_is_better else found <= self.goal.bound

    def document(self) -> dict[str, Any]:
        """For the JSON."""
        return asdict(self) | {
            "median": {target: self.median(target) for target in self.values},
            "ratio": {target: self.ratio(target) for target in self.values if target != PYLOG},
            "reached": self.reached(),
        }


@dataclass(slots=True)
class Findings:
    """All that a run has found so far."""

    comparisons: list[Comparison] = field(default_factory=list)
    cases: list[CaseResult] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # what could not be measured

    def of_group(self, *groups: str) -> list[Comparison]:
        return [one for one in self.comparisons if one.group in groups]


def of_load(result: CaseResult, goals: dict[Figure, Goal], group: str) -> list[Comparison]:
    """The figures of a load: those of every table (no rate where a rate is given), and goals."""
    paced = result.load.records_per_s > 0
    figures = dict.fromkeys([*(one for one in OF_A_LOAD if one != RATE or not paced), *goals])
    return [
        Comparison(
            result.name,
            figure,
            {
                name: [getattr(run, figure.field) for run in runs]
                for name, runs in result.runs.items()
            },
            goals.get(figure),
            group,
        )
        for figure in figures
    ]


# ---- tables ----


def goal_table(comparisons: Iterable[Comparison]) -> list[list[str]]:
    """A row for each goal."""
    rows = [
        ["case", "figure", "against", "there", "pylog", "ratio", "least … greatest", "to reach"]
    ]
    rows[0].append("reached")
    for one in comparisons:
        if one.goal is None or one.goal.of not in one.values:
            continue
        sign = "≥" if one.figure.more_is_better else "≤"
        reached = {True: "yes", False: "no", None: "-"}[one.reached()]
        there, here = one.median(one.goal.of), one.median(PYLOG)
        unit = one.figure.unit
        rows.append([
            one.case, one.figure.name, one.goal.of, amount(there, unit), amount(here, unit),
            factor(one.ratio(one.goal.of)), spread(one.ratios(one.goal.of)),
            f"{sign} {one.goal.bound:.3g}", reached,
        ])  # fmt: skip
    return rows


def ratio_table(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """A row for each case, a column for each figure that every load has."""
    rows = [["case", *(figure.name for figure in OF_A_LOAD)]]
    for case in dict.fromkeys(one.case for one in comparisons):
        found = {one.figure: one for one in comparisons if one.case == case}
        cells = [_pair(found[one]) if one in found else "as asked" for one in OF_A_LOAD]
        rows.append([case, *cells])
    return rows


def _pair(one: Comparison) -> str:
    unit = "" if one.figure.unit == "/s" else one.figure.unit
    kafka, pylog = amount(one.median(KAFKA), ""), amount(one.median(PYLOG), unit)
    return f"{kafka} → {pylog} ({factor(one.ratio())}; {spread(one.ratios())})"


def other_table(comparisons: Iterable[Comparison]) -> list[list[str]]:
    """A row for each figure that is no load's."""
    rows = [["figure", KAFKA, PYLOG, "ratio", "least … greatest"]]
    for one in comparisons:
        unit = one.figure.unit
        rows.append([
            f"{one.case}, {one.figure.name}", amount(one.median(KAFKA), unit),
            amount(one.median(PYLOG), unit), factor(one.ratio()), spread(one.ratios()),
        ])  # fmt: skip
    return rows


def amount(value: float, unit: str) -> str:
    """Three digits or whole thousands."""
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text}{unit}" if unit == "/s" else f"{text} {unit}".strip()


def factor(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def spread(values: Sequence[float]) -> str:
    return f"{factor(min(values))} … {factor(max(values))}" if values else "-"


# ---- charts ----


def bar_chart(
    title: str, comparisons: Sequence[Comparison], figures: Sequence[Figure] | None = None
) -> BarChart:
    """How many times better pylog is than Apache Kafka; without `figures` one bar a row."""
    rows: dict[str, BarRow] = {}
    for one in comparisons:
        if not one.ratio() or (figures and one.figure not in figures):  # a zero has no bar
            continue
        label = one.case if figures else f"{one.case}, {one.figure.name}"
        row = rows.setdefault(label, {"label": label, "bars": []})
        row["bars"].append(_bar(one, one.figure.name if figures else "times better"))
    return {
        "kind": "bars",
        "title": title,
        "x_label": "times better than Apache Kafka (more is better for pylog; red: to reach)",
        "rows": list(rows.values()),
    }


def _bar(one: Comparison, name: str) -> Bar:
    def better(ratio: float) -> float:
        return ratio if one.figure.more_is_better else 1 / ratio

    found = [better(ratio) for ratio in one.ratios() if ratio]
    middle = better(one.ratio() or 0)
    goal = one.goal if one.goal and one.goal.of == KAFKA else None
    return {
        "name": name,
        "middle": middle,
        "least": min([middle, *found]),
        "greatest": max([middle, *found]),
        "goal": better(goal.bound) if goal else None,
    }
