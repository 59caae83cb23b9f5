"""Retention of the event log: who comes back, who plays on a day, and how far a session gets."""

from __future__ import annotations

from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import domains, parts, retention_curve, wording
from sprint_platform.dashboard.charts import SHARE, across_height, bars, figure, rate, steps
from sprint_platform.dashboard.heat_map import heat_map
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import eventlog
from sprint_platform.dashboard.view import DomainView

HEADLINE_DAYS = (1, 7, 14, 30)
# Up to so many days, each has a cohort of its own.
DAYS_ALONE = 14
STEPS = {
    "game_started": "started the game",
    "chapter_started": "started a chapter",
    "checkpoint_reached": "reached a checkpoint",
    "enemy_killed": "killed an enemy",
    "chapter_completed": "completed a chapter",
}


def page(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[Any]:
    """Headline retention, its curve and cohorts, players by day, and the steps of a session."""
    return [*_returning(con, view), *_players(con, view), *_steps(con, view)]


def _returning(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[html.Section]:
    if absent := domains.missing(view, "curve", "Retention", "retention"):
        return [absent]
    grain = "day" if view.days <= DAYS_ALONE else "month" if view.grain == "month" else "week"
    curve = eventlog.retention(con, view.domain, view.first, view.last)
    cohorts = eventlog.cohorts(con, view.domain, view.first, view.last, grain)
    if not cohorts["cohort"]:
        why = f"Nobody's first session was on {wording.span(view.first, view.last)}."
        return [domains.no_days(view, why)]
    if not curve["day_number"]:
        why = "Of the players who began on these days no day after their first is there yet."
        return [parts.nothing("curve", "Retention", why, wide=True)]
    return [_headlines(view, curve), _curve(curve), _cohorts(cohorts, grain)]


def _headlines(view: DomainView, curve: Columns) -> html.Section:
    shares = dict(zip(curve["day_number"], curve["retention"], strict=True))
    players = dict(zip(curve["day_number"], curve["players"], strict=True))
    return parts.headline_card(
        [
            parts.headline(
                f"d{number}",
                f"Day {number}",
                wording.share(shares.get(number)),
                note="played on that day" if number in players else "nobody is so old yet",
                people=players.get(number),
            )
            for number in HEADLINE_DAYS
        ],
        "Who played on exactly that day, of the players whose first session was on"
        f" {wording.span(view.first, view.last)} and whose batch goes on until then.",
    )


def _curve(curve: Columns) -> html.Section:
    return parts.chart(
        "curve",
        "Retention curve",
        figure(
            rate(
                "retention",
                curve["day_number"],
                curve["retention"],
                curve["players"],
                mode="lines+markers",
                hovertemplate="day %{x}: %{y:.1%}%{customdata}<extra></extra>",
            ),
            y_title="of the players",
            y_format=SHARE,
            x_type="linear",
            x_title="days after the first session",
            xaxis={"tickvals": retention_curve.ticks(curve)},
            hovermode="closest",
        ),
        f"Retention: {retention_curve.values(curve)}.",
        retention_curve.table("Retention by days after the first session", curve),
        note="Later days are of fewer and earlier players: a batch ends for all on the same day.",
        people=curve["players"],
    )


def _cohorts(found: Columns, grain: str) -> html.Section:
    sizes = dict(zip(found["cohort"], found["players"], strict=True))
    days = [number for number in sorted(set(found["day_number"])) if number > 0]
    return heat_map(
        "cohorts",
        "Cohorts",
        f"Each row is the players whose first session was in one {grain}; the more a cell stands"
        " out, the more of them came back.",
        f"By {grain} of the first session and days since",
        ("first session", "players"),
        {number: f"D{number}" for number in days},
        {cohort: (wording.period(cohort, grain), size) for cohort, size in sizes.items()},
        {
            (cohort, number): (value, old)
            for cohort, number, _, old, value in zip(*found.values(), strict=True)
        },
        wording.share,
    )


def _players(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[html.Section]:
    if absent := domains.missing(view, "active", "Players", "daily_active_players"):
        return [absent]
    days = eventlog.players_by_period(con, view.domain, view.first, view.last, "day")
    if not days["period"]:
        return []
    table = eventlog.players_by_period(con, view.domain, view.first, view.last, view.grain)
    most = max(range(len(days["period"])), key=lambda n: days["active"][n])
    return [
        parts.chart(
            "active",
            "Players by day",
            figure(
                [
                    bars("came back", days["period"], days["came_back"], 0),
                    bars("new", days["period"], days["new"], 1),
                ],
                y_title="players a day",
                days=view.axis,
                barmode="stack",
            ),
            f"Most on {wording.day(days['period'][most])}: {wording.count(days['active'][most])},"
            f" of whom {wording.count(days['new'][most])} were new.",
            parts.table(
                f"Players by {view.grain}",
                ["", "players a day", "new", "came back, a day", "sessions", "minutes each a day"],
                parts.period_rows(
                    view,
                    table,
                    ("active", wording.count),
                    ("new", wording.count),
                    ("came_back", wording.count),
                    ("sessions", wording.count),
                    ("minutes", wording.decimal),
                ),
            ),
        )
    ]


def _steps(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[html.Section]:
    if absent := domains.missing(view, "steps", "Sessions", "funnel_sessions"):
        return [absent]
    found = eventlog.session_steps(con, view.domain, view.first, view.last)
    if not found["step"]:
        return []
    names = [STEPS.get(str(step), str(step)) for step in found["step"]]
    return [
        parts.chart(
            "steps",
            "How far sessions get",
            steps(names, found["sessions"], found["share"], "sessions", 2),
            f"In {wording.share(found['share'][-1])} of"
            f" {wording.counted(found['sessions'][0], 'session', 'sessions')} a chapter is"
            " completed.",
            parts.table(
                "Sessions at each step",
                ["step", "sessions", "share"],
                [
                    [name, wording.count(sessions), wording.share(share)]
                    for name, sessions, share in zip(
                        names, found["sessions"], found["share"], strict=True
                    )
                ],
            ),
            note="A session is at a step when it has that event and those of all steps before it.",
            height=across_height(len(names)),
        )
    ]
