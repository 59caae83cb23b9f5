"""The nightly schedules: which runs a tick asks for, and how failed days are tried again.

The ticks are real, with an instance of their own; the runs they ask for are executed as they are
asked for, by a job whose one asset notes in the ledger what it made, or fails."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

from sprint_platform.core.locks import hold
from sprint_platform.operations.catch_up import MOST_SECONDS
from sprint_platform.operations.days_to_build import title_lock
from sprint_platform.orchestration.policies import daily_partitions
from sprint_platform.orchestration.run_window import run_window
from sprint_platform.orchestration.schedules import (
    build_storefront_schedule,
    build_title_schedule,
)
from sprint_platform.simulation.estimates import estimate, run_seconds
from sprint_platform.storage.ledger import Ledger, Model, title_ledger
from sprint_platform.storefront.duckdb_target import LEDGER as STORE
from sprint_platform.title import Title
from sprint_platform_tests.worlds import crowd, days_from

LAUNCH = date(2025, 1, 1)
MART = Model("mart", "now", frozenset({"sessions"}))
DEMO = days_from(LAUNCH, 7)


@dataclass
class Nights:
    """A schedule, its job and a Dagster of its own. ``broken`` are days that fail."""

    instance: dg.DagsterInstance
    ledger: Ledger
    title: Title | None
    broken: set[date] = field(default_factory=set)
    models: list[Model] = field(default_factory=lambda: [MART])

    def __post_init__(self) -> None:
        self.con = duckdb.connect()
        self.ledger.ensure(self.con)

        @dg.asset(
            name="made",
            partitions_def=daily_partitions(LAUNCH),
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def made(context: dg.AssetExecutionContext) -> None:
            window = run_window(context)
            assert window is not None
            if self.broken.intersection(window.days):
                raise dg.Failure("a day is broken", allow_retries=False)
            self.build(window.days)

        job = dg.define_asset_job("some_daily", selection=[made])
        if self.title is None:
            schedule = build_storefront_schedule(job, LAUNCH, lambda: self.models)
        else:
            schedule = build_title_schedule(self.title, job, lambda: self.models)
        self.definitions = dg.Definitions(assets=[made], jobs=[job], schedules=[schedule])

    def build(self, days: list[date], built: bool = True) -> None:
        """Notes and publishes that the days are loaded and, unless not, that all was built."""
        for day in days:
            self.con.execute(
                f"insert or replace into {self.ledger.loaded_table}"
                " (dataset, partition_date, digest, rows, source)"
                " values ('sessions', ?, 'd', 1, '')",
                [day],
            )
            if built:
                self.con.execute(
                    f"insert into {self.ledger.schema}.built_from values"
                    " ('mart', 'sessions', ?, 'd', 'now', '', true)",
                    [str(day)],
                )
        self.ledger.publish(self.con, {})

    def tick(self, day: str) -> list[dg.RunRequest] | str:
        """What the tick at 02:00 UTC of that day asks for, or why it asks for nothing."""
        with dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=datetime.fromisoformat(f"{day}T02:00:00").replace(tzinfo=UTC),
            repository_def=self.definitions.get_repository_def(),
        ) as context:
            schedule = self.definitions.resolve_schedule_def("some_daily_schedule")
            found = schedule.evaluate_tick(context)
        return found.run_requests or str(found.skip_message)

    def asked(self, day: str) -> list[str] | str:
        """The same as texts: a day, or the first and last of a range."""
        found = self.tick(day)
        return found if isinstance(found, str) else [days_of(request) for request in found]

    def night(self, day: str) -> list[str] | str:
        """A tick, and the runs it asks for; returns what was asked for."""
        found = self.tick(day)
        if isinstance(found, str):
            return found
        job = self.definitions.resolve_job_def("some_daily")
        for request in found:
            job.execute_in_process(
                instance=self.instance,
                partition_key=request.partition_key,
                tags=request.tags,
                raise_on_error=False,
            )
        return [days_of(request) for request in found]


def days_of(request: dg.RunRequest) -> str:
    if request.partition_key:
        return request.partition_key
    tags = request.tags
    first, last = (tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
    assert tags["sprint/days"] == f"{first} to {last}"
    return f"{first} to {last}"


@pytest.fixture
def instance(data_folder: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def nights(instance: dg.DagsterInstance) -> Nights:
    title = Title.load("sprint")
    return Nights(instance, title_ledger(title.name), title)


@pytest.fixture
def store_nights(instance: dg.DagsterInstance) -> Nights:
    return Nights(instance, STORE, None)


def test_the_day_that_has_just_begun_is_not_made_and_yesterday_is(nights: Nights) -> None:
    nights.build(DEMO)
    assert nights.night("2025-01-09") == ["2025-01-08"]
    assert nights.asked("2025-01-09") == "every day of sprint is built up to yesterday"
    assert nights.night("2025-01-10") == ["2025-01-09"]


def test_what_a_demo_leaves_is_caught_up_in_runs_of_so_many_days(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.build(DEMO)
    assert nights.asked("2026-11-30") == ["2025-01-08 to 2026-02-11"]
    monkeypatch.setenv("SPRINT_CATCH_UP_DAYS", "5")
    assert nights.night("2025-01-16") == ["2025-01-08 to 2025-01-12"]
    assert nights.night("2025-01-17") == ["2025-01-13 to 2025-01-16"]


def test_in_a_new_folder_everything_since_the_launch_is_missing(nights: Nights) -> None:
    assert nights.asked("2025-01-04") == ["2025-01-01 to 2025-01-03"]
    # it launches today: no day is over
    assert nights.asked("2025-01-01") == "every day of sprint is built up to yesterday"


def test_a_hole_is_filled_before_later_days(nights: Nights) -> None:
    nights.build([*DEMO, date(2025, 1, 12)])
    # loaded, and not built
    nights.build([date(2025, 1, 10)], built=False)
    assert nights.night("2025-01-16") == ["2025-01-08 to 2025-01-11"]
    assert nights.night("2025-01-17") == ["2025-01-13 to 2025-01-16"]


def test_days_that_were_built_by_another_definition_are_no_hole(nights: Nights) -> None:
    nights.build(DEMO)
    nights.models = [Model("mart", "another", MART.datasets)]
    assert nights.asked("2025-01-08") == "every day of sprint is built up to yesterday"


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED])
def test_nothing_is_asked_for_while_a_run_of_the_job_goes_on(
    nights: Nights, status: dg.DagsterRunStatus
) -> None:
    here = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "repository")
    run = nights.instance.create_run_for_job(
        nights.definitions.resolve_job_def("some_daily"),
        status=status,
        remote_job_origin=here.get_job_origin("some_daily"),
    )
    assert nights.asked("2025-01-09") == "a run of some_daily is queued or running"
    nights.instance.delete_run(run.run_id)
    assert nights.asked("2025-01-09") == ["2025-01-01 to 2025-01-08"]


def test_nothing_is_asked_for_while_a_command_builds_the_title(nights: Nights) -> None:
    with hold(title_lock(Title.load("sprint")), "sprint run --missing"):
        assert "sprint is being built by sprint run --missing" in nights.asked("2025-01-09")


def test_after_a_range_that_failed_each_day_runs_alone_and_a_bad_one_stops_no_other(
    nights: Nights,
) -> None:
    nights.broken = {date(2025, 1, 3)}
    assert nights.night("2025-01-06") == ["2025-01-01 to 2025-01-05"]
    alone = ["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04", "2025-01-05"]
    assert nights.night("2025-01-07") == alone
    assert nights.night("2025-01-08") == ["2025-01-03"]
    assert nights.night("2025-01-09") == ["2025-01-03"]
    # it failed three times: the others go on, together where there are several
    assert nights.night("2025-01-10") == ["2025-01-06 to 2025-01-09"]
    reported = nights.asked("2025-01-10")
    assert "2025-01-03: 3 runs of some_daily failed" in reported
    assert "sprint run --title sprint --missing" in reported
    assert nights.night("2025-01-11") == ["2025-01-10"]


def test_days_that_did_not_fail_are_not_taken_alone_with_those_that_did(nights: Nights) -> None:
    nights.broken = {date(2025, 1, 2)}
    assert nights.night("2025-01-03") == ["2025-01-01 to 2025-01-02"]
    nights.broken = set()
    assert nights.night("2025-01-06") == ["2025-01-01", "2025-01-02"]
    assert nights.night("2025-01-06") == ["2025-01-03 to 2025-01-05"]
    # all is well again: a day that is behind later is one among others
    nights.con.execute("delete from sprint_raw.built_from where period <= '2025-01-03'")
    nights.ledger.publish(nights.con, {})
    assert nights.asked("2025-01-06") == ["2025-01-01 to 2025-01-03"]


def test_a_run_is_no_longer_than_two_hours(instance: dg.DagsterInstance) -> None:
    title = crowd(5_000_000)
    nights = Nights(instance, title_ledger("sprint"), title)
    [asked] = nights.asked("2026-01-01")
    last = date.fromisoformat(asked.removeprefix("2025-01-01 to "))

    def seconds(last: date) -> float:
        days = days_from(LAUNCH, (last - LAUNCH).days + 1)
        return run_seconds(estimate(title, days), len(days))

    assert seconds(last) <= MOST_SECONDS < seconds(last + timedelta(days=1))
    # one day that takes longer is made nevertheless
    huge = Nights(instance, title_ledger("sprint"), crowd(500_000_000))
    assert huge.asked("2026-01-01") == ["2025-01-01"]


def test_the_store_goes_on_from_its_first_loaded_day(store_nights: Nights) -> None:
    assert store_nights.asked("2025-01-04") == ["2025-01-01 to 2025-01-03"]
    # a store that opens later than the settings say, as `generate --start` makes one
    store_nights.build([date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 5)])
    assert store_nights.night("2025-03-08") == ["2025-03-03 to 2025-03-04"]
    assert store_nights.night("2025-03-08") == ["2025-03-06 to 2025-03-07"]
    assert store_nights.asked("2025-03-08") == "every day of the store is built up to yesterday"
