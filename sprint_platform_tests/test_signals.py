"""Commands that are stopped, by SIGTERM or Ctrl-C: real processes, a data folder of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from sprint_platform.core.locks import hold
from sprint_platform.core.signals import Stopped, raise_if_stopped, stopped_by_signals
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.places import project_root

# `sprint`, for which dbt has parsed once what it parses in all of these folders.
SPRINT = """\
import sys
from pathlib import Path
from sprint_platform.cli import main
from sprint_platform_tests.parsed_once import parsed_once
with parsed_once(Path(sys.argv.pop(1))):
    main()
"""
# A command with a thread that waits for ever, as one does whose lock was left by the signal.
HANGING = """\
import threading
import sprint_platform.cli as cli
from sprint_platform.core.signals import Stopped
def run():
    print("made")
    threading.Thread(target=threading.Event().wait).start()
    raise Stopped(15)
cli._run = run
cli.main()
"""
PATIENCE = 600
ARENA = """\
name: arena
launch_date: 2025-01-01
seed: 0
source: landing
encounters: {distance: 50, gap_seconds: 180}
"""


@dataclass(frozen=True)
class Command:
    """A `sprint …` that runs, with the processes that it started."""

    process: subprocess.Popen[str]

    def wait_for(self, there: Callable[[], object]) -> None:
        """Until that is true; not for ever, nor for a command that has ended."""
        until = time.monotonic() + PATIENCE
        while not there():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Sends the signal; the exit code, and the last line. No process is left: those that
        Python itself started notice it a moment later."""
        started = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        _, problems = self.process.communicate(timeout=PATIENCE)
        _, left = psutil.wait_procs(started, timeout=10)
        assert left == []
        return self.process.returncode, problems.strip().splitlines()[-1]


@dataclass(frozen=True)
class Place:
    """A data folder, titles and a Dagster of the file's own."""

    folder: Path
    environment: dict[str, str]
    parsed: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def sprint(self) -> tuple[str, ...]:
        return (sys.executable, "-c", SPRINT, str(self.parsed))

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Command]:
        with subprocess.Popen(
            [*self.sprint, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Command(process)
            finally:
                process.kill()

    def ended(self, *arguments: str) -> str:
        """What the command prints, which must succeed."""
        done = subprocess.run(
            [*self.sprint, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def dbt_log(self, name: str) -> str:
        path = self.data / "dbt" / name / "logs" / "dbt.log"
        return path.read_text() if path.exists() else ""

    def half_written(self) -> list[Path]:
        return [p for part in ("raw", "published") for p in (self.data / part).rglob("*.tmp")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, dbt_parses_once: Path) -> Place:
    """With a small simulated title, and one whose files of two days lie ready, a day apart."""
    folder = tmp_path_factory.mktemp("signals")
    shipped = (project_root() / "sprint_platform" / "titles" / "sprint.yaml").read_text()
    pocket = shipped.replace("name: sprint", "name: pocket")
    titles = folder / "titles"
    titles.mkdir()
    (titles / "pocket.yaml").write_text(
        pocket.replace("active_players: 1000", "active_players: 60")
    )
    (titles / "arena.yaml").write_text(ARENA)
    delivered = folder / "data" / "landing" / "arena" / "sessions"
    delivered.mkdir(parents=True)
    for day in ("2025-01-01", "2025-06-03"):
        (delivered / f"{day}.csv").write_text(
            "session_id,player_id,team_id,started_at,event_datetime,kills,deaths\n"
            f"m-{day},p,1,{day}T12:00:00Z,{day}T12:05:00Z,1,1\n"
        )
    return Place(
        folder,
        {
            **os.environ,
            "SPRINT_DATA_DIR": str(folder / "data"),
            "SPRINT_TITLES_DIR": str(titles),
            "DAGSTER_HOME": str(folder / "home"),
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "PYTHONPATH": str(project_root()),
        },
        dbt_parses_once,
    )


@pytest.fixture
def port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def in_place(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The test's own process looks at the same data folder."""
    monkeypatch.setenv("SPRINT_DATA_DIR", str(place.data))
    return place


def test_a_run_that_is_stopped_while_dbt_builds_lets_go_and_can_be_given_again(
    in_place: Place,
) -> None:
    days = ("--title", "pocket", "--to", "2025-01-02")
    with in_place.started("run", *days) as run:
        # dbt's third invocation of a new title: after parsing, and the seeds
        run.wait_for(lambda: "created sql incremental" in in_place.dbt_log("pocket"))
        code, line = run.stop(signal.SIGTERM)
    assert code == 143
    assert line.startswith("stopped: ")
    assert "--reuse" in line
    assert in_place.half_written() == []
    # the models that were left are not built first
    assert "created sql incremental model pocket_mart.kpi_daily" not in in_place.dbt_log("pocket")
    with hold(warehouse_lock(), "a test", seconds=0), connect():
        pass
    assert "kpi_daily" in in_place.ended("run", *days, "--reuse")


def test_a_run_that_is_stopped_while_it_makes_records_leaves_no_half_of_one(
    in_place: Place,
) -> None:
    made = in_place.data / "raw" / "pocket" / "sessions"
    with in_place.started(
        "run", "--title", "pocket", "--from", "2025-02-01", "--to", "2025-02-14"
    ) as run:
        run.wait_for((made / "event_date=2025-02-02" / "manifest.json").exists)
        code, line = run.stop(signal.SIGINT)
    assert code == 130
    assert line.startswith("stopped: ")
    assert in_place.half_written() == []
    assert not (made / "event_date=2025-02-14" / "manifest.json").exists()
    with hold(warehouse_lock(), "a test", seconds=0), connect():
        pass


def test_a_stopped_command_waits_for_no_thread() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HANGING],
        cwd=project_root(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "made\n", "stopped\n")


def test_land_that_is_stopped_begins_no_other_stretch_of_days(place: Place) -> None:
    with place.started("land", "--title", "arena") as land:
        land.wait_for(lambda: "START sql" in place.dbt_log("arena"))
        code, line = land.stop(signal.SIGTERM)
    assert code == 143
    assert line == "stopped: sprint land --title arena builds the rest"
    again = place.ended("land", "--title", "arena")
    assert "arena, 2025-01-01: built" in again
    assert "arena, 2025-06-03: built" in again


def test_the_ui_ends_with_its_services(place: Place, port: int) -> None:
    def answers() -> bool:
        try:
            return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info"))
        except OSError:
            return False

    with place.started("ui", "--port", str(port)) as ui:
        assert ui.process.stdout is not None
        starting = ui.process.stdout.readline()
        # on a slow machine it says meanwhile that it is loading
        ready = next(line for line in ui.process.stdout if not line.startswith("loading "))
        assert ready == f"ready: http://127.0.0.1:{port}  (Ctrl-C ends it)\n"
        assert answers()
        code, line = ui.stop(signal.SIGTERM)
    assert (code, line) == (143, "stopped")
    assert not answers()
    log = Path(starting.strip().split("its log: ")[1]).read_text()
    assert "DEBUG" in log
    assert "superseded" not in log


def test_the_dashboard_ends(place: Place, port: int) -> None:
    with place.started("dashboard", "--port", str(port)) as dashboard:
        assert dashboard.process.stdout is not None
        assert "http://" in dashboard.process.stdout.readline()
        assert dashboard.stop(signal.SIGTERM) == (143, "stopped")


def test_a_store_that_is_being_written_ends_with_its_workers(place: Place) -> None:
    with place.started("storefront", "generate", "--preset", "medium") as generate:
        generate.wait_for(lambda: list((place.data / "raw" / "storefront").rglob("manifest.json")))
        code, line = generate.stop(signal.SIGTERM)
    assert (code, line) == (143, "stopped")
    assert place.half_written() == []


def test_a_query_is_stopped_by_a_signal(data_folder: Path) -> None:
    def ask() -> None:
        with stopped_by_signals(), connect() as con:
            asked = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGTERM))
            asked.start()
            con.execute("select max(hash(range)) from range(10000000000000)")

    main = threading.main_thread().ident
    with pytest.raises(Stopped) as stopped:
        ask()
    assert stopped.value.code == 143


def test_a_signal_that_a_library_took_still_stops() -> None:
    def library() -> None:
        ours = signal.signal(signal.SIGTERM, lambda number, frame: None)
        signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, ours)

    def command() -> None:
        with stopped_by_signals():
            library()
            raise_if_stopped()
            pytest.fail("the command went on")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as stopped:
        command()
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
