"""The one DuckDB file as an engine; it is opened under its lease (``duckdb_file``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from sprint_platform.core.duckdb_paths import glob_of, quoted
from sprint_platform.dataset import BATCH_COLUMN, Dataset
from sprint_platform.engines.database_identity import counted_transaction
from sprint_platform.engines.engine import Engine, LoadError
from sprint_platform.places import database_path
from sprint_platform.storage.ledger import Ledger
from sprint_platform.storage.partitions import Manifest, P, checked_paths, read_partition

# Errors of a file or of what it should replace; any other is a bug of ours.
_LOAD_ERRORS = (
    duckdb.CatalogException,
    duckdb.ConstraintException,
    duckdb.ConversionException,
    duckdb.InvalidInputException,
)


class DuckDBEngine(Engine):
    """Tables of the open file."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, ledger: Ledger, tables: Collection[Dataset]
    ) -> None:
        super().__init__(ledger, tables)
        self.con = con
        self._to_make: list[Dataset] = []

    @property
    def described(self) -> str:
        return f"{database_path()} ({self.ledger.schema})"

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        changed = self.con.execute(sql, parameters or None).fetchone()
        return int(changed[0]) if changed else 0

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple]:
        return self.con.execute(sql, parameters or None).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            with counted_transaction(self.con):
                for table in self._to_make:
                    columns = table.definitions("duckdb")
                    self.con.execute(f"create or replace table {self.relation(table)} ({columns})")
                yield
        except _LOAD_ERRORS as error:
            # what follows is advice on options that nobody can set here
            reason = str(error).split("Possible ")[0]
            raise LoadError(f"{' '.join(reason.split())[:400]}: nothing was loaded") from error
        finally:
            self._to_make = []

    def ensure_ledger(self) -> None:
        """Creates the ledger's tables where they are missing. Called before the transaction."""
        self.ledger.ensure(self.con)

    def make(self, table: Dataset) -> None:
        """Makes sure that the table is there with its contract's columns; an empty one replaces a
        table of other columns, if the load succeeds. Called before the transaction."""
        if not self.existing().get(table.name):
            # a table made anew loses its data: here that can wait for the transaction
            self._to_make.append(table)

    def _found(self) -> dict[str, dict[str, str]]:
        tables = {self.relation(table): table.table for table in self.tables}
        found: dict[str, dict[str, str]] = {}
        for relation, column, kind in self.rows(
            "select table_schema || '.' || table_name as relation, column_name, lower(data_type)"
            " from information_schema.columns where relation in (select unnest(?))"
            " order by ordinal_position",
            [list(tables)],
        ):
            found.setdefault(tables[relation], {})[column] = kind
        return found

    def _wanted(self, table: Dataset) -> dict[str, str]:
        return {column.name: column.duckdb_type for column in table.table_columns}

    def stage(self, table: Dataset, path: Path) -> str:
        """Makes the rows of a CSV file readable under the name that it returns, with the table's
        types, until the connection ends."""
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

    def insert_partitions(self, table: Dataset, manifests: Mapping[P, Manifest]) -> int:
        """Inserts the rows of partition files; returns how many. Raises PartitionError for a
        damaged file."""
        domain, column = self.ledger.name, table.partition_column
        columns = ", ".join(table.column_names)
        files = [
            glob_of(path)
            for period, manifest in manifests.items()
            for path in checked_paths(manifest, f"{domain}/{table.name}", period)
        ]
        if not files:
            return 0
        # the period is in the folder's name; hive parsing would guess its type from the text
        folder = "batch=([0-9]+)" if column == BATCH_COLUMN else "event_date=([0-9-]{10})"
        period_of_file = f"regexp_extract(filename, '.*{folder}', 1)"
        try:
            return self.execute(
                f"insert into {self.relation(table)} ({columns}, {column})"
                f" select {columns}, cast({period_of_file} as {table.partition_type})"
                " from read_parquet(?, filename = true, hive_partitioning = false)",
                [files],
            )
        except duckdb.Error:
            # DuckDB does not say which file is damaged: reading them does
            for period in manifests:
                for _ in read_partition(domain, table.name, period, table):
                    pass
            raise

    def record(self, table: Dataset, manifests: Mapping[P, Manifest]) -> None:
        """Notes what these periods were loaded from, in the caller's transaction."""
        if self.ledger.batches:
            self.note_batches(table, {batch: m.digest for batch, m in manifests.items()})
        else:
            self.ledger.record_loaded(self.con, table.name, manifests)
