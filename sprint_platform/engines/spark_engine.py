"""Spark's tables of a title as an engine: folders of Parquet files by day, loaded from partitions.

Spark has no transaction: an insert replaces whole days, each in one step. The ledger stays in
DuckDB, which also has a view of every table of Spark's, so that what checks, draws, publishes and
serves reads what it always reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from sprint_platform.core.duckdb_paths import glob_of, quoted
from sprint_platform.core.errors import one_line
from sprint_platform.core.locks import Kind, Lock
from sprint_platform.dataset import Dataset
from sprint_platform.engines.engine import Engine, LoadError
from sprint_platform.engines.spark_session import described, spark_session
from sprint_platform.places import raw_dir, spark_warehouse_dir
from sprint_platform.storage.ledger import Ledger
from sprint_platform.storage.partitions import Manifest, P, Period, checked_paths

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# DuckDB's types in Spark's words, where they differ; the macro ``spark_type`` has the same. Spark
# has no uuid: its 16 bytes are binary, which sorts as it does.
SPARK_TYPES = {
    "uuid": "binary",
    "varchar": "string",
    "timestamp": "timestamp_ntz",
    "integer": "int",
}


def spark_type(duckdb_type: str) -> str:
    """A type of DuckDB's in Spark's words."""
    return SPARK_TYPES.get(duckdb_type.lower(), duckdb_type.lower())


class SparkTable:
    """A table of Spark's: its qualified name, its columns with DuckDB's types, and the column whose
    values are its folders' (None: it has no folders)."""

    def __init__(self, relation: str, columns: Mapping[str, str], period: str | None) -> None:
        self.relation, self.columns, self.period = relation, columns, period

    @classmethod
    def of(cls, table: Dataset, domain: str) -> SparkTable:
        """A dataset's."""
        columns = {column.name: column.duckdb_type for column in table.table_columns}
        return cls(table.relation(domain), columns, table.partition_column)

    @property
    def folder(self) -> Path:
        return spark_warehouse_dir().joinpath(*self.relation.split("."))

    def register(self, spark: SparkSession) -> None:
        """Makes the table known to the session, as its files are now."""
        columns = ", ".join(f"{name} {spark_type(kind)}" for name, kind in self.columns.items())
        by = f" partitioned by ({self.period})" if self.period else ""
        spark.sql(f"create database if not exists {self.relation.split('.')[0]}")
        spark.sql(
            f"create table if not exists {self.relation} ({columns}) using parquet{by}"
            f" location '{_escaped(self.folder)}'"
        )
        spark.sql(f"refresh table {self.relation}")

    def query_in_duckdb(self) -> str:
        """DuckDB's query of the table's files, as they are whenever it is run; of no row where
        there are none now."""
        files = f"{self.period}=*/*.parquet" if self.period else "*.parquet"
        if not next(self.folder.glob(files), None):
            nothing = (f"cast(null as {kind}) as {name}" for name, kind in self.columns.items())
            return f"select {', '.join(nothing)} where false"
        values = ", ".join(
            f"cast(hex({name}) as uuid) as {name}"
            if kind.lower() == "uuid"
            else f"cast({name} as {kind}) as {name}"
            for name, kind in self.columns.items()
        )
        folders = "hive_partitioning = false"
        if self.period:
            kind = self.columns[self.period]
            folders = f"hive_partitioning = true, hive_types = {{'{self.period}': {kind}}}"
        pattern = f"{quoted(glob_of(self.folder))}/{files}"
        return f"select {values} from read_parquet('{pattern}', {folders})"

    def show_in_duckdb(self, con: duckdb.DuckDBPyConnection) -> None:
        """Makes DuckDB's view of the table, in a schema that is made where it is missing."""
        con.execute(f"create schema if not exists {self.relation.split('.')[0]}")
        con.execute(f"create or replace view {self.relation} as {self.query_in_duckdb()}")


class SparkEngine(Engine):
    """Spark's tables of a title. ``noted`` has what the ledger says of the table that is loaded,
    the digest of each day: it is DuckDB's, and closed while Spark works."""

    def __init__(self, ledger: Ledger, tables: Collection[Dataset]) -> None:
        super().__init__(ledger, tables)
        self.spark = spark_session()
        self.noted: Mapping[Period, str] = {}
        self._stale: set[Period] = set()
        for table in tables:
            SparkTable.of(table, ledger.name).register(self.spark)

    @property
    def described(self) -> str:
        return f"{described()} ({self.ledger.schema})"

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Runs a statement; Spark does not say how many rows it changed: 0."""
        self.spark.sql(sql)
        return 0

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple]:
        return [tuple(row) for row in self.spark.sql(sql).collect()]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Nothing is undone: the ledger forgets a day before it is replaced, and notes it after."""
        from pyspark.errors import PySparkException

        try:
            yield
        except PySparkException as error:
            raise LoadError(
                f"Spark at {self.described}: {one_line(error, 400)}; load these days again"
            ) from error

    def _found(self) -> dict[str, dict[str, str]]:
        return {
            table.table: {
                name: kind
                for name, kind, *_ in self.rows(f"describe table {self.relation(table)}")
                if not name.startswith("#")
            }
            for table in self.tables
        }

    def _wanted(self, table: Dataset) -> dict[str, str]:
        return {column.name: spark_type(column.duckdb_type) for column in table.table_columns}

    def loaded(self, table: Dataset) -> dict[Period, str]:
        return dict(self.noted)

    def remove(self, table: Dataset, periods: Collection[Period] | None) -> int:
        """Notes that ``insert_partitions`` is to replace these days also where it has no row of
        them; returns how many rows they have."""
        assert periods is not None
        self._stale = set(periods)
        return sum(self.held(table, periods).values())

    def insert_partitions(self, table: Dataset, manifests: Mapping[P, Manifest]) -> int:
        """Replaces these days by the rows of their partition files; returns how many. Raises
        PartitionError for a missing file."""
        files = [
            str(path)
            for period, manifest in manifests.items()
            for path in checked_paths(manifest, f"{self.ledger.name}/{table.name}", period)
        ]
        day = table.partition_column
        for period, manifest in manifests.items():
            if period in self._stale and not manifest.parts:
                nothing = (f"cast(null as {spark_type(c.duckdb_type)})" for c in table.columns)
                self.execute(
                    f"insert overwrite table {self.relation(table)} partition ({day} ="
                    f" date '{period}') select {', '.join(nothing)} where 1 = 0"
                )
        if not files:
            return 0
        # Spark cannot infer a uuid, and reads one as binary where the schema says so
        schema = ", ".join(f"{c.name} {spark_type(c.duckdb_type)}" for c in table.columns)
        folder = "regexp_extract(_metadata.file_path, 'event_date=([0-9-]{10})', 1)"
        incoming = f"incoming_{table.table}"
        self.spark.read.schema(schema).option("recursiveFileLookup", "true").parquet(
            *files
        ).selectExpr(
            *table.column_names, f"cast({folder} as date) as {day}"
        ).createOrReplaceTempView(incoming)
        columns = ", ".join(table.column_names)
        # not a file for each task and day; a large day is several of them
        self.execute(
            f"insert overwrite table {self.relation(table)} partition ({day})"
            f" select /*+ rebalance({day}) */ {columns}, {day} from {incoming}"
        )
        return sum(manifest.rows for manifest in manifests.values())

    def record(self, table: Dataset, manifests: Mapping[P, Manifest]) -> None:
        """Does nothing: whoever opens DuckDB next notes it."""


def spark_lock(title: str) -> Lock:
    """The lock of whoever writes Spark's tables of the title: one process at a time."""
    return Lock(Kind.SPARK, raw_dir(title, ".spark.lock"), f"Spark's tables of {title}")


def refuse_other_engine(con: duckdb.DuckDBPyConnection, title: str, spark: bool) -> None:
    """Raises LoadError where the other engine has the title's tables: Spark's are views there."""
    # the information schema would take longer than all else in a small load
    others, kind = ("duckdb_tables", "table") if spark else ("duckdb_views", "view")
    found = con.execute(
        f"select 1 from {others}() where schema_name = ? and {kind}_name = 'event_session'",
        [f"{title}_raw"],
    )
    if found.fetchone():
        this, other = ("spark", "duckdb") if spark else ("duckdb", "spark")
        raise LoadError(
            f"{title} was built with SPRINT_ENGINE={other} in this data folder, not with {this}:"
            " set it so, or choose another folder (SPRINT_DATA_DIR)"
        )


def copy_to_spark(
    con: duckdb.DuckDBPyConnection, relation: str, query: str | None = None
) -> SparkTable:
    """Writes a small table of DuckDB's (or the query's rows) where Spark reads it under this name;
    returns Spark's table, which is to be registered."""
    query = query or f"select * from {relation}"
    columns = {name: kind.lower() for name, kind, *_ in con.execute(f"describe {query}").fetchall()}
    table = SparkTable(relation, columns, None)
    table.folder.mkdir(parents=True, exist_ok=True)
    values = ", ".join(
        f"unhex(replace(cast({name} as varchar), '-', '')) as {name}" if kind == "uuid" else name
        for name, kind in columns.items()
    )
    path = quoted(table.folder / "copy.parquet")
    con.execute(f"copy (select {values} from ({query})) to '{path}' (format parquet)")
    return table


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace("'", "\\'")
