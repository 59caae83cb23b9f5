"""Half a year of a small game to learn and try models on: simulated, loaded without heartbeats, and
built by week, in the data folder that the settings name. For a notebook and for tests: what is
there of a title of that name is not asked, so take a folder of its own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import duckdb
import pyarrow as pa

from sprint_platform.core.errors import SprintError
from sprint_platform.core.window import Window
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.simulation.world import World
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform.transform.dbt_runner import (
    dbt_environment,
    dbt_result_in_duckdb,
    failure_line,
    project_arguments,
)

LAUNCH = date(2025, 1, 6)  # a Monday
# A table takes many days as fast as one.
_DAYS_AT_ONCE = 28
# What the weekly marts are made of.
_READ = ("dim_players", "signons", "sessions", "transactions")
# More players pay than in a real game, so that few thousand are enough to learn from.
_SPENDING = {
    "clusters": {
        "none": {"share": 0.8},
        "minnow": {"share": 0.17, "chance": 0.11, "purchases": [1, 1], "price": [0, 40]},
        "whale": {"share": 0.03, "chance": 0.12, "purchases": [1, 2], "price": [1, 40]},
    },
    "spread": 1.0,
    "causes": 1,
    "pass_share": 0.02,
    "pass_within_days": 14,
}


class PracticeError(SprintError):
    """What was to be built for practice could not be. The message is one line."""


def practice_title(active_players: int = 300, seed: int = 5) -> Title:
    """The shipped title with about so many active players a day from its launch on: in 26 weeks
    some fifteen times as many play."""
    settings = Title.load("sprint").model_dump()
    settings |= {"launch_date": LAUNCH, "seed": seed}
    settings["simulation"]["growth"] = {"kind": "steady", "active_players": active_players}
    settings["simulation"]["spending"] = _SPENDING
    return Title.model_validate(settings)


def days_of_weeks(weeks: int, first: date = LAUNCH) -> list[date]:
    """The days of so many weeks."""
    return [first + timedelta(days=n) for n in range(7 * weeks)]


def load_days(con: duckdb.DuckDBPyConnection, world: World, days: Iterable[date]) -> None:
    """Fills the raw tables and the ledger with these days, which must not be there yet."""
    title = world.title.name
    ensure_title_schemas(con, title)
    ledger = title_ledger(title)
    ledger.ensure(con)
    days = list(days)
    for start in range(0, len(days), _DAYS_AT_ONCE):
        some = days[start : start + _DAYS_AT_ONCE]
        tables: dict[str, list[pa.Table]] = {name: [] for name in _READ}
        for day in some:
            for name, found in tables.items():
                column = DATASETS[name].partition_column
                for records in getattr(world, name)(day):
                    dates = pa.repeat(pa.scalar(day, pa.date32()), len(records))
                    found.append(records.append_column(column, dates))
        for name, found in tables.items():
            if found:
                con.register("records", pa.concat_tables(found))
                con.execute(f"insert into {DATASETS[name].relation(title)} by name from records")
                con.unregister("records")
            con.execute(
                f"insert into {ledger.loaded_table} (dataset, partition_date, digest, rows, source)"
                " select ?, unnest(?::date[]), 'practice', 0, 'practice'",
                [name, some],
            )


def build_weeks(title: Title, window: Window | None = None, *, tests: bool = True) -> None:
    """dbt's build of the weekly marts, of everything without a window. Raises PracticeError."""
    result = dbt_result_in_duckdb(
        [
            "build" if tests else "run",
            *project_arguments(title.name),
            *("--quiet", "--no-use-colors", "--no-write-json", "--select", "tag:title_ml"),
        ],
        dbt_environment(title, window),
    )
    if line := failure_line(title.name, result):
        raise PracticeError(line)
