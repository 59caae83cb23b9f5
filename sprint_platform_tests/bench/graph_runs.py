"""The graph through `dagster asset materialize`, as whole processes: seconds and peak memory."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import psutil

from sprint_platform.places import dagster_config, dbt_project_dir, project_root
from sprint_platform_tests.small_titles import small_title

BIN = Path(sys.executable).parent
YEAR = (date(2025, 1, 1), date(2025, 12, 31))
GRAPH = "sprint_platform.definitions"
NOOP = "sprint_platform_tests.bench.noop_graph"


@dataclass(frozen=True)
class Process:
    """How a command ended: wall seconds, and the most memory that it and its children
    held at one time (proportional set size, so shared pages count once)."""

    wall: float
    peak_bytes: int
    output: str = field(repr=False)


@contextmanager
def fresh_folders() -> Iterator[dict[str, str]]:
    """The environment of commands that write to a new data folder and a new Dagster home."""
    folder = Path(tempfile.mkdtemp(prefix="sprint-bench-"))
    (folder / "home").mkdir()
    (folder / "data").mkdir()
    shutil.copy(dagster_config(), folder / "home" / "dagster.yaml")
    mine = {"SPRINT_DATA_DIR": str(folder / "data"), "DAGSTER_HOME": str(folder / "home")}
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    try:
        yield {
            **os.environ,
            "DBT_PROFILES_DIR": str(dbt_project_dir()),
            "PYTHONPATH": str(project_root()),
        }
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        shutil.rmtree(folder)


def run(command: list[str], environment: dict[str, str], *, watch_memory: bool = False) -> Process:
    """Runs a command of the virtual environment from the data folder. Raises RuntimeError with
    the end of what it printed when it fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [str(BIN / command[0]), *command[1:]],
            # not from the project's root: the .env there names another Dagster home
            cwd=environment["SPRINT_DATA_DIR"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        peak = 0
        while process.poll() is None:
            if watch_memory:
                peak = max(peak, _memory(process.pid))
            time.sleep(0.05)
        wall = time.perf_counter() - began
        output.seek(0)
        printed = output.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{printed[-3000:]}")
    return Process(wall, peak, printed)


def _memory(pid: int) -> int:
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.NoSuchProcess:
        pass
    return total


def materialize(module: str, title: str, first: date, last: date | None = None) -> list[str]:
    """The command that materializes everything of a title for a day or a range of days."""
    days = (
        ["--partition", first.isoformat()]
        if last is None
        else ["--partition-range", f"{first}...{last}"]
    )
    return ["dagster", "asset", "materialize", "-m", module, "--select", f'key:"{title}/*"', *days]


def one_day_ratio(runs: int = 3) -> tuple[float, float, float]:
    """(seconds of one day of the whole graph, seconds of `dagster --version` plus a dbt run that
    selects nothing, their ratio): medians of alternating runs with a warm parse."""
    days = iter(date(2025, 1, 1) + timedelta(days=n) for n in range(runs + 1))
    graph, bare = [], []
    with fresh_folders() as environment:
        nothing = _empty_dbt_run(environment)
        run(materialize(GRAPH, "sprint", next(days)), environment)
        run(nothing, environment)
        for day in days:
            graph.append(run(materialize(GRAPH, "sprint", day), environment).wall)
            bare.append(
                run(["dagster", "--version"], environment).wall + run(nothing, environment).wall
            )
    ratios = [a / b for a, b in zip(graph, bare, strict=True)]
    return statistics.median(graph), statistics.median(bare), statistics.median(ratios)


def a_year() -> tuple[float, float, float]:
    """(wall seconds of 365 days in one run, those of the same graph with no-op assets, seconds in
    the steps of the first beyond those of the second: simulation, load, checks, dbt)."""
    with fresh_folders() as environment:
        real = run(materialize(GRAPH, "sprint", *YEAR), environment)
        own = sum(seconds_by_stage().values())
    with fresh_folders() as environment:
        noop = run(materialize(NOOP, "sprint", *YEAR), environment)
        own -= sum(seconds_by_stage().values())
    return real.wall, noop.wall, own


def a_year_of(title: str) -> float:
    """Wall seconds of the title's 365 days in one run."""
    with fresh_folders() as environment:
        return run(materialize(GRAPH, title, *YEAR), environment).wall


def starts() -> float:
    """Wall seconds of `dagster --version`, and of a dbt run that selects nothing, without a parse
    of an earlier one and with it: what a run cannot do without."""
    with fresh_folders() as environment:
        nothing = _empty_dbt_run(environment)
        commands = (["dagster", "--version"], nothing, nothing)
        return sum(run(command, environment).wall for command in commands)


def _empty_dbt_run(environment: dict[str, str]) -> list[str]:
    # what it parsed lies apart from the graph's: their profiles differ, so that each would parse
    # the project anew after the other
    target = str(Path(environment["SPRINT_DATA_DIR"]) / "target")
    return [
        *("dbt", "run", "--select", "nothing", "--project-dir", str(dbt_project_dir())),
        *("--target-path", target, "--log-path", target),
    ]


def demo() -> float:
    """Wall seconds of `sprint demo` in an empty folder."""
    with fresh_folders() as environment:
        return run(["sprint", "demo"], environment).wall


def day_of(players: int) -> tuple[Process, dict[str, float], dict[str, int]]:
    """The launch day of so many players, all of them active, through the whole graph: the process,
    seconds by stage, rows by table."""
    with fresh_folders() as environment:
        titles = Path(environment["SPRINT_DATA_DIR"]) / "titles"
        titles.mkdir()
        (titles / "bench.yaml").write_text(small_title("bench", players, seed=7))
        environment["SPRINT_TITLES_DIR"] = str(titles)
        process = run(materialize(GRAPH, "bench", date(2025, 1, 1)), environment, watch_memory=True)
        return process, seconds_by_stage(), rows_by_table("bench")


def seconds_by_stage() -> dict[str, float]:
    """Seconds of each step of the latest run, from Dagster's own history."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        latest = instance.get_runs(limit=1)[0].run_id
        return {
            step.step_key: step.end_time - step.start_time
            for step in instance.get_run_step_stats(latest)
            if step.start_time and step.end_time
        }


def rows_by_table(title: str) -> dict[str, int]:
    """Rows of the tables of a title, or of a schema of that name."""
    from sprint_platform.engines.duckdb_file import connect

    with connect() as con:
        tables = con.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
            " where table_schema = ? or table_schema like ? order by all",
            [title, f"{title}_%"],
        ).fetchall()
        rows = {}
        for (table,) in tables:
            found = con.execute(f"select count(*) from {table}").fetchone()
            rows[table] = found[0] if found else 0
        return rows
