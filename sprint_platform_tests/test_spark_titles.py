"""Titles, odd days, clusters and deaths on Spark: after each, every table's digest is DuckDB's.

``make test-spark`` runs them, and prints the tables that docs/spark.md has.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from sprint_platform.cli.app import app
from sprint_platform.landing.files import landing_dir
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.places import dbt_project_dir
from sprint_platform.simulation.world import World
from sprint_platform.storage.partitions import write_partition
from sprint_platform.telemetry.contracts import DAILY
from sprint_platform.title import Title
from sprint_platform.transform.dbt_runner import (
    dbt_environment,
    dbt_result,
    node_results,
    spark_environment,
)
from sprint_platform_tests.small_titles import small_title
from sprint_platform_tests.two_engines import ENGINES, ON_BOTH, Place, two_places

pytestmark = ON_BOTH
FIRST = date(2025, 1, 1)
WORLD = small_title("small", 200, seed=5)
EIGHT = """\
name: eight
launch_date: 2025-01-01
seed: 0
source: landing
grid: {x: [-500, 500], y: [-500, 500], z: [0, 100]}
encounters: {distance: 50, gap_seconds: 180}
landing: {datasets: [sessions, heartbeats]}
"""
# the seconds in which a process of Spark's must be up, on a busy machine
UP_SECONDS = 180


@dataclass(frozen=True)
class Compared:
    """A case that ended with equal tables: by table the number of its rows and their digest, and
    the seconds on each engine."""

    case: str
    tables: dict[str, tuple[int, str]]
    seconds: dict[str, float]


COMPARED: list[Compared] = []


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    titles = {"small": WORLD, "eight": EIGHT}
    with two_places(tmp_path_factory.mktemp("engines"), titles) as found:
        yield found
    print_compared()


@pytest.fixture
def empty_places(places: dict[str, Place], tmp_path: Path) -> dict[str, Place]:
    """For what runs in other processes, with sessions of their own."""
    return {engine: Place(engine, tmp_path / engine) for engine in places}


def print_compared() -> None:
    """What was equal, and the first eight digits of each table's digest (-: a table of no row)."""
    print("\n| case | tables | rows | DuckDB | Spark |\n|---|---:|---:|---:|---:|")
    for one in COMPARED:
        rows = sum(rows for rows, _ in one.tables.values())
        seconds = " | ".join(f"{one.seconds[engine]:.0f} s" for engine in ("duckdb", "spark"))
        print(f"| {one.case} | {len(one.tables)} | {rows:,} | {seconds} |")
    print(
        f"\n| table | {' | '.join(one.case for one in COMPARED)} |\n|---|{'---|' * len(COMPARED)}"
    )
    for table in sorted({table for one in COMPARED for table in one.tables}):
        cells = [one.tables.get(table, (0, "")) for one in COMPARED]
        shown = " | ".join(f"`{digest[:8]}`" if rows else "-" for rows, digest in cells)
        print(f"| `{table}` | {shown} |")


def compare(
    case: str, title: str, places: dict[str, Place], *steps: Callable[[Place], None]
) -> None:
    """Takes the steps on both engines, and compares every table after each."""
    seconds = dict.fromkeys(ENGINES, 0.0)
    for step in steps:
        for engine, place in places.items():
            began = time.perf_counter()
            step(place)
            seconds[engine] += time.perf_counter() - began
        on_spark, on_duckdb = (places[engine].digests(title) for engine in ENGINES)
        assert on_spark == on_duckdb
    tables = {}
    for table, found in on_duckdb.items():
        _, rows, digest = found.split(" ")
        tables[table.removeprefix(f"{title}_")] = (int(rows), digest)
    # not a comparison of nothing with nothing
    assert sum(rows > 0 for rows, _ in tables.values()) > 15
    COMPARED.append(Compared(case, tables, seconds))


def days(title: str, first: date, last: date) -> Callable[[Place], None]:
    return lambda place: place.build(title, first, last)


def test_a_week_a_day_again_a_day_emptied_and_a_day_late(places: dict[str, Place]) -> None:
    day = [FIRST + timedelta(days=n) for n in range(7)]

    def emptied(place: Place) -> None:
        with place.chosen():
            world = World(Title.load("small"), read_catalogue())
            for dataset in DAILY:
                if dataset != "dim_players":
                    write_partition("small", dataset, day[2], [], world.source(dataset))
        place.build("small", day[2], day[2], reuse=True)

    compare(
        "odd days",
        "small",
        places,
        days("small", day[0], day[3]),
        days("small", day[5], day[6]),
        days("small", day[4], day[4]),
        days("small", day[1], day[1]),
        emptied,
    )


def test_sprint(places: dict[str, Place]) -> None:
    compare("sprint", "sprint", places, days("sprint", FIRST, FIRST + timedelta(days=6)))


def test_a_month_of_leap(places: dict[str, Place]) -> None:
    launch = Title.load("leap").launch_date
    compare("leap", "leap", places, days("leap", launch, launch + timedelta(days=29)))


def test_a_landed_title_of_eight_a_side(places: dict[str, Place]) -> None:
    def landed(place: Place) -> None:
        with place.chosen():
            _deliver_eight()
            ended = CliRunner().invoke(app, ["land", "--title", "eight"])
            assert ended.exit_code == 0, ended.output

    compare("eight", "eight", places, landed)


def _deliver_eight() -> None:
    """Matches of 8 against 8, whose positions' means lie halfway between two numbers of four
    decimals as often as they can."""
    sessions = ["session_id,player_id,team_id,country,started_at,event_datetime,kills,deaths"]
    beats = ["session_id,player_id,team_id,event_datetime,position_x,position_y,position_z"]
    for match in range(12):
        day = f"2025-01-0{1 + match % 2}"
        for player in range(16):
            who, team = f"m{match},p{player}", 1 + player % 2
            sessions.append(f"{who},{team},US,{day}T12:00:00,{day}T12:10:00,1,1")
            for beat in range(20):
                at = f"{day}T12:{beat // 2:02d}:{30 * (beat % 2):02d}"
                x = -(799 + 7 * match + 3 * player * beat) / 100 if player < 2 else -1 / 100
                beats.append(f"{who},{team},{at},{x:.2f},{player / 4:.2f},{beat / 100:.2f}")
    for dataset, lines in (("sessions", sessions), ("heartbeats", beats)):
        path = landing_dir("eight") / dataset / "file.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_unit_tests(places: dict[str, Place], tmp_path: Path) -> None:
    place = places["spark"]
    place.build("small", FIRST, FIRST)
    with place.chosen():
        result = dbt_result(
            [
                *("--quiet", "test", "--select", "test_type:unit,tag:title"),
                *("--project-dir", str(dbt_project_dir()), "--target-path", str(tmp_path / "t")),
                *("--log-path", str(tmp_path / "t")),
            ],
            {**dbt_environment(Title.load("small"), None), **spark_environment()},
        )
    assert result.success, [r.message for r in node_results(result) if r.status != "pass"]
    assert len(node_results(result)) >= 7


# -- other processes ----------------------------------------------------------------------------


def spark_class(name: str, *arguments: str, log: Path) -> subprocess.Popen:
    """A process of Spark's own."""
    import pyspark

    home = Path(pyspark.__file__).parent
    with log.open("wb") as file:
        return subprocess.Popen(
            [str(home / "bin" / "spark-class"), name, *arguments],
            env={**os.environ, "SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable},
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def logged(log: Path, pattern: str, process: subprocess.Popen) -> str:
    """The pattern's first group, once the log has it."""
    end = time.monotonic() + UP_SECONDS
    while time.monotonic() < end:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found[1]
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-2000:])


def end(process: subprocess.Popen) -> None:
    """Kills the process and what it started."""
    family = psutil.Process(process.pid)
    for one in [*family.children(recursive=True), family]:
        one.kill()
    process.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """A standalone cluster of two workers of one core: its URL, and the workers."""
    deploy = "org.apache.spark.deploy"
    log = folder / "master.log"
    local = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
    started = [spark_class(f"{deploy}.master.Master", *local, log=log)]
    try:
        url = logged(log, r"Starting Spark master at (spark://\S+)", started[0])
        for n in range(2):
            worker = (*local, "--cores", "1", "--memory", "1g", "--work-dir", str(folder / f"w{n}"))
            log = folder / f"worker{n}.log"
            started.append(spark_class(f"{deploy}.worker.Worker", *worker, url, log=log))
            logged(log, r"(Successfully registered)", started[-1])
        yield url, started[1:]
    finally:
        for process in started:
            if process.poll() is None:
                end(process)


@contextmanager
def connect_server(folder: Path) -> Iterator[str]:
    """The address of a Connect server."""
    log = folder / "connect.log"
    server = spark_class(
        "org.apache.spark.deploy.SparkSubmit",
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *("--master", "local[2]", "--conf", "spark.connect.grpc.binding.port=0"),
        *(
            "--conf",
            "spark.ui.enabled=false",
            "--conf",
            "spark.connect.grpc.binding.address=127.0.0.1",
        ),
        *("--conf", f"spark.sql.warehouse.dir={folder / 'default'}"),
        *("--conf", "spark.driver.bindAddress=127.0.0.1", "--conf", "spark.driver.host=127.0.0.1"),
        "spark-internal",
        log=log,
    )
    try:
        port = logged(log, r"Spark Connect server started at: \S+:(\d+)", server)
        yield f"sc://127.0.0.1:{port}"
    finally:
        end(server)


def run_elsewhere(place: Place, last: date, **environment: str) -> subprocess.Popen:
    """`sprint run` of the small title from the launch to ``last``, in a process of its own."""
    arguments = ["run", "--title", "small", "--from", str(FIRST), "--to", str(last), "--reuse"]
    with place.chosen():
        return subprocess.Popen(
            [sys.executable, "-m", "sprint_platform.cli", *arguments],
            env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


def ended_well(run: subprocess.Popen) -> None:
    output, _ = run.communicate()
    assert run.returncode == 0, output.decode(errors="replace")[-3000:]


def test_a_worker_killed_midway(empty_places: dict[str, Place], tmp_path: Path) -> None:
    last = FIRST + timedelta(days=2)

    def step(place: Place) -> None:
        if place.engine == "duckdb":
            place.build("small", FIRST, last)
            return
        with cluster(tmp_path) as (url, workers):
            starved = run_elsewhere(place, last, SPRINT_SPARK_MASTER=url, SPRINT_SPARK_MEMORY="8g")
            assert starved.stdout is not None
            # of which Spark itself says nothing
            assert any(b"has given no executor of 8g" in line for line in starved.stdout)
            end(starved)
            run = run_elsewhere(place, last, SPRINT_SPARK_MASTER=url, SPRINT_SPARK_MEMORY="700m")
            # models are being built
            while run.poll() is None and not any((place.folder / "spark").glob("*_stage/*")):
                time.sleep(0.1)
            assert run.poll() is None
            for process in psutil.Process(workers[1].pid).children(recursive=True):
                process.send_signal(signal.SIGKILL)
            workers[1].kill()
            workers[1].wait()
            ended_well(run)

    compare("a worker killed", "small", empty_places, step)


def test_a_connect_server(empty_places: dict[str, Place], tmp_path: Path) -> None:
    pytest.importorskip("grpc_status", reason="pyspark's Connect needs grpcio-status")
    pytest.importorskip("pandas", reason="pyspark's Connect needs pandas")
    last = FIRST + timedelta(days=2)

    def step(place: Place) -> None:
        if place.engine == "duckdb":
            place.build("small", FIRST, last)
            return
        with connect_server(tmp_path) as remote:
            ended_well(run_elsewhere(place, last, SPARK_REMOTE=remote))

    compare("Connect", "small", empty_places, step)
