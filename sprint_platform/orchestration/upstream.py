"""What a partition stands on, and a clear word when that is not there yet."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import duckdb

from sprint_platform.orchestration.window import Window, described
from sprint_platform.telemetry.partitions import PartitionError, read_manifest
from sprint_platform.title import Title
from sprint_platform.warehouse.load import loaded_digests

# What each dataset is made from, in the order in which they are made.
UPSTREAM: dict[str, tuple[str, ...]] = {
    "dim_players": (),
    "signons": ("dim_players",),
    "sessions": ("dim_players", "signons"),
    "heartbeats": ("sessions",),
    "transactions": ("dim_players",),
}


def upstream_datasets(title: Title, dataset: str) -> tuple[str, ...]:
    """The datasets that this one is made from. Landed records are made from none; but what their
    checks compare them with is loaded first."""
    if not title.lands:
        return UPSTREAM[dataset]
    if dataset == "heartbeats":
        return ("sessions",)
    if dataset != "dim_players" and "dim_players" in title.landing_settings.datasets:
        return ("dim_players",)
    return ()


def with_downstream(dataset: str) -> list[str]:
    """The dataset of a simulated title and those that are made from it, in the graph's order."""
    found = [dataset]
    for name, upstream in UPSTREAM.items():
        if name not in found and any(parent in found for parent in upstream):
            found.append(name)
    return found


def require(title: Title, table: str, datasets: Iterable[str], window: Window) -> None:
    """Raises PartitionError, naming what to materialize first, when partitions of the datasets that
    the title's table stands on in the window are missing, or come from another version of the
    title. Of a landed title nothing is missing: a day without files is an empty one."""
    if title.lands:
        return
    for dataset in datasets:
        missing = missing_days(title, dataset, needed_days(title, dataset, window))
        if missing:
            asset = f"{title.name}/{dataset}"
            last = "" if len(missing) == 1 else f"...{missing[-1]}"
            stale = read_manifest(title.name, dataset, missing[0]) is not None
            why = f", which is there from another version of {title.name}" if stale else ""
            raise PartitionError(
                f"{title.name}/{table} for {window} needs {asset} for {described(missing)}{why}:"
                f" materialize {asset} for {missing[0]}{last} first"
            )


def require_loaded(
    con: duckdb.DuckDBPyConnection, title: Title, datasets: Iterable[str], window: Window
) -> None:
    """Raises PartitionError when the warehouse does not hold what the partition files of the window
    say: a run that was killed between the two would else build models from old rows, or none."""
    for dataset in datasets:
        loaded = loaded_digests(con, title.name, dataset)
        behind = []
        for day in needed_days(title, dataset, window):
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


def needed_days(title: Title, dataset: str, window: Window) -> list[date]:
    """The days of a dataset that a window downstream of it stands on: its own, and for players
    every sign-up day so far, or facts would name players that nobody knows."""
    if dataset == "dim_players" and not title.lands:
        return Window(title.launch_date, window.end).days
    return window.days


def missing_days(title: Title, dataset: str, days: Iterable[date]) -> list[date]:
    """Those of a simulated title's days that have no partition, or one from another version."""
    missing = []
    for day in days:
        manifest = read_manifest(title.name, dataset, day)
        # a simulated source begins with the title's fingerprint; the catalogue's may follow
        if manifest is None or not manifest.source.startswith(title.fingerprint):
            missing.append(day)
    return missing
