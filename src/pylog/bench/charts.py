"""Charts as SVG for an HTML page: lines and bars, in the colours of the page's style sheet.

A chart is data of the result document (see :class:`LineChart`, :class:`BarChart`), so that a
report can be drawn again from its JSON. matplotlib draws it (the extra ``bench``).
"""

from __future__ import annotations

import html
import io
from collections.abc import Iterable
from typing import Any, Final, Literal, NotRequired, TypedDict

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

COLOURS = 8
TIMES = "\N{MULTIPLICATION SIGN}"
# Colours that the page's style sheet replaces, for light and dark.
_TEXT, _SOFT, _RULE, _GOAL = "#0000f0", "#0000f1", "#0000f2", "#0000f3"
_PAGE_COLOURS = {_TEXT: "--text", _SOFT: "--soft", _RULE: "--rule", _GOAL: "--behind"} | {
    f"#0000e{index}": f"--c{index}" for index in range(COLOURS)
}
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _RULE,
    "axes.grid": True,
    "grid.color": _RULE,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "legend.frameon": False,
    "lines.markersize": 4,
}


def _colour(index: int) -> str:
    return f"#0000e{index % COLOURS}"


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
    """A `<figure>` with caption, drawing and legend."""
    with rc_context(_STYLE):
        drawing = _svg(_lines(chart) if chart["kind"] == "lines" else _bars(chart))
    note = f"<p class=note>{html.escape(chart['note'])}</p>" if "note" in chart else ""
    caption = f"<figcaption>{html.escape(chart['title'])}</figcaption>"
    return f'<figure class="{chart["kind"]}">{caption}{drawing}{note}</figure>'


def number(value: float) -> str:
    """Three digits, thousands and millions as k and M."""
    for least, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= least:
            return f"{value / (1e3 if letter == 'k' else least):.3g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _svg(figure: Figure) -> str:
    """The drawing alone, without XML's head, in the page's colours."""
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in _PAGE_COLOURS.items():
        text = text.replace(colour, f"var({variable})")
    return text


def _all_above_zero(values: Iterable[float]) -> bool:
    return min(values, default=0) > 0


def _label_numbers(axis: Axis) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())


# ---- lines ----


def _lines(chart: LineChart) -> Figure:
    figure = Figure(figsize=(6.2, 3.4))
    axes = figure.add_subplot()
    for series in chart["series"]:
        _draw_series(axes, series)
    points = [point for series in chart["series"] for point in series["points"]]
    if not chart.get("linear_x", False) and _all_above_zero(p["x"] for p in points):
        axes.set_xscale("log")
    if _all_above_zero(p["least"] for p in points):
        axes.set_yscale("log")
    _label_numbers(axes.xaxis)
    _label_numbers(axes.yaxis)
    axes.set_xlabel(chart["x_label"])
    axes.set_ylabel(chart["y_label"])
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure


def _draw_series(axes: Axes, series: Series) -> None:
    points = sorted(series["points"], key=lambda point: point["x"])
    middle = [point["middle"] for point in points]
    spread = (
        [point["middle"] - point["least"] for point in points],
        [point["greatest"] - point["middle"] for point in points],
    )
    axes.errorbar(
        [point["x"] for point in points],
        middle,
        yerr=spread,
        label=series["name"],
        color=_colour(series["colour"]),
        linestyle="--" if series["dashed"] else "-",
        marker="o",
    )


# ---- bars ----


def _bars(chart: BarChart) -> Figure:
    rows = chart["rows"]
    names = list(dict.fromkeys(bar["name"] for row in rows for bar in row["bars"]))
    figure = Figure(figsize=(11, 0.6 + 0.17 * sum(len(row["bars"]) + 1 for row in rows)))
    axes = figure.add_subplot()
    top, middles = 0.0, []
    for row in rows:
        for index, bar in enumerate(row["bars"]):
            _draw_bar(axes, bar, top + index, names.index(bar["name"]))
        middles.append(top + (len(row["bars"]) - 1) / 2)
        top += len(row["bars"]) + 1
    axes.set_yticks(middles, [row["label"] for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{TIMES}{value:g}"))
    axes.axvline(1, color=_TEXT)
    axes.set_xlabel(chart["x_label"])
    handles = [Patch(color=_colour(index), label=name) for index, name in enumerate(names)]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(names) or 1)
    return figure


def _draw_bar(axes: Axes, bar: Bar, at: float, colour: int) -> None:
    middle = bar["middle"]
    spread = ([middle - bar["least"]], [bar["greatest"] - middle])
    axes.barh(at, middle - 1, left=1, height=0.85, color=_colour(colour), xerr=spread, ecolor=_SOFT)
    end = max(1.0, bar["greatest"])
    axes.annotate(
        f" {TIMES}{number(middle)}", (end, at), va="center", annotation_clip=False, fontsize=7
    )
    if bar["goal"]:
        axes.plot([bar["goal"]] * 2, [at - 0.45, at + 0.45], color=_GOAL, linewidth=2.2)
