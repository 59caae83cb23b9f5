"""What a dataset is: its columns, its types in every engine, and its DDL.

Partition files and batch files have these columns, the warehouses' tables are created from them,
and dbt's sources describe them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import pyarrow as pa

# The partition column of what comes in numbered batches, not by day.
BATCH_COLUMN = "load_batch_id"
DAY_COLUMN = "event_date"

Dialect = Literal["duckdb", "postgres", "snowflake"]


class Types(NamedTuple):
    """A logical type in Arrow and in each engine, in DuckDB and PostgreSQL as their catalogues
    spell it."""

    arrow: pa.DataType
    duckdb: str
    postgres: str
    snowflake: str


_ZONED = "timestamp with time zone"
# Ids are flat Arrow uuids: polars would turn them into plain blobs, and dictionary<uuid> loses its
# values in Parquet without an error. A timestamp is in UTC without saying so, but in PostgreSQL,
# where a reader in another zone shall see the same moment.
TYPES: dict[str, Types] = {
    "uuid": Types(pa.uuid(), "uuid", "uuid", "varchar"),
    "text": Types(pa.string(), "varchar", "text", "varchar"),
    "timestamp": Types(pa.timestamp("us"), "timestamp", _ZONED, "timestamp_ntz"),
    "moment": Types(pa.timestamp("us", "UTC"), _ZONED, _ZONED, "timestamp_tz"),
    "date": Types(pa.date32(), "date", "date", "date"),
    "position": Types(pa.decimal32(7, 2), "decimal(7,2)", "numeric(7,2)", "number(7,2)"),
    "money": Types(pa.decimal32(9, 2), "decimal(9,2)", "numeric(9,2)", "number(9,2)"),
    "integer": Types(pa.int32(), "integer", "integer", "integer"),
    "small": Types(pa.int16(), "smallint", "smallint", "smallint"),
    "flag": Types(pa.bool_(), "boolean", "boolean", "boolean"),
    "bigint": Types(pa.int64(), "bigint", "bigint", "bigint"),
    "json": Types(pa.string(), "json", "jsonb", "variant"),
}


@dataclass(frozen=True)
class Column:
    """One column: its logical type (a key of ``TYPES``), what it means, and what it may hold.

    ``low`` and ``high`` are inclusive, in the column's unit. ``None`` means no bound. ``default``
    is an SQL expression, for a column that no file has.
    """

    name: str
    type: str
    meaning: str
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] | None = None
    nullable: bool = False
    default: str | None = None

    @property
    def arrow_type(self) -> pa.DataType:
        return TYPES[self.type].arrow

    @property
    def duckdb_type(self) -> str:
        return TYPES[self.type].duckdb

    def definition(self, dialect: Dialect) -> str:
        """The column's type, and whether it may be null, as DDL."""
        kind: str = getattr(TYPES[self.type], dialect)
        return kind + ("" if self.nullable else " not null")


@dataclass(frozen=True)
class Size:
    """Bytes of partition files and of the database per row, and rows per second that are made,
    written and loaded on two cores: measured on a day of 100,000 players."""

    file_bytes: float
    database_bytes: float
    rows_per_second: int


@dataclass(frozen=True)
class Bars:
    """The chart of a dataset's day: a bar for each ``x`` (an SQL expression of a row), as high
    as ``y`` (an aggregate over the rows of that x)."""

    title: str
    x: str
    y: str


@dataclass(frozen=True)
class Dataset:
    """One dataset of a title or a domain: its table, the grain of a row, its columns, and where it
    stands among the others.

    ``schema`` is the end of its schema's name (``sprint_raw``); ``bronze`` is all of it.
    ``partition_column`` is the UTC day (``load_batch_id``: the batch) that names a row's partition;
    it is a column of the table and of no partition file (the folder says it). ``time_column`` is
    the time that decides which day that is. ``entity`` is the id of what happens, where several
    records may speak of one: the earliest decides the day of all.

    ``upstream`` names the datasets that a row is made from, in the graph's order. At most one of
    ``faults`` befalls a record: the first that does. ``occurred`` and ``player_who`` are words for
    the checks on it: "Purchases were paid", and the player who "buys". Rows of a ``private``
    one are not shown in Dagster's history.

    Where there is a ``source_system``, who delivers it, the table has it in a column, beside the
    time of the load. ``by_day`` says whether PostgreSQL holds the table in a partition for each
    day; what is small is one table there, whose key then holds over all days.

    ``version`` is noted in every partition's manifest: raise it when a column comes, goes, or
    changes its type or meaning, and see that ``storage/migration.py`` can rewrite what is there. A
    title's mapping may still name the ``former_columns``.
    """

    name: str
    schema: Literal["raw", "dim", "bronze"]
    table: str
    one_row_is: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partition_column: str | None = DAY_COLUMN
    time_column: str | None = None
    entity: str | None = None
    upstream: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    size: Size | None = None
    bars: Bars | None = None
    occurred: str = "Records are"
    player_who: str = "is named"
    private: bool = False
    source_system: str = ""
    by_day: bool = True
    version: int = 1
    former_columns: tuple[str, ...] = ()

    @property
    def arrow_schema(self) -> pa.Schema:
        """The columns of a partition file, in order (the partition column is not among them)."""
        return pa.schema(
            [pa.field(c.name, c.arrow_type, nullable=c.nullable) for c in self.columns]
        )

    @property
    def column_names(self) -> list[str]:
        """The columns of a file, in order."""
        return [column.name for column in self.columns]

    @property
    def partition_type(self) -> str:
        """DuckDB's type of the partition column."""
        return "integer" if self.partition_column == BATCH_COLUMN else "date"

    @cached_property
    def table_columns(self) -> tuple[Column, ...]:
        """The columns of the table in a warehouse, in order: those of a file, the partition, and
        where and when the row came from."""
        more = []
        if self.partition_column and self.partition_column not in self.column_names:
            what = "batch" if self.partition_column == BATCH_COLUMN else "UTC day"
            meaning = f"the {what} that delivered the row"
            more.append(Column(self.partition_column, self.partition_type, meaning))
        if self.source_system:
            delivered, by = "the system that delivered it", f"'{self.source_system}'"
            more.append(Column("source_system", "text", delivered, default=by))
            loaded = "when it was loaded"
            more.append(Column("ingestion_timestamp", "moment", loaded, default="now()"))
        return (*self.columns, *more)

    def schema_name(self, domain: str) -> str:
        return self.schema if self.schema == "bronze" else f"{domain}_{self.schema}"

    def relation(self, domain: str) -> str:
        """The table's qualified name, for example ``sprint_raw.event_heartbeat``."""
        return f"{self.schema_name(domain)}.{self.table}"

    def definitions(self, dialect: Dialect) -> str:
        """The table's columns as DDL."""
        return ", ".join(
            f"{column.name} {column.definition(dialect)}"
            + (f" default {column.default}" if column.default else "")
            for column in self.table_columns
        )

    def create_table_sql(self, domain: str) -> str:
        """DuckDB's DDL that creates the (empty) table where it is missing."""
        return f"create table if not exists {self.relation(domain)} ({self.definitions('duckdb')})"
