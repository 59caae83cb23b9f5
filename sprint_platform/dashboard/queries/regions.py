"""Players, play time and revenue by country: ``kpi_daily``."""

from __future__ import annotations

from datetime import date

import duckdb

from sprint_platform.dashboard.published import Columns, PublishedTitle, read_columns


def by_country(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, first: date, last: date
) -> Columns:
    """One row per country, the most played first: its active players a day on average, its sums
    over the days, and shares of sums; ``players`` as in ``activity.totals``."""
    return read_columns(
        con,
        f"""
        with days as (
            select count(distinct calendar_date) as days
            from {title.schema}.kpi_daily where calendar_date between $first and $last
        )
        select
            country,
            sum(active_players) / any_value(days) as active_players,
            sum(new_players) as new_players,
            sum(sessions) as sessions,
            sum(play_time_seconds) as play_time_seconds,
            sum(play_time_seconds) / nullif(sum(active_players), 0) as play_time_per_active_player,
            sum(revenue) as revenue,
            sum(revenue)::double / nullif(sum(active_players), 0) as arpdau,
            sum(payers) / nullif(sum(active_players), 0) as payer_conversion,
            greatest(
                max(active_players),
                max(payers),
                if($last - $first >= 6,
                    max(weekly_active_players) filter (calendar_date = $last), null),
                if($last - $first >= 27,
                    max(monthly_active_players) filter (calendar_date = $last), null)
            ) as players
        from {title.schema}.kpi_daily cross join days
        where calendar_date between $first and $last
        group by country order by play_time_seconds desc, country
        """,
        {"first": first, "last": last},
    )


def active_by_period(
    con: duckdb.DuckDBPyConnection,
    title: PublishedTitle,
    first: date,
    last: date,
    grain: str,
) -> Columns:
    """One row per country and day, week or month: its active players a day on average."""
    return read_columns(
        con,
        f"""
        with days as (
            select date_trunc('{grain}', calendar_date)::date as period,
                count(distinct calendar_date) as days
            from {title.schema}.kpi_daily where calendar_date between $first and $last
            group by period
        )
        select period, country, sum(active_players) / any_value(days) as active_players
        from {title.schema}.kpi_daily
        join days on date_trunc('{grain}', calendar_date)::date = days.period
        where calendar_date between $first and $last
        group by period, country order by period, country
        """,
        {"first": first, "last": last},
    )
