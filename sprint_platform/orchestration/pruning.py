"""`sprint prune`: old records are deleted, and what was built of them stays.

A dataset's old days may go where every model that reads it makes its rows of a day from that day's
records alone: nothing that a later day builds reads them again. The models' meta says so: a run
replaces what the records of its days change, here those days and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb

from sprint_platform.core.errors import SprintError
from sprint_platform.core.locks import hold
from sprint_platform.core.window import described
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.operations.days_to_build import unbuilt_days
from sprint_platform.orchestration.title_models import TitleTranslator
from sprint_platform.publish.marts import publish, publish_loaded
from sprint_platform.storage.ledger import title_ledger, transaction
from sprint_platform.storage.partitions import PartitionError, prune_partition, read_manifest
from sprint_platform.telemetry.contracts import DAILY, DATASETS
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import Node, graph_manifest


class PruneError(SprintError):
    """Days that were not pruned. The message is one line."""


@dataclass(frozen=True)
class Prunable:
    """What of a title may be pruned: ``datasets``, and ``models`` (by relation, with the column of
    a row's day) that are made of them, are not published, and go with them. ``stays`` says of each
    other dataset why it stays."""

    datasets: tuple[str, ...]
    models: Mapping[str, str]
    stays: Mapping[str, str]


@dataclass(frozen=True)
class Pruned:
    """The days of a dataset that were pruned now, their rows, and the bytes of their files; and the
    last day of all that are pruned."""

    dataset: str
    days: tuple[date, ...]
    rows: int
    bytes: int
    up_to: date | None


def prunable(translator: TitleTranslator, manifest: Node) -> Prunable:
    """What may be pruned of the translator's title, as the models' meta says."""
    readers: dict[str, list[Node]] = {dataset: [] for dataset in DAILY}
    for node in translator.model_nodes(manifest):
        for dataset in translator.datasets(manifest, node):
            readers[dataset].append(node)
    stays = {}
    for dataset, nodes in readers.items():
        looking_back = sorted(translator.table(node) for node in nodes if not _reads_its_day(node))
        if looking_back:
            others = f" and {len(looking_back) - 1} more" if looking_back[1:] else ""
            stays[dataset] = f"{looking_back[0]}{others} read days before the one that is built"
        elif not nodes:
            stays[dataset] = "nothing is built of it that would stay"
    datasets = tuple(dataset for dataset in readers if dataset not in stays)
    published = {mart.relation for mart in translator.marts(manifest)}
    models = {
        relation: str(node["config"]["meta"]["period_column"])
        for dataset in datasets
        for node in readers[dataset]
        if node["config"]["materialized"] == "incremental"
        and (relation := translator.relation(node)) not in published
    }
    return Prunable(datasets, models, stays)


def _reads_its_day(node: Node) -> bool:
    config: Mapping[str, Any] = node["config"]
    meta = config["meta"]
    return (
        meta.get("period_column") is not None
        and meta.get("period", "day") == "day"
        and not meta.get("back_days")
        and not meta.get("forward_days")
        and (config["materialized"] == "view" or config["incremental_strategy"] == "replace_period")
    )


def prune(title: Title, before: date) -> tuple[list[Pruned], Prunable]:
    """Deletes the records of the days before ``before`` that nothing reads any more, and returns
    what went and what may go at all. A command that was killed is finished by the next one.

    Raises PruneError where one of the days is not built as it is defined now, or not published: it
    could not be any more. The caller holds the title's lock.
    """
    translator, manifest = TitleTranslator(title), graph_manifest()
    ledger, found = title_ledger(title.name), prunable(translator, manifest)
    gone: dict[str, dict[date, int]] = {}
    with hold(warehouse_lock(), "sprint prune"), connect() as con:
        ensure_title_schemas(con, title.name)
        for dataset in found.datasets:
            gone[dataset] = _loaded_before(con, title, dataset, before)
        if days := sorted({day for of in gone.values() for day in of}):
            _require_built(con, title, translator, manifest, days)
            done = publish(con, ledger, translator.marts(manifest))
            if done.withheld:
                marts = ", ".join(sorted(done.withheld))
                raise PruneError(
                    f"{title.name}: {marts} did not pass their tests and are not published: sprint"
                    f" run --title {title.name} --missing first"
                )
            with transaction(con):
                for dataset, of in gone.items():
                    ledger.record_pruned(con, dataset, of)
                    contract = DATASETS[dataset]
                    tables = {contract.relation(title.name): contract.partition_column}
                    for table, column in {**tables, **found.models}.items():
                        con.execute(
                            f"delete from {table} where {column} in (select unnest(?::date[]))",
                            [sorted(of)],
                        )
            # readers must not be led to files that are about to go
            publish_loaded(con, ledger, views=True)
        digests = {dataset: ledger.loaded_digests(con, dataset) for dataset in found.datasets}
        pruned = ledger.pruned(con)
    # also what an earlier command did not get to
    return [
        Pruned(
            dataset,
            tuple(of),
            sum(of.values()),
            sum(
                prune_partition(title.name, dataset, day, digests[dataset][day])
                for day in sorted(pruned.get(dataset, ()))
            ),
            max(pruned.get(dataset, ()), default=None),
        )
        for dataset, of in gone.items()
    ], found


def _loaded_before(
    con: duckdb.DuckDBPyConnection, title: Title, dataset: str, before: date
) -> dict[date, int]:
    """The days before ``before`` with loaded rows of the dataset, each with their number."""
    found = con.execute(
        f"select partition_date, rows from {title_ledger(title.name).loaded_table}"
        " where dataset = ? and partition_date < ? and rows > 0 and source <> 'pruned' order by 1",
        [dataset, before],
    )
    return dict(found.fetchall())


def _require_built(
    con: duckdb.DuckDBPyConnection,
    title: Title,
    translator: TitleTranslator,
    manifest: Node,
    days: list[date],
) -> None:
    """Raises PruneError where one of the days is not built from what is made of it now, and by
    today's definitions."""
    models, ledger = translator.models(manifest), title_ledger(title.name)
    run = f"sprint run --title {title.name}"
    standing = ledger.standing(con, models, (days[0], days[-1] + timedelta(days=1)))
    behind = {date.fromisoformat(day) for day in standing.unbuilt}
    for dataset in DAILY:
        loaded = ledger.loaded_digests(con, dataset, days[0], days[-1] + timedelta(days=1))
        behind |= {day for day in days if _made_since(title, dataset, day, loaded.get(day))}
    if title.lands:
        behind |= set(unbuilt_days(con, title, models))
    if behind := behind & set(days):
        mend = f"sprint land --title {title.name}" if title.lands else f"{run} --missing"
        raise PruneError(
            f"{title.name}: {described(sorted(behind))} cannot be pruned, as they are not built"
            f" from what is there now: {mend} first"
        )
    stale = sorted({date.fromisoformat(day) for day in standing.stale} & set(days))
    if stale:
        raise PruneError(
            f"{title.name}: {described(stale)} cannot be pruned, as they were built by another"
            f" definition than today's and never would be again: {run} --stale first"
        )


def _made_since(title: Title, dataset: str, day: date, loaded: str | None) -> bool:
    """Whether the partition's files hold other records than were loaded."""
    try:
        manifest = read_manifest(title.name, dataset, day)
    except PartitionError:  # it is damaged, and its rows are loaded
        return False
    return manifest is not None and manifest.digest != loaded
