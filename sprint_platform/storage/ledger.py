"""The ledger: what is made, loaded, built and published of a title or a domain, period by period.

Four records behind one interface:

- *made*: a partition's manifest (``storage.partitions``).
- *loaded*: a row of ``loaded_partitions`` (``loaded_batches``), written in the transaction that
  replaces the period in its table, with the digest of what it was loaded from. The source of a
  period whose rows were pruned from it is ``pruned``: what was built of it stays, and it is neither
  missing nor stale.
- *built*: rows of ``built_from`` and ``built_periods``, written by dbt in the transaction that
  replaces the period in a model (``sprint_dbt/macros/built_periods.sql``), with the digests that it
  was built from and the definition that built it.
- *published*: ``data/published/<name>/ledger.parquet``, renamed into place with each publication.
  It carries a copy of loaded and built for those that must not open the database: a schedule's
  tick, the doctor, the dashboard.

A period is a day (``2025-01-31``) or the number of a batch, as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sprint_platform.core.duckdb_paths import quoted
from sprint_platform.core.whole_file import whole_file
from sprint_platform.places import published_dir
from sprint_platform.storage.partitions import PRUNED, Manifest, P, Period
from sprint_platform.storage.takeover import (
    PERIOD_COLUMNS,
    take_over_batches,
    take_over_days,
)

# The tables' columns, of types that every warehouse has.
LOADED_BATCHES = "dataset varchar not null, load_batch_id integer not null, digest varchar not null"
BUILT_FROM = (
    "model varchar not null, dataset varchar not null, period varchar not null,"
    " digest varchar not null, definition varchar not null, invocation varchar not null,"
    " passed boolean"
)
BUILT_PERIODS = (
    "model varchar not null, period varchar not null, row_count bigint not null,"
    " invocation varchar not null, passed boolean"
)
# Models that are built weekly, after the days that they are built of: no day is behind because one
# of them does not have it yet.
BUILT_WEEKLY = ("player_features_weekly", "player_labels_weekly")
# The source of a day from whose table a forgotten player's records were deleted: what was built of
# them still counts the player.
FORGOTTEN = "without a forgotten player"
_PUBLISHED_COLUMNS = (
    "name", "view_schema", "period_column", "period_kind", "columns", "mixed", "period", "digest",
)  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A model as it is to be built now: its table's name, the digest of its definition, and the
    datasets of its domain that it reads, however many models lie between."""

    name: str
    definition: str
    datasets: frozenset[str]


@dataclass(frozen=True)
class Standing:
    """The state of the periods, each tuple in ascending order. ``built``: every model holds the
    period as it is loaded, and passed its tests; ``unbuilt``: loaded, but some model is behind;
    ``stale``: built, but by another definition than today's. ``pruned`` are those of the built ones
    of which records were pruned: they are never stale, as nothing can build them again."""

    built: tuple[str, ...]
    unbuilt: tuple[str, ...]
    stale: tuple[str, ...]
    stale_models: frozenset[str]
    pruned: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublishedMart:
    """A published mart: its view's schema, the column with a row's period and the kind of period
    (day, week, month, batch; None where there are none), its columns, and the stamp of each file's
    content by file name without suffix."""

    schema: str
    column: str | None
    period: str | None
    columns: str
    files: Mapping[str, str]
    # some file may have other columns
    mixed: bool = False


@dataclass(frozen=True)
class Ledger:
    """The ledger of a title or a domain. ``name`` is its folder in ``data/raw`` and
    ``data/published``, ``schema`` that of the ledger's tables, and ``model_schemas`` those that its
    models are built in; ``batches`` says that its periods are numbers of batches, not days."""

    name: str
    schema: str
    model_schemas: tuple[str, ...]
    batches: bool = False

    @property
    def loaded_table(self) -> str:
        return f"{self.schema}.{'loaded_batches' if self.batches else 'loaded_partitions'}"

    @property
    def path(self) -> Path:
        """The file that is renamed with each publication."""
        return published_dir() / self.name / "ledger.parquet"

    def ensure(self, con: duckdb.DuckDBPyConnection) -> None:
        """Creates the tables where they are missing, and fills them for a database of the version
        before, in a transaction of its own."""
        # this runs with each load: the information schema would take fifteen times as long
        with suppress(duckdb.CatalogException):
            con.execute(f"select 1 from {self.schema}.built_from limit 0")
            return
        with transaction(con):
            con.execute(f"create schema if not exists {self.schema}")
            if self.batches:
                con.execute(f"create table if not exists {self.loaded_table} ({LOADED_BATCHES})")
            else:
                con.execute(
                    f"create table if not exists {self.loaded_table} (dataset varchar not null,"
                    " partition_date date not null, digest varchar not null, rows bigint not null,"
                    " source varchar not null, files varchar[],"
                    " primary key (dataset, partition_date))"
                )
                con.execute(
                    f"alter table {self.loaded_table} add column if not exists files varchar[]"
                )
            con.execute(f"create table {self.schema}.built_from ({BUILT_FROM})")
            con.execute(f"create table {self.schema}.built_periods ({BUILT_PERIODS})")
            if self.batches:
                take_over_batches(con, self.schema, self.model_schemas)
            else:
                take_over_days(con, self.name, self.schema, self.model_schemas)

    @property
    def period_column(self) -> str:
        """The column of ``loaded_table`` that holds a period."""
        return "load_batch_id" if self.batches else "partition_date"

    def loaded(self, con: duckdb.DuckDBPyConnection, dataset: str) -> dict[Period, str]:
        """The digest of each day or batch that the dataset's table holds."""
        found = con.execute(
            f"select {self.period_column}, digest from {self.loaded_table} where dataset = ?",
            [dataset],
        )
        return dict(found.fetchall())

    def loaded_digests(
        self,
        con: duckdb.DuckDBPyConnection,
        dataset: str,
        first: date = date.min,
        end: date = date.max,
    ) -> dict[date, str]:
        """The digest of each day that the dataset's table holds, from ``first`` up to and without
        ``end``."""
        found = con.execute(
            f"select partition_date, digest from {self.loaded_table}"
            " where dataset = ? and partition_date >= ? and partition_date < ?",
            [dataset, first, end],
        )
        return dict(found.fetchall())

    def loaded_sources(self, con: duckdb.DuckDBPyConnection) -> list[tuple[str, date, str]]:
        """What each loaded day was made from: (dataset, day, source)."""
        found = con.execute(f"select dataset, partition_date, source from {self.loaded_table}")
        return found.fetchall()

    def loaded_before(
        self, con: duckdb.DuckDBPyConnection, end: date
    ) -> list[tuple[str, date, int]]:
        """How many rows the tables hold of each day before ``end``: (dataset, day, rows), where it
        is some."""
        found = con.execute(
            f"select dataset, partition_date, rows from {self.loaded_table}"
            " where partition_date < ? and rows > 0",
            [end],
        )
        return found.fetchall()

    def record_loaded(
        self, con: duckdb.DuckDBPyConnection, dataset: str, loaded: Mapping[P, Manifest]
    ) -> None:
        """Notes what these days of the dataset were loaded from, in the caller's transaction."""
        manifests = loaded.values()
        # one table, not a row at a time: a year of rows took DuckDB's client six seconds
        noted = pa.table(
            {
                "partition_date": pa.array(loaded, pa.date32()),
                "digest": pa.array([m.digest for m in manifests], pa.string()),
                "rows": pa.array([m.rows for m in manifests], pa.int64()),
                "source": pa.array([m.source for m in manifests], pa.string()),
                "files": pa.array(
                    [[part.name for part in m.parts] for m in manifests], pa.list_(pa.string())
                ),
            }
        )
        con.register("noted_partitions", noted)
        try:
            con.execute(
                f"insert or replace into {self.loaded_table}"
                " (dataset, partition_date, digest, rows, source, files)"
                " select ?, partition_date, digest, rows, source, files from noted_partitions",
                [dataset],
            )
        finally:
            con.unregister("noted_partitions")

    def pruned(self, con: duckdb.DuckDBPyConnection) -> dict[str, set[date]]:
        """The days whose rows were pruned, by dataset; one without such days is not in it."""
        return self.loaded_from(con, PRUNED)

    def loaded_from(self, con: duckdb.DuckDBPyConnection, source: str) -> dict[str, set[date]]:
        """The days that have this source, by dataset; one without such days is not in it."""
        found: dict[str, set[date]] = {}
        for dataset, day in con.execute(
            f"select dataset, partition_date from {self.loaded_table} where source = ?", [source]
        ).fetchall():
            found.setdefault(dataset, set()).add(day)
        return found

    def record_pruned(
        self, con: duckdb.DuckDBPyConnection, dataset: str, days: Iterable[date]
    ) -> None:
        """Notes that the dataset's rows of these days were pruned, in the caller's transaction."""
        con.execute(
            f"update {self.loaded_table} set source = ?, files = []"
            " where dataset = ? and partition_date in (select unnest(?::date[]))",
            [PRUNED, dataset, sorted(days)],
        )

    def loaded_digest(
        self, con: duckdb.DuckDBPyConnection, dataset: str, period: Period
    ) -> str | None:
        """The digest that the period of the dataset was loaded with; None where it was not."""
        found = con.execute(
            f"select digest from {self.loaded_table}"
            f" where dataset = ? and {self.period_column} = ?",
            [dataset, period],
        ).fetchone()
        return found[0] if found else None

    def correct_loaded(
        self,
        con: duckdb.DuckDBPyConnection,
        dataset: str,
        period: Period,
        digest: str,
        rows: int,
    ) -> None:
        """Notes the digest of what the period of the dataset really holds: that of no file, so that
        the next load replaces it."""
        period_of_dataset = f"where dataset = ? and {self.period_column} = ?"
        columns, values = f"dataset, {self.period_column}, digest", [dataset, period, digest]
        if not self.batches:
            columns, values = f"{columns}, rows, source", [*values, rows, "found in the table"]
        marks = ", ".join("?" * len(values))
        with transaction(con):
            con.execute(f"delete from {self.loaded_table} {period_of_dataset}", [dataset, period])
            con.execute(f"insert into {self.loaded_table} ({columns}) values ({marks})", values)

    def standing(
        self,
        con: duckdb.DuckDBPyConnection,
        models: Iterable[Model],
        days: tuple[date, date] | None = None,
    ) -> Standing:
        """The state of the loaded periods for these models, from the database: of all of them, or
        of the ``days`` [first, end)."""
        period = self.period_column
        source = "''" if self.batches else "source"
        loaded = (
            f"select dataset, cast({period} as varchar) as period, digest, {source} as source"
            f" from {self.loaded_table}"
        )
        if days is not None:
            loaded += f" where {period} >= date '{days[0]}' and {period} < date '{days[1]}'"
        return standing(con, models, loaded, f"from {self.schema}.built_from")

    def forget_others(self, con: duckdb.DuckDBPyConnection, models: Iterable[Model]) -> None:
        """Removes the built records of models that no longer exist, and of datasets that a model
        does not read."""
        known = [f"{model.name} {dataset}" for model in models for dataset in model.datasets]
        con.execute(
            f"delete from {self.schema}.built_from"
            " where model || ' ' || dataset not in (select unnest(?))",
            [known],
        )

    def published_standing(self, models: Iterable[Model] | None = None) -> Standing | None:
        """``standing`` from the copy in the last publication, without opening the database; None
        where nothing was published. Without ``models``: for those that were published, without what
        is built weekly."""
        if not self.path.exists():
            return None
        with duckdb.connect() as con:
            copied = self._copied(con)
            if models is None:
                models = [
                    Model(name, "", frozenset(datasets))
                    for name, datasets in con.execute(
                        f"select name, list(distinct dataset) from {copied}"
                        " where record = 'built' and name not in (select unnest(?)) group by name",
                        [list(BUILT_WEEKLY)],
                    ).fetchall()
                ]
            return standing(
                con,
                models,
                "select name as dataset, period, digest, source"
                f" from {copied} where record = 'loaded'",
                f"from (select name as model, * exclude name from {copied} where record = 'built')",
            )

    def published_marts(self, con: duckdb.DuckDBPyConnection) -> dict[str, PublishedMart]:
        """What is published, by mart, as the last publication says; ``con`` may be any database."""
        if not self.path.exists():
            return {}
        found: dict[str, PublishedMart] = {}
        for name, schema, column, kind, columns, mixed, files, stamps in con.execute(
            "select name, any_value(view_schema), any_value(period_column),"
            " any_value(period_kind), any_value(columns), any_value(mixed) = 'yes',"
            " list(period order by period) filter (period is not null),"
            " list(digest order by period) filter (period is not null)"
            f" from {self._copied(con)} where record = 'published' group by name order by name"
        ).fetchall():
            stamped = dict(zip(files or [], stamps or [], strict=True))
            found[name] = PublishedMart(schema, column, kind, columns, stamped, mixed)
        return found

    def published_periods(
        self, marts: Mapping[str, Iterable[str]]
    ) -> dict[str, tuple[str | None, str | None]]:
        """For each published mart the column with a row's period and the kind of period (day, week,
        month, batch); (None, None) for a mart without. ``marts`` gives each mart's columns: a mart
        that the version before published is known by them."""
        known: dict[str, tuple[str | None, str | None]] = {}
        if self.path.exists():
            # where pandas is installed, it would be imported for a table of Arrow's in DuckDB, for
            # pq.read_table and for a value to compare with: that takes longer than any question
            with pq.ParquetFile(self.path) as file:
                noted = file.read(["name", "view_schema", "period_column", "period_kind"])
            of_marts = noted.filter(pc.is_valid(noted["view_schema"])).to_pydict()
            periods = zip(of_marts["period_column"], of_marts["period_kind"], strict=True)
            known = dict(zip(of_marts["name"], periods, strict=True))
        found: dict[str, tuple[str | None, str | None]] = {}
        for mart, columns in marts.items():
            if mart in known:
                found[mart] = known[mart]
                continue
            column = next((name for name in columns if name in PERIOD_COLUMNS), None)
            found[mart] = (column, PERIOD_COLUMNS[column] if column else None)
        return found

    def published_sources(self) -> list[tuple[str, date, str]]:
        """``loaded_sources`` from the copy in the last publication."""
        if not self.path.exists():
            return []
        with duckdb.connect() as con:
            found = con.execute(
                f"select name, cast(period as date), source from {self._copied(con)}"
                " where record = 'loaded' and source is not null"
            )
            return found.fetchall()

    def published_before(self, end: date) -> list[tuple[str, date, int]]:
        """``loaded_before`` from the copy in the last publication."""
        if not self.path.exists():
            return []
        with duckdb.connect() as con:
            found = con.execute(
                "select name, cast(period as date), rows"
                f" from {self._copied(con)} where record = 'loaded' and rows > 0"
                " and cast(period as date) < ?",
                [end],
            )
            return found.fetchall()

    def published_files(
        self, con: duckdb.DuckDBPyConnection, dataset: str
    ) -> dict[date, list[str]]:
        """The files of the dataset's loaded partitions by day, relative to the partition's folder,
        as the last publication says; ``con`` may be any database."""
        if not self.path.exists():
            return {}
        found = con.execute(
            f"select cast(period as date), files from {self._copied(con)}"
            " where record = 'loaded' and name = ? and files is not null order by 1",
            [dataset],
        )
        return dict(found.fetchall())

    def published_digests(
        self, con: duckdb.DuckDBPyConnection, dataset: str
    ) -> dict[str, str | None]:
        """The digest that each period of the dataset was loaded with, as the last publication says;
        ``con`` may be any database."""
        if not self.path.exists():
            return {}
        found = con.execute(
            f"select period, digest from {self._copied(con)} where record = 'loaded' and name = ?",
            [dataset],
        )
        return dict(found.fetchall())

    def _copied(self, con: duckdb.DuckDBPyConnection) -> str:
        """SQL: the rows of the last publication's file, as it is now. It is opened once, which
        DuckDB does not do: another publication may replace it at any moment."""
        con.register("published_ledger", pq.read_table(self.path))
        return "published_ledger"

    def publish(
        self,
        con: duckdb.DuckDBPyConnection,
        marts: Mapping[str, PublishedMart],
        datasets_with_files: Iterable[str] = (),
    ) -> None:
        """Renames a new file of the ledger into place: what is published now, and a copy of what is
        loaded and built, with the file names of ``datasets_with_files`` only."""
        mixed = {True: "yes", False: "no"}
        rows = [
            (
                name,
                mart.schema,
                mart.column,
                mart.period,
                mart.columns,
                mixed[mart.mixed],
                file,
                stamp,
            )
            for name, mart in marts.items()
            # a mart without files still has columns
            for file, stamp in (mart.files.items() or [(None, None)])
        ]
        published = pa.table(
            {
                column: pa.array(values, pa.string())
                for column, values in zip(
                    _PUBLISHED_COLUMNS, zip(*rows, strict=True) if rows else [()] * 8, strict=True
                )
            }
        )
        period = self.period_column
        more = (
            "cast(null as bigint) as rows, cast(null as varchar) as source,"
            " cast(null as varchar[]) as files"
            if self.batches
            else "rows, source, case when list_contains(?, dataset) then files end as files"
        )
        con.register("published_now", published)
        try:
            with whole_file(self.path) as temporary:
                con.execute(
                    "copy (select 'published' as record, * from published_now"
                    " union all by name"
                    f" select 'loaded' as record, dataset as name, cast({period} as varchar)"
                    f"  as period, digest, {more} from {self.loaded_table}"
                    " union all by name"
                    " select 'built' as record, model as name, dataset, period, digest, definition,"
                    f"  passed from {self.schema}.built_from)"
                    f" to '{quoted(temporary)}' (format parquet, compression zstd)",
                    [] if self.batches else [list(datasets_with_files)],
                )
        finally:
            con.unregister("published_now")


def title_ledger(title: str) -> Ledger:
    """The ledger of a title."""
    return Ledger(title, f"{title}_raw", (f"{title}_stage", f"{title}_mart"))


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commits at the end of the block, or undoes everything where it raises."""
    con.begin()
    try:
        yield
        con.commit()
    except BaseException:
        # a commit that failed has rolled back already
        with suppress(duckdb.TransactionException):
            con.rollback()
        raise


def standing(
    con: duckdb.DuckDBPyConnection, models: Iterable[Model], loaded: str, built: str
) -> Standing:
    """The state of the periods that the query ``loaded`` gives (dataset, period, digest, source);
    ``built`` is the end of a query of built_from's columns."""
    wanted = [(m.name, m.definition, dataset) for m in models for dataset in m.datasets]
    if not wanted:
        return Standing((), (), (), frozenset())
    names, definitions, datasets = zip(*wanted, strict=True)
    con.register(
        "wanted_models",
        pa.table({"model": names, "definition": definitions, "dataset": datasets}),
    )
    try:
        found = con.execute(
            f"""
            with loaded as ({loaded}),
            -- what none of these models reads is not missed
            pruned as (
                select distinct period from loaded
                where source = '{PRUNED}' and dataset in (select dataset from wanted_models)
            ),
            wanted as (
                select period, model, wanted.definition, dataset, loaded.digest
                from (select distinct period from loaded
                    where dataset in (select dataset from wanted_models)) as periods
                cross join wanted_models as wanted
                left join loaded using (dataset, period)
                -- before all else is loaded lie the sign-ups of before a launch, and nothing else
                where loaded.digest is not null or period >= (
                    select min(period) from loaded where dataset <> 'dim_players'
                        and dataset in (select dataset from wanted_models)
                )
            )
            select
                period,
                bool_and(
                    coalesce(built.passed, false)
                    and built.digest is not distinct from wanted.digest
                ) as is_built,
                period in (select period from pruned) as is_pruned,
                list(distinct model) filter (
                    built.definition is distinct from wanted.definition and wanted.definition <> ''
                ) as stale
            from wanted
            left join (select model, dataset, period, digest, definition, passed {built}) as built
                using (model, dataset, period)
            group by period
            order by {"try_cast(period as integer), period"}
            """
        ).fetchall()
    finally:
        con.unregister("wanted_models")
    stale = {
        period: models
        for period, is_built, is_pruned, models in found
        if is_built and models and not is_pruned
    }
    return Standing(
        built=tuple(period for period, is_built, is_pruned, _ in found if is_built or is_pruned),
        unbuilt=tuple(
            period for period, is_built, is_pruned, _ in found if not (is_built or is_pruned)
        ),
        stale=tuple(stale),
        stale_models=frozenset(model for models in stale.values() for model in models),
        pruned=tuple(period for period, _, is_pruned, _ in found if is_pruned),
    )
