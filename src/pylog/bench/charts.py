"""Charts as SVG for an HTML page: lines and bars, in the colours of the page's style sheet.

A chart is data of the result document (see :class:`LineChart`, :class:`BarChart`), so that a
report can be drawn again from its JSON. Every mark tells its figures when pointed at.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

WIDTH, HEIGHT = 620, 340  # of a line chart; half of the page
PAGE = 1100  # width of a bar chart
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 14, 46
LABELS, VALUES = 330, 70  # of a bar chart: room left of the bars and right of them
BAR, GAP = 13, 12
COLOURS = 8
ROUND = (1, 2, 5)
TIMES = "\N{MULTIPLICATION SIGN}"


class Point(TypedDict):
    """A median with its least and greatest repeat."""

    x: float
    middle: float
    least: float
    greatest: float


class Series(TypedDict):
    """A line; `colour` counts from 0."""

    name: str
    colour: int
    dashed: bool
    points: list[Point]


class LineChart(TypedDict):
    """Lines over a number; both axes are logarithmic where all values are above zero."""

    kind: Literal["lines"]
    title: str
    x_label: str
    y_label: str
    series: list[Series]
    linear_x: NotRequired[bool]  # from zero, as time is
    note: NotRequired[str]


class Bar(TypedDict):
    """One bar from 1 to `middle`; `goal`: where it should end."""

    name: str
    middle: float
    least: float
    greatest: float
    goal: float | None


class BarRow(TypedDict):
    """The bars of one label; equal names have equal colours."""

    label: str
    bars: list[Bar]


class BarChart(TypedDict):
    """Factors on a logarithmic axis."""

    kind: Literal["bars"]
    title: str
    x_label: str
    rows: list[BarRow]
    note: NotRequired[str]


Chart = LineChart | BarChart


def draw(chart: Chart) -> str:
    """A `<figure>` with caption, legend and drawing."""
    if chart["kind"] == "lines":
        drawing, legend = _lines(chart), _line_legend(chart)
    else:
        drawing, legend = _bars(chart), _bar_legend(chart)
    note = f"<p class=note>{html.escape(chart['note'])}</p>" if "note" in chart else ""
    caption = f"<figcaption>{html.escape(chart['title'])}</figcaption>"
    return f'<figure class="{chart["kind"]}">{caption}{legend}{drawing}{note}</figure>'


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels; `low` and `high` are round numbers."""

    low: float
    high: float
    log: bool
    start: float
    end: float

    def at(self, value: float) -> float:
        if self.log:
            part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        if not self.log:
            step = _round_up(self.high / 6)
            return [step * i for i in range(int(self.high / step + 1e-9) + 1)]
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = ROUND if math.log10(self.high / self.low) <= 3 else (1,)
        found = [step * 10.0**decade for decade in decades for step in steps]
        return [tick for tick in found if self.low * 0.999 <= tick <= self.high * 1.001]


def scale(values: Iterable[float], start: float, end: float, *, linear: bool = False) -> Scale:
    """Holds all values; logarithmic when they are above zero."""
    known = [value for value in values if math.isfinite(value)] or [1.0]
    if linear or min(known) <= 0:
        return Scale(0.0, _round_up(max(known) or 1.0), False, start, end)
    low, high = _round_down(min(known)), _round_up(max(known))
    return Scale(low, high if high > low else low * 10, True, start, end)


def _round_up(value: float) -> float:
    decade: float = 10.0 ** math.floor(math.log10(value))
    return next((s * decade for s in ROUND if s * decade >= value * 0.9999), 10 * decade)


def _round_down(value: float) -> float:
    decade: float = 10.0 ** math.floor(math.log10(value))
    return max(s * decade for s in ROUND if s * decade <= value * 1.0001)


def number(value: float) -> str:
    """Three digits, thousands and millions as k and M."""
    for least, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= least:
            return f"{value / (1e3 if letter == 'k' else least):.3g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _text(x: float, y: float, text: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{more}>{html.escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{kind}"/>'


def _svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _legend(entries: Iterable[tuple[str, int, bool]]) -> str:
    items = "".join(
        f'<li><i class="c{colour % COLOURS}{" dashed" if dashed else ""}"></i>'
        f"{html.escape(name)}</li>"
        for name, colour, dashed in entries
    )
    return f"<ul class=legend>{items}</ul>"


# ---- lines ----


def _line_legend(chart: LineChart) -> str:
    return _legend((one["name"], one["colour"], one["dashed"]) for one in chart["series"])


def _lines(chart: LineChart) -> str:
    points = [point for series in chart["series"] for point in series["points"]]
    x = scale([p["x"] for p in points], LEFT, WIDTH - RIGHT, linear=chart.get("linear_x", False))
    extremes = [p[end] for p in points for end in ("least", "greatest")]
    y = scale(extremes, HEIGHT - BOTTOM, TOP)
    parts = [_axes(x, y), _axis_names(chart)]
    parts += [_series(series, x, y, chart) for series in chart["series"]]
    return _svg(WIDTH, HEIGHT, parts, chart["title"])


def _axes(x: Scale, y: Scale) -> str:
    parts = []
    for tick in y.ticks():
        parts.append(_line(LEFT, y.at(tick), WIDTH - RIGHT, y.at(tick), "grid"))
        parts.append(_text(LEFT - 8, y.at(tick) + 4, number(tick), "end"))
    for tick in x.ticks():
        parts.append(_line(x.at(tick), TOP, x.at(tick), HEIGHT - BOTTOM, "grid"))
        parts.append(_text(x.at(tick), HEIGHT - BOTTOM + 18, number(tick)))
    return "".join(parts)


def _axis_names(chart: LineChart) -> str:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f' class="name" transform="rotate(-90 14 {middle})"'
    across = _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, chart["x_label"], more=' class="name"')
    return across + _text(14, middle, chart["y_label"], more=turned)


def _series(series: Series, x: Scale, y: Scale, chart: LineChart) -> str:
    points = sorted(series["points"], key=lambda point: point["x"])
    way = " ".join(f"{x.at(p['x'])},{y.at(p['middle'])}" for p in points)
    dashed = " dashed" if series["dashed"] else ""
    parts = [f'<polyline points="{way}" class="line{dashed}"/>']
    for point in points:
        parts.append(_mark(series["name"], point, x, y, chart))
    return f'<g class="c{series["colour"] % COLOURS}">{"".join(parts)}</g>'


def _mark(name: str, point: Point, x: Scale, y: Scale, chart: LineChart) -> str:
    at = x.at(point["x"])
    low, high = y.at(point["least"]), y.at(point["greatest"])
    told = (
        f"{name}: {number(point['middle'])} {chart['y_label']} "
        f"({number(point['least'])} to {number(point['greatest'])}) "
        f"at {number(point['x'])} {chart['x_label']}"
    )
    return (
        f'<g class="mark">{_line(at, low, at, high, "spread")}'
        f'<circle cx="{at}" cy="{y.at(point["middle"])}" r="3.5"/>'
        f"<title>{html.escape(told)}</title></g>"
    )


# ---- bars ----


def _bar_names(chart: BarChart) -> list[str]:
    return list(dict.fromkeys(bar["name"] for row in chart["rows"] for bar in row["bars"]))


def _bar_legend(chart: BarChart) -> str:
    return _legend((name, index, False) for index, name in enumerate(_bar_names(chart)))


def _bars(chart: BarChart) -> str:
    bars = [bar for row in chart["rows"] for bar in row["bars"]]
    extremes: list[Any] = [1.0, *(bar[end] for bar in bars for end in ("least", "greatest"))]
    extremes += [bar["goal"] for bar in bars if bar["goal"]]
    x = scale(extremes, LABELS, PAGE - VALUES)
    bottom: float = TOP
    parts = []
    for row in chart["rows"]:
        parts.append(_bar_row(row, bottom, x, _bar_names(chart)))
        bottom += BAR * len(row["bars"]) + GAP
    grid = "".join(
        _line(x.at(tick), TOP - 6, x.at(tick), bottom, "one" if tick == 1 else "grid")
        + _text(x.at(tick), bottom + 16, f"{TIMES}{tick:g}")
        for tick in x.ticks()
    )
    name = _text((LABELS + PAGE - VALUES) / 2, bottom + 36, chart["x_label"], more=' class="name"')
    return _svg(PAGE, bottom + 44, [grid, *parts, name], chart["title"])


def _bar_row(row: BarRow, top: float, x: Scale, names: Sequence[str]) -> str:
    middle = top + BAR * len(row["bars"]) / 2 + 4
    parts = [_text(LABELS - 10, middle, row["label"], "end", ' class="case"')]
    for index, bar in enumerate(row["bars"]):
        colour = names.index(bar["name"]) % COLOURS
        drawn = _bar(bar, top + index * BAR, x, row["label"])
        parts.append(f'<g class="c{colour} mark">{drawn}</g>')
    return "".join(parts)


def _bar(bar: Bar, top: float, x: Scale, label: str) -> str:
    start, end = sorted((x.at(1.0), x.at(bar["middle"])))
    low, high, middle = x.at(bar["least"]), x.at(bar["greatest"]), top + BAR / 2
    goal = bar["goal"]
    wanted = f", goal {TIMES}{goal:.3g}" if goal else ""
    told = (
        f"{label}, {bar['name']}: {TIMES}{number(bar['middle'])} "
        f"({number(bar['least'])} to {number(bar['greatest'])}){wanted}"
    )
    parts = [
        f'<rect x="{start}" y="{top + 1}" width="{max(end - start, 1):.1f}" height="{BAR - 2}"/>',
        _line(low, middle, high, middle, "spread"),
        _line(x.at(goal), top, x.at(goal), top + BAR, "goal") if goal else "",
        _text(max(end, high) + 5, top + BAR - 2, TIMES + number(bar["middle"]), "start"),
        f"<title>{html.escape(told)}</title>",
    ]
    return "".join(parts)
