"""Which days of a landed title are to be built: those whose models stand on other partitions than
what is landed now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import duckdb
from filelock import FileLock, Timeout

from sprint_platform.orchestration.window import Window
from sprint_platform.places import data_dir
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.telemetry.digest import Digest
from sprint_platform.telemetry.partitions import partition_days, read_manifest
from sprint_platform.title import Title
from sprint_platform.warehouse.load import ensure_title_schemas, loaded_digests

DAILY = [dataset.name for dataset in DATASETS.values() if dataset.partition_column]
NOTHING = str(Digest())


def record_built(con: duckdb.DuckDBPyConnection, title: Title, window: Window) -> None:
    """Notes from which partitions the window's models were built, all of them.

    What is loaded does not say so: a run may be killed between its load and its models."""
    _ensure_record(con, title)
    # sign-up days before the launch are loaded with the launch day
    early = date.min if window.start == title.launch_date else window.start
    con.execute(
        f"insert or replace into {_record(title)} select dataset, partition_date, digest"
        f" from {title.name}_raw.loaded_partitions where partition_date < ? and partition_date >="
        " case when dataset = 'dim_players' then cast(? as date) else cast(? as date) end",
        [window.end, early, window.start],
    )


def unbuilt_days(con: duckdb.DuckDBPyConnection, title: Title) -> list[date]:
    """The days of which a partition lies ready that is not loaded, or whose models were not built
    from it: after a landing, after a killed run, or in a new warehouse."""
    _ensure_record(con, title)
    changed = []
    for dataset in DAILY:
        built = dict(
            con.execute(
                f"select partition_date, digest from {_record(title)} where dataset = ?", [dataset]
            ).fetchall()
        )
        loaded = loaded_digests(con, title.name, dataset)
        for day in partition_days(title.name, dataset):
            manifest = read_manifest(title.name, dataset, day)
            digest = manifest.digest if manifest else NOTHING
            if {built.get(day, NOTHING), loaded.get(day, NOTHING)} != {digest}:
                changed.append((dataset, day))
    return days_to_build(title, changed)


def days_to_build(title: Title, changed: Iterable[tuple[str, date]]) -> list[date]:
    """The days to build when these partitions (dataset, day) change, ascending.

    Players who signed up before the launch are loaded with the launch day. Other days before the
    launch, and days to come, have no partition in the graph."""
    days = {
        max(day, title.launch_date) if dataset == "dim_players" else day for dataset, day in changed
    }
    return sorted(day for day in days if has_partition(title, day))


def has_partition(title: Title, day: date) -> bool:
    """Whether the graph has the day: from the launch to today (UTC)."""
    return title.launch_date <= day <= datetime.now(UTC).date()


def ranges(days: list[date]) -> list[Window]:
    """The days (ascending) as windows without gaps: each is one run."""
    found: list[Window] = []
    for day in days:
        end = day + timedelta(days=1)
        if found and found[-1].end == day:
            found[-1] = Window(found[-1].start, end)
        else:
            found.append(Window(day, end))
    return found


@contextmanager
def building(title: Title) -> Iterator[None]:
    """While a command lands and builds the title, its sensor requests nothing. The lock is the
    operating system's, and free when the process dies. Raises Timeout where another command is at
    it."""
    # a sensor that only asks holds it for an instant
    with _lock(title, timeout=2):
        yield


def is_building(title: Title) -> bool:
    """Whether a command is landing and building the title at the moment."""
    try:
        with _lock(title, timeout=0):
            return False
    except Timeout:
        return True


def _lock(title: Title, timeout: float) -> FileLock:
    folder = data_dir() / "raw" / title.name
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / ".building.lock", timeout=timeout)


def _record(title: Title) -> str:
    return f"{title.name}_raw.built_partitions"


def _ensure_record(con: duckdb.DuckDBPyConnection, title: Title) -> None:
    ensure_title_schemas(con, title.name)
    con.execute(
        f"create table if not exists {_record(title)} (dataset varchar not null,"
        " partition_date date not null, digest varchar not null,"
        " primary key (dataset, partition_date))"
    )
