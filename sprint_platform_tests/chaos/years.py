"""Years of use in some minutes: scheduled days in a loop, and days that are made again and again.

What must not grow is measured: time and memory a day, the database that holds the same rows, files
that nobody reads. What grows with the days (rows, Dagster's history) is named with its rate.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

import dagster as dg
import duckdb
import pytest
from rich.filesize import decimal as bytes_as_text

from sprint_platform.operations.compact import compact_all
from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.pruning import prune
from sprint_platform.orchestration.runs import run_graph
from sprint_platform.places import dagster_config, dagster_home, data_dir, database_path
from sprint_platform.publish.views import LINKS
from sprint_platform.title import Title
from sprint_platform_tests.chaos.report import Report
from sprint_platform_tests.small_titles import small_title

LAUNCH = date(2025, 1, 1)
SCHEDULED_DAYS = 60
AGAIN_DAYS, AGAIN_TIMES = 10, 20
# Of the time: the rest is for the runs that make days again.
SCHEDULED_SHARE = 0.6
# The first runs parse and import; from then on a run is compared with the others.
WARM_UP = 5
PLACES = ("database", "partition files", "published", "dbt", "spill files", "Dagster's home")
# What grows with the runs, not with the rows.
GROWS = {
    "dbt": ": its log, which dbt rotates at 10 MB",
    "Dagster's home": ": each run's events, until somebody deletes the run",
}
PRUNED_TABLES = {
    "years_raw.event_heartbeat",
    "years_raw.loaded_partitions",
    "years_stage.stage_centroids",
}


@dataclass(frozen=True)
class Measured:
    """After a run: how long it took, the process's memory, and the bytes and files by place."""

    seconds: float
    memory: int
    bytes: dict[str, int]
    files: dict[str, int]


def run(seed: int, minutes: float, report: Report) -> int:
    """Runs both loops in a folder of their own, and reports what grows. Returns the number of
    findings: what grew and should not have."""
    until = time.monotonic() + minutes * 60
    with _project(seed) as title:
        began = time.monotonic()
        scheduled = _scheduled(title, began + minutes * 60 * SCHEDULED_SHARE)
        days = len(scheduled)
        report(
            f"{days} scheduled days, a run each, in {time.monotonic() - began:.0f} s"
            + ("" if days == SCHEDULED_DAYS else f" (of {SCHEDULED_DAYS}: the time was up)")
        )
        _table(report, "day", scheduled)
        before = _content()
        again = _again(title, min(AGAIN_DAYS, days), until - 60)
        report(
            f"The first {min(AGAIN_DAYS, days)} days made again {len(again)} times, a run each time"
            + ("" if len(again) == AGAIN_TIMES else f" (of {AGAIN_TIMES}: the time was up)")
        )
        _table(report, "time", again)
        findings = [*_grown("scheduled days", scheduled, rows_grow=True)]
        findings += _grown("days made again", again, rows_grow=False)
        if _content() != before:
            findings.append("days that were made again have other rows")
        report(_compacted())
        if _content() != before:
            findings.append("the compacted database has other rows")
        [pruned], _ = prune(title, LAUNCH + timedelta(days=days // 2))
        report(
            f"`sprint prune` of the first half: {pruned.rows:,} heartbeats of {len(pruned.days)}"
            f" days, {bytes_as_text(pruned.bytes)} of files; then {_compacted()}"
        )
        changed = {table for table, *_ in set(before) ^ set(_content())}
        if changed - PRUNED_TABLES:
            findings.append(f"pruning changed {', '.join(sorted(changed - PRUNED_TABLES))}")
        report(_rates(scheduled))
        report("## What was found")
        if findings:
            report("\n".join(f"- {finding}" for finding in findings))
        else:
            report("Nothing grew that should not.")
    return len(findings)


def _compacted() -> str:
    """Compacts everything, and says what it was before and is now."""
    return "; ".join(
        f"`sprint compact`: {done.path.relative_to(_root()).as_posix()}"
        f" {bytes_as_text(done.before)}, then {bytes_as_text(done.after)}"
        for done in compact_all()
    )


@contextmanager
def _project(seed: int) -> Iterator[Title]:
    """A folder with the title's data and Dagster's home, in use while the block runs."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="years-", dir=parent) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        root = Path(folder)
        for variable, name in (
            ("SPRINT_DATA_DIR", "data"), ("DAGSTER_HOME", "home"), ("SPRINT_TITLES_DIR", "titles"),
        ):  # fmt: skip
            (root / name).mkdir()
            patch.setenv(variable, str(root / name))
        patch.setenv("DBT_LOG_LEVEL", "none")
        shutil.copy(dagster_config(), root / "home" / "dagster.yaml")
        (root / "titles" / "years.yaml").write_text(
            small_title("years", 30, seed=seed, daily_growth=0)
        )
        yield Title.load("years")


def _root() -> Path:
    return data_dir().parent


def _scheduled(title: Title, until: float) -> list[Measured]:
    """Ticks of the title's schedule, one a night, and the runs that each asks for."""
    definitions = build_definitions([title])
    [schedule] = definitions.schedules or []
    assert isinstance(schedule, dg.ScheduleDefinition)
    measured = []
    with dg.DagsterInstance.get() as instance:
        repository = definitions.get_repository_def()
        for day in range(SCHEDULED_DAYS):
            if time.monotonic() > until:
                break
            began = time.monotonic()
            night = datetime.combine(LAUNCH, datetime.min.time(), UTC) + timedelta(days=day + 1)
            with dg.build_schedule_context(
                instance=instance,
                scheduled_execution_time=night + timedelta(hours=2),
                repository_def=repository,
            ) as context:
                tick = schedule.evaluate_tick(context)
            [request] = tick.run_requests or []
            ended = definitions.resolve_job_def(schedule.job_name).execute_in_process(
                instance=instance,
                partition_key=request.partition_key,
                tags=dict(request.tags),
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
            assert ended.success, f"the run of day {day + 1} failed"
            measured.append(_measured(time.monotonic() - began))
    return measured


def _again(title: Title, days: int, until: float) -> list[Measured]:
    measured = []
    for _ in range(AGAIN_TIMES):
        if time.monotonic() > until:
            break
        ended = run_graph(title, LAUNCH, LAUNCH + timedelta(days=days - 1))
        assert ended.success, ended.failures
        measured.append(_measured(ended.seconds))
    return measured


def _measured(seconds: float) -> Measured:
    found = {
        "database": [database_path()],
        "partition files": (data_dir() / "raw").rglob("*"),
        "published": (data_dir() / "published").rglob("*"),
        "dbt": (data_dir() / "dbt").rglob("*"),
        "spill files": (data_dir() / "tmp").rglob("*"),
        "Dagster's home": dagster_home().rglob("*"),
    }
    # links to what was published: the last ten minutes' of them, however many runs there were
    files = {
        place: [path for path in paths if path.is_file() and path.parent.name != LINKS]
        for place, paths in found.items()
    }
    return Measured(
        seconds,
        _memory(),
        {place: sum(path.stat().st_size for path in paths) for place, paths in files.items()},
        {place: len(paths) for place, paths in files.items()},
    )


def _memory() -> int:
    """The memory that this process has, in bytes: of a run, of which each usually has a process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _content() -> list[tuple]:
    """The number and a hash of each table's rows, but the ledger's notes of who built them."""
    with duckdb.connect(str(database_path()), read_only=True) as con:
        return [
            (f"{schema}.{table}", *con.execute(
                f"select count(*), sum(hash(rows)) from {schema}.{table} as rows"
            ).fetchall()[0])
            for schema, table in con.execute(
                "select schema_name, table_name from duckdb_tables() where not internal"
                " and table_name not like 'built_%' and table_name <> 'database_identity'"
                " order by all"
            ).fetchall()
        ]  # fmt: skip


def _grown(what: str, runs: Sequence[Measured], *, rows_grow: bool) -> Iterator[str]:
    """What grew and should not have, in a line each. Later runs are compared with earlier ones,
    both after the warm-up."""
    if len(runs) < 2 * WARM_UP:
        return
    early, late = runs[WARM_UP : 2 * WARM_UP], runs[-WARM_UP:]
    seconds = [median(run.seconds for run in part) for part in (early, late)]
    if seconds[1] > 1.5 * seconds[0]:
        yield f"{what}: a run takes {seconds[1]:.1f} s, at first {seconds[0]:.1f} s"
    # memory that a process never gives back, of so many runs in one process
    each = (late[-1].memory - early[0].memory) / (len(runs) - WARM_UP)
    if each > 5_000_000:
        yield f"{what}: a process has {bytes_as_text(int(each))} more after every run"
    if early[0].bytes["spill files"] or late[-1].bytes["spill files"]:
        yield f"{what}: DuckDB's spill files stay"
    places = ["dbt"] if rows_grow else ["dbt", "database", "partition files", "published"]
    for place in places:
        first, last = early[0].bytes[place], late[-1].bytes[place]
        if last > 1.25 * first:
            yield f"{what}: {place} grew from {bytes_as_text(first)} to {bytes_as_text(last)}"
        if late[-1].files[place] > early[0].files[place]:
            yield (
                f"{what}: {place} has {late[-1].files[place]} files, at first"
                f" {early[0].files[place]}"
            )


def _rates(runs: Sequence[Measured]) -> str:
    """What a scheduled day adds, in the second half of the days."""
    half = runs[len(runs) // 2 :]
    if len(half) < 2:
        return "Too few days to say what each adds."
    lines = ["What a scheduled day of 30 players adds, in the second half of the days:", ""]
    for place in PLACES:
        added = (half[-1].bytes[place] - half[0].bytes[place]) / (len(half) - 1)
        files = (half[-1].files[place] - half[0].files[place]) / (len(half) - 1)
        lines.append(
            f"- {place}: {bytes_as_text(int(added))} in {files:.1f} files{GROWS.get(place, '')}"
        )
    return "\n".join(lines)


def _table(report: Report, what: str, runs: Sequence[Measured]) -> None:
    """A line for the first run, every tenth and the last."""
    report.table(
        (what, "seconds", "memory", *PLACES),
        (
            (
                number,
                f"{measured.seconds:.1f}",
                bytes_as_text(measured.memory),
                *(bytes_as_text(measured.bytes[place]) for place in PLACES),
            )
            for number, measured in enumerate(runs, 1)
            if number == 1 or number % 10 == 0 or measured is runs[-1]
        ),
    )
