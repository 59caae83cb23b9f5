"""The ledger of a dirtied title's faults as a table, ``<title>_truth.fault_ledger``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import duckdb

from sprint_platform.landing.deliveries import ledger_path
from sprint_platform.storage.ledger import transaction
from sprint_platform.telemetry.dirt import LEDGER

_COLUMNS = (
    "fault varchar not null, dataset varchar not null, record varchar, event_date date,"
    ' delivered date not null, file varchar, "row" bigint, expected varchar not null'
)


def ledger_table(title: str) -> str:
    """The table's qualified name."""
    return f"{title}_truth.fault_ledger"


def load_ledger(con: duckdb.DuckDBPyConnection, title: str, days: Iterable[date]) -> int:
    """Makes the table hold exactly these delivery days' ledgers, in one transaction; a day that was
    not delivered has no rows. Returns how many rows the days have."""
    table, wanted = ledger_table(title), sorted(set(days))
    paths = [path for path in (ledger_path(title, day) for day in wanted) if path.exists()]
    with transaction(con):
        con.execute(f"create schema if not exists {title}_truth")
        con.execute(f"create table if not exists {table} ({_COLUMNS})")
        con.execute(f"delete from {table} where delivered in (select unnest(?::date[]))", [wanted])
        if paths:
            columns = ", ".join(f'"{name}"' for name in LEDGER.names)
            con.execute(
                f"insert into {table} ({columns})"
                f" select {columns} from read_parquet(?, hive_partitioning = false)",
                [[str(path) for path in paths]],
            )
        rows = con.execute(
            f"select count(*) from {table} where delivered in (select unnest(?::date[]))", [wanted]
        ).fetchone()
    assert rows is not None
    return int(rows[0])
