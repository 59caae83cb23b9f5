"""Revenue: ``cohort_revenue``, ``spender_concentration_monthly`` and ``player_rfm_monthly``.

Revenue by day is in ``kpi_daily``: see ``activity``.
"""

from __future__ import annotations

from datetime import date

import duckdb

from sprint_platform.dashboard.published import Columns, PublishedTitle, read_columns


def lifetime_values(
    con: duckdb.DuckDBPyConnection,
    title: PublishedTitle,
    first: date,
    last: date,
    country: str | None,
    grain: str,
) -> Columns:
    """One row per cohort (week or month of sign-up) and number of days after it: its players, and
    what they have paid by then, per player. A cohort ends where its youngest players are not that
    many days old, or a day of any of them is missing: the value would be that of fewer players."""
    return read_columns(
        con,
        f"""
        with counted as (
            select
                date_trunc('{grain}', signup_date)::date as cohort,
                day_number,
                count(distinct signup_date) as all_signup_days,
                count(distinct signup_date) filter (cumulative_revenue is not null)
                    as signup_days,
                sum(cohort_players) as players,
                sum(cumulative_revenue) as paid
            from {title.schema}.cohort_revenue
            where signup_date between $first and $last
                and ($country is null or country = $country)
            group by cohort, day_number
        )
        select cohort, day_number, players, paid::double / nullif(players, 0) as lifetime_value
        from (
            select *, max(all_signup_days) over (partition by cohort) as all_days from counted
        )
        where signup_days = all_days
        order by cohort, day_number
        """,
        {"first": first, "last": last, "country": country},
    )


def concentration(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, first: date, last: date
) -> Columns:
    """One row per month of these days: its payers, its revenue, and the top 1 % and 10 % of payers
    with their shares of it."""
    return read_columns(
        con,
        f"""
        select
            year_month, payers, revenue, top_1_percent_payers, top_1_percent_share,
            top_10_percent_payers, top_10_percent_share
        from {title.schema}.spender_concentration_monthly
        where year_month between date_trunc('month', $first::date) and $last
        order by year_month
        """,
        {"first": first, "last": last},
    )


def segments(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, last: date, country: str | None
) -> Columns:
    """One row per segment of payers in the latest month up to ``last`` that has any: its players,
    what they paid in its three months, and averages of recency (days) and frequency. The segment is
    null where days of these months are missing."""
    return read_columns(
        con,
        f"""
        with latest as (
            select max(year_month) as year_month from {title.schema}.player_rfm_monthly
            where year_month <= $last
        )
        select
            year_month,
            segment,
            count(*) as players,
            sum(monetary) as monetary,
            avg(recency_days) as recency_days,
            avg(frequency) as frequency
        from {title.schema}.player_rfm_monthly
        where year_month = (select year_month from latest)
            and ($country is null or country = $country)
        group by year_month, segment
        order by monetary desc, segment
        """,
        {"last": last, "country": country},
    )
