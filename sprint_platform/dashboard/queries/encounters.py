"""Where players are and when teams meet: the encounter marts, ``position_heat_daily``, heartbeats.

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


def has_heartbeats(con: duckdb.DuckDBPyConnection, title: PublishedTitle) -> bool:
    """Whether any heartbeats of the title are published."""
    found = con.execute(
        "select count(*) from duckdb_views()"
        " where schema_name = $schema and view_name = 'event_heartbeat'",
        {"schema": f"{title.name}_raw"},
    ).fetchone()
    return found is not None and found[0] > 0


def heartbeats(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, day: date, session: UUID
) -> Columns:
    """One row is a heartbeat of the session, in time's order: of whom, of which team, and where, in
    hundredths of a unit."""
    return read_columns(
        con,
        f"""
        select
            player_id,
            team_id,
            event_datetime,
            round(position_x * 100)::bigint as x,
            round(position_y * 100)::bigint as y,
            round(position_z * 100)::bigint as z
        from {title.name}_raw.event_heartbeat
        where event_date = $day and session_id = $session
        order by event_datetime, team_id, player_id
        """,
        {"day": day, "session": session},
    )
