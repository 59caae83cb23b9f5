"""Which days of a title are to be built: those that are missing, behind what was landed, or built
by another definition than today's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import duckdb

from sprint_platform.core.locks import Kind, Lock
from sprint_platform.core.window import Window, described
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.operations.landed import landed_digests
from sprint_platform.places import data_dir
from sprint_platform.storage.digest import Digest
from sprint_platform.storage.ledger import Model, Standing, title_ledger
from sprint_platform.storage.partitions import made_days
from sprint_platform.telemetry.contracts import DAILY
from sprint_platform.title import Title

NOTHING = str(Digest())


def missing_days(title: Title, standing: Standing | None, last: date) -> list[date]:
    """The days from the launch to the ``last`` that the ledger does not have as built, ascending.
    Where nothing was published yet (None), the days without a partition of some dataset."""
    if standing is not None:
        built = {date.fromisoformat(day) for day in standing.built}
    else:
        built = set.intersection(*(made_days(title.name, dataset) for dataset in DAILY))
    days = Window(title.launch_date, last + timedelta(days=1)).days
    return [day for day in days if day not in built]


def stale_days(title: Title, standing: Standing) -> list[date]:
    """The days that were built by another definition than today's, ascending. Players who signed up
    before the launch belong to the launch day."""
    stale = (("dim_players", date.fromisoformat(day)) for day in standing.stale)
    return days_to_build(title, stale)


def outdated_days(title: Title, sources: Iterable[tuple[str, date, str]]) -> list[date]:
    """The days of a simulated title with a partition (dataset, day, source) that another version of
    it made (its YAML, or the simulation, was another one), ascending. Landed days have none."""
    if title.lands:
        return []
    # a simulated source begins with the title's fingerprint; the catalogue's may follow
    return days_to_build(
        title,
        (
            (dataset, day)
            for dataset, day, source in sources
            if dataset in DAILY and not source.startswith(title.fingerprint)
        ),
    )


def before_launch(title: Title, rows: Iterable[tuple[str, date, int]]) -> tuple[list[date], str]:
    """The days before the title's launch of which tables hold ``rows`` (dataset, day, how many),
    ascending, and a line that names them and what to do; ([], "") where there are none. There are
    some after ``launch_date`` was moved: the graph does not have such days any more, so that no run
    empties them. Players may have signed up before the launch."""
    outside = [
        (dataset, day, count)
        for dataset, day, count in rows
        if dataset in DAILY and dataset != "dim_players" and day < title.launch_date and count
    ]
    if not outside:
        return [], ""
    days = sorted({day for _, day, _ in outside})
    counts: Counter[str] = Counter()
    for dataset, _, count in outside:
        counts[dataset] += count
    held = ", ".join(f"{count:,} {dataset}" for dataset, count in sorted(counts.items()))
    return days, (
        f"{title.name}: outside since launch_date is {title.launch_date}, and still in tables and"
        f" marts: {described(days)} ({held}); set launch_date back, or leave them out of a"
        " database made anew: sprint repair --anew"
    )


def unbuilt_days(
    con: duckdb.DuckDBPyConnection, title: Title, models: Iterable[Model]
) -> list[date]:
    """The days with a landed partition that is not loaded, or with a model that was not built from
    what is loaded: after a landing, after a killed run, or in a new warehouse."""
    ensure_title_schemas(con, title.name)
    ledger = title_ledger(title.name)
    unbuilt = map(date.fromisoformat, ledger.standing(con, models).unbuilt)
    # before the launch there are only players
    changed = [("dim_players" if day < title.launch_date else "", day) for day in unbuilt]
    for dataset in DAILY:
        loaded = ledger.loaded_digests(con, dataset)
        landed = landed_digests(con, title.name, dataset)
        changed += [(dataset, day) for day in landed if loaded.get(day, NOTHING) != landed[day]]
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


def title_lock(title: Title) -> Lock:
    """The lock of a command that lands and builds the title; while it is held, the sensor requests
    nothing."""
    folder = data_dir() / "raw" / title.name
    return Lock(Kind.TITLE, folder / ".building.lock", f"title {title.name}")
