"""Small pictures for the UI, where one says more than a number: bars, and maps seen from above.

Bars are SVG, which is sharp on every screen and uses the browser's font; a map is a PNG. Both are
embedded in Markdown, the only way to show a picture in Dagster's UI.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from html import escape
from itertools import pairwise
from typing import Any, Self

import duckdb
import numpy as np
from PIL import Image

from sprint_platform.title import Title

# More bars than this are too thin to see, and more names too many to read.
BARS, NAMES = 400, 12
WIDTH, HEIGHT = 520, 220
# The picture's margins, for the numbers at the left and the title above.
LEFT, TOP, RIGHT, BOTTOM = 56, 34, 12, 26
NAME_WIDTH, NAME_HEIGHT, NAME_LETTERS = 140, 18, 20
TITLE_LETTERS = 50
WIDEST_BAR = 40
# At most so many labels along the axis, each at least so wide.
LABELS, LABEL_WIDTH = 8, 40
INK, PALE, BAR = "#3a3f4b", "#e3e6ec", "#4f63d2"
# Side of a map in pixels; a cell has several.
MAP_SIDE = 288
CELLS = 96
# Cells with fewer heartbeats than this on average show noise.
FULL_CELL = 8
# From low to high.
SHADES = (
    (12, 8, 38),
    (74, 18, 108),
    (165, 44, 96),
    (237, 105, 37),
    (251, 180, 26),
    (252, 255, 200),
)


@dataclass(frozen=True)
class Picture:
    """What is drawn of a table.

    A bar for each ``x`` (an SQL expression of a row), as high as ``y`` (an aggregate over the rows
    of that x): names lie below each other, the largest first; numbers and times go from left to
    right. With ``shade`` a map: ``x`` and ``y`` are a row's cell, in whole numbers, and the cell is
    the brighter the larger ``shade``, an aggregate, is. The rows are those of the last ``periods``
    periods (days, weeks, months: whatever the table is cut in) up to the one that is shown.
    """

    title: str
    x: str
    y: str
    shade: str | None = None
    periods: int = 1

    @classmethod
    def of(cls, meta: Any) -> Self:
        """The picture that a model's ``meta`` describes. Raises ValueError for one that is not
        valid."""
        known = {field.name for field in fields(cls)}
        if not isinstance(meta, dict) or not {"title", "x", "y"} <= meta.keys() <= known:
            raise ValueError(
                f"a picture has title, x and y, and may have shade and periods: not {meta}"
            )
        if len(meta["title"]) > TITLE_LETTERS:
            raise ValueError(f"a picture's title has {TITLE_LETTERS} letters at most: {meta}")
        return cls(**meta)

    def query(self, relation: str, within: str) -> str:
        """SQL for the points to be drawn, of the relation's rows for which ``within`` holds."""
        places, most = {"picture_x": self.x}, BARS
        if self.shade is not None:
            places, most = {**places, "picture_y": self.y}, CELLS * CELLS
        row = ", ".join(f"({expression}) as {name}" for name, expression in places.items())
        place = ", ".join(places)
        return (
            f"with seen as (select *, {row} from {relation} where {within})"
            f" select {place}, ({self.shade or self.y}) as picture_measure from seen"
            f" where {' and '.join(f'{name} is not null' for name in places)} group by {place}"
            f" order by picture_measure desc nulls last limit {most}"
        )

    def drawn(self, points: Sequence[tuple], when: str) -> str | None:
        """The points of ``query`` as Markdown; ``when`` names their days. None without points."""
        points = [point for point in points if _is_number(point[-1])]
        if not points:
            return None
        if self.shade is not None:
            return _map_of_cells(points, f"{self.title}, {when}")
        return _markdown(
            f"{self.title}, {when}", "svg+xml", bars(self.title, when, points).encode()
        )


def _is_number(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def positions_picture(con: duckdb.DuckDBPyConnection, title: Title, day: date) -> str | None:
    """Where players were on the day, seen from above, as Markdown: brighter where more heartbeats
    came from. None for a day without heartbeats."""
    (x_low, x_high), (y_low, y_high) = title.grid.x, title.grid.y
    cells = con.execute(
        "select least(cast(floor((position_x - ?) / ? * ?) as integer), ? - 1) as cell_x,"
        " least(cast(floor((position_y - ?) / ? * ?) as integer), ? - 1) as cell_y, count(*) as n"
        f" from {title.name}_raw.event_heartbeat where event_date = ? group by all",
        [x_low, x_high - x_low, CELLS, CELLS, y_low, y_high - y_low, CELLS, CELLS, day],
    ).fetchnumpy()
    if not len(cells["n"]):
        return None
    inside = (cells["cell_x"] >= 0) & (cells["cell_y"] >= 0)
    seen = np.zeros((CELLS, CELLS))
    seen[cells["cell_y"][inside], cells["cell_x"][inside]] = cells["n"][inside]
    while seen.sum() < FULL_CELL * seen.size and len(seen) > CELLS // 4:
        half = len(seen) // 2
        seen = seen.reshape(half, 2, half, 2).sum(axis=(1, 3))
    picture = _map(f"Positions on {day}", seen)
    return (
        f"{picture}\n\nFrom above: the lower left corner is ({x_low:g}, {y_low:g}), the upper right"
        f" ({x_high:g}, {y_high:g}). The brightest of {len(seen)} × {len(seen)} cells has"
        f" {seen.max():,.0f} of {cells['n'].sum():,} heartbeats."
    )


def _map_of_cells(cells: Sequence[tuple], title: str) -> str:
    x, y = (np.array([cell[axis] for cell in cells], dtype=np.int64) for axis in (0, 1))
    shades = np.array([cell[2] for cell in cells], dtype=np.float64)
    # a distant cell must not make the map huge
    together = 1 + max(np.ptp(x), np.ptp(y)) // (2 * CELLS)
    seen = np.zeros((np.ptp(y) // together + 1, np.ptp(x) // together + 1))
    np.add.at(seen, ((y - y.min()) // together, (x - x.min()) // together), shades)
    return (
        f"{_map(title, seen)}\n\n{title}. From cell ({x.min()}, {y.min()}) at the lower left to"
        f" ({x.max()}, {y.max()}) at the upper right; the brightest has {_number(seen.max())}."
    )


def _map(title: str, seen: np.ndarray) -> str:
    """An array of rows from the lowest y upwards, as a PNG."""
    # y grows upwards on the field, but downwards in a picture
    bright = (255 * np.sqrt(seen[::-1] / (seen.max() or 1))).astype(np.uint8)
    picture = Image.fromarray(bright)
    at = np.linspace(0, len(SHADES) - 1, 256)
    channels = [np.interp(at, range(len(SHADES)), channel) for channel in zip(*SHADES, strict=True)]
    picture.putpalette(np.array(channels).T.astype(np.uint8).tobytes())
    times = max(1, MAP_SIDE // max(seen.shape))
    picture = picture.resize((seen.shape[1] * times, seen.shape[0] * times))
    encoded = io.BytesIO()
    picture.save(encoded, "PNG", optimize=True)
    return _markdown(title, "png", encoded.getvalue())


def _markdown(title: str, kind: str, picture: bytes) -> str:
    return f"![{title}](data:image/{kind};base64,{base64.b64encode(picture).decode()})"


def bars(title: str, when: str, points: Sequence[tuple[Any, Any]]) -> str:
    """(x, y) as an SVG: names as rows, anything else as columns along an axis."""
    if isinstance(points[0][0], str):
        largest = sorted(points, key=lambda point: -point[1])[:NAMES]
        height, drawn = _rows([(name, float(y)) for name, y in largest])
    else:
        height, drawn = HEIGHT, _columns(sorted((x, float(y)) for x, y in points))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' font-family="sans-serif" font-size="11" fill="{INK}">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="8" y="18" font-size="13">{escape(title)}</text>'
        f'<text x="{WIDTH - RIGHT}" y="18" text-anchor="end">{escape(when)}</text>'
        f"{drawn}</svg>"
    )


def _columns(points: list[tuple[Any, float]]) -> str:
    at, labels = _axis([x for x, _ in points])
    step = min((after - before for before, after in pairwise(at)), default=1.0)
    slots = (at[-1] - at[0]) / step + 1
    slot = min((WIDTH - LEFT - RIGHT) / slots, WIDEST_BAR)
    wide = slot * 0.8 if slot > 4 else slot
    floor, peak = HEIGHT - BOTTOM, max(y for _, y in points)
    scale = (floor - TOP) / peak if peak > 0 else 0.0
    drawn = []
    for tick in _ticks(peak):
        y = floor - tick * scale
        drawn.append(
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{PALE}"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>'
        )
    left = [LEFT + (x - at[0]) / step * slot for x in at]
    columns = [
        f"M{x:.1f} {floor}v-{max(y, 0) * scale:.1f}h{wide:.1f}V{floor}z"
        for x, (_, y) in zip(left, points, strict=True)
    ]
    drawn.append(f'<path d="{"".join(columns)}" fill="{BAR}"/>')
    # at even distances; with few columns, wherever there is room
    even, apart, before = 2 * len(points) >= slots, math.ceil(slots / LABELS), -math.inf
    for x, column, label in zip(at, left, labels, strict=True):
        middle = column + wide / 2
        if round((x - at[0]) / step) % apart == 0 if even else middle - before >= LABEL_WIDTH:
            drawn.append(
                f'<text x="{middle:.1f}" y="{floor + 16}" text-anchor="middle">{label}</text>'
            )
            before = middle
    return "".join(drawn)


def _rows(points: list[tuple[str, float]]) -> tuple[int, str]:
    peak = max(y for _, y in points)
    scale = (WIDTH - NAME_WIDTH - LEFT - RIGHT) / peak if peak > 0 else 0.0
    drawn = []
    for n, (name, y) in enumerate(points):
        top = TOP + n * NAME_HEIGHT
        short = name if len(name) <= NAME_LETTERS else name[: NAME_LETTERS - 1] + "…"
        wide = max(y, 0) * scale
        drawn.append(
            f'<text x="{NAME_WIDTH - 6}" y="{top + 12}" text-anchor="end">{escape(short)}</text>'
            f'<path d="M{NAME_WIDTH} {top + 1}h{wide:.1f}v{NAME_HEIGHT - 4}H{NAME_WIDTH}z"'
            f' fill="{BAR}"/>'
            f'<text x="{NAME_WIDTH + wide + 5:.1f}" y="{top + 12}">{_number(y)}</text>'
        )
    return TOP + len(points) * NAME_HEIGHT + 8, "".join(drawn)


def _axis(xs: Sequence[Any]) -> tuple[list[float], list[str]]:
    """The position of each x on the axis, and its label."""
    first = xs[0]
    if isinstance(first, datetime):
        return [(x - first).total_seconds() for x in xs], [f"{x:%H:%M}" for x in xs]
    if isinstance(first, date) and len(xs) > 1 and all(x.day == 1 for x in xs):
        return [float(12 * x.year + x.month) for x in xs], [f"{x:%b %Y}" for x in xs]
    if isinstance(first, date):
        return [float(x.toordinal()) for x in xs], [f"{x.day} {x:%b}" for x in xs]
    return [float(x) for x in xs], [_number(float(x)) for x in xs]


def _ticks(peak: float) -> list[float]:
    """0 and some round numbers up to the peak."""
    if peak <= 0:
        return [0.0]
    magnitude = 10.0 ** math.floor(math.log10(peak))
    step = magnitude * next(
        part
        for part, least in ((2, 5), (1, 2.5), (0.5, 1.25), (0.25, 0))
        if peak >= least * magnitude
    )
    return [n * step for n in range(math.floor(peak / step) + 1)]


def _number(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:,.4g} M"
    return f"{value / 1e3:,.4g} k" if abs(value) >= 1e4 else f"{value:,.4g}"
