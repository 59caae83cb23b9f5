"""The event log: its marts, as they are published in ``eventlog_mart``. ``batch`` None is all
batches, whose players are different people."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb

from sprint_platform.dashboard.published import Columns, PublishedDomain, read_columns, read_row


def chapters(con: duckdb.DuckDBPyConnection, log: PublishedDomain, batch: int | None) -> Columns:
    """One row per chapter that somebody started, in order: how many players started and completed
    it, how many started none after it, and attempts and deaths in it. First playthroughs alone."""
    return read_columns(
        con,
        f"""
        select
            chapter,
            any_value(chapter_name) as chapter_name,
            sum(players_started) as started,
            sum(players_completed) as completed,
            sum(players_stopped) as stopped,
            sum(players_stopped) / sum(players_started) as stopped_share,
            sum(attempts) / sum(players_started) as attempts_each,
            sum(deaths) / sum(players_started) as deaths_each
        from {log.schema}.funnel_chapters
        where $batch is null or load_batch_id = $batch
        group by chapter order by chapter
        """,
        {"batch": batch},
    )


def chapters_by(
    con: duckdb.DuckDBPyConnection, log: PublishedDomain, batch: int | None, column: str
) -> Columns:
    """One row per chapter and value of the column (difficulty or platform), those of most players
    first: how many players started and completed the chapter."""
    return read_columns(
        con,
        f"""
        with chapters as (
            select {column} as what, chapter, sum(players_started) as started,
                sum(players_completed) as completed
            from {log.schema}.funnel_chapters
            where $batch is null or load_batch_id = $batch
            group by all
        )
        select what, chapter, started, completed from chapters
        order by max(started) over (partition by what) desc, what, chapter
        """,
        {"batch": batch},
    )


def retention(
    con: duckdb.DuckDBPyConnection, log: PublishedDomain, first: date, last: date
) -> Columns:
    """One row per number of days since the first session: of the players whose first one was on
    these days, those that are that many days old, how many played on that day, and their share."""
    return read_columns(
        con,
        f"""
        select
            day_number,
            sum(cohort_players) as players,
            sum(retained_players) as retained,
            sum(retained_players) / sum(cohort_players) as retention
        from {log.schema}.retention
        where cohort_date between $first and $last and day_number > 0
        group by day_number order by day_number
        """,
        {"first": first, "last": last},
    )


def cohorts(
    con: duckdb.DuckDBPyConnection, log: PublishedDomain, first: date, last: date, grain: str
) -> Columns:
    """One row per cohort (day, week or month of the first session) and number of days since: the
    cohort's players, those of them who are that many days old by now, and their retention."""
    return read_columns(
        con,
        f"""
        with counted as (
            select date_trunc('{grain}', cohort_date)::date as cohort, day_number,
                sum(cohort_players) as old_enough, sum(retained_players) as retained
            from {log.schema}.retention where cohort_date between $first and $last
            group by cohort, day_number
        )
        select cohort, day_number, max(old_enough) over (partition by cohort) as players,
            old_enough, retained / old_enough as retention
        from counted qualify day_number > 0 or count(*) over (partition by cohort) = 1
        order by cohort, day_number
        """,
        {"first": first, "last": last},
    )


def players_by_period(
    con: duckdb.DuckDBPyConnection, log: PublishedDomain, first: date, last: date, grain: str
) -> Columns:
    """One row per day, week or month: players a day on average, how many of them were new and how
    many had played before, sessions, and minutes of play per player and day."""
    return read_columns(
        con,
        f"""
        with days as (
            select calendar_date, sum(active_players) as active, sum(new_players) as new,
                sum(returning_players) as came_back, sum(sessions) as sessions,
                sum(play_time_seconds) as seconds
            from {log.schema}.daily_active_players
            where calendar_date between $first and $last group by calendar_date
        )
        select date_trunc('{grain}', calendar_date)::date as period, avg(active) as active,
            sum(new) as new, avg(came_back) as came_back, sum(sessions) as sessions,
            sum(seconds) / 60 / sum(active) as minutes
        from days group by period order by period
        """,
        {"first": first, "last": last},
    )


def session_steps(
    con: duckdb.DuckDBPyConnection, log: PublishedDomain, first: date, last: date
) -> Columns:
    """One row per step of a session, in order: how many sessions of the days came to it, and their
    share of those that started."""
    return read_columns(
        con,
        f"""
        select step, sum(sessions) as sessions,
            sum(sessions) / nullif(sum(sessions_started), 0) as share
        from {log.schema}.funnel_sessions where session_date between $first and $last
        group by step_number, step order by step_number
        """,
        {"first": first, "last": last},
    )


def batches(con: duckdb.DuckDBPyConnection, log: PublishedDomain) -> Columns:
    """One row per batch: its days, players, sessions, events and minutes of a session."""
    return read_columns(
        con,
        f"""
        select
            load_batch_id as batch,
            min(session_date) as first,
            max(session_date) as last,
            count(distinct player_id) as players,
            count(*) as sessions,
            sum(events) as events,
            avg(duration_seconds) / 60 as minutes
        from {log.schema}.fct_sessions group by batch order by batch
        """,
    )


def story_ends(con: duckdb.DuckDBPyConnection, log: PublishedDomain) -> Columns:
    """One row per batch: its players who began the first chapter of all, and those who completed
    the last one of all."""
    return read_columns(
        con,
        f"""
        with ends as (
            select min(chapter) as first, max(chapter) as last from {log.schema}.funnel_chapters
        )
        select load_batch_id as batch,
            coalesce(sum(players_started) filter (chapter = ends.first), 0) as began,
            coalesce(sum(players_completed) filter (chapter = ends.last), 0) as finished
        from {log.schema}.funnel_chapters cross join ends group by batch order by batch
        """,
    )


def day_after(con: duckdb.DuckDBPyConnection, log: PublishedDomain) -> dict[int, float]:
    """The share of each batch's players who played on the day after their first."""
    found = read_columns(
        con,
        "select load_batch_id as batch, sum(retained_players) / sum(cohort_players) as share"
        f" from {log.schema}.retention where day_number = 1 group by batch",
    )
    return dict(zip(found["batch"], found["share"], strict=True))


def totals(con: duckdb.DuckDBPyConnection, log: PublishedDomain) -> dict[str, Any]:
    """The players and sessions of all batches."""
    return read_row(
        con,
        "select count(*) as players, coalesce(sum(sessions), 0) as sessions"
        f" from {log.schema}.dim_players",
    )
