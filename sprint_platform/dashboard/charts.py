"""Figures as dictionaries for plotly.js, and their colours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sprint_platform.dashboard import wording
from sprint_platform.dashboard.day_axis import Days, bands, day_axis, thinned

Figure = dict[str, Any]
Trace = dict[str, Any]

INK = "#1a2530"
MUTED = "#4d5b69"
GRID = "#e2e7ed"
PAPER = "#ffffff"
# Charts have the background of the card that they stand on.
CLEAR = "rgba(0, 0, 0, 0)"
# Rates of few people, and bands of missing days.
GREY = "#66727e"
MISSING = "rgba(102, 114, 126, 0.18)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

# Okabe and Ito's colours, which people with any colour vision can distinguish; the green and the
# purple are darker than theirs, for a contrast of 3:1 on white. Lines also differ in their dashes,
# and marks in their shape.
SERIES = ("#0072b2", "#c44e00", "#00795a", "#a3478a", "#3f4a55")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")
DAY_MILLISECONDS = 24 * 3600 * 1000
# So many bars of days have room between them.
DAYS_WITH_ROOM = 120
# Below this number plotly would put ticks at halves of a player.
SMALL_COUNT = 8
# Formats of numbers on axes: counts, averages, amounts, shares.
COUNT, AVERAGE, MONEY, SHARE = ",", ",~r", ",.2~f", ".1~%"
# At the pointer, and beside a single value: axes have round numbers, averages many digits.
VALUE_FORMATS = {COUNT: ",.2~f", AVERAGE: ",.2~f", MONEY: ",.2f", SHARE: ".1%"}
AS_TEXT = {
    COUNT: wording.average,
    AVERAGE: wording.decimal,
    MONEY: wording.money,
    SHARE: wording.share,
}
# A label at the end of a line is so high, and each letter so wide.
LABEL_HEIGHT, LETTER_WIDTH = 15, 7
# light to dark in one hue, so that it is readable in grey too
SCALE = ("#f1f6fb", "#c9dff0", "#8dbfe0", "#4795c7", "#0b6aa6", "#084a77", "#06304e")


def figure(
    traces: Sequence[Trace],
    *,
    x_title: str = "",
    y_title: str = "",
    y_format: str = COUNT,
    x_type: str = "date",
    days: Days | None = None,
    **layout: Any,
) -> Figure:
    """A figure of the traces in the dashboard's style. ``days`` are the days of its axis; without
    them it has those of the traces. ``layout`` overrides the style's layout."""
    named = [trace for trace in traces if trace.get("showlegend", True)]
    several = len(named) > 1
    # dots have their names beside them
    legend = several and not all(_is_dot(trace) for trace in named)
    days = days or _days_of(traces)
    style: dict[str, Any] = {
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        # the last day's tick needs room: plotly hides one that would be cut
        "margin": {"l": 56, "r": 24 if days else 12, "t": 34 if legend else 12, "b": 34},
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": GRID, "font": {"color": INK}},
        "dragmode": False,
        # plotly would write on narrow bars in letters that nobody can read
        "uniformtext": {"minsize": 10, "mode": "hide"},
        "xaxis": axis(
            x_title,
            type=x_type,
            showgrid=False,
            zeroline=False,
            **(day_axis(days) if days else {}),
        ),
        "yaxis": axis(
            y_title,
            tickformat=y_format,
            hoverformat=VALUE_FORMATS.get(y_format, y_format),
            rangemode="tozero",
            zeroline=False,
            **(_whole_ticks(traces) if y_format == COUNT else {}),
        ),
        "shapes": bands(days, MISSING) if days else [],
        "uirevision": "same",
    }
    for name, value in layout.items():
        both = isinstance(value, dict) and isinstance(style.get(name), dict)
        style[name] = {**style[name], **value} if both else value
    return {
        "data": [_with_value(trace, n, y_format, several) for n, trace in enumerate(traces)],
        "layout": style,
    }


def _days_of(traces: Sequence[Trace]) -> Days | None:
    days = [at for trace in traces for at in trace.get("x", ()) if isinstance(at, date)]
    return Days(min(days), max(days)) if days else None


def _known(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def _values(trace: Trace) -> Sequence[Any]:
    return trace.get("x" if trace.get("orientation") == "h" else "y", ())


def _whole_ticks(traces: Sequence[Trace]) -> dict[str, Any]:
    """Ticks at each whole number where a chart's numbers are small."""
    drawn = [trace for trace in traces if trace["type"] in ("scatter", "bar")]
    return _ticks_of([value for trace in drawn for value in _known(trace["y"])])


def _ticks_of(known: Sequence[Any]) -> dict[str, Any]:
    small = all(isinstance(value, int | float) and 0 <= value < SMALL_COUNT for value in known)
    return {"dtick": 1, "tick0": 0} if known and small else {}


def _only_value(trace: Trace, y_format: str) -> str:
    """The only value of a trace as text, with the number of people where they are few."""
    (place,) = (n for n, value in enumerate(trace["y"]) if value is not None)
    value = trace["y"][place]
    as_text = AS_TEXT[y_format](value) if y_format in AS_TEXT else format(value, y_format)
    return as_text + (trace["customdata"][place] if "customdata" in trace else "")


def _is_dot(trace: Trace) -> bool:
    line_or_dot = trace["type"] == "scatter" and trace.get("hoverinfo") != "skip"
    return line_or_dot and len(_known(trace["y"])) == 1


def _with_value(trace: Trace, nth: int, y_format: str, named: bool) -> Trace:
    """The trace; of a single value, with the value printed beside it."""
    dot = _is_dot(trace)
    if not dot and not (trace["type"] == "bar" and len(_known(_values(trace))) == 1):
        return trace
    if trace.get("orientation") == "h":
        return trace
    # on others a bar of nothing is nowhere, and its value would stand over theirs
    if not dot and named and not any(_known(trace["y"])):
        return trace
    value = {"textfont": {"color": INK}, "cliponaxis": False}
    if dot:
        # dots of one day lie side by side or on one another: their values do not
        places = ("middle right", "middle left", "top center", "bottom center")
        name = f"{trace['name']} " if named else ""
        text = f" {name}{_only_value(trace, y_format)} "
        value |= {"mode": "markers+text", "text": text, "textposition": places[nth % 4]}
    else:
        value |= {
            "text": _only_value(trace, y_format).replace(" of ", "<br>of "),
            "textposition": "outside",
            # of a bar with others on it the value is inside
            "insidetextfont": {"color": PAPER},
        }
    return {**trace, **value}


def is_constant(drawn: Figure) -> bool:
    """Whether all lines and bars of a figure have one and the same value, at several places, or
    none: a sentence says as much. So it does of a single bar of a country."""
    traces = drawn["data"]
    if any(trace["type"] not in ("scatter", "bar") for trace in traces):
        return False
    values = {value for trace in traces for value in _known(_values(trace))}
    lying = any(trace.get("orientation") == "h" for trace in traces)
    places = {place for trace in traces for place in trace["y" if lying else "x"]}
    return not values or (len(values) == 1 and (len(places) > 1 or lying))


def labelled(drawn: Figure, height: int) -> Figure:
    """The figure, ``height`` pixels high, with each line's name at its end in place of a legend.
    The names are in the order of the lines' last values, moved apart where they would overlap, with
    a thin line to the end of a line that ends before."""
    layout = drawn["layout"]
    ends = []
    for trace in drawn["data"]:
        known = [n for n, value in enumerate(trace["y"]) if value is not None]
        if known and trace.get("showlegend", True):
            ends.append((trace["y"][known[-1]], trace["x"][known[-1]], trace))
    if not ends:
        return drawn
    ends.sort(key=lambda end: end[0])
    y_format = layout["yaxis"]["tickformat"]
    top = 1.05 * max(value for trace in drawn["data"] for value in _known(trace["y"])) or 1
    right = layout["xaxis"]["range"][1]
    margin = {**layout["margin"], "t": 12}
    names = [
        f"{trace['name']} {_only_value(trace, y_format)}" if _is_dot(trace) else trace["name"]
        for _, _, trace in ends
    ]
    margin["r"] = 14 + LETTER_WIDTH * max(map(len, names))
    unit = top / max(height - margin["t"] - margin["b"] - 12, 1)
    places: list[float] = []
    for value, _, _ in ends:
        lowest = places[-1] + LABEL_HEIGHT * unit if places else 0
        places.append(max(value, lowest))
    highest = top
    for n in range(len(places) - 1, -1, -1):
        places[n] = min(places[n], highest)
        highest = places[n] - LABEL_HEIGHT * unit
    labels, leaders = [], []
    for (value, at, trace), name, place in zip(ends, names, places, strict=True):
        colour = trace["line"]["color"]
        labels.append(
            {
                "x": right,
                "y": place,
                "text": name,
                "showarrow": False,
                "xanchor": "left",
                "xshift": 4,
                "font": {"size": 12, "color": MUTED if colour == GREY else colour},
            }
        )
        leaders.append(
            {
                "type": "line",
                "x0": str(at) if isinstance(at, date) else at,
                "y0": value,
                "x1": right,
                "y1": place,
                "line": {"color": GREY, "width": 1, "dash": "dot"},
                "layer": "below",
            }
        )
    layout = {
        **layout,
        "showlegend": False,
        "margin": margin,
        "annotations": labels,
        "shapes": [*layout["shapes"], *leaders],
        "xaxis": thinned(layout["xaxis"]),
        "yaxis": {**layout["yaxis"], "range": [0, top]},
    }
    # a dot's value is in its label
    data = [
        {**trace, "text": None, "mode": "markers"} if _is_dot(trace) else trace
        for trace in drawn["data"]
    ]
    return {"data": data, "layout": layout}


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
    alone = _alone([value for _, value in points])
    sizes = 8 if "mode" in properties else [8 if one else 0 for one in alone]
    colour = SERIES[nth % len(SERIES)]
    return {
        "type": "scatter",
        "mode": "lines+markers" if any(alone) else "lines",
        "name": name,
        "x": [at for at, _ in points],
        "y": [value for _, value in points],
        "line": {"color": colour, "dash": DASHES[nth % len(DASHES)], "width": 2},
        "marker": {
            "color": colour,
            "symbol": SYMBOLS[nth % len(SYMBOLS)],
            "size": sizes,
            "opacity": 1,
        },
        **properties,
    }


def rate(
    name: str,
    x: Sequence[Any],
    y: Sequence[Any],
    people: Sequence[float | None],
    nth: int = 0,
    *,
    of: tuple[str, str] = ("player", "players"),
    **properties: Any,
) -> list[Trace]:
    """A line of rates, each of so many ``people``: grey where they are few, with their number at
    the pointer."""
    drawn = line(name, x, y, nth, **properties)
    numbers = [number for _, number in _with_gaps(list(zip(x, people, strict=True)))]
    few = [wording.is_few(number) for number in numbers]
    drawn["customdata"] = [_of_few(number, of) for number in numbers]
    drawn["hovertemplate"] = properties.get("hovertemplate", "%{y}%{customdata}")
    if all(one for one, value in zip(few, drawn["y"], strict=True) if value is not None):
        drawn["line"] = {**drawn["line"], "color": GREY}
        drawn["marker"] = {**drawn["marker"], "color": GREY}
        return [drawn]
    if not any(few):
        return [drawn]
    # drawn over the line, from the neighbours before to those after
    beside = [any(few[max(n - 1, 0) : n + 2]) for n in range(len(few))]
    cover = {
        **drawn,
        "y": [value if near else None for value, near in zip(drawn["y"], beside, strict=True)],
        "line": {"color": GREY, "width": 3},
        "marker": {
            **drawn["marker"],
            "color": [GREY if one else drawn["marker"]["color"] for one in few],
        },
        "hoverinfo": "skip",
        "showlegend": False,
    }
    del cover["hovertemplate"], cover["customdata"]
    return [drawn, cover]


def faded(
    trace: Trace, people: Sequence[float | None], of: tuple[str, str] = ("player", "players")
) -> Trace:
    """The bars, grey where they are rates of few people, with their number at the pointer."""
    colour = trace["marker"]["color"]
    colours = [GREY if wording.is_few(number) else colour for number in people]
    return {
        **trace,
        "marker": {**trace["marker"], "color": colours},
        "customdata": [_of_few(number, of) for number in people],
        "hovertemplate": "%{y}%{customdata}",
    }


def hatched(trace: Trace) -> Trace:
    """The bars, hatched: they differ from others where both are grey."""
    return {**trace, "marker": {**trace["marker"], "pattern": {"shape": "/", "solidity": 0.2}}}


def _of_few(number: float | None, of: tuple[str, str]) -> str:
    return f" of {wording.counted(number, *of)}" if wording.is_few(number) else ""


def _alone(values: Sequence[Any]) -> list[bool]:
    """Of each value, whether it is known and those before and after it are not."""
    known = [False, *(value is not None for value in values), False]
    return [known[n] and not (known[n - 1] or known[n + 1]) for n in range(1, len(known) - 1)]


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
    the nearest two, and a single day's bar would be too thin to see. Those of many days have no
    room between them: it would be less than a pixel, seen here and there."""
    room = 0.15 if len(x) <= DAYS_WITH_ROOM else 0
    of_days = bool(x) and isinstance(x[0], date)
    return {
        "type": "bar",
        **({"width": (1 - room) * DAY_MILLISECONDS} if of_days else {}),
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


def shade(part: float) -> dict[str, str]:
    """The CSS properties of a cell (``.shade`` in dashboard.css) that shows a part of 1: its colour
    and its ink; in the dark scheme more is lighter."""
    light, dark = colour_of(part), colour_of(1 - part)
    return {
        "--shade": light,
        "--shade-ink": ink_on(light),
        "--shade-dark": dark,
        "--shade-dark-ink": ink_on(dark),
    }


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
        # nothing is written in no bar
        "textposition": ["auto" if value else "outside" for value in values][::-1],
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    return figure(
        [trace],
        x_type="linear",
        x_title=what,
        xaxis={
            "showgrid": True,
            "rangemode": "tozero",
            # as long as these, numbers side by side would lie askew on a phone
            "tickformat": "~s" if max(values, default=0) >= 10_000 else MONEY,
            **(_ticks_of(values) if all(value == round(value) for value in values) else {}),
        },
        yaxis={"type": "category", "tickformat": "", "showgrid": False},
        hovermode="closest",
        bargap=0.3,
    )


def steps(
    names: Sequence[str],
    counts: Sequence[float],
    shares: Sequence[float],
    what: str,
    nth: int = 0,
) -> Figure:
    """A figure of the steps of a funnel: below each name its count, at its bar its share of all. (A
    bar of a phone has no room for both.)"""
    named = [f"{name}<br>{wording.count(count)}" for name, count in zip(names, counts, strict=True)]
    return across(named, counts, list(map(wording.share, shares)), what, nth)


def across_height(rows: int) -> int:
    """The height in pixels of a figure of so many such bars."""
    return 60 + 34 * max(rows, 3)
