"""What is done to a data folder while a process dies or a call fails: commands, and what is there
before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from sprint_platform_tests.chaos import forks
from sprint_platform_tests.chaos.place import Place
from sprint_platform_tests.small_titles import small_title

if TYPE_CHECKING:
    from sprint_platform.orchestration.runs import GraphRun

# Runs a command of `sprint`, or a function, in a fork; it must succeed.
Do = Callable[..., None]

POCKET = small_title("pocket", 30, seed=15)
FAULTS = """\
faults: {late: 0.05, late_days: 2, duplicate: 0.04, dropped: 0.02, out_of_order: 0.02,
  malformed: 0.02, null_session_end: 0.02, overlapping_session: 0.02, negative_amount: 0.02,
  clock_skew: 0.01, format: csv}
"""
DAYS = ("--from", "2025-01-02", "--to", "2025-01-04")
TO = ("--to", "2025-01-03")
BATCH = ("--batch", "1", "--players", "30", "--max-sessions", "3")
STORE = ("--customers", "40", "--products", "12", "--orders", "60", "--days", "30", "--title", "")


@dataclass(frozen=True)
class Scenario:
    """``commands``, of `sprint` or functions, run one after another in a folder that ``prepare``
    filled. With ``history``, Dagster's events go into its SQLite files, and only calls on these are
    points. A ``cheap`` one, without dbt, is swept whole first."""

    name: str
    what: str
    prepare: Callable[[Place, Do], None]
    commands: tuple[tuple[str, ...] | Callable[[], None], ...]
    history: bool = False
    cheap: bool = False


def _title(place: Place, text: str, name: str) -> Path:
    path = place.work / "titles" / f"{name}.yaml"
    path.write_text(text.replace("name: pocket", f"name: {name}"), encoding="utf-8")
    return path


def _run_of_days(place: Place, do: Do) -> None:
    _title(place, POCKET, "pocket")
    do("run", "--title", "pocket", "--from", "2025-01-01", "--to", "2025-01-03", "--regenerate")
    # the same players, in longer sessions and with other purchases: old and new rows differ
    longer = POCKET.replace("typical_seconds: 360", "typical_seconds: 480")
    _title(place, longer.replace("price: [1, 10]", "price: [2, 12]"), "pocket")


def _delivered(place: Place, do: Do) -> None:
    _title(place, POCKET + FAULTS, "muddy")
    do("run", "--title", "muddy", "--from", "2025-01-01", "--to", "2025-01-02")
    do(lambda: _deliver(date(2025, 1, 3), date(2025, 1, 4)))


def _deliver(*days: date) -> None:
    from sprint_platform.operations.deliver import deliver
    from sprint_platform.title import Title

    for day in days:
        deliver(Title.load("muddy"), day)


def _lost_database(place: Place, do: Do) -> None:
    _run_of_days(place, do)
    (place.data / "sprint.duckdb").unlink()


def _replaced_rows(place: Place, do: Do) -> None:
    _run_of_days(place, do)
    do("run", "--title", "pocket", *DAYS, "--regenerate")


def _batch(place: Place, do: Do) -> None:
    do("eventlog", "generate", *BATCH, "--seed", "1")
    do("eventlog", "build", "--batch", "1")


def _store(place: Place, do: Do) -> None:
    do("storefront", "generate", *STORE, "--seed", "1", *TO, "--load")
    do("storefront", "build")


SCENARIOS = (
    Scenario(
        "run",
        "a run of 3 days: two that are there with other rows, and a new one",
        _run_of_days,
        (("run", "--title", "pocket", *DAYS, "--regenerate"),),
    ),
    Scenario(
        "history",
        "the same run, at the calls on Dagster's history (the others run without it)",
        _run_of_days,
        (("run", "--title", "pocket", *DAYS, "--regenerate"),),
        history=True,
    ),
    Scenario(
        "landing",
        "a landing of a title with faults: two days' files, with late records of the days before",
        _delivered,
        (("land", "--title", "muddy"),),
    ),
    Scenario(
        "batch",
        "a batch of the event log in place of the same batch of another seed, and its models",
        _batch,
        (("eventlog", "generate", *BATCH, "--seed", "2"), ("eventlog", "build", "--batch", "1")),
    ),
    Scenario(
        "store",
        "three more days of the store, loaded into DuckDB, and its models",
        _store,
        (
            ("storefront", "generate", "--from", "2025-01-04", "--to", "2025-01-06", "--load"),
            ("storefront", "build"),
        ),
    ),
    Scenario(
        "other-store",
        "another store in the place of one, loaded into DuckDB, and its models",
        _store,
        (
            ("storefront", "generate", *STORE, "--seed", "2", *TO, "--load", "--replace"),
            ("storefront", "build"),
        ),
    ),
    Scenario(
        "repair",
        "a repair of a database that was lost",
        _lost_database,
        (("repair",),),
    ),
    Scenario(
        "compact",
        "a compaction of a database in which a run replaced the rows of two days",
        _replaced_rows,
        (("compact",),),
        cheap=True,
    ),
)


def _days_alone() -> None:
    """Makes and loads days without dbt, as the steps of a run do."""
    import dagster as dg

    from sprint_platform.orchestration.build import build_definitions
    from sprint_platform.orchestration.run_tags import range_tags, title_tags
    from sprint_platform.orchestration.runs import materialize
    from sprint_platform.telemetry.contracts import DAILY
    from sprint_platform.title import Title

    keys = [dg.AssetKey(["pocket", dataset]) for dataset in DAILY]
    tags = {**title_tags("pocket"), **range_tags(date(2025, 1, 2), date(2025, 1, 3))}
    definitions = build_definitions([Title.load("pocket")])
    _must_succeed(materialize(definitions, "pocket_days", dg.AssetSelection.assets(*keys), tags))


def _files_alone() -> None:
    """Lands files, and builds no day."""
    from sprint_platform.orchestration.runs import land_files
    from sprint_platform.title import Title

    _must_succeed(land_files(Title.load("muddy"))[0])


def _must_succeed(ended: GraphRun) -> None:
    from sprint_platform.cli.terminal import Stop

    if not ended.success:
        raise Stop("; ".join(ended.failures))


def _made_before(place: Place, do: Do) -> None:
    _title(place, POCKET, "pocket")
    do(_added(_days_alone))
    _title(place, POCKET.replace("typical_seconds: 360", "typical_seconds: 480"), "pocket")


def _landed_before(place: Place, do: Do) -> None:
    _title(place, POCKET + FAULTS, "muddy")
    do(lambda: _deliver(date(2025, 1, 1), date(2025, 1, 2)))
    do(_added(_files_alone))
    do(lambda: _deliver(date(2025, 1, 3)))


# What the tests have the time for: without dbt.
SHORT = (
    Scenario(
        "days", "two days are made again and loaded", _made_before, (_days_alone,), cheap=True
    ),
    Scenario(
        "files", "a day's files with faults are landed", _landed_before, (_files_alone,), cheap=True
    ),
)


def run(scenario: Scenario) -> Callable[[], None]:
    """The scenario's commands, as the task of one fork: the first that fails ends it."""

    def commands() -> None:
        for command in scenario.commands:
            try:
                forks.sprint(*([_added(command)] if callable(command) else command))()
            except SystemExit as end:
                if end.code not in (0, None):
                    raise

    return commands


def _added(function: Callable[[], None]) -> str:
    """The name of a command of `sprint` that runs the function: its errors end as a command's."""
    from sprint_platform.cli.app import app

    name = function.__name__.strip("_").replace("_", "-")
    app.command(name)(function)
    return name
