"""Figures as dictionaries for plotly.js, and their colours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

Figure = dict[str, Any]
Trace = dict[str, Any]

INK = "#1a2530"
MUTED = "#4d5b69"
GRID = "#e2e7ed"
PAPER = "#ffffff"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

# Okabe and Ito's colours, which people with any colour vision can distinguish; the green and the
# purple are darker than theirs, for a contrast of 3:1 on white. Lines also differ in their dashes,
# and marks in their shape.
SERIES = ("#0072b2", "#c44e00", "#00795a", "#a3478a", "#3f4a55")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")
DAY_MILLISECONDS = 24 * 3600 * 1000
# Up to so many days, each has a tick of its own.
DAYS_WITH_A_TICK = 7
# light to dark in one hue, so that it is readable in grey too
SCALE = ("#f1f6fb", "#c9dff0", "#8dbfe0", "#4795c7", "#0b6aa6", "#084a77", "#06304e")


def figure(
    traces: Sequence[Trace],
    *,
    x_title: str = "",
    y_title: str = "",
    y_format: str = ",",
    x_type: str = "date",
    **layout: Any,
) -> Figure:
    """A figure of the traces in the dashboard's style. ``layout`` overrides the style's layout."""
    legend = len(traces) > 1
    style: dict[str, Any] = {
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "margin": {"l": 56, "r": 12, "t": 34 if legend else 12, "b": 34},
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": GRID, "font": {"color": INK}},
        "dragmode": False,
        "xaxis": axis(x_title, type=x_type, showgrid=False, zeroline=False, **_few_days(traces)),
        "yaxis": axis(
            y_title,
            tickformat=y_format,
            rangemode="tozero",
            zeroline=False,
        ),
        "uirevision": "same",
    }
    for name, value in layout.items():
        both = isinstance(value, dict) and isinstance(style.get(name), dict)
        style[name] = {**style[name], **value} if both else value
    return {"data": list(traces), "layout": style}


def _few_days(traces: Sequence[Trace]) -> dict[str, Any]:
    """A tick for each of a few days: plotly would also put ticks at hours between them, and for a
    single day at parts of a second."""
    days = sorted({at for trace in traces for at in trace["x"] if isinstance(at, date)})
    if not days or (days[-1] - days[0]).days >= DAYS_WITH_A_TICK:
        return {}
    half = timedelta(hours=12)
    first, last = (datetime.combine(day, time()) for day in (days[0], days[-1]))
    span = range((days[-1] - days[0]).days + 1)
    return {
        "range": [str(first - half), str(last + half)],
        "tickvals": [str(days[0] + timedelta(days=n)) for n in span],
        "tickformat": "%b %-d\n%Y",
    }


def axis(title: str = "", **properties: Any) -> dict[str, Any]:
    """An axis that cannot be dragged, with light lines."""
    named = {"title": {"text": title, "font": {"size": 12, "color": MUTED}, "standoff": 6}}
    return {
        **(named if title else {}),
        "fixedrange": True,
        "gridcolor": GRID,
        "linecolor": "#9aa5b1",
        "tickfont": {"size": 12, "color": MUTED},
        "automargin": True,
        **properties,
    }


def line(name: str, x: Sequence[Any], y: Sequence[Any], nth: int = 0, **properties: Any) -> Trace:
    """A line in the ``nth`` colour and dashes. It breaks where days are missing; a day without
    neighbours is a mark."""
    points = _with_gaps(list(zip(x, y, strict=True)))
    known = [False, *(value is not None for _, value in points), False]
    alone = [known[n] and not (known[n - 1] or known[n + 1]) for n in range(1, len(known) - 1)]
    sizes = 8 if "mode" in properties else [8 if one else 0 for one in alone]
    return {
        "type": "scatter",
        "mode": "lines+markers" if any(alone) else "lines",
        "name": name,
        "x": [at for at, _ in points],
        "y": [value for _, value in points],
        "line": {"color": SERIES[nth % len(SERIES)], "dash": DASHES[nth % len(DASHES)], "width": 2},
        "marker": {"color": SERIES[nth % len(SERIES)], "size": sizes, "opacity": 1},
        **properties,
    }


def _with_gaps(points: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """The points, with a point without value where days are missing between two of them."""
    found: list[tuple[Any, Any]] = []
    for at, value in points:
        if found and isinstance(at, date) and (at - found[-1][0]).days > 1:
            found.append((found[-1][0] + timedelta(days=1), None))
        found.append((at, value))
    return found


def bars(name: str, x: Sequence[Any], y: Sequence[Any], nth: int = 0, **properties: Any) -> Trace:
    """Bars in the ``nth`` colour. Bars of days are nearly a day wide: plotly takes the width from
    the nearest two, and a single day's bar would be too thin to see."""
    of_days = bool(x) and isinstance(x[0], date)
    return {
        "type": "bar",
        **({"width": 0.85 * DAY_MILLISECONDS} if of_days else {}),
        "name": name,
        "x": list(x),
        "y": list(y),
        "marker": {"color": SERIES[nth % len(SERIES)], "line": {"width": 0}},
        **properties,
    }


def colour_of(part: float) -> str:
    """The colour on the scale of a part of 1, as #rrggbb."""
    place = min(max(part, 0.0), 1.0) * (len(SCALE) - 1)
    low = min(int(place), len(SCALE) - 2)
    pairs = zip(_channels(SCALE[low]), _channels(SCALE[low + 1]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - low)):02x}" for a, b in pairs)


def ink_on(colour: str) -> str:
    """Black or white, whichever has more contrast on the colour: at least 4.5:1 on any colour.
    (``INK`` is lighter than black: on some colours neither it nor white reaches that.)"""
    return max("#000000", PAPER, key=lambda ink: contrast(ink, colour))


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21, as WCAG computes it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def colour_scale() -> list[list[Any]]:
    """The scale in plotly's format: pairs of a part of 1 and a colour."""
    return [[place / (len(SCALE) - 1), colour] for place, colour in enumerate(SCALE)]


def _channels(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def _luminance(colour: str) -> float:
    parts = [channel / 255 for channel in _channels(colour)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def across(
    labels: Sequence[str], values: Sequence[float], texts: Sequence[str], what: str, nth: int = 0
) -> Figure:
    """A figure of bars from left to right, the first on top, each with its text."""
    trace: Trace = {
        **bars(what, list(values)[::-1], [], nth),
        "y": list(labels)[::-1],
        "orientation": "h",
        "text": list(texts)[::-1],
        "textposition": "auto",
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    return figure(
        [trace],
        x_type="linear",
        x_title=what,
        xaxis={"showgrid": True, "rangemode": "tozero"},
        yaxis={"type": "category", "tickformat": "", "showgrid": False},
        hovermode="closest",
        bargap=0.3,
    )


def across_height(rows: int) -> int:
    """The height in pixels of a figure of so many such bars."""
    return 60 + 34 * max(rows, 3)
