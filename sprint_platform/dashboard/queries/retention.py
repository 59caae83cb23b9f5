"""Retention: ``cohort_retention``."""

from __future__ import annotations

from datetime import date

import duckdb

from sprint_platform.dashboard.published import Columns, PublishedTitle, read_columns


def cohorts(
    con: duckdb.DuckDBPyConnection,
    title: PublishedTitle,
    first: date,
    last: date,
    country: str | None,
    grain: str,
) -> Columns:
    """One row per cohort (day, week or month of sign-up) and number of days after it: the cohort's
    players, those of them who are that many days old by now, and their retention."""
    return read_columns(
        con,
        f"""
        with counted as (
            select
                date_trunc('{grain}', signup_date)::date as cohort,
                day_number,
                sum(cohort_players) as old_enough,
                sum(retained_players) as retained
            from {title.schema}.cohort_retention
            where signup_date between $first and $last
                and ($country is null or country = $country)
            group by cohort, day_number
        )
        select
            cohort,
            day_number,
            max(old_enough) over (partition by cohort) as players,
            old_enough,
            retained / nullif(old_enough, 0) as retention
        from counted order by cohort, day_number
        """,
        {"first": first, "last": last, "country": country},
    )


def curve(
    con: duckdb.DuckDBPyConnection,
    title: PublishedTitle,
    first: date,
    last: date,
    country: str | None,
) -> Columns:
    """One row per number of days after sign-up: of the players who signed up on these days, those
    that are that many days old, how many of them came back, and their retention."""
    return read_columns(
        con,
        f"""
        select
            day_number,
            sum(cohort_players) as players,
            sum(retained_players) as retained,
            sum(retained_players) / nullif(sum(cohort_players), 0) as retention
        from {title.schema}.cohort_retention
        where signup_date between $first and $last and ($country is null or country = $country)
        group by day_number order by day_number
        """,
        {"first": first, "last": last, "country": country},
    )
