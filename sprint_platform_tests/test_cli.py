"""The command line as people meet it, with a data folder and a Dagster home of its own: that a real
process builds, refuses and shows what it should, and what else there is to see in this one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from rich.markup import escape
from rich.table import Table

from sprint_platform.cli import progress, run
from sprint_platform.cli.options import read_days
from sprint_platform.cli.terminal import out
from sprint_platform.places import project_root
from sprint_platform.simulation.estimates import estimate
from sprint_platform.simulation.world import World
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import graph_manifest
from sprint_platform_tests.command_line import Ended, run_sprint
from sprint_platform_tests.other_process import opened_elsewhere

SPRINT = Path(sys.executable).parent / "sprint"
Sprint = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    """Of a small title."""
    shipped = (project_root() / "sprint_platform" / "titles" / "sprint.yaml").read_text()
    titles = folder / "titles"
    titles.mkdir()
    (titles / "pocket.yaml").write_text(
        shipped.replace("name: sprint", "name: pocket").replace(
            "active_players: 1000", "active_players: 60"
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder / "data"))
        # a process of its own would parse the project anew
        graph_manifest()
    return {
        **os.environ,
        "SPRINT_DATA_DIR": str(folder / "data"),
        "SPRINT_TITLES_DIR": str(titles),
        "DAGSTER_HOME": str(folder / "home"),
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }


@pytest.fixture(scope="module")
def sprint_process(environment: dict[str, str]) -> Sprint:
    """Runs `sprint …` in a process of its own, as nobody's terminal; returns how it ended."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SPRINT), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def sprint_command(environment: dict[str, str]) -> Callable[..., Ended]:
    """The same in this process, which takes seconds less."""
    return lambda *arguments: run_sprint(list(arguments), environment)


@pytest.fixture(scope="module")
def built(sprint_process: Sprint) -> subprocess.CompletedProcess[str]:
    """Three days of the title, run once."""
    done = sprint_process("run", "--title", "pocket", "--to", "2025-01-03")
    assert done.returncode == 0, done.stderr
    return done


def rows(folder: Path, table: str) -> int:
    with duckdb.connect(str(folder / "data" / "sprint.duckdb"), read_only=True) as con:
        found = con.execute(f"select count(*) from {table}").fetchone()
    assert found is not None
    return int(found[0])


def test_a_run_prints_the_rows_of_every_table(
    built: subprocess.CompletedProcess[str], folder: Path
) -> None:
    for table in ("pocket_raw.event_heartbeat", "pocket_mart.player_activity_daily"):
        line = next(line for line in built.stdout.splitlines() if table in line)
        assert f"{rows(folder, table):,}" in line
    # Dagster's and dbt's own chatter belongs to the UI
    assert "DEBUG" not in built.stdout + built.stderr
    assert "PASS" not in built.stdout


def test_a_run_is_found_by_its_title_and_days(
    built: subprocess.CompletedProcess[str], folder: Path
) -> None:
    with dg.DagsterInstance.from_config(str(folder / "home")) as instance:
        [run] = instance.get_runs(dg.RunsFilter(tags={"sprint/title": "pocket"}))
    assert run.job_name == "pocket_run"
    assert run.tags["sprint/days"] == "2025-01-01 to 2025-01-03"


def test_existing_partitions_are_not_made_anew_unasked(
    built: subprocess.CompletedProcess[str], sprint_process: Sprint
) -> None:
    done = sprint_process("run", "--title", "pocket", "--to", "2025-01-03")
    assert done.returncode == 1
    assert "15 partitions of pocket exist already" in done.stderr
    assert "--reuse" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_entrypoint_runs_what_is_downstream_of_it_only(
    built: subprocess.CompletedProcess[str], sprint_command: Callable[..., Ended]
) -> None:
    done = sprint_command(
        "run", "--title", "pocket", "--to", "2025-01-02", "--entrypoint", "transactions",
        "--regenerate",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seconds = {
        cells[1].strip(): cells[3].strip()
        for line in done.stdout.splitlines()
        if len(cells := line.split("│")) == 5
    }
    assert seconds["pocket_raw.event_transaction"]
    assert seconds["pocket_mart.country_weekly_revenue"]
    assert not seconds["pocket_raw.event_session"]
    assert not seconds["pocket_mart.player_activity_daily"]


def test_verify_finds_what_differs(
    built: subprocess.CompletedProcess[str], sprint_command: Callable[..., Ended], folder: Path
) -> None:
    whole = sprint_command("verify", "--title", "pocket", "--deep")
    assert whole.returncode == 0, whole.stderr
    assert "3 days are what their seed says" in whole.stdout
    assert "every dbt test holds" in whole.stdout
    (part,) = (folder / "data/raw/pocket/sessions/event_date=2025-01-02").glob("*.parquet")
    content = part.read_bytes()
    part.write_bytes(content[: len(content) // 2])
    broken = sprint_command("verify", "--title", "pocket")
    part.write_bytes(content)
    assert broken.returncode == 1
    assert "pocket/sessions for 2025-01-02 again" in broken.stderr
    assert "1 partitions differ" in broken.stderr
    assert "Traceback" not in broken.stderr


def test_a_range_of_this_week_ends_today_unless_it_says_more() -> None:
    title = Title.load("sprint")
    today = datetime.now(UTC).date()
    assert read_days(title, str(today), None) == [today]
    assert read_days(title, str(today - timedelta(days=1)), None)[-1] == today
    assert read_days(title, "2025-02-01", None)[-1] == date(2025, 2, 7)
    assert read_days(title, str(today), str(today + timedelta(days=1)))[-1] > today


@pytest.mark.parametrize("name", ["sprint", "leap"])
def test_a_plan_is_close_to_what_comes(name: str) -> None:
    title = Title.load(name)
    days = [date(2025, 1, day) for day in range(1, 15)]
    worlds = [World(title.model_copy(update={"seed": seed})) for seed in range(6)]
    for planned in estimate(title, days):
        # few players buy, and those differ much: one game's purchases say little
        among = worlds if planned.dataset == "transactions" else worlds[:1]
        made = sum(t.num_rows for w in among for d in days for t in getattr(w, planned.dataset)(d))
        assert planned.rows == pytest.approx(made / len(among), rel=0.15)


def test_a_plan_says_what_is_there_already(
    built: subprocess.CompletedProcess[str], sprint_command: Callable[..., Ended]
) -> None:
    printed = sprint_command("plan", "--title", "pocket", "--to", "2025-01-05").stdout
    assert "heartbeats" in printed
    assert "3 of 5" in printed


def test_titles_and_doctor_show_the_state(
    built: subprocess.CompletedProcess[str], sprint_command: Callable[..., Ended], folder: Path
) -> None:
    titles = sprint_command("titles").stdout
    assert all(name in titles for name in ("leap", "pocket", "sprint"))
    with opened_elsewhere(folder / "data" / "sprint.duckdb", read_only=True) as shell:
        doctor = sprint_command("doctor").stdout
    assert f"PID {shell.pid}), which shuts out every run: close it there" in doctor
    assert duckdb.__version__ in doctor
    assert str(folder / "data") in doctor
    assert "3 built, 2025-01-01 to 2025-01-03" in doctor
    assert "sprint run --title pocket --missing" in doctor


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (("run", "--title", "nope"), "unknown title 'nope'"),
        (("run", "--title", "no\n\x1b[31mpe"), r"unknown title 'no\n\x1b[31mpe'"),
        (("plan", "--from", "9999-12-31"), "--from is a day from 1970-01-01 to 2100-12-31"),
        (("run", "--from", "2024-12-31"), "title sprint launches on 2025-01-01"),
        (("run", "--from", "soon"), "--from is a day such as 2025-01-31, not 'soon'"),
        (("run", "--from", "2025-01-09", "--to", "2025-01-08"), "--to 2025-01-08 lies before"),
        (("verify", "--title", "leap"), "there are no partitions of leap"),
        (("run", "--missing", "--reuse"), "--missing says what is made: leave --reuse"),
        (("run", "--missing", "--stale"), "--missing builds other days than --stale"),
        (("run", "--missing", "--to", "2099-01-01"), "2099-01-01 is in the future"),
        (("run", "--to", "2999-01-01"), "--to is a day from 1970-01-01 to 2100-12-31"),
    ],
)
def test_a_mistake_is_refused_in_one_line(
    sprint_command: Callable[..., Ended], arguments: tuple[str, ...], reported: str
) -> None:
    done = sprint_command(*arguments)
    assert done.returncode == 1
    assert reported in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# the last two: they change the days of all the others
def test_days_that_are_missing_are_run_and_no_others(
    built: subprocess.CompletedProcess[str], sprint_command: Callable[..., Ended], folder: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.glob("data/raw/pocket/*/*/*")}
    done = sprint_command("run", "--title", "pocket", "--missing", "--to", "2025-01-04")
    assert done.returncode == 0, done.stderr
    assert "pocket, 2025-01-04: built in" in done.stdout
    assert len(before) > 15
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    again = sprint_command("run", "--title", "pocket", "--missing", "--to", "2025-01-04")
    assert again.stdout == "pocket: no day is missing from 2025-01-01 to 2025-01-04.\n"


def test_days_of_another_version_of_the_title_are_named_and_made_anew(
    built: subprocess.CompletedProcess[str], sprint_command: Callable[..., Ended], folder: Path
) -> None:
    yaml = folder / "titles" / "pocket.yaml"
    yaml.write_text(yaml.read_text().replace("d7: 0.20", "d7: 0.19"))
    made = len(list(folder.glob("data/raw/pocket/signons/*")))
    stale = "sprint run --title pocket --stale"
    assert f"{made} made by another version of it: {stale}" in sprint_command("doctor").stdout
    renewed = sprint_command("run", "--title", "pocket", "--stale")
    assert f"pocket, 2025-01-01 to 2025-01-0{made}: built in" in renewed.stdout, renewed
    assert "another version" not in sprint_command("doctor").stdout
    again = sprint_command("run", "--title", "pocket", "--stale")
    assert again.stdout == "pocket: every day was made and built as it is defined now.\n"
    assert sprint_command("verify", "--title", "pocket").returncode == 0
    # a model that is new was built of no day
    with duckdb.connect(str(folder / "data" / "sprint.duckdb")) as con:
        con.execute("delete from pocket_raw.built_from where model = 'concurrency_5_minutes'")
    new = sprint_command("run", "--title", "pocket", "--stale")
    assert (
        f"on {made} loaded days a model is not built yet: sprint run --title pocket --missing"
        in (new.stdout)
    )


def test_nobody_is_asked_about_days_of_another_version(
    built: subprocess.CompletedProcess[str],
    sprint_command: Callable[..., Ended],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[bool] = []
    monkeypatch.setattr(run, "run_days", lambda *given: runs.append(given[-1]))
    yaml = folder / "titles" / "pocket.yaml"
    yaml.write_text(yaml.read_text().replace("active_players: 60", "active_players: 70"))
    again = sprint_command("run", "--title", "pocket", "--to", "2025-01-02")
    assert again.returncode == 0, again.stderr
    # all of them, and none is left as it is
    assert "10 partitions of these days are of another version of pocket, and are made" in (
        again.stdout
    )
    assert runs == [False]


def test_what_takes_long_says_so_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with progress.Bars(*progress.Bars.get_default_columns()) as bars:
        task = bars.add_task("exporting", total=3000)
        bars.advance(task, 1200)
    assert capsys.readouterr().out == "exporting: 1,200 of 3,000\n"

    said = threading.Event()
    monkeypatch.setattr(progress, "SECONDS_BEFORE_LINE", 0.0)
    monkeypatch.setattr(progress.out, "print", lambda *_, **__: said.set())
    with progress.working("building the models"):
        assert said.wait(10)


def test_what_others_wrote_is_printed_as_it_is_and_obeyed_by_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = ":bomb: [/] 🎮 \x1b]0;title\x07 \u202egnp"
    table = Table(show_header=False, box=None)
    table.add_row(escape(name))
    for printed in (escape(name), table):
        out.print(printed)
        assert capsys.readouterr().out.strip() == r":bomb: [/] 🎮 \x1b]0;title\x07 \u202egnp"


def test_what_is_quick_says_nothing_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.working("building the models"):
        pass
    with progress.Bars(*progress.Bars.get_default_columns()) as bars:
        bars.advance(bars.add_task("exporting", total=1))
    assert capsys.readouterr().out == ""
