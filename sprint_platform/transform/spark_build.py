"""What surrounds a dbt run on Spark: the tables that its session must know, and the notes in
DuckDB's ledger, which elsewhere dbt writes in the transaction that builds a model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb

from sprint_platform.core.duckdb_paths import glob_of, quoted
from sprint_platform.core.window import Window
from sprint_platform.engines.spark_engine import SparkTable, copy_to_spark
from sprint_platform.engines.spark_session import spark_session
from sprint_platform.places import catalogue_path
from sprint_platform.publish.marts import existing_relations
from sprint_platform.storage.ledger import Ledger, Model, transaction
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform.transform.dbt_runner import node_results, title_schemas

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult


@dataclass(frozen=True)
class SparkModel:
    """A model or seed of a title: its entry in dbt's manifest, its qualified name, how the ledger
    knows it (None: a seed, which it does not)."""

    node: Mapping[str, Any]
    relation: str
    noted: Model | None

    @property
    def meta(self) -> Mapping[str, Any]:
        meta: Mapping[str, Any] = self.node["config"]["meta"]
        return meta

    @property
    def period(self) -> str | None:
        """The column that holds a row's period."""
        return self.meta.get("period_column") if self._is_table else None

    @property
    def table(self) -> SparkTable | None:
        """Spark's table; None of a view."""
        if self.noted is None:
            return SparkTable(self.relation, self.node["config"]["column_types"], None)
        if not self._is_table:
            return None
        columns = {c["name"]: c["data_type"] for c in self.node["columns"].values()}
        return SparkTable(self.relation, columns, self.period)

    @property
    def is_published(self) -> bool:
        return str(self.node["config"]["schema"]) == "mart" or bool(self.meta.get("published"))

    def replaced(self, window: Window | None) -> Window | None:
        """The days of the periods that a build of the window replaces, as the macro
        ``in_replaced_window`` has them."""
        if window is None:
            return None
        first = window.start - timedelta(days=self.meta.get("back_days") or 0)
        end = window.end + timedelta(days=self.meta.get("forward_days") or 0)
        last = end - timedelta(days=1)
        match self.meta.get("period") or "day":
            case "week":
                first -= timedelta(days=first.weekday())
                last += timedelta(days=6 - last.weekday())
            case "month":
                first = first.replace(day=1)
                last = (last.replace(day=1) + timedelta(days=31)).replace(day=1)
                last -= timedelta(days=1)
        return Window.of(first, last)

    @property
    def _is_table(self) -> bool:
        return bool(self.node["config"]["materialized"] == "incremental")


def register(
    con: duckdb.DuckDBPyConnection,
    title: Title,
    ledger: Ledger,
    known: Iterable[SparkModel],
    to_build: Iterable[SparkModel],
    window: Window | None,
) -> None:
    """Makes the session know the title's tables, with the ledger as it will be once the models
    ``to_build`` are: a model asks which days another one was built of."""
    spark = spark_session()
    for schema in sorted(title_schemas(title.name)):
        spark.sql(f"create database if not exists {schema}")
    for dataset in DATASETS.values():
        if dataset.partition_column:
            SparkTable.of(dataset, title.name).register(spark)
    for model in known:
        if (table := model.table) and table.folder.is_dir():
            table.register(spark)
    with suppress(_Undone), transaction(con):
        note_built(con, title, ledger, [m for m in to_build if m.noted], window)
        source = (
            f"select dataset, partition_date, digest, source from {ledger.loaded_table}",
            f"select * from {ledger.schema}.built_from",
        )
        copies = [
            copy_to_spark(con, ledger.loaded_table, source[0]),
            copy_to_spark(con, f"{ledger.schema}.built_from", source[1]),
        ]
        raise _Undone
    # read by workers, on whose machines the data folder has no catalogue
    file = quoted(glob_of(catalogue_path()))
    values = f"select * from read_csv('{file}', header = true, delim = ',', all_varchar = true)"
    copies.append(copy_to_spark(con, f"{ledger.schema}.catalogue", values))
    if title.source == "landing":
        copies.append(copy_to_spark(con, DATASETS["products"].relation(title.name)))
    for copy in copies:
        copy.register(spark)


class _Undone(Exception):
    """Ends a transaction of which nothing is to stay."""


def note_results(
    con: duckdb.DuckDBPyConnection,
    title: Title,
    ledger: Ledger,
    models: Iterable[SparkModel],
    result: dbtRunnerResult,
    window: Window | None,
) -> None:
    """Shows in DuckDB what the run built on Spark, and notes it in the ledger: models whose tests
    failed as not passed."""
    succeeded = {
        r.node.unique_id: r.node
        for r in node_results(result)
        if r.node.resource_type in ("model", "seed") and r.status == "success"
    }
    built = [model for model in models if model.node["unique_id"] in succeeded]
    for model in built:
        if table := model.table:
            table.show_in_duckdb(con)
        else:
            # a view of what DuckDB has a view of, in plain SQL
            code = str(getattr(succeeded[model.node["unique_id"]], "compiled_code", ""))
            con.execute(f"create or replace view {model.relation} as {code.replace('`', '')}")
    failed = {unique_id for r in node_results(result) for unique_id in _failed_by(r)}
    with transaction(con):
        noted = [model for model in built if model.noted]
        note_built(con, title, ledger, noted, window, failed)


def _failed_by(result: Any) -> Collection[str]:
    """The models that a failed test is of, as the macro ``settle_built`` has them."""
    node = result.node
    if node.resource_type != "test" or result.status not in ("fail", "error", "runtime error"):
        return ()
    if node.attached_node:
        return (node.attached_node,)
    named = ((node.config.meta or {}).get("dagster") or {}).get("ref", {}).get("name")
    parents = list(node.depends_on.nodes)
    return [p for p in parents if not named or p.split(".")[-1] == named]


def note_built(
    con: duckdb.DuckDBPyConnection,
    title: Title,
    ledger: Ledger,
    models: Iterable[SparkModel],
    window: Window | None,
    failed: Collection[str] = (),
) -> None:
    """Replaces the ledger's notes of what these models were built of in the window, in the caller's
    transaction, as the macros ``record_built`` and ``settle_built`` do elsewhere."""
    invocation, existing = str(uuid4()), existing_relations(con)
    run = _within("partition_date", window)
    if window and window.start <= title.launch_date:
        # players who signed up before the launch come with the launch day
        run += f" or partition_date < date '{title.launch_date}'"
    noted_run = run.replace("partition_date", "cast(nullif(period, '') as date)")
    for model in models:
        assert model.noted is not None
        name, passed = model.noted.name, model.node["unique_id"] not in failed
        con.execute(
            f"delete from {ledger.schema}.built_from where model = ? and ({noted_run})", [name]
        )
        con.execute(
            f"insert into {ledger.schema}.built_from"
            " (model, dataset, period, digest, definition, invocation, passed)"
            f" select ?, dataset, cast(partition_date as varchar), digest, ?, ?, ?"
            f" from {ledger.loaded_table}"
            f" where dataset in (select unnest(?::varchar[])) and ({run})",
            [name, model.noted.definition, invocation, passed, sorted(model.noted.datasets)],
        )
        if not model.is_published or model.relation not in existing:
            continue
        periods, replaced = f"{ledger.schema}.built_periods", model.replaced(window)
        old = _within("cast(nullif(period, '') as date)", replaced if model.period else None)
        con.execute(f"delete from {periods} where model = ? and (period = '' or {old})", [name])
        period = f"cast({model.period} as varchar)" if model.period else "''"
        new = _within(model.period, replaced) if model.period else "1 = 1"
        grouped = f" where {new} group by {model.period}" if model.period else ""
        con.execute(
            f"insert into {periods} (model, period, row_count, invocation, passed)"
            f" select ?, {period}, count(*), ?, ? from {model.relation}{grouped}",
            [name, invocation, passed],
        )


def _within(column: str, window: Window | None) -> str:
    if window is None:
        return "1 = 1"
    start, end = window.start, window.end
    return f"{column} >= date '{start}' and {column} < date '{end}'"


def unregistered_views(models: Iterable[SparkModel], selected: Collection[str]) -> list[Any]:
    """The nodes of views that the session does not know and that are not ``selected`` (by unique
    id)."""
    catalog = spark_session().catalog
    return [
        model.node
        for model in models
        if model.table is None
        and model.node["unique_id"] not in selected
        and not catalog.tableExists(model.relation)
    ]
