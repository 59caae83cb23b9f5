"""Where players are and when teams meet: encounters and their marts, ``position_heat_daily``,
heartbeats. The names of encounters' tables contain the title's word for them.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

import duckdb

from sprint_platform.dashboard.published import Columns, PublishedTitle, read_columns


def rates(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, first: date, last: date, grain: str
) -> Columns:
    """One row per day, week or month: its sessions, its encounters, their seconds, encounters per
    session, and encounters per hour of the sessions whose length is known."""
    return read_columns(
        con,
        f"""
        select
            date_trunc('{grain}', calendar_day)::date as period,
            sum(sessions) as sessions,
            sum(encounters) as encounters,
            sum(encounter_seconds) as encounter_seconds,
            sum(encounters) / nullif(sum(sessions), 0) as encounters_per_session,
            -- a day's rate leaves out encounters of sessions whose length is not known
            sum(encounters_per_session_hour * session_seconds) / nullif(sum(session_seconds), 0)
                as encounters_per_session_hour
        from {title.schema}.{title.word}_rates_daily
        where calendar_day between $first and $last
        group by period order by period
        """,
        {"first": first, "last": last},
    )


def heat(con: duckdb.DuckDBPyConnection, title: PublishedTitle, first: date, last: date) -> Columns:
    """One row per cell of the map, seen from above: its middle and its side in units, and its
    heartbeats."""
    return read_columns(
        con,
        f"""
        select
            any_value(x_from) + any_value(cell_side) / 2 as x,
            any_value(y_from) + any_value(cell_side) / 2 as y,
            any_value(cell_side) as side,
            sum(heartbeats) as heartbeats
        from {title.schema}.position_heat_daily
        where calendar_date between $first and $last
        group by cell_x, cell_y order by cell_x, cell_y
        """,
        {"first": first, "last": last},
    )


def days_with_sessions(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, first: date, last: date
) -> Columns:
    """One row per day with sessions: the number of sessions, and of their encounters."""
    return read_columns(
        con,
        f"""
        select
            calendar_day,
            count(*) as sessions,
            sum(close_encounter_count) as encounters
        from {title.schema}.session_close_{title.word}s_daily
        where calendar_day between $first and $last
        group by calendar_day order by calendar_day
        """,
        {"first": first, "last": last},
    )


def sessions(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, day: date, limit: int
) -> Columns:
    """One row per session of the day: its encounters and their seconds. The ``limit`` sessions with
    the most encounters, in descending order."""
    return read_columns(
        con,
        f"""
        select session_id, close_encounter_count as encounters, total_encounter_seconds as seconds
        from {title.schema}.session_close_{title.word}s_daily
        where calendar_day = $day
        order by encounters desc, seconds desc, session_id
        limit {limit}
        """,
        {"day": day},
    )


def meetings(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, day: date, session: UUID
) -> Columns:
    """One row per encounter of the session, in the order of their starts: its two teams, its start
    and end, the number of its close beats, and the smallest distance in units."""
    return read_columns(
        con,
        f"""
        select
            team_1_id, team_2_id, encounter_start, encounter_end, close_heartbeats, min_distance
        from {title.name}_stage.stage_{title.word}s
        where event_date = $day and session_id = $session
        order by encounter_start, team_1_id, team_2_id
        """,
        {"day": day, "session": session},
    )


def team_labels(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, day: date, session: UUID
) -> dict[int, str]:
    """The labels of the session's teams in the landed files, by team number. Empty where the files
    have numbers, or the title is not landed."""
    if not has_view(con, f"{title.name}_raw", "team_labels"):
        return {}
    found = con.execute(
        f"select team_id, team_label from {title.name}_raw.team_labels"
        " where event_date = $day and session_id = $session",
        {"day": day, "session": session},
    )
    return dict(found.fetchall())


def has_view(con: duckdb.DuckDBPyConnection, schema: str, view: str) -> bool:
    """Whether the view is published: ``title.marts`` has no heartbeats, encounters and labels."""
    found = con.execute(
        "select count(*) from duckdb_views() where schema_name = $schema and view_name = $view",
        {"schema": schema, "view": view},
    ).fetchone()
    return found is not None and found[0] > 0


def heartbeats(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, day: date, session: UUID
) -> Columns:
    """One row per heartbeat of the session, in the order of time: its player, its team, its time,
    and its position seen from above, in units."""
    return read_columns(
        con,
        f"""
        select
            player_id,
            team_id,
            event_datetime,
            position_x::double as x,
            position_y::double as y
        from {title.name}_raw.event_heartbeat
        where event_date = $day and session_id = $session
        order by event_datetime, team_id, player_id
        """,
        {"day": day, "session": session},
    )
