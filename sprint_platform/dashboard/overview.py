"""Overview: active players, sessions, play time and revenue."""

from __future__ import annotations

from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.charts import (
    AVERAGE,
    COUNT,
    SHARE,
    bars,
    figure,
    labelled,
    line,
    rate,
)
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import activity
from sprint_platform.dashboard.view import View

EACH_DAY = "per active player and day"
HEADLINES: tuple[parts.Headline, ...] = (
    ("Daily active players", "active_players", wording.average, False, parts.ON_AVERAGE, ""),
    (
        "Monthly active players",
        "monthly_active_players",
        wording.count,
        False,
        "on the last day",
        "",
    ),
    ("Stickiness", "stickiness", wording.share, True, "daily of monthly active", "players"),
    ("New players", "new_players", wording.count, False, "", ""),
    ("Sessions", "sessions_per_active_player", wording.decimal, False, EACH_DAY, "players"),
    ("Play time", "play_time_per_active_player", wording.duration, False, EACH_DAY, "players"),
    ("Revenue", "revenue", wording.money, False, "in {currency}", ""),
    ("ARPDAU", "arpdau", wording.money, False, f"{{currency}} {EACH_DAY}", "players"),
)


def page(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """The headline numbers, and the charts of activity below them."""
    days = activity.daily(con, view.title, view.first, view.last, view.country)
    if not any(days.get("active_players", [])) and not any(days.get("revenue", [])):
        return [*parts.missing_days(view), parts.no_days(view)]
    table = activity.daily(con, view.title, view.first, view.last, view.country, view.grain)
    shown: list[Any] = [
        *parts.missing_days(view),
        _headlines(con, view),
        _active(view, days, table),
        _stickiness(view, days, table),
        _new_and_returning(view, days, table),
        _sessions(view, days, table),
        _play_time(view, days, table),
    ]
    return [*shown, *_concurrency(con, view)]


def _headlines(con: duckdb.DuckDBPyConnection, view: View) -> html.Section:
    now = activity.totals(con, view.title, view.first, view.last, view.country)
    before = activity.totals(con, view.title, *view.before, view.country) if view.before else {}
    return parts.headline_section(view, HEADLINES, now, before)


def _active(view: View, days: Columns, table: Columns) -> html.Section:
    daily, monthly = days["active_players"], days["monthly_active_players"]
    most = max(range(len(daily)), key=lambda place: daily[place])
    span = (
        f"{wording.counted(daily[0], 'player', 'players')} on {wording.day(days['period'][0])}."
        if len(daily) == 1
        else f"{wording.counted(daily[0], 'player', 'players')} on each of {len(daily)} days."
        if min(daily) == max(daily)
        else f"Between {wording.count(min(daily))} and {wording.count(max(daily))} players a day,"
        f" most on {wording.day(days['period'][most])}."
    )
    last = (
        "How many in the 28 days to the last day is not known."
        if monthly[-1] is None
        else f"{wording.count(monthly[-1])} in the 28 days to the last day."
    )
    drawn = figure(
        [
            line("daily", days["period"], daily),
            line("weekly (7 days)", days["period"], days["weekly_active_players"], 1),
            line("monthly (28 days)", days["period"], monthly, 2),
        ],
        y_title="players",
        days=view.axis,
    )
    return parts.chart(
        "active",
        "Active players",
        labelled(drawn, 300) if len(daily) == 1 else drawn,
        f"{span} {last}",
        parts.table(
            f"Active players by {view.grain}",
            ["", "daily, on average", "weekly, last day", "monthly, last day"],
            [
                [
                    wording.period(period, view.grain),
                    wording.average(figures[0]),
                    *map(wording.count, figures[1:]),
                ]
                for period, *figures in zip(
                    table["period"],
                    table["active_players"],
                    table["weekly_active_players"],
                    table["monthly_active_players"],
                    strict=True,
                )
            ],
        ),
        note=_not_known(days),
        height=300,
        wide=True,
    )


def _not_known(days: Columns) -> str | None:
    """The note on days whose weekly or monthly players are not known; None without such days."""
    unknown = sum(players is None for players in days["monthly_active_players"])
    if not unknown:
        return None
    return (
        f"Not known on {_of(unknown, len(days['period']))}: monthly active players and"
        " stickiness, as days are missing of the 28 that they look back over; weekly ones where"
        " days are missing of 7."
    )


def _of(some: int, days: int) -> str:
    if some < days:
        return f"{some} of {days} days"
    return "any of these days" if days > 1 else "this day"


def _stickiness(view: View, days: Columns, table: Columns) -> html.Section:
    people = days["monthly_active_players"]
    summary = parts.between(
        days["stickiness"], wording.share, "of the players of 28 days play on a day"
    )
    note = _not_known(days)
    if note and not any(people):
        summary, note = note, None
    return parts.chart(
        "stickiness",
        "Stickiness",
        figure(
            rate("stickiness", days["period"], days["stickiness"], people),
            y_title="daily of monthly active",
            y_format=SHARE,
            days=view.axis,
        ),
        summary,
        parts.table(
            f"Stickiness by {view.grain}",
            ["", "daily of monthly active"],
            parts.period_rows(
                view, table, ("stickiness", wording.share), people="monthly_active_players"
            ),
        ),
        note=note,
        people=people,
    )


def _new_and_returning(view: View, days: Columns, table: Columns) -> html.Section:
    new = sum(days["new_players"])
    returning = sum(days["returning_players"])
    return parts.chart(
        "new-and-returning",
        "New and returning players",
        figure(
            [
                bars("returning", days["period"], days["returning_players"], 0),
                bars("new", days["period"], days["new_players"], 1),
            ],
            y_title="players a day",
            barmode="stack",
            days=view.axis,
        ),
        f"{wording.counted(new, 'player', 'players')} signed up. "
        + (
            f"{wording.count(returning)} came back from earlier days."
            if len(days["period"]) == 1
            else f"On an average day {wording.average(returning / len(days['period']))} came back"
            " from earlier days."
        ),
        parts.table(
            f"New and returning players by {view.grain}",
            ["", "new", "returning, a day on average"],
            parts.period_rows(
                view, table, ("new_players", wording.count), ("returning_players", wording.average)
            ),
        ),
    )


def _sessions(view: View, days: Columns, table: Columns) -> html.Section:
    column = "sessions_per_active_player"
    return parts.chart(
        "sessions",
        "Sessions per active player",
        figure(
            rate("sessions", days["period"], days[column], days["players"]),
            y_title="sessions a day",
            y_format=AVERAGE,
            days=view.axis,
        ),
        parts.between(days[column], wording.decimal, "sessions a day per active player"),
        parts.table(
            f"Sessions per active player by {view.grain}",
            ["", "sessions a day"],
            parts.period_rows(view, table, (column, wording.decimal), people="players"),
        ),
        people=days["players"],
    )


def _play_time(view: View, days: Columns, table: Columns) -> html.Section:
    column = "play_time_per_active_player"
    minutes = [None if seconds is None else seconds / 60 for seconds in days[column]]
    return parts.chart(
        "play-time",
        "Play time per active player",
        figure(
            rate("minutes", days["period"], minutes, days["players"]),
            y_title="minutes a day",
            y_format=AVERAGE,
            days=view.axis,
        ),
        parts.between(days[column], wording.duration, "a day per active player"),
        parts.table(
            f"Play time per active player by {view.grain}",
            ["", "play time a day"],
            parts.period_rows(view, table, (column, wording.duration), people="players"),
        ),
        people=days["players"],
    )


def _concurrency(con: duckdb.DuckDBPyConnection, view: View) -> list[html.Section]:
    """Charts of players online at once, of all countries: the mart has no country."""
    if "concurrency_5_minutes" not in view.title.marts:
        return [parts.missing("concurrency", "Players online", ["concurrency_5_minutes"], view)]
    peaks = activity.peaks(con, view.title, view.first, view.last)
    if not peaks["period"]:
        return [parts.nothing("concurrency", "Players online", "No session on these days.")]
    table = activity.peaks(con, view.title, view.first, view.last, view.grain)
    moments = activity.time_of_day(con, view.title, view.first, view.last)
    note = "Of all countries: this is not split by country." if view.country else None
    if all(peak is None for peak in peaks["peak"]):
        why = "Not known: of each of these days the day before is missing, whose sessions go on."
        return [parts.nothing("concurrency", "Players online", why)]
    most = max(range(len(peaks["peak"])), key=lambda place: peaks["peak"][place] or 0)
    busiest = max(
        range(len(moments["moment"])), key=lambda place: moments["players_online"][place] or 0
    )
    if unknown := sum(peak is None for peak in peaks["peak"]):
        gaps = f"Not known on {unknown} of {len(peaks['peak'])} days, whose day before is missing."
        note = f"{note} {gaps}" if note else gaps
    online = moments["players_online"]
    online_at_once = figure(
        [
            line("peak of the day", peaks["period"], peaks["peak"]),
            line("average", peaks["period"], peaks["average"], 1),
        ],
        y_title="players",
        days=view.axis,
    )
    hours = [place for place, moment in enumerate(moments["moment"]) if moment.endswith(":00")]
    return [
        parts.chart(
            "concurrency",
            "Players online at once",
            labelled(online_at_once, 260) if len(peaks["period"]) == 1 else online_at_once,
            f"At most {wording.count(peaks['peak'][most])}, on"
            f" {wording.day(peaks['period'][most])}.",
            parts.table(
                f"Players online by {view.grain}",
                ["", "peak", "average"],
                [
                    [wording.period(period, view.grain), wording.count(peak), wording.decimal(avg)]
                    for period, peak, avg in zip(*table.values(), strict=True)
                ],
            ),
            note=note,
        ),
        parts.chart(
            "time-of-day",
            "Players online by time of day",
            figure(
                [line("players", moments["moment"], online)],
                y_title="players" if len(peaks["period"]) == 1 else "players, on average",
                y_format=COUNT if len(peaks["period"]) == 1 else AVERAGE,
                x_type="category",
                x_title="UTC",
                xaxis={"tickvals": moments["moment"][::72]},
            ),
            f"Busiest at {moments['moment'][busiest]} UTC, with"
            f" {wording.counted(online[busiest], 'player', 'players')} online."
            if len(peaks["period"]) == 1
            else f"Busiest at {moments['moment'][busiest]} UTC, with"
            f" {wording.decimal(online[busiest])} players online on average.",
            parts.table(
                "Players online by hour (UTC), on average",
                ["at", "players"],
                [[moments["moment"][place], wording.decimal(online[place])] for place in hours],
            ),
            note=note,
        ),
    ]
