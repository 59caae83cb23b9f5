"""Where players are and when teams meet: encounters and their marts,
``position_heat_daily``, heartbeats.

A title's word is in its tables' names: a caller names the mart by the title's word.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

import duckdb

from sprint_platform.dashboard.published import Columns, PublishedTitle, read_columns


def rates(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, first: date, last: date, grain: str
) -> Columns:
    """One row is a day, week or month: its sessions, its encounters, how long they lasted, and how
    many there are per session and per hour of those sessions whose length is known."""
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
    """One row is a cell of the map, seen from above: its middle, its side, and its heartbeats."""
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
    """One row is a day of these that has sessions: how many, and how many encounters in them."""
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
    """One row is a session of the day with its encounters and their seconds, those with the most
    first, at most ``limit`` of them."""
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
    """One row is an encounter of the session, in the order of their starts: its two teams, when it
    starts and ends, how many of its beats are close, and the smallest distance in units."""
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
    """The label that each of the session's teams came with, by number. Empty where a title's teams
    are numbers in its files, too, or it is not landed."""
    if not has_view(con, f"{title.name}_raw", "team_labels"):
        return {}
    found = con.execute(
        f"select team_id, team_label from {title.name}_raw.team_labels"
        " where event_date = $day and session_id = $session",
        {"day": day, "session": session},
    )
    return dict(found.fetchall())


def has_view(con: duckdb.DuckDBPyConnection, schema: str, view: str) -> bool:
    """Whether the view is published: heartbeats, encounters and labels are no marts."""
    found = con.execute(
        "select count(*) from duckdb_views() where schema_name = $schema and view_name = $view",
        {"schema": schema, "view": view},
    ).fetchone()
    return found is not None and found[0] > 0


def heartbeats(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, day: date, session: UUID
) -> Columns:
    """One row is a heartbeat of the session, in time's order: of whom, of which team, when, and
    where, seen from above, in units."""
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
