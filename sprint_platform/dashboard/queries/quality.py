"""The published periods of each mart, and the records that landing refused."""

from __future__ import annotations

from datetime import date

import duckdb

from sprint_platform.dashboard.published import Columns, PublishedTitle, read_columns
from sprint_platform.storage.ledger import title_ledger


def freshness(con: duckdb.DuckDBPyConnection, title: PublishedTitle) -> Columns:
    """One row per mart: its kind of period (day, week, month, or None for a mart without periods),
    its first and last period, and its rows."""
    described = con.execute(
        "select view_name, list(column_name order by column_index) from duckdb_columns()"
        " join duckdb_views() using (database_oid, schema_oid)"
        " where table_oid = view_oid and duckdb_views.schema_name = $schema group by view_name",
        {"schema": title.schema},
    ).fetchall()
    queries = []
    periods = title_ledger(title.name).published_periods(dict(described))
    for mart, (column, period) in sorted(periods.items()):
        kind = f"'{period}'" if period else "null"
        queries.append(
            f"select '{mart}' as mart, {kind} as period, min({column or 'null::date'}) as first,"
            f" max({column or 'null::date'}) as last, count(*) as rows"
            f" from {title.schema}.{mart}"
        )
    if not queries:
        return {"mart": [], "period": [], "first": [], "last": [], "rows": []}
    return read_columns(con, f"{' union all '.join(queries)} order by mart")


def last_day_with_encounters(con: duckdb.DuckDBPyConnection, title: PublishedTitle) -> date | None:
    """The last day with encounters; None where there is none, or the rates are not published."""
    mart = f"{title.word}_rates_daily"
    if mart not in title.marts:
        return None
    query = f"select max(calendar_day) from {title.schema}.{mart} where encounters > 0"
    found = con.execute(query).fetchone()
    return found[0] if found else None


def rejects(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, first: date, last: date
) -> Columns:
    """One row per dataset and reason for which landing refused records of these days or without a
    day: all records, those without a day, and the number of days and last day of the others."""
    return read_columns(
        con,
        f"""
        select
            dataset,
            reason,
            sum(records) as records,
            coalesce(sum(records) filter (event_date is null), 0) as without_day,
            count(distinct event_date) as days,
            max(event_date) as last_day
        from {title.schema}.landing_rejects_daily
        where event_date between $first and $last or event_date is null
        group by dataset, reason order by records desc, dataset, reason
        """,
        {"first": first, "last": last},
    )


def rejects_by_day(
    con: duckdb.DuckDBPyConnection, title: PublishedTitle, first: date, last: date
) -> Columns:
    """One row per day: the number of its records that landing refused."""
    return read_columns(
        con,
        f"""
        select event_date as period, sum(records) as records
        from {title.schema}.landing_rejects_daily
        where event_date between $first and $last
        group by period order by period
        """,
        {"first": first, "last": last},
    )
