"""Active players, sessions and play time: ``kpi_daily`` and ``concurrency_5_minutes``."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb

from sprint_platform.dashboard.published import Columns, PublishedTitle, read_columns, read_row


def countries(con: duckdb.DuckDBPyConnection, title: PublishedTitle) -> list[str]:
    """The codes of the countries in which anybody played or bought, in order."""
    query = f"select distinct country from {title.schema}.kpi_daily order by country"
    return [row[0] for row in con.execute(query).fetchall()]


def totals(
    con: duckdb.DuckDBPyConnection,
    title: PublishedTitle,
    first: date,
    last: date,
    country: str | None,
) -> dict[str, Any]:
    """One row of key figures over the days. ``days`` counts the days on which anybody played or
    bought in any country; active players are the average over them. Weekly and monthly active
    players are null where days of their 7 or 28 are missing; stickiness is over the other days.
    ``players`` is how many people at least stand behind the figures, the most that are counted once
    in a day, or in a week or 28 days of these; ``payers``, how many of them at most paid."""
    return read_row(
        con,
        f"""
        with days as (
            select
                count(distinct calendar_date) as days,
                bool_and(weekly_active_players is not null) filter (calendar_date = $last)
                    as week_is_known,
                bool_and(monthly_active_players is not null) filter (calendar_date = $last)
                    as month_is_known
            from {title.schema}.kpi_daily where calendar_date between $first and $last
        ),
        most as (
            select max(active) as in_a_day
            from (
                select greatest(sum(active_players), sum(payers)) as active
                from {title.schema}.kpi_daily
                where calendar_date between $first and $last
                    and ($country is null or country = $country)
                group by calendar_date
            )
        ),
        figures as (
            select
                sum(active_players) as player_days,
                sum(active_players) filter (monthly_active_players is not null)
                    as sticky_player_days,
                sum(monthly_active_players) as monthly_player_days,
                coalesce(sum(monthly_active_players) filter (calendar_date = $last), 0)
                    as monthly_players,
                coalesce(sum(weekly_active_players) filter (calendar_date = $last), 0)
                    as weekly_players,
                sum(new_players) as new_players,
                sum(returning_players) as returning_player_days,
                sum(sessions) as sessions,
                sum(play_time_seconds) as play_time_seconds,
                sum(revenue) as revenue,
                sum(purchases) as purchases,
                sum(payers) as payer_days
            from {title.schema}.kpi_daily
            where calendar_date between $first and $last
                and ($country is null or country = $country)
        )
        select
            *,
            player_days / nullif(days, 0) as active_players,
            if(week_is_known, weekly_players, null) as weekly_active_players,
            if(month_is_known, monthly_players, null) as monthly_active_players,
            sticky_player_days / nullif(monthly_player_days, 0) as stickiness,
            sessions / nullif(player_days, 0) as sessions_per_active_player,
            play_time_seconds / nullif(player_days, 0) as play_time_per_active_player,
            revenue::double / nullif(player_days, 0) as arpdau,
            revenue::double / nullif(payer_days, 0) as arppu,
            payer_days / nullif(player_days, 0) as payer_conversion,
            greatest(
                in_a_day,
                if($last - $first >= 6 and week_is_known, weekly_players, null),
                if($last - $first >= 27 and month_is_known, monthly_players, null)
            ) as players,
            least(players, payer_days) as payers
        from figures cross join days cross join most
        """,
        {"first": first, "last": last, "country": country},
    )


def daily(
    con: duckdb.DuckDBPyConnection,
    title: PublishedTitle,
    first: date,
    last: date,
    country: str | None,
    grain: str = "day",
) -> Columns:
    """One row per day, week or month (``period``, its first day): active players a day on average,
    weekly and monthly ones on its last day, sums of all else and shares of sums. A day on which
    nobody of the country played has zeros; an unpublished day has no row. Averages are over the
    days that have rows; weekly and monthly players are null where days of their 7 or 28 are
    missing. ``players`` and ``payers`` are those of ``totals`` in the period."""
    counted = {"day": "null", "week": "weekly", "month": "monthly"}[grain]
    return read_columns(
        con,
        f"""
        with days as (
            select
                calendar_date,
                bool_and(weekly_active_players is not null) as week_is_known,
                bool_and(monthly_active_players is not null) as month_is_known
            from {title.schema}.kpi_daily
            where calendar_date between $first and $last
            group by calendar_date
        ),
        figures as (
            select
                calendar_date,
                coalesce(sum(active_players), 0) as active,
                if(week_is_known, coalesce(sum(weekly_active_players), 0), null) as weekly,
                if(month_is_known, coalesce(sum(monthly_active_players), 0), null) as monthly,
                coalesce(sum(new_players), 0) as new_players,
                coalesce(sum(returning_players), 0) as returning_players,
                coalesce(sum(sessions), 0) as sessions,
                coalesce(sum(play_time_seconds), 0) as play_time_seconds,
                coalesce(sum(revenue), 0) as revenue,
                coalesce(sum(purchases), 0) as purchases,
                coalesce(sum(payers), 0) as payers
            from days
            left join (
                select * from {title.schema}.kpi_daily where $country is null or country = $country
            ) as kpis using (calendar_date)
            group by calendar_date, week_is_known, month_is_known
        )
        select
            date_trunc('{grain}', calendar_date)::date as period,
            avg(active) as active_players,
            arg_max_null(weekly, calendar_date) as weekly_active_players,
            arg_max_null(monthly, calendar_date) as monthly_active_players,
            sum(active) filter (monthly is not null) / nullif(sum(monthly), 0) as stickiness,
            sum(new_players) as new_players,
            avg(returning_players) as returning_players,
            sum(sessions) / nullif(sum(active), 0) as sessions_per_active_player,
            sum(play_time_seconds) / nullif(sum(active), 0) as play_time_per_active_player,
            sum(revenue) as revenue,
            sum(purchases) as purchases,
            sum(payers) as payer_days,
            sum(revenue)::double / nullif(sum(active), 0) as arpdau,
            sum(revenue)::double / nullif(sum(payers), 0) as arppu,
            sum(payers) / nullif(sum(active), 0) as payer_conversion,
            greatest(max(active), max(figures.payers), arg_max({counted}, calendar_date))
                as players,
            least(players, payer_days) as payers
        from figures
        group by period
        order by period
        """,
        {"first": first, "last": last, "country": country},
    )


def peaks(
    con: duckdb.DuckDBPyConnection,
    title: PublishedTitle,
    first: date,
    last: date,
    grain: str = "day",
) -> Columns:
    """One row per day, week or month: the most players online at once, and the average. Both are
    null for a day whose day before is missing; weeks and months leave such days out."""
    return read_columns(
        con,
        f"""
        select
            date_trunc('{grain}', calendar_date)::date as period,
            max(day_peak) as peak,
            avg(players_online) as average
        from {title.schema}.concurrency_5_minutes
        where calendar_date between $first and $last
        group by period order by period
        """,
        {"first": first, "last": last},
    )


def time_of_day(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, first: date, last: date
) -> Columns:
    """One row per five minutes of the day (UTC, as ``20:05``): the players online then, on average
    over the days."""
    return read_columns(
        con,
        f"""
        select strftime(slot_started_at, '%H:%M') as moment, avg(players_online) as players_online
        from {title.schema}.concurrency_5_minutes
        where calendar_date between $first and $last
        group by moment order by moment
        """,
        {"first": first, "last": last},
    )
