"""What players pay: ``cohort_revenue``, ``spender_concentration_monthly``, ``player_rfm_monthly``.

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
    """One row is the players who signed up in a week or month of these days, on the n-th day after:
    what they have paid by then, per player. It ends where the youngest of them are not that many
    days old yet, or a day is missing of any: a value of the others alone would be of other
    players."""
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
    """One row is a month that these days touch: its payers, its revenue, and how much of it came
    from the top 1 and 10 % of them."""
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
    """One row is a segment of payers in the latest month that has any, by ``last``: how many they
    are, what they paid in its three months, and their averages. The segment is null where days of
    these months are missing."""
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
