"""`sprint repair` of a data folder that an older version wrote: a title's partitions and tables get
the columns of today's contract.

First the new digests are noted, in the title's register and in the warehouse with its tables; then
the partitions are rewritten, one by one. A kill leaves each of them old or new, and the next repair
goes on: a digest that was noted already is not found again, and stays.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date

import duckdb
import pyarrow as pa

from sprint_platform.core.locks import hold
from sprint_platform.core.window import described
from sprint_platform.engines.database_identity import counted_transaction
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.engines.load import other_columns
from sprint_platform.landing.register import landing_lock, open_register, register_path
from sprint_platform.operations.days_to_build import title_lock
from sprint_platform.operations.landed import load_landed
from sprint_platform.places import database_path
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.migration import digest_change, migrate_partition, older_partitions
from sprint_platform.storage.partitions import PartitionError, leave_out
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title

HOLDER = "sprint repair"
# (dataset, day) -> the digest of the partition's old columns, and of its new ones
Changes = dict[tuple[str, date], tuple[str, str]]


def migrate(title: Title, *, tables: bool) -> list[str]:
    """Gives the title's partitions, and with ``tables`` the warehouse's tables, the columns of
    today's contract. Returns what was done, a line each; none where all of it is today's."""
    if not older_partitions(title.name) and not (tables and _tables_are_older(title)):
        return []
    lines, changes = [], Changes()
    with ExitStack() as stack:
        stack.enter_context(hold(title_lock(title), HOLDER))
        if title.lands:
            # the landing's lock before the lease, as a landing has it
            stack.enter_context(hold(landing_lock(title.name), HOLDER))
        older = older_partitions(title.name)
        for dataset, day in older:
            try:
                changes[dataset, day] = digest_change(title.name, dataset, day)
            except PartitionError as error:
                # as any damaged one, it is then missing
                leave_out(title.name, dataset, day)
                again = "land" if title.lands else "run"
                lines.append(f"{error}: left out, sprint {again} makes it again")
        if title.lands and register_path(title.name).exists():
            with open_register(title.name) as register:
                _note_landed(register, changes)
        if tables:
            with hold(warehouse_lock(), HOLDER), connect() as con:
                _migrate_tables(con, title.name, changes)
                if title.lands:
                    load_landed(con, title)
        for dataset, day in changes:
            migrate_partition(title.name, dataset, day)
    if changes:
        days = described(sorted({day for _, day in changes}))
        lines.append(f"{title.name}: the records of {days} have the columns of this version now")
    return lines


def _tables_are_older(title: Title) -> bool:
    if not database_path().exists():
        return False
    with hold(warehouse_lock(), HOLDER), connect() as con:
        return bool(other_columns(con, title.name))


def _note_landed(register: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    for (dataset, day), (old, new) in changes.items():
        register.execute(
            "update changes set digest = ? where dataset = ? and day = ? and digest = ?",
            [new, dataset, day, old],
        )


def _migrate_tables(con: duckdb.DuckDBPyConnection, title: str, changes: Changes) -> None:
    """Changes the columns of the title's tables and notes the new digests, in one transaction: what
    was built of these days stays built."""
    ledger = title_ledger(title)
    noted = pa.table(
        {
            "dataset": [dataset for dataset, _ in changes],
            "day": pa.array([day for _, day in changes], pa.date32()),
            "old": [old for old, _ in changes.values()],
            "new": [new for _, new in changes.values()],
        }
    )
    loaded = con.execute(
        "select 1 from information_schema.tables"
        " where table_schema = ? and table_name = 'loaded_partitions'",
        [ledger.schema],
    ).fetchone()
    if loaded:
        # of a database of the version before it is filled now, from the old digests
        ledger.ensure(con)
    con.register("changed_digests", noted)
    try:
        with counted_transaction(con):
            for name, present in other_columns(con, title).items():
                dataset = DATASETS[name]
                wanted = {c.name: c for c in dataset.table_columns}
                for column in present - wanted.keys():
                    con.execute(f"alter table {dataset.relation(title)} drop column {column}")
                for column in [c for c in wanted if c not in present]:
                    con.execute(
                        f"alter table {dataset.relation(title)}"
                        f" add column {column} {wanted[column].duckdb_type}"
                    )
            if loaded:
                con.execute(
                    f"update {ledger.loaded_table} as loaded set digest = changed.new"
                    " from changed_digests as changed where loaded.dataset = changed.dataset"
                    " and loaded.partition_date = changed.day and loaded.digest = changed.old"
                )
                con.execute(
                    f"update {ledger.schema}.built_from as built set digest = changed.new"
                    " from changed_digests as changed where built.dataset = changed.dataset"
                    " and built.period = cast(changed.day as varchar)"
                    " and built.digest = changed.old"
                )
    finally:
        con.unregister("changed_digests")
