"""What a partition is made from, and errors that name what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import duckdb

from sprint_platform.core.window import Window, described
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import PartitionError, read_manifest
from sprint_platform.telemetry.contracts import DAILY, DATASETS
from sprint_platform.title import Title


def upstream_datasets(title: Title, dataset: str) -> tuple[str, ...]:
    """The daily datasets that this one is made from. A landed one is made from none; but what its
    checks compare it with is loaded first: sessions, or the players that are delivered."""
    upstream = tuple(name for name in DATASETS[dataset].upstream if name in DAILY)
    if not title.lands or dataset == "heartbeats":
        return upstream
    delivered = title.landing_settings.datasets
    return tuple(name for name in upstream if name == "dim_players" and name in delivered)


def with_downstream(dataset: str) -> list[str]:
    """The dataset of a simulated title and those that are made from it, in the graph's order."""
    found = [dataset]
    for name, contract in DATASETS.items():
        if name not in found and any(parent in found for parent in contract.upstream):
            found.append(name)
    return found


def require(title: Title, table: str, datasets: Iterable[str], window: Window) -> None:
    """Raises PartitionError, naming what to materialize first, where partitions in the window of
    the datasets that the title's table is made from are missing, or come from another version of
    the title. A landed title has no missing ones: a day without files is an empty one.

    Players are needed of every day since the launch: ``require_players`` asks the ledger for the
    earlier ones, which is faster than a manifest for every day.
    """
    if title.lands:
        return
    for dataset in datasets:
        missing = missing_days(title, dataset, window.days)
        if missing:
            asset = f"{title.name}/{dataset}"
            last = "" if len(missing) == 1 else f"...{missing[-1]}"
            found, why = read_manifest(title.name, dataset, missing[0]), ""
            if found is not None:
                other = f"is there from another version of {title.name}"
                why = f", which {'was pruned' if found.pruned else other}"
            raise PartitionError(
                f"{title.name}/{table} for {window} needs {asset} for {described(missing)}{why}:"
                f" materialize {asset} for {missing[0]}{last} first"
            )


def require_players(
    con: duckdb.DuckDBPyConnection, title: Title, table: str, window: Window
) -> None:
    """Raises PartitionError where the warehouse does not hold the players of every day from the
    launch to the end of the window, as this version of the title has them: facts would name unknown
    players. A landed title has no missing players."""
    if title.lands:
        return
    if days := unloaded_players(con, title, window.end):
        asset = f"{title.name}/dim_players"
        last = "" if len(days) == 1 else f"...{days[-1]}"
        raise PartitionError(
            f"{title.name}/{table} for {window} needs {asset} for {described(days)}, which the"
            f" warehouse does not hold as this version of {title.name} has them: materialize"
            f" {asset} for {days[0]}{last} first"
        )


def unloaded_players(con: duckdb.DuckDBPyConnection, title: Title, end: date) -> list[date]:
    """The days from a simulated title's launch up to and without ``end`` whose players the
    warehouse does not hold, or holds as another version of the title had them."""
    found = con.execute(
        "select cast(day as date) from range(?, ?, interval 1 day) as days(day) where not exists"
        f" (select 1 from {title_ledger(title.name).loaded_table} where dataset = 'dim_players'"
        "  and partition_date = day and starts_with(source, ?)) order by day",
        [title.launch_date, end, title.fingerprint],
    )
    return [day for (day,) in found.fetchall()]


def require_loaded(
    con: duckdb.DuckDBPyConnection, title: Title, tables: Mapping[str, list[str]], window: Window
) -> None:
    """Raises PartitionError where the warehouse does not hold what the window's partition files
    say: after a run that was killed between the two, models would be built from old rows, or none.
    ``tables`` are the tables to be built, each with the datasets that it is built from."""
    ledger = title_ledger(title.name)
    needed = sorted({dataset for datasets in tables.values() for dataset in datasets})
    for dataset in needed:
        table = next(table for table, datasets in tables.items() if dataset in datasets)
        require(title, table, [dataset], window)
        if dataset == "dim_players":
            require_players(con, title, table, window)
        loaded = ledger.loaded_digests(con, dataset, window.start, window.end)
        behind = []
        for day in window.days:
            manifest = read_manifest(title.name, dataset, day)
            if manifest is not None and manifest.digest != loaded.get(day):
                behind.append(day)
        if behind:
            asset = f"{title.name}/{dataset}"
            last = "" if len(behind) == 1 else f"...{behind[-1]}"
            raise PartitionError(
                f"{asset} for {described(behind)} was made, but the warehouse has not loaded it:"
                f" materialize {asset} for {behind[0]}{last} again"
            )


def missing_days(title: Title, dataset: str, days: Iterable[date]) -> list[date]:
    """Those of a simulated title's days that have no partition, or one from another version."""
    missing = []
    for day in days:
        manifest = read_manifest(title.name, dataset, day)
        # a simulated source begins with the title's fingerprint; the catalogue's may follow
        if manifest is None or not manifest.source.startswith(title.fingerprint):
            missing.append(day)
    return missing
