"""Chapters: how far players come in the story, and where it loses them."""

from __future__ import annotations

from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import domains, parts, wording
from sprint_platform.dashboard.charts import (
    AVERAGE,
    SERIES,
    SHARE,
    Trace,
    bars,
    faded,
    figure,
    rate,
)
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import eventlog
from sprint_platform.dashboard.view import DomainView

FIRST_TIME = "Of first playthroughs."
WINDOW = "Nobody is followed beyond a batch's last day: who stopped may have run out of time."


def page(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[Any]:
    """The funnel of chapters, what is lost in each, and how hard each is."""
    if absent := domains.missing(view, "chapters", "Chapters", "funnel_chapters"):
        return [absent]
    found = eventlog.chapters(con, view.domain, view.batch)
    if not found["chapter"]:
        return [parts.nothing("chapters", "Chapters", "Nobody has started a chapter.", wide=True)]
    return [
        _headlines(found),
        _funnel(found),
        _stopped(found),
        _effort(found),
        *_by(con, view, "difficulty", "Difficulty"),
        *_by(con, view, "platform", "Platform"),
    ]


def _named(found: Columns, place: int) -> str:
    """``chapter 9, The Long Tunnel``"""
    name = found["chapter_name"][place]
    return f"chapter {found['chapter'][place]}" + (f", {name}" if name else "")


def _labels(found: Columns) -> list[str]:
    return [str(chapter) for chapter in found["chapter"]]


def _rows(found: Columns, *columns: tuple[str, Any]) -> list[list[parts.Part]]:
    return [
        [
            f"{chapter} {name or ''}".strip(),
            *(
                as_text(found[column][n])
                if as_text is wording.count
                else parts.rate_cell(as_text(found[column][n]), found["started"][n])
                for column, as_text in columns
            ),
        ]
        for n, (chapter, name) in enumerate(
            zip(found["chapter"], found["chapter_name"], strict=True)
        )
    ]


def _worst(found: Columns) -> int | None:
    """The place of the chapter before the last that loses most of those who started it; None where
    none loses anybody."""
    before_last = range(len(found["chapter"]) - 1)
    worst = max(before_last, key=lambda n: found["stopped_share"][n], default=None)
    return None if worst is None or not found["stopped"][worst] else worst


def _headlines(found: Columns) -> html.Section:
    began, finished = found["started"][0], found["completed"][-1]
    worst = _worst(found)
    return parts.headline_card(
        [
            parts.headline("began", "Began the story", wording.count(began), note="players"),
            parts.headline(
                "finished",
                "Finished it",
                wording.count(finished),
                note=f"completed chapter {found['chapter'][-1]}",
            ),
            parts.headline(
                "finished-share",
                "Of those who began",
                wording.share(finished / began if began else None),
                note="finished it",
                people=began,
            ),
            parts.headline(
                "worst",
                "Loses most",
                wording.NONE if worst is None else wording.share(found["stopped_share"][worst]),
                note="no chapter loses anybody" if worst is None else _named(found, worst),
                people=None if worst is None else found["started"][worst],
            ),
        ],
        f"{FIRST_TIME} {WINDOW}",
    )


def _funnel(found: Columns) -> html.Section:
    labels = _labels(found)
    names = [name or "" for name in found["chapter_name"]]
    hover = {
        "customdata": names,
        "hovertemplate": "%{y:,} %{fullData.name}<br>%{customdata}<extra></extra>",
    }
    half = next(
        (n for n, started in enumerate(found["started"]) if started < found["started"][0] / 2), None
    )
    where = (
        "at least half of them start every chapter"
        if half is None
        else f"fewer than half of them start {_named(found, half)}"
    )
    return parts.chart(
        "chapters",
        "How far players come",
        figure(
            [
                bars("started", labels, found["started"], 0, **hover),
                bars("completed", labels, found["completed"], 1, **hover),
            ],
            x_type="category",
            x_title="chapter",
            y_title="players",
            hovermode="closest",
            bargap=0.25,
        ),
        f"{wording.counted(found['started'][0], 'player starts', 'players start')}"
        f" {_named(found, 0)}; {where}.",
        parts.table(
            "Players by chapter",
            ["chapter", "started", "completed", "stopped here", "of those who started"],
            _rows(
                found,
                ("started", wording.count),
                ("completed", wording.count),
                ("stopped", wording.count),
                ("stopped_share", wording.share),
            ),
        ),
        note=f"{FIRST_TIME} Who stopped here started no chapter after it.",
        height=320,
        wide=True,
    )


def _stopped(found: Columns) -> html.Section:
    worst = _worst(found)
    if worst is None:
        why = "Nobody stopped before the last chapter that was started."
        return parts.nothing("stopped", "Where players stop", why)
    shown = slice(0, len(found["chapter"]) - 1)
    return parts.chart(
        "stopped",
        "Where players stop",
        figure(
            [
                faded(
                    bars("stopped", _labels(found)[shown], found["stopped_share"][shown], 1),
                    found["started"][shown],
                )
                | {
                    "text": [name or "" for name in found["chapter_name"][shown]],
                    "textposition": "none",
                    "hovertemplate": "%{y:.1%}%{customdata}<br>%{text}<extra></extra>",
                }
            ],
            x_type="category",
            x_title="chapter",
            y_title="of those who started it",
            y_format=SHARE,
            hovermode="closest",
        ),
        f"Most in {_named(found, worst)}: {wording.share(found['stopped_share'][worst])} of those"
        " who started it start none after it.",
        parts.table(
            "Players who started no chapter after it",
            ["chapter", "stopped", "of those who started"],
            _rows(found, ("stopped", wording.count), ("stopped_share", wording.share))[shown],
        ),
        note="Without the last chapter, after which there is none.",
        people=found["started"][shown],
    )


def _effort(found: Columns) -> html.Section:
    hardest = max(range(len(found["chapter"])), key=lambda n: found["deaths_each"][n])
    return parts.chart(
        "effort",
        "Attempts and deaths",
        figure(
            [
                *_of_starters("attempts", found, "attempts_each", 0),
                *_of_starters("deaths", found, "deaths_each", 1),
            ],
            x_type="category",
            x_title="chapter",
            y_title="per player who started it",
            y_format=AVERAGE,
        ),
        f"Players die most often in {_named(found, hardest)}:"
        f" {wording.decimal(found['deaths_each'][hardest])} times each, in"
        f" {wording.decimal(found['attempts_each'][hardest])} attempts."
        if found["deaths_each"][hardest]
        else "Nobody dies.",
        parts.table(
            "Attempts and deaths per player who started the chapter",
            ["chapter", "attempts", "deaths"],
            _rows(found, ("attempts_each", wording.decimal), ("deaths_each", wording.decimal)),
        ),
        people=found["started"],
    )


def _of_starters(name: str, found: Columns, column: str, nth: int) -> list[Trace]:
    starters = found["started"]
    return rate(name, _labels(found), found[column], starters, nth, mode="lines+markers")


def _by(
    con: duckdb.DuckDBPyConnection, view: DomainView, column: str, name: str
) -> list[html.Section]:
    """How far the players of each difficulty or platform come, of those who began; nothing where
    there is one alone."""
    found = eventlog.chapters_by(con, view.domain, view.batch, column)
    cells = {
        (what, chapter): (started, completed)
        for what, chapter, started, completed in zip(*found.values(), strict=True)
    }
    chapters = sorted(set(found["chapter"]))
    groups = list(dict.fromkeys(found["what"]))[: len(SERIES)]
    if len(groups) < 2:
        return []
    began = {group: cells.get((group, chapters[0]), (0, 0))[0] for group in groups}
    shares = {
        group: [
            cells.get((group, chapter), (0, 0))[0] / began[group] if began[group] else None
            for chapter in chapters
        ]
        for group in groups
    }
    finished = {group: cells.get((group, chapters[-1]), (0, 0))[1] for group in groups}
    rates = {group: finished[group] / began[group] for group in groups if began[group]}
    text = "Nobody began with the first chapter."
    if rates:
        best, worst = max(rates, key=lambda one: rates[one]), min(rates, key=lambda one: rates[one])
        text = f"The story is finished by {wording.share(rates[best])} on {best}"
        text += f", and by {wording.share(rates[worst])} on {worst}." if worst != best else "."
    shown = parts.chart(
        column,
        name,
        figure(
            [
                trace
                for n, group in enumerate(groups)
                for trace in rate(
                    group,
                    [str(chapter) for chapter in chapters],
                    shares[group],
                    [began[group]] * len(chapters),
                    n,
                    mode="lines+markers",
                )
            ],
            x_type="category",
            x_title="chapter that they start",
            y_title="of those who began",
            y_format=SHARE,
            showlegend=True,
        ),
        text,
        parts.table(
            f"Players who began and finished the story, by {column}",
            [column, "began", "finished", "share"],
            [
                [
                    group,
                    wording.count(began[group]),
                    wording.count(finished[group]),
                    parts.rate_cell(wording.share(rates.get(group)), began[group]),
                ]
                for group in groups
            ],
        ),
        people=list(began.values()),
    )
    return [shown]
