"""Batches: what each brought, and when it was published."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import domains, parts, wording
from sprint_platform.dashboard.charts import bars, figure
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import eventlog
from sprint_platform.dashboard.view import DomainView
from sprint_platform.eventlog.warehouse import LEDGER
from sprint_platform.places import published_dir


def page(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[Any]:
    """The batches as one table, their events side by side, and those that are behind."""
    if absent := domains.missing(view, "batches", "Batches", "fct_sessions"):
        return [absent]
    found = eventlog.batches(con, view.domain)
    if not found["batch"]:
        return [parts.nothing("batches", "Batches", "No batch has a session.", wide=True)]
    return [
        *_behind(found["batch"]),
        _headlines(found),
        _table(con, view, found),
        # of a single batch a bar says nothing that the headlines do not
        *(
            [_bars("events", "Events", found, 0), _bars("players", "Players", found, 2)]
            if len(found["batch"]) > 1
            else []
        ),
    ]


def _behind(batches: list[int]) -> list[html.Div]:
    """What is loaded and not built, and which numbers between the batches are not there."""
    lines = []
    standing = LEDGER.published_standing()
    if standing and standing.unbuilt:
        which = wording.joined(list(standing.unbuilt))
        text = f"Loaded, and not built: {which}. "
        lines.append(html.P([text, html.Code("sprint eventlog build")], className="warning"))
    between = sorted(set(range(1, batches[-1])) - set(batches))
    if between:
        command = f"sprint eventlog generate --batch {between[0]}"
        lines.append(
            html.P(
                [
                    f"There {'is' if len(between) == 1 else 'are'} no"
                    f" {'batch' if len(between) == 1 else 'batches'}"
                    f" {wording.joined([str(batch) for batch in between[:8]])}"
                    f"{' …' if len(between) > 8 else ''}: ",
                    html.Code(command),
                    f" makes batch {between[0]}, and ",
                    html.Code("sprint eventlog build"),
                    " builds it.",
                ],
                className="note",
            )
        )
    return [html.Div(lines, id="missing-days", className="wide")] if lines else []


def _headlines(found: Columns) -> html.Section:
    return parts.headline_card(
        [
            parts.headline("batches", "Batches", wording.count(len(found["batch"]))),
            parts.headline("players", "Players", wording.count(sum(found["players"]))),
            parts.headline("sessions", "Sessions", wording.count(sum(found["sessions"]))),
            parts.headline("events", "Events", wording.count(sum(found["events"]))),
        ],
        "A batch is a window of days: its players are nobody else's, and nobody is followed beyond"
        " its last day.",
    )


def _published_at(batch: int) -> datetime | None:
    """When the batch's sessions were published, UTC; None where they are not of this version."""
    path = published_dir() / LEDGER.name / "fct_sessions" / f"{batch}.parquet"
    return datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.exists() else None


def _table(con: duckdb.DuckDBPyConnection, view: DomainView, found: Columns) -> html.Section:
    ends: dict[int, float | None] = {}
    if "funnel_chapters" in view.domain.marts:
        story = eventlog.story_ends(con, view.domain)
        ends = {
            batch: finished / began if began else None
            for batch, began, finished in zip(*story.values(), strict=True)
        }
    next_day = eventlog.day_after(con, view.domain) if "retention" in view.domain.marts else {}
    rows = []
    for batch, first, last, players, sessions, events, minutes in zip(*found.values(), strict=True):
        at = _published_at(batch)
        rows.append(
            [
                f"batch {batch}",
                html.Td(wording.span(first, last), className="words"),
                wording.count(players),
                wording.count(sessions),
                wording.count(events),
                wording.decimal(minutes),
                parts.rate_cell(wording.share(next_day.get(batch)), players),
                parts.rate_cell(wording.share(ends.get(batch)), players),
                f"{at:%Y-%m-%d %H:%M}" if at else wording.NONE,
            ]
        )
    headings = [
        "batch", "days", "players", "sessions", "events", "minutes a session", "day 1",
        "finished the story", "published (UTC)",
    ]  # fmt: skip
    days = wording.span(found["first"][-1], found["last"][-1])
    return parts.card(
        "batches",
        [
            html.H2("What each batch brought", id="batches-name"),
            html.P(
                f"The latest is batch {found['batch'][-1]}, {days}:"
                f" {wording.counted(found['players'][-1], 'player', 'players')} and"
                f" {wording.counted(found['events'][-1], 'event', 'events')}.",
                className="summary",
                id="batches-summary",
            ),
            parts.table("Batches of the event log", headings, rows, key="batch-table"),
            html.P(
                [
                    "The next one: ",
                    html.Code("sprint eventlog generate --continue"),
                    ", then ",
                    html.Code("sprint eventlog build"),
                ],
                className="note",
            ),
        ],
        wide=True,
    )


def _bars(column: str, name: str, found: Columns, nth: int) -> html.Section:
    values = found[column]
    most = max(range(len(values)), key=lambda n: values[n])
    names = [f"batch {batch}" for batch in found["batch"]]
    a_player = [value / players for value, players in zip(values, found["players"], strict=True)]
    heads = ["batch", name.lower()] + (["per player"] if column != "players" else [])
    return parts.chart(
        f"{column}-by-batch",
        f"{name} by batch",
        figure(
            [bars(name.lower(), names, values, nth)],
            x_type="category",
            y_title=name.lower(),
            bargap=0.5,
        ),
        f"Most in batch {found['batch'][most]}: {wording.count(values[most])}."
        if min(values) < values[most]
        else f"{wording.count(values[most])} in each batch.",
        parts.table(
            f"{name} by batch",
            heads,
            [
                [label, wording.count(value), *([wording.decimal(each)] if len(heads) > 2 else [])]
                for label, value, each in zip(names, values, a_player, strict=True)
            ],
        ),
    )
