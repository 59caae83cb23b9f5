"""Pruned periods, restored from the published copy into a database that was made anew."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from sprint_platform.core.duckdb_paths import glob_of, quoted
from sprint_platform.places import published_dir
from sprint_platform.publish.marts import Mart
from sprint_platform.storage.ledger import Ledger, transaction
from sprint_platform.storage.partitions import PRUNED

# The invocation that the ledger has for what was restored.
RESTORED = "restored"


def restore_pruned(
    con: duckdb.DuckDBPyConnection, ledger: Ledger, marts: Iterable[Mart]
) -> list[str]:
    """Inserts what is published of the pruned periods into the tables of ``marts``, and the
    ledger's rows of these periods, in one transaction. Returns the periods; none where none was
    pruned, or nothing is published.

    To be called when a database is made anew from partition files, after ``ensure_title_schemas``
    and before the partitions are loaded and days are built: the files of pruned records are gone,
    and a publication of marts without these periods would remove the last copy of them. What is
    built afterwards replaces its own periods alone: a day that is there in full replaces what was
    restored of it, a week or month that lies across both is built from the restored days too.
    """
    ledger.ensure(con)
    if not ledger.path.exists():
        return []
    copied = f"read_parquet('{quoted(glob_of(ledger.path))}')"
    [[periods]] = con.execute(
        f"select coalesce(list(distinct period order by period), []) from {copied}"
        " where record = 'loaded' and source = ?",
        [PRUNED],
    ).fetchall()
    if not periods:
        return []
    published = ledger.published_marts(con)
    with transaction(con):
        con.execute(
            f"insert or replace into {ledger.loaded_table}"
            " (dataset, partition_date, digest, rows, source, files)"
            f" select name, cast(period as date), digest, rows, source, files from {copied}"
            " where record = 'loaded' and source = ?",
            [PRUNED],
        )
        con.execute(
            f"delete from {ledger.schema}.built_from where period in (select unnest(?))", [periods]
        )
        con.execute(
            f"insert into {ledger.schema}.built_from"
            " (model, dataset, period, digest, definition, invocation, passed)"
            f" select name, dataset, period, digest, definition, ?, passed from {copied}"
            " where record = 'built' and period in (select unnest(?))",
            [RESTORED, periods],
        )
        for mart in marts:
            if mart.name in published:
                _restore(con, ledger, mart, published[mart.name].columns, periods)
    return list(periods)


def _restore(
    con: duckdb.DuckDBPyConnection, ledger: Ledger, mart: Mart, columns: str, periods: list[str]
) -> None:
    """Inserts the mart's published rows of the periods that hold these days; of a mart without
    periods all of them."""
    files = quoted(glob_of(published_dir() / ledger.name / mart.name))
    con.execute(f"create schema if not exists {mart.relation.split('.')[0]}")
    con.execute(f"create table if not exists {mart.relation} ({columns})")
    where, noted = "", "''"
    if mart.column:
        where = (
            f" where {mart.column} in (select date_trunc('{mart.period}', cast(day as date))"
            " from unnest($days) as days(day))"
        )
        noted = f"cast({mart.column} as varchar)"
    days = {"days": periods} if mart.column else {}
    con.execute(f"delete from {mart.relation}{where}", days)
    con.execute(
        f"insert into {mart.relation} by name select * from"
        f" read_parquet('{files}/*.parquet', union_by_name = true){where}",
        days,
    )
    con.execute(
        f"insert into {ledger.schema}.built_periods (model, period, row_count, invocation, passed)"
        f" select $model, {noted}, count(*), $restored, true from {mart.relation}{where}"
        + (f" group by {mart.column}" if mart.column else ""),
        {**days, "model": mart.name, "restored": RESTORED},
    )
