"""Half a year of a small game, and of a shop's purchases, to learn and try models on: loaded
without files, and built by week, in the data folder that the settings name. For a notebook and for
tests: what is there of a title of that name is not asked, so take a folder of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import duckdb
import pyarrow as pa

from sprint_platform.core.errors import SprintError
from sprint_platform.core.window import Window
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.simulation.world import World
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Encounters, Title
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


def practice_shop() -> Title:
    """A landed title of which nothing but purchases was delivered."""
    return Title(
        name="shop",
        launch_date=LAUNCH,
        seed=1,
        source="landing",
        encounters=Encounters(distance=50, gap_seconds=180),
    )


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


def load_purchases(
    con: duckdb.DuckDBPyConnection, title: Title, days: Sequence[date], customers: int = 3_000
) -> None:
    """Fills the title's purchases and the ledger with what customers bought on these days, which
    must not be there yet: each comes in the first half, buys every 3 to 40 days, and stops after at
    most 40 purchases."""
    ensure_title_schemas(con, title.name)
    ledger = title_ledger(title.name)
    ledger.ensure(con)
    con.execute(
        f"insert into {DATASETS['transactions'].relation(title.name)} (transaction_id, player_id,"
        " event_datetime, purchase_item, purchase_price, currency, is_recurring, transaction_type,"
        " event_date) select md5('t' || c || ' ' || n)::uuid, md5('c' || c)::uuid, day,"
        " 'SKU-' || (n % 5), 1 + hash(c * 1000 + n) % 30, 'USD', false,"
        " case when c % 3 = 0 then 'Skin' else 'Emote' end, day from (select c, n,"
        " ($first + ((hash(c) % $half) + n * (3 + hash(c + 7) % 38))::integer) as day"
        " from range($customers) customers(c), range(40) purchases(n)"
        " where n <= hash(c + 3) % 40) where day <= $last",
        {"first": days[0], "last": days[-1], "half": len(days) // 2, "customers": customers},
    )
    con.execute(
        f"insert into {ledger.loaded_table} (dataset, partition_date, digest, rows, source)"
        " select 'transactions', unnest(?::date[]), 'practice', 0, 'practice'",
        [list(days)],
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
