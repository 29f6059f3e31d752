"""Charts as SVG: columns over time, and bars. Pure functions from numbers to markup.

Text in an SVG shrinks with it, so a chart over time is drawn anew for a wide page, a narrow one and
one between, and the style sheet shows the one that fits. Bars are a list whose text is ordinary
text that wraps; only the bar itself is drawn, and stretched.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from el_beam.watching.report.figures import counted
from el_beam.watching.report.html import Html, join, tag
from el_beam.watching.report.timeline import Timeline


@dataclass(frozen=True)
class Series:
    """One colour of a chart: `look` is its class in the style sheet, `values` one per column."""

    name: str
    look: str
    values: Sequence[int]


def stacked(layers: Sequence[Sequence[int]]) -> list[int]:
    """The height of each column of layers that stand on each other."""
    return [sum(column) for column in zip(*layers, strict=True)]


@dataclass(frozen=True)
class Panel:
    """Series stacked on each other, on a scale of their own; `height` in pixels."""

    series: Sequence[Series]
    height: int
    label: str = ""


@dataclass(frozen=True)
class DrawingSize:
    """The size of a drawing, in pixels of its own."""

    name: str
    width: int
    ticks: int


WIDE, MIDDLE, NARROW = (
    DrawingSize("wide", 960, 9),
    DrawingSize("middle", 620, 6),
    DrawingSize("narrow", 380, 4),
)
LEFT, RIGHT = 46, 10  # beside a panel, for its scale
TOP, BETWEEN, FOOT = 22, 30, 40  # above a panel, between two, below the last for the times


def nice_step(highest: float, lines: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, 25, 50, … with which `lines` steps reach `highest`."""
    least = max(highest / lines, 1)
    power = 10 ** math.floor(math.log10(least))
    factors = (1, 2, 2.5, 5, 10) if power > 1 else (1, 2, 5, 10)
    return int(next(factor for factor in factors if factor * power >= least) * power)


def over_time(name: str, title: str, story: str, line: Timeline, panels: Sequence[Panel]) -> Html:
    """A chart over time, for each width of page; `story` says in words what it shows."""
    forms = (WIDE, MIDDLE, NARROW)
    return join(_drawing(name, title, story, line, panels, form) for form in forms)


def _drawing(
    name: str, title: str, story: str, line: Timeline, panels: Sequence[Panel], form: DrawingSize
) -> Html:
    ident = f"{name}-{form.name}"
    parts: list[Html] = []
    top = TOP
    for panel in panels:
        parts.append(_panel(panel, line, form, top))
        top += panel.height + BETWEEN
    bottom = top - BETWEEN
    parts += _times(line, form, bottom)
    if form is not NARROW:  # there is nothing to point with
        parts += _columns_to_point_at(line, panels, form, bottom)
    return tag(
        "svg",
        tag("title", title, id=f"{ident}-title"),
        tag("desc", story, id=f"{ident}-desc"),
        *parts,
        class_=f"chart {form.name}",
        viewBox=f"0 0 {form.width} {bottom + FOOT}",
        role="img",
        aria_labelledby=f"{ident}-title {ident}-desc",
    )


def _width(line: Timeline, form: DrawingSize) -> float:
    return (form.width - LEFT - RIGHT) / line.steps


def _panel(panel: Panel, line: Timeline, form: DrawingSize, top: int) -> Html:
    """Grid, scale and columns of a panel whose upper edge is at `top`."""
    highest = max([*stacked([series.values for series in panel.series]), 1])
    step = nice_step(highest, 5 if panel.height > 150 else 3)
    scale_end = math.ceil(highest / step) * step
    parts: list[Html] = []
    for value in range(0, scale_end + 1, step):
        y = round(top + panel.height * (1 - value / scale_end), 1)
        look = "grid" if value else "base"
        parts.append(tag("line", x1=LEFT, x2=form.width - RIGHT, y1=y, y2=y, class_=look))
        parts.append(tag("text", f"{value:,}", x=LEFT - 7, y=y + 4, text_anchor="end"))
    if panel.label:
        parts.append(tag("text", panel.label, x=LEFT, y=top - 9, class_="panel-name"))
    below = [0] * line.steps
    for series in panel.series:
        path = _column_path(series.values, below, line, form, (top, panel.height, scale_end))
        parts.append(tag("path", d=path, class_=series.look))
        below = [low + value for low, value in zip(below, series.values, strict=True)]
    return tag("g", *parts)


def _column_path(
    values: Sequence[int],
    below: Sequence[int],
    line: Timeline,
    form: DrawingSize,
    frame: tuple[int, int, int],
) -> str:
    """A rectangle for each value that is not 0, standing on what is below it."""
    top, height, scale_end = frame
    width = _width(line, form)
    gap = min(width * 0.18, 3) if width > 3.5 else 0
    pieces = []
    for column, (low, value) in enumerate(zip(below, values, strict=True)):
        if value > 0:
            x = LEFT + column * width + gap / 2
            y = top + height * (1 - (low + value) / scale_end)
            tall = height * value / scale_end
            pieces.append(f"M{x:.1f} {y:.1f}h{width - gap:.1f}v{tall:.1f}h{gap - width:.1f}z")
    return "".join(pieces)


def _times(line: Timeline, form: DrawingSize, bottom: int) -> Iterator[Html]:
    per_minute = _width(line, form) / line.step
    for minute, label, below in line.ticks(form.ticks):
        x = round(LEFT + (minute - line.start) * per_minute, 1)
        yield tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 5, class_="base")
        anchor = "end" if x > form.width - 24 else "middle"
        yield tag("text", label, x=x, y=bottom + 19, text_anchor=anchor)
        if below:
            start = "start" if x < 60 else anchor
            edge = LEFT if start == "start" else x
            yield tag("text", below, x=edge, y=bottom + 35, text_anchor=start, class_="date")


def _columns_to_point_at(
    line: Timeline, panels: Sequence[Panel], form: DrawingSize, bottom: int
) -> Iterator[Html]:
    """Over each column an invisible one that says, when pointed at, what is in it."""
    width = _width(line, form)
    for column in range(line.steps):
        inside = [
            f"{series.name}: {series.values[column]:,}"
            for panel in panels
            for series in panel.series
            if series.values[column]
        ]
        if not inside:
            continue
        yield tag(
            "rect",
            tag("title", "\n".join([f"{line.name(column)} UTC", *inside])),
            x=round(LEFT + column * width, 1),
            y=TOP,
            width=round(width, 1),
            height=bottom - TOP,
            class_="column",
        )


def strip(look: str, said: str, *parts: Html) -> Html:
    """A picture, 100 by 10, that is stretched to its place; `said` is the same in words."""
    return tag(
        "svg",
        tag("title", said),
        *parts,
        class_=look,
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        role="img",
        aria_label=said,
    )


@dataclass(frozen=True)
class Bar:
    """A bar of a list: what it is called, the parts that make its length, and what to say of it."""

    name: Html
    parts: Sequence[tuple[str, str, int]]  # (what it counts, look, value)
    said: Html
    more: Html | None = None

    @property
    def total(self) -> int:
        return sum(value for _, _, value in self.parts)


def bars(label: str, rows: Sequence[Bar], longest: int = 0, look: str = "") -> Html:
    """Horizontal bars on one scale: `longest`, or the longest of them, takes all the room."""
    longest = max([*(row.total for row in rows), longest, 1])
    listed = (_bar(row, longest) for row in rows)
    return tag("ol", *listed, class_=f"bars {look}".strip(), aria_label=label)


def _bar(row: Bar, longest: int) -> Html:
    told = ", ".join(f"{counted(value, 'event')} {what}".strip() for what, _, value in row.parts)
    drawn: list[Html] = []
    x = 0.0
    for _, look, value in row.parts:
        # What is there is seen: a part that is not 0 is never thinner than a hair.
        wide = max(100 * value / longest, 0.4) if value > 0 else 0
        wide = min(wide, 100 - x)
        if wide:
            at = {"x": f"{x:.2f}", "y": 0, "width": f"{wide:.2f}", "height": 10}
            drawn.append(tag("rect", **at, class_=look))
        x += wide
    return tag(
        "li",
        tag("span", row.name, class_="bar-name"),
        strip("bar", told, *drawn),
        tag("span", row.said, class_="bar-said"),
        tag("div", row.more, class_="bar-more") if row.more else None,
    )
