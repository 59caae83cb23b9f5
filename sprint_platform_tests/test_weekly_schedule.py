"""The weekly schedule: which weeks a tick asks for, and when it asks again.

The ticks are real, with an instance of their own; the runs they ask for are executed as they are
asked for, by a job whose one asset notes in the ledger what it built, or fails."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from sprint_platform.ml.names import FEATURES, PREDICTIONS
from sprint_platform.orchestration.policies import daily_partitions
from sprint_platform.orchestration.run_window import run_window
from sprint_platform.orchestration.schedules import build_weekly_schedule
from sprint_platform.places import published_dir
from sprint_platform.publish.coverage import title_coverage
from sprint_platform.storage.ledger import Ledger, Model, title_ledger
from sprint_platform.title import Title
from sprint_platform_tests.dbt_runs import landed_title
from sprint_platform_tests.test_schedules import days_of
from sprint_platform_tests.worlds import days_from

LAUNCH = date(2025, 1, 1)  # a Wednesday
DAILY = Model("mart", "now", frozenset({"sessions"}))
WEEKLY = Model(FEATURES, "now", frozenset({"sessions", "dim_players"}))


@dataclass
class Weeks:
    """A title's weekly schedule, its job and a Dagster of its own. ``broken`` says where a run
    fails: at "once", or when the weeks are "built"; else it predicts, unless it ``is_short``."""

    instance: dg.DagsterInstance
    title: Title
    broken: str = ""
    is_short: bool = False
    weekly: list[Model] = field(default_factory=lambda: [WEEKLY])

    def __post_init__(self) -> None:
        self.con = duckdb.connect()
        self.ledger: Ledger = title_ledger(self.title.name)
        self.ledger.ensure(self.con)

        @dg.asset(
            name="weeks",
            partitions_def=daily_partitions(LAUNCH),
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def weeks(context: dg.AssetExecutionContext) -> None:
            window = run_window(context)
            assert window is not None
            if self.broken == "once":
                raise dg.Failure("broken", allow_retries=False)
            self.note(self.weekly[0], window.days)
            if self.broken == "built":
                raise dg.Failure("broken", allow_retries=False)
            if not self.is_short:
                folder = published_dir() / self.title.name / PREDICTIONS
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{window.days[-1] - timedelta(days=6)}.parquet").touch()

        job = dg.define_asset_job("some_weekly", selection=[weeks])
        schedule = build_weekly_schedule(self.title, job, lambda: [DAILY], lambda: self.weekly)
        self.definitions = dg.Definitions(assets=[weeks], jobs=[job], schedules=[schedule])

    def days(self, days: list[date], digest: str = "d") -> None:
        """These days are loaded, and built by the daily models."""
        for day in days:
            for dataset in ("sessions", "dim_players"):
                self.con.execute(
                    f"insert or replace into {self.ledger.loaded_table}"
                    " (dataset, partition_date, digest, rows, source) values (?, ?, ?, 1, '')",
                    [dataset, day, digest],
                )
        self.note(DAILY, days)

    def note(self, model: Model, days: list[date]) -> None:
        """As dbt's post-hook does, then a publication."""
        notes = f"{self.ledger.schema}.built_from"
        self.con.execute(
            f"delete from {notes} where model = ? and period in (select unnest(?))",
            [model.name, list(map(str, days))],
        )
        self.con.execute(
            f"insert into {notes} select ?, dataset, partition_date::varchar, digest, ?, '', true"
            f" from {self.ledger.loaded_table} where partition_date in (select unnest(?::date[]))"
            " and dataset in (select unnest(?))",
            [model.name, model.definition, days, sorted(model.datasets)],
        )
        self.ledger.publish(self.con, {})

    def tick(self, day: str) -> str:
        """What the tick at 04:00 UTC of that day asks for, which then runs; or why nothing."""
        with dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=datetime.fromisoformat(f"{day}T04:00:00").replace(tzinfo=UTC),
            repository_def=self.definitions.get_repository_def(),
        ) as context:
            schedule = self.definitions.resolve_schedule_def("some_weekly_schedule")
            found = schedule.evaluate_tick(context)
        if not found.run_requests:
            return str(found.skip_message)
        [request] = found.run_requests
        self.definitions.resolve_job_def("some_weekly").execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags=request.tags,
            raise_on_error=False,
        )
        return days_of(request)


@pytest.fixture
def instance(data_folder: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def weeks(instance: dg.DagsterInstance) -> Weeks:
    title = Title.load("sprint").model_copy(update={"launch_date": LAUNCH})
    return Weeks(instance, title)


def test_a_week_is_asked_for_once_its_days_are_built_and_then_no_more(weeks: Weeks) -> None:
    weeks.days(days_from(LAUNCH, 11))
    # the daily run of Sunday is late
    assert weeks.tick("2025-01-13") == "sprint is not built up to 2025-01-12"
    weeks.days(days_from(LAUNCH, 12))
    assert weeks.tick("2025-01-14") == "2025-01-01 to 2025-01-12"
    assert weeks.tick("2025-01-15") == "every week of sprint is there up to 2025-01-12"
    weeks.days(days_from(LAUNCH, 19))
    assert weeks.tick("2025-01-20") == "2025-01-13 to 2025-01-19"
    # what is built weekly makes no day one that is behind
    covered = title_coverage(weeks.title, date(2025, 1, 19))
    assert covered is not None
    assert (len(covered.built), covered.missing) == (19, 0)


def test_a_run_that_failed_is_asked_for_again_but_not_without_end(weeks: Weeks) -> None:
    weeks.days(days_from(LAUNCH, 12))
    weeks.broken = "once"
    assert weeks.tick("2025-01-13") == "2025-01-01 to 2025-01-12"
    # the weeks are built, but no model
    weeks.broken = "built"
    assert weeks.tick("2025-01-14") == "2025-01-01 to 2025-01-12"
    assert weeks.tick("2025-01-15") == "2025-01-06 to 2025-01-12"
    assert weeks.tick("2025-01-16") == "3 runs of some_weekly failed one after the other"
    weeks.days(days_from(LAUNCH, 19))
    weeks.broken = ""
    assert weeks.tick("2025-01-20") == "2025-01-13 to 2025-01-19"
    assert weeks.tick("2025-01-21").startswith("every week of sprint is there")


def test_a_short_history_is_not_asked_for_again(weeks: Weeks) -> None:
    weeks.days(days_from(LAUNCH, 12))
    weeks.is_short = True
    assert weeks.tick("2025-01-13") == "2025-01-01 to 2025-01-12"
    assert "why nothing is predicted says the run's log" in weeks.tick("2025-01-14")


def test_weeks_before_a_hole_wait_for_those_after_it_and_are_asked_for_once(weeks: Weeks) -> None:
    weeks.days(days_from(LAUNCH, 8))
    weeks.days(days_from(date(2025, 1, 11), 9))
    assert weeks.tick("2025-01-20") == "2025-01-11 to 2025-01-19"
    assert weeks.tick("2025-01-21") == "2025-01-01 to 2025-01-08"
    assert weeks.tick("2025-01-22").startswith("every week of sprint is there")
    # the hole is filled
    weeks.days(days_from(date(2025, 1, 9), 2))
    assert weeks.tick("2025-01-23") == "2025-01-09 to 2025-01-19"


def test_weeks_whose_days_changed_are_made_again(weeks: Weeks) -> None:
    weeks.days(days_from(LAUNCH, 19))
    weeks.tick("2025-01-20")
    weeks.days([date(2025, 1, 7)], "other records")
    assert weeks.tick("2025-01-21") == "2025-01-07 to 2025-01-19"
    assert weeks.tick("2025-01-22").startswith("every week of sprint is there")
    # what was predicted before is no reason to leave out what failed since
    weeks.days([date(2025, 1, 14)], "other records")
    weeks.broken = "built"
    assert weeks.tick("2025-01-23") == "2025-01-14 to 2025-01-19"
    weeks.broken = ""
    assert weeks.tick("2025-01-24") == "2025-01-13 to 2025-01-19"
    assert weeks.tick("2025-01-25").startswith("every week of sprint is there")
    # and where another definition made them
    weeks.weekly = [Model(FEATURES, "another", WEEKLY.datasets)]
    assert weeks.tick("2025-01-26") == "2025-01-01 to 2025-01-19"


def test_days_that_a_studio_did_not_deliver_divide_nothing(instance: dg.DagsterInstance) -> None:
    weeks = Weeks(instance, landed_title("arena", 50, 180))
    weeks.days([LAUNCH, date(2025, 1, 9), date(2025, 1, 20)])
    assert weeks.tick("2025-01-20") == "2025-01-01 to 2025-01-19"
    assert weeks.tick("2025-01-21").startswith("every week of arena is there")
