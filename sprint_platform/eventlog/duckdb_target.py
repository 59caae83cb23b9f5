"""The event log's tables in the one DuckDB file, opened under its lease."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from sprint_platform.core.locks import hold
from sprint_platform.dataset import Dataset
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.eventlog.contracts import DOMAIN, RAW_TABLES
from sprint_platform.eventlog.load import LoadError
from sprint_platform.places import database_path
from sprint_platform.storage.ledger import Ledger, glob_of, quoted, transaction

SCHEMA = "eventlog_raw"
LEDGER = Ledger(DOMAIN, SCHEMA, ("eventlog_stage", "eventlog_mart"), batches=True)
# Errors of a file or of what it should replace; any other is a bug of ours.
_LOAD_ERRORS = (
    duckdb.CatalogException,
    duckdb.ConstraintException,
    duckdb.ConversionException,
    duckdb.InvalidInputException,
)


@contextmanager
def open_duckdb(holder: str) -> Iterator[DuckDBTarget]:
    """The target, while the block holds the lease. ``holder`` says who it is to those who wait."""
    with hold(warehouse_lock(), holder), connect() as con:
        yield DuckDBTarget(con)


class DuckDBTarget:
    """``eventlog_raw`` in the warehouse."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self._to_make: list[Dataset] = []

    @property
    def described(self) -> str:
        return f"{database_path()} ({SCHEMA})"

    def existing(self) -> dict[str, bool]:
        found = self._columns()
        return {name: found[name] == _wanted(RAW_TABLES[name]) for name in found}

    def _columns(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for table, column, kind in self.con.execute(
            "select table_name, column_name, data_type from information_schema.columns"
            " where table_schema = ? order by ordinal_position",
            [SCHEMA],
        ).fetchall():
            if table in RAW_TABLES:
                found.setdefault(table, []).append(f"{column} {kind.lower()}")
        return found

    def relation(self, table: Dataset) -> str:
        return f"{SCHEMA}.{table.name}"

    @property
    def ledger_schema(self) -> str:
        return SCHEMA

    def ensure_ledger(self) -> None:
        LEDGER.ensure(self.con)

    def stage(self, table: Dataset, path: Path) -> str:
        name = f"incoming_{table.name}"
        columns = ", ".join(f"'{c.name}': '{c.duckdb_type}'" for c in table.columns)
        # a view: a load that reads the file once has no need of a copy
        file = quoted(glob_of(path))
        self.con.execute(
            f"create or replace temp view {name} as select * from read_csv('{file}',"
            " header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"',"
            f" columns = {{{columns}}})"
        )
        return name

    def make(self, table: Dataset) -> None:
        if not self.existing().get(table.name):
            # a table made anew loses its data: here that can wait for the transaction
            self._to_make.append(table)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            with transaction(self.con):
                self.con.execute(f"create schema if not exists {SCHEMA}")
                for table in self._to_make:
                    columns = table.definitions("duckdb")
                    self.con.execute(f"create or replace table {self.relation(table)} ({columns})")
                yield
        except duckdb.Error as error:
            raise _load_error(error) from error
        finally:
            self._to_make = []

    def execute(self, sql: str) -> int:
        changed = self.con.execute(sql).fetchone()
        return int(changed[0]) if changed else 0

    def rows(self, sql: str) -> list[tuple]:
        return self.con.execute(sql).fetchall()


def _wanted(table: Dataset) -> list[str]:
    return [f"{column.name} {column.duckdb_type}" for column in table.columns]


def _load_error(error: duckdb.Error) -> Exception:
    """A broken file in one line; any other error as it is."""
    if isinstance(error, _LOAD_ERRORS):
        # what follows is advice on options that nobody can set here
        reason = str(error).split("Possible ")[0]
        return LoadError(f"{' '.join(reason.split())[:400]}: nothing was loaded")
    return error
