"""Encounters: how often teams meet, where players are, and a session replayed on the map.

A title whose word is conflict calls them conflicts; so does its page.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Any
from uuid import UUID

import duckdb
from dash import dcc, html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.charts import (
    AVERAGE,
    CLEAR,
    FONT,
    INK,
    SERIES,
    SMALL_COUNT,
    SYMBOLS,
    axis,
    colour_scale,
    figure,
    line,
)
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import encounters
from sprint_platform.dashboard.replay import Beat, Meeting, beats_of, meetings_of, team_names
from sprint_platform.dashboard.view import View
from sprint_platform.title import Title, TitleError

# The list has the sessions with the most encounters; nobody reads more than these.
SESSIONS_LISTED = 200
# How long each beat is shown while a session plays.
BEAT_MILLISECONDS = 350


def page(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """The replay, encounter rates by day, and where players were. ``replay`` fills in the replay
    for the day and session in the address."""
    return [
        *parts.missing_days(view),
        html.Section(
            [html.H2("Session replay", id="replay-name"), html.P("…", className="summary")],
            id="replay",
            className="card wide",
            **parts.aria(labelledby="replay-name"),
        ),
        _heat(con, view),
        *_rates(con, view),
    ]


def _rates(con: duckdb.DuckDBPyConnection, view: View) -> list[html.Section]:
    word, mart = view.title.word, f"{view.title.word}_rates_daily"
    name = f"{word.capitalize()}s per session"
    if mart not in view.title.marts:
        return [parts.missing("rates", name, [mart], view)]
    days = encounters.rates(con, view.title, view.first, view.last, "day")
    if not days["period"]:
        return [parts.nothing("rates", name, "No session on these days.")]
    table = encounters.rates(con, view.title, view.first, view.last, view.grain)
    number, sessions = sum(days["encounters"]), sum(days["sessions"])
    return [
        parts.chart(
            "rates",
            name,
            figure(
                [line("per session", days["period"], days["encounters_per_session"])],
                y_title=f"{word}s",
                y_format=AVERAGE,
                days=view.axis,
            ),
            f"{wording.counted(number, word, f'{word}s')} in"
            f" {wording.counted(sessions, 'session', 'sessions')}:"
            f" {wording.decimal(number / sessions)} per session.",
            parts.table(
                f"{word.capitalize()}s by {view.grain}",
                ["", "sessions", f"{word}s", "per session", "per hour", "each lasted"],
                [
                    [
                        wording.period(period, view.grain),
                        wording.count(table["sessions"][n]),
                        wording.count(table["encounters"][n]),
                        wording.decimal(table["encounters_per_session"][n]),
                        wording.decimal(table["encounters_per_session_hour"][n]),
                        wording.duration(
                            table["encounter_seconds"][n] / table["encounters"][n]
                            if table["encounters"][n]
                            else None
                        ),
                    ]
                    for n, period in enumerate(table["period"])
                ],
            ),
        ),
        parts.chart(
            "rates-per-hour",
            f"{word.capitalize()}s per hour of session",
            figure(
                [line("per hour", days["period"], days["encounters_per_session_hour"])],
                y_title=f"{word}s an hour",
                y_format=AVERAGE,
                days=view.axis,
            ),
            parts.between(
                days["encounters_per_session_hour"], wording.decimal, f"{word}s an hour of session"
            ),
            parts.table(
                f"{word.capitalize()}s per hour of session by {view.grain}",
                ["", "an hour"],
                parts.period_rows(view, table, ("encounters_per_session_hour", wording.decimal)),
            ),
        ),
    ]


def _heat(con: duckdb.DuckDBPyConnection, view: View) -> html.Section:
    key, name = "heat", "Where players were"
    if "position_heat_daily" not in view.title.marts:
        return parts.missing(key, name, ["position_heat_daily"], view)
    cells = encounters.heat(con, view.title, view.first, view.last)
    ends = _onto_the_map(cells, view.title.name)
    if not cells["heartbeats"]:
        return parts.nothing(key, name, "No heartbeat on these days.")
    everywhere, side = sum(cells["heartbeats"]), cells["side"][0]
    order = sorted(range(len(cells["x"])), key=lambda n: -cells["heartbeats"][n])
    busiest = order[0]
    tenth = order[: math.ceil(len(order) / 10)]
    dense = sum(cells["heartbeats"][n] for n in tenth) / everywhere
    return parts.chart(
        key,
        name,
        figure(
            [
                {
                    "type": "heatmap",
                    **_lattice(cells),
                    "hoverongaps": False,
                    "zauto": False,
                    "zmin": 0,
                    "zmax": max(cells["heartbeats"]),
                    "colorscale": colour_scale(),
                    "colorbar": {
                        "title": {"text": "heartbeats", "side": "bottom", "font": {"size": 12}},
                        "tickfont": {"size": 12},
                        "tickformat": ",",
                        "orientation": "h",
                        "y": -0.16,
                        "yanchor": "top",
                        "thickness": 12,
                        "outlinewidth": 0,
                        **({"dtick": 1} if max(cells["heartbeats"]) < SMALL_COUNT else {}),
                    },
                    "hovertemplate": "x %{x}, y %{y}: %{z:,} heartbeats<extra></extra>",
                }
            ],
            x_type="linear",
            x_title="x",
            y_title="y",
            xaxis={"constrain": "domain", **ends["x"]},
            yaxis={"scaleanchor": "x", "constrain": "domain", "rangemode": "normal", **ends["y"]},
            hovermode="closest",
        ),
        f"{wording.counted(everywhere, 'heartbeat', 'heartbeats')}, seen from above, in cells of"
        f" {side:g} units. The busiest lies around x {cells['x'][busiest]:g},"
        f" y {cells['y'][busiest]:g}; the busiest tenth of the cells has"
        f" {wording.share(dense)} of them.",
        parts.table(
            "The busiest cells",
            ["middle (x, y)", "heartbeats", "of all"],
            [
                [
                    f"{cells['x'][n]:g}, {cells['y'][n]:g}",
                    wording.count(cells["heartbeats"][n]),
                    wording.share(cells["heartbeats"][n] / everywhere),
                ]
                for n in order[:20]
            ],
        ),
        height="min(600px, 90vw)",
        tall=True,
    )


def _onto_the_map(cells: Columns, title: str) -> dict[str, dict[str, Any]]:
    """Adds cells beyond the map's far walls, which hold positions exactly on them, to the last
    cells within. Returns the ranges of the map's axes, x and y."""
    try:
        grid = Title.load(title).grid
    except TitleError:
        # the title's YAML is gone: its map is as large as its cells
        return {"x": {}, "y": {}}
    totals: dict[tuple[float, float], float] = {}
    for x, y, side, heartbeats in zip(*cells.values(), strict=True):
        within = (
            x - side if x - side / 2 >= grid.x[1] else x,
            y - side if y - side / 2 >= grid.y[1] else y,
        )
        totals[within] = totals.get(within, 0) + heartbeats
    cells["x"] = [x for x, _ in totals]
    cells["y"] = [y for _, y in totals]
    cells["heartbeats"] = list(totals.values())
    cells["side"] = cells["side"][: len(totals)]
    return {"x": {"range": list(grid.x)}, "y": {"range": list(grid.y)}}


def _lattice(cells: Columns) -> dict[str, Any]:
    """The cells as a heat map's x, y and z. Those without heartbeats are in it, as None: plotly
    would draw their neighbours larger."""
    side = cells["side"][0]
    x, y = (
        [min(cells[name]) + side * n for n in range(round(_width(cells[name]) / side) + 1)]
        for name in ("x", "y")
    )
    z: list[list[int | None]] = [[None] * len(x) for _ in y]
    for at_x, at_y, heartbeats in zip(cells["x"], cells["y"], cells["heartbeats"], strict=True):
        z[round((at_y - y[0]) / side)][round((at_x - x[0]) / side)] = heartbeats
    return {"x": x, "y": y, "z": z}


def _width(values: list[float]) -> float:
    return max(values) - min(values)


def replay(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """The contents of the replay: the choice of a day and a session, the map, and its controls."""
    word = view.title.word
    heading = html.H2("Session replay", id="replay-name")
    mart = f"session_close_{word}s_daily"
    if mart not in view.title.marts:
        return parts.missing("replay", "Session replay", [mart], view).children
    days = encounters.days_with_sessions(con, view.title, view.first, view.last)
    if not days["calendar_day"]:
        return [heading, html.P("No session on these days.", className="none")]
    day: date = days["calendar_day"][-1]
    if view.day is not None and view.day in days["calendar_day"]:
        day = view.day
    listed = encounters.sessions(con, view.title, day, SESSIONS_LISTED)
    session = view.session or listed["session_id"][0]
    chooser = html.Div(
        [
            html.Label(
                ["Day ", _days_select(days, day, word)],
            ),
            html.Label(["Session ", _sessions_select(listed, session, word)]),
        ],
        className="chooser",
    )
    shown: list[Any] = [heading, chooser]
    if view.day is not None and view.day != day:
        other = (
            f"No session on {wording.day(view.day)} among these days; this is {wording.day(day)}."
        )
        shown.append(html.P(other, className="warning", role="status"))
    name, coverage = view.title.name, view.title.coverage
    if coverage is not None and day in coverage.pruned:
        up_to = wording.day(coverage.pruned[-1])
        gone = f"Heartbeats are pruned up to {up_to}: choose a later day."
        return [*shown, html.P(gone, className="none")]
    if not encounters.has_view(con, f"{name}_raw", "event_heartbeat"):
        return [*shown, html.P("No positions are published of this title.", className="none")]
    try:
        game = Title.load(name)
    except TitleError as error:
        return [
            *shown,
            html.P(f"How long its beats are is not known: {error}", className="warning"),
        ]
    if not encounters.has_view(con, f"{name}_stage", f"stage_{word}s"):
        # an older version did not publish it; a run of any day publishes all built tables
        again = f"sprint run --title {name} --from {day} --to {day}"
        again += "" if game.lands else " --reuse"
        missing = f"{name}_stage.stage_{word}s is not published yet; this publishes it: {again}"
        return [*shown, html.P(missing, className="warning")]
    met = encounters.meetings(con, view.title, day, session)
    heartbeats = encounters.heartbeats(con, view.title, day, session)
    beats = beats_of(heartbeats, met, game.beat_microseconds)
    if not beats:
        empty = f"The session {session} has no heartbeats on {wording.day(day)}: choose another."
        return [*shown, html.P(empty, className="none")]
    labels = encounters.team_labels(con, view.title, day, session)
    names = team_names(sorted({team.number for beat in beats for team in beat.teams}), labels)
    return [*shown, *_player(beats, meetings_of(met, beats), game, names)]


def _days_select(days: Columns, chosen: date, word: str) -> html.Select:
    return html.Select(
        [
            html.Option(
                f"{wording.day(day)} · {wording.counted(number, 'session', 'sessions')},"
                f" {wording.counted(met, word, f'{word}s')}",
                value=str(day),
                selected=day == chosen,
            )
            for day, number, met in zip(*days.values(), strict=True)
        ],
        id="replay-day",
    )


def _sessions_select(listed: Columns, chosen: UUID, word: str) -> html.Select:
    options = [
        (
            session,
            # those of two pairs of teams may be at the same time
            f"{wording.counted(met, word, f'{word}s')}, together {wording.duration(seconds)}"
            f" · {str(session)[-8:]}",
        )
        for session, met, seconds in zip(*listed.values(), strict=True)
    ]
    if all(session != chosen for session, _ in options):
        options.insert(0, (chosen, f"{str(chosen)[-8:]}"))
    return html.Select(
        [
            html.Option(text, value=str(session), selected=session == chosen)
            for session, text in options
        ],
        id="replay-session",
    )


def _player(
    beats: list[Beat], meetings: list[Meeting], game: Title, names: dict[int, str]
) -> list[Any]:
    """The map, its controls, and the list of encounters. ``names`` are the names of all teams."""
    last, word = len(beats) - 1, game.encounters.word
    begin = beats[0].at
    summary = (
        f"{wording.counted(len(names), 'team', 'teams')},"
        f" {wording.counted(max(len(beat.players) for beat in beats), 'player', 'players')},"
        f" {wording.counted(len(beats), 'beat', 'beats')} of {game.heartbeat_seconds} s from"
        f" {begin:%H:%M:%S} UTC; {wording.counted(len(meetings), word, f'{word}s')}."
        f" Teams come into one when their middles (the numbered marks) are at most"
        f" {game.encounters.distance:g} units apart, in three dimensions; a line joins them until"
        " it ends."
    )
    return [
        html.P(summary, className="summary", id="replay-summary"),
        dcc.Store(id="replay-data", data=_replay_data(beats, meetings, game, names)),
        dcc.Interval(id="replay-clock", interval=BEAT_MILLISECONDS, disabled=True),
        html.Div(
            [
                html.Div(
                    [
                        html.Div(
                            dcc.Graph(
                                id="replay-map",
                                figure=_map(game),
                                config=parts.CONFIG,
                                responsive=True,
                                style={"height": "min(520px, 100vw)"},
                            ),
                            role="img",
                            **parts.aria(
                                label="Map of the session, seen from above; the text below"
                                " says what it shows at each beat."
                            ),
                        ),
                        html.Div(
                            [
                                html.Button("Play", id="replay-play", type="button"),
                                html.Button(
                                    "‹",
                                    id="replay-back",
                                    type="button",
                                    **parts.aria(label="One beat back"),
                                ),
                                html.Button(
                                    "›",
                                    id="replay-on",
                                    type="button",
                                    **parts.aria(label="One beat on"),
                                ),
                                html.Label("Beat", htmlFor="replay-beat", className="unseen"),
                                dcc.Input(
                                    id="replay-beat",
                                    type="range",
                                    min=0,
                                    max=last,
                                    step=1,
                                    value=0,
                                    className="beat",
                                ),
                            ],
                            className="controls",
                        ),
                        _timeline(meetings, last, word, names),
                        html.P(id="replay-now", className="now", **parts.aria(live="polite")),
                    ],
                    className="stage",
                ),
                html.Div(
                    [
                        html.H3(f"{word.capitalize()}s of the session"),
                        _meetings(meetings, word, names),
                    ],
                    className="meetings",
                ),
            ],
            className="replay",
        ),
    ]


def _timeline(meetings: list[Meeting], last: int, word: str, names: dict[int, str]) -> html.Div:
    """A bar below the slider for each encounter, from its first beat to its last."""
    return html.Div(
        [
            html.Span(
                style={
                    "left": f"{meeting.first_beat / max(last, 1):.2%}",
                    "width": f"{(meeting.last_beat - meeting.first_beat) / max(last, 1):.2%}",
                },
                title=f"{word} of teams {_both(meeting, names)}",
            )
            for meeting in meetings
        ],
        className="timeline",
        **parts.aria(hidden="true"),
    )


def _both(meeting: Meeting, names: dict[int, str]) -> str:
    # a team without heartbeats, lost since the mart was built, has only its number
    one, two = (names.get(team, str(team)) for team in meeting.teams)
    return f"{one} and {two}"


def _meetings(meetings: list[Meeting], word: str, names: dict[int, str]) -> Any:
    if not meetings:
        return html.P("No two teams came close.", className="none")
    return parts.table(
        f"By their start; a button goes to the {word}'s first beat",
        ["start", "teams", "lasted", "closest", ""],
        [
            [
                f"{meeting.start:%H:%M:%S}",
                _both(meeting, names),
                wording.duration((meeting.end - meeting.start).total_seconds()),
                f"{meeting.least_distance:.1f}",
                html.Button(
                    "Go",
                    type="button",
                    className="go",
                    id={"go": n, "beat": meeting.first_beat},
                    **parts.aria(
                        label=f"Go to the {word} of teams {_both(meeting, names)} at"
                        f" {meeting.start:%H:%M:%S}"
                    ),
                ),
            ]
            for n, meeting in enumerate(meetings)
        ],
        key="meeting-table",
    )


def _map(game: Title) -> dict[str, Any]:
    """The empty map, which assets/replay.js fills beat by beat."""
    (x_low, x_high), (y_low, y_high) = game.grid.x, game.grid.y
    return {
        "data": [],
        "layout": {
            "font": {"family": FONT, "size": 13, "color": INK},
            "paper_bgcolor": CLEAR,
            "plot_bgcolor": CLEAR,
            "margin": {"l": 44, "r": 18, "t": 30, "b": 36},
            "dragmode": False,
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1.03, "yanchor": "bottom"},
            "hovermode": "closest",
            "xaxis": axis("x", range=[x_low, x_high], zeroline=False, constrain="domain"),
            "yaxis": axis(
                "y", range=[y_low, y_high], zeroline=False, scaleanchor="x", constrain="domain"
            ),
            "uirevision": "same",
        },
    }


def _replay_data(
    beats: list[Beat], meetings: list[Meeting], game: Title, names: dict[int, str]
) -> dict[str, Any]:
    """The data from which the browser draws each beat: positions in units, teams and encounters."""
    return {
        "word": game.encounters.word,
        "teams": [
            {
                "number": team,
                "name": name,
                "colour": SERIES[n % len(SERIES)],
                "symbol": SYMBOLS[n % len(SYMBOLS)],
            }
            for n, (team, name) in enumerate(names.items())
        ],
        "layout": _map(game)["layout"],
        "beats": [
            {
                "at": f"{beat.at:%H:%M:%S}",
                "players": [list(player) for player in beat.players],
                "centroids": [
                    [team.number, round(team.x, 2), round(team.y, 2), team.players]
                    for team in beat.teams
                ],
                "met": [
                    list(meeting.teams)
                    for meeting in meetings
                    if meeting.first_beat <= n <= meeting.last_beat
                ],
            }
            for n, beat in enumerate(beats)
        ],
    }
