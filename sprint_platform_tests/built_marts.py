"""Marts that a test writes itself, noted in the ledger as a dbt run would note them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from uuid import uuid4

import duckdb

from sprint_platform.publish.marts import Mart, Publication, publish
from sprint_platform.storage.ledger import Ledger, title_ledger
from sprint_platform.storage.takeover import PERIOD_COLUMNS


def mart(con: duckdb.DuckDBPyConnection, relation: str, *, by_month: bool = False) -> Mart:
    """The relation as a mart of the title, by the period that its columns show; its view has the
    relation's schema."""
    schema = relation.partition(".")[0]
    columns = [column for column, *_ in con.execute(f"describe {relation}").fetchall()]
    column = next((column for column in columns if column in PERIOD_COLUMNS), None)
    if column is None:
        return Mart(relation, schema)
    period = PERIOD_COLUMNS[column]
    return Mart(relation, schema, column, period, "month" if by_month else period)


def note_built(
    con: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    built: Mart,
    where: str = "1 = 1",
    passed: bool = True,
) -> None:
    """What the post-hook of the mart's model notes after a run that replaced these periods (a
    condition on ``period``), and the end of the run."""
    ledger.ensure(con)
    con.execute(
        f"delete from {ledger.schema}.built_periods where model = ? and (period = '' or {where})",
        [built.name],
    )
    period = f"cast({built.column} as varchar)" if built.column else "''"
    con.execute(
        f"insert into {ledger.schema}.built_periods select * from (select ?, {period} as period,"
        f" count(*), ?, ? from {built.relation} group by all) where {where}",
        [built.name, str(uuid4()), passed],
    )


def note_days(con: duckdb.DuckDBPyConnection, ledger: Ledger, days: Iterable[date]) -> None:
    """Notes that these days were loaded, and every model was built of them."""
    ledger.ensure(con)
    for day in days:
        con.execute(
            f"insert into {ledger.loaded_table} (dataset, partition_date, digest, rows, source)"
            " values ('sessions', ?, 'd', 1, '')",
            [day],
        )
        con.execute(
            f"insert into {ledger.schema}.built_from values"
            " ('kpi_daily', 'sessions', ?, 'd', '', '', true)",
            [str(day)],
        )


def publish_built(
    con: duckdb.DuckDBPyConnection,
    name: str,
    relations: Iterable[str],
    *,
    by_month: bool = False,
    whole: bool = False,
) -> Publication:
    """Publishes the relations, built just now, as marts of the title; ``whole`` as a file each."""
    ledger = title_ledger(name)
    marts = [
        Mart(relation, f"{name}_mart") if whole else mart(con, relation, by_month=by_month)
        for relation in relations
    ]
    for built in marts:
        note_built(con, ledger, built)
    return publish(con, ledger, marts)
