"""A title's months for the models of `sprint_platform.ml`: records of a simulated game without its
heartbeats, in a data folder of their own, and the weekly marts that dbt builds of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import duckdb

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
from sprint_platform_tests.worlds import title_like

# What the weekly marts are made of.
READ = ("dim_players", "signons", "sessions", "transactions")
LAUNCH = date(2025, 1, 6)  # a Monday
# more of them pay than in a real game, so that few thousand players are enough to learn from
PAYING = {
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


def game(active_players: int, seed: int = 5) -> Title:
    """A title of about so many active players a day from its launch on."""
    growth = {"kind": "steady", "active_players": active_players}
    return title_like(
        "sprint",
        launch_date=LAUNCH,
        seed=seed,
        simulation__growth=growth,
        simulation__spending=PAYING,
    )


def days_of_weeks(weeks: int, first: date = LAUNCH) -> list[date]:
    return [first + timedelta(days=n) for n in range(7 * weeks)]


def load_days(con: duckdb.DuckDBPyConnection, world: World, days: Iterable[date]) -> None:
    """Fills the raw tables and the ledger with these days, which are not there yet."""
    title = world.title
    ensure_title_schemas(con, title.name)
    title_ledger(title.name).ensure(con)
    for day in days:
        for name in READ:
            contract = DATASETS[name]
            for records in getattr(world, name)(day):
                con.register("records", records)
                columns = ", ".join(records.column_names)
                con.execute(
                    f"insert into {contract.relation(title.name)}"
                    f" ({columns}, {contract.partition_column}) select *, ? from records",
                    [day],
                )
                con.unregister("records")
            con.execute(
                f"insert into {title_ledger(title.name).loaded_table}"
                " (dataset, partition_date, digest, rows, source) values (?, ?, 'd', 0, 'test')",
                [name, day],
            )


def build_weeks(title: Title, window: Window | None = None, *, tests: bool = True) -> None:
    """dbt's build of the weekly marts in the data folder that the environment names."""
    result = dbt_result_in_duckdb(
        [
            "build" if tests else "run",
            *project_arguments(title.name),
            *("--quiet", "--no-use-colors", "--no-write-json", "--select", "tag:title_ml"),
        ],
        dbt_environment(title, window),
    )
    line = failure_line(title.name, result)
    assert line is None, line


def database(folder: Path) -> Path:
    return folder / "sprint.duckdb"
