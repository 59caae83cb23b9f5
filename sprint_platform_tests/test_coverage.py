"""Which days are missing, by the ledgers' published copies, and what `sprint doctor` says of it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from sprint_platform.cli.coverage_report import coverage_rows
from sprint_platform.eventlog.warehouse import LEDGER as EVENTLOG
from sprint_platform.publish.coverage import coverage, title_coverage
from sprint_platform.storage.ledger import Ledger, Standing, title_ledger
from sprint_platform.storefront.duckdb_target import LEDGER as STORE
from sprint_platform.title import Title

FIRST = date(2025, 1, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number - 1)


def publish_ledger(ledger: Ledger, built: list[str], unbuilt: list[str]) -> None:
    """Publishes a ledger in which these periods are loaded, and one model was built of some."""
    with duckdb.connect() as con:
        ledger.ensure(con)
        for period in [*built, *unbuilt]:
            table, rest = ledger.loaded_table, "" if ledger.batches else ", 1, '', null"
            con.execute(f"insert into {table} values ('sessions', ?, 'd'{rest})", [period])
        for period in built:
            con.execute(
                f"insert into {ledger.schema}.built_from"
                " values ('mart', 'sessions', ?, 'd', '', '', true)",
                [period],
            )
        ledger.publish(con, {})


@pytest.fixture
def studio(titles_folder: Path) -> Title:
    (titles_folder / "studio.yaml").write_text(
        "name: studio\nlaunch_date: 2025-01-01\nseed: 0\nsource: landing\n"
        "encounters: {distance: 50, gap_seconds: 180}\n"
    )
    return Title.load("studio")


def test_a_gap_lies_between_built_days_and_the_rest_after_them() -> None:
    standing = Standing(("2024-12-30", "2025-01-02", "2025-01-05"), (), (), frozenset())
    found = coverage(standing, FIRST, day(7), "command")
    # days before the first are players' who signed up before the launch
    assert found.built == (day(2), day(5))
    assert found.gaps == (day(1), day(3), day(4))
    assert found.tail == (day(6), day(7))
    # today may be built by hand: yesterday is the last that is asked for
    assert coverage(standing, FIRST, day(4), "command").tail == ()


def test_a_day_that_one_model_is_behind_is_missing(data_folder: Path) -> None:
    sprint = Title.load("sprint")
    assert title_coverage(sprint, day(4)) is None
    publish_ledger(title_ledger("sprint"), ["2025-01-01", "2025-01-03"], ["2025-01-02"])
    found = title_coverage(sprint, day(4))
    assert found is not None
    assert (found.gaps, found.tail) == ((day(2),), (day(4),))
    assert found.command == "sprint run --title sprint --missing"


def test_a_studios_day_without_files_is_not_missing(data_folder: Path, studio: Title) -> None:
    publish_ledger(title_ledger("studio"), ["2025-01-01", "2025-01-09"], ["2024-12-30"])
    found = title_coverage(studio, day(20))
    assert found is not None
    # a player who signed up before the launch is of the launch day, which is behind for that
    assert (found.built, found.gaps, found.tail) == ((day(9),), (day(1),), ())
    assert found.command == "sprint land --title studio"


def test_doctor_says_what_is_missing_and_what_builds_it(data_folder: Path) -> None:
    sprint, leap = Title.load("sprint"), Title.load("leap")
    assert list(coverage_rows([sprint, leap])) == []
    # as after the demo and the schedule's first tick
    demo = [str(day(number)) for number in range(1, 8)]
    publish_ledger(title_ledger("sprint"), [*demo, "2025-02-01"], [])
    publish_ledger(STORE, ["2025-01-01", "2025-01-02"], ["2025-01-03"])
    publish_ledger(EVENTLOG, ["1"], ["2", "10"])
    rows = dict(coverage_rows([sprint, leap]))
    built, gap, rest, outdated = rows["days of sprint"].splitlines()
    assert outdated == "8 made by another version of it: sprint run --title sprint --stale"
    assert built == "8 built, 2025-01-01 to 2025-02-01"
    fills = "sprint run --title sprint --missing --to 2025-01-31"
    assert gap == f"24 missing, 2025-01-08 to 2025-01-31: {fills}"
    assert re.match(r"[\d,]+ not built yet, 2025-02-02 to .*: sprint run --title sprint", rest)
    assert rows["days of the store"].splitlines() == [
        "2 built, 2025-01-01 to 2025-01-02",
        "1 not built yet, 2025-01-03: sprint storefront build",
    ]
    assert rows["batches of the event log"].splitlines() == [
        "1 built",
        "loaded and not built: 2, 10: sprint eventlog build",
    ]
    assert "days of leap" not in rows


def test_a_day_of_the_store_that_was_never_loaded_is_loaded_first(data_folder: Path) -> None:
    publish_ledger(STORE, ["2025-01-01", "2025-01-03"], [])
    ((_, reported),) = coverage_rows([])
    assert reported.splitlines()[1] == (
        "1 missing, 2025-01-02: sprint storefront generate --from 2025-01-02 --to 2025-01-02"
        " --load, then sprint storefront build"
    )
