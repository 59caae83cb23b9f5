"""`sprint eventlog` as people meet it, in a data folder of its own."""

from __future__ import annotations

import hashlib
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from sprint_platform_tests.command_line import Ended, run_sprint
from sprint_platform_tests.fake_snowflake import serve

Sprint = Callable[..., Ended]
SPRINT = Path(sys.executable).parent / "sprint"


@pytest.fixture
def folder(parsed_data_folder: Path) -> Path:
    return parsed_data_folder


@pytest.fixture
def environment(tmp_path: Path, folder: Path) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("SNOWFLAKE")}
    return {
        **mine,
        "SPRINT_DATA_DIR": str(folder),
        "DAGSTER_HOME": str(tmp_path / "home"),
        "COLUMNS": "200",
        "NO_COLOR": "1",
        "N_PLAYERS": "20",
    }


@pytest.fixture
def sprint(environment: dict[str, str]) -> Sprint:
    """Runs `sprint eventlog …`, as nobody's terminal; returns how it ended."""

    def run(*arguments: str, **variables: str) -> Ended:
        return run_sprint(["eventlog", *arguments], {**environment, **variables})

    return run


def rows(folder: Path, table: str) -> dict[int, int]:
    """Rows of a raw table by batch."""
    with duckdb.connect(str(folder / "sprint.duckdb"), read_only=True) as con:
        found = con.execute(
            f"select load_batch_id, count(*) from eventlog_raw.{table} group by 1 order by 1"
        )
        return dict(found.fetchall())


def one_line(ended: Ended) -> str:
    """The one line that a refused command says; nothing else, and exit code 1."""
    assert ended.returncode == 1, ended.stdout
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def test_a_batch_is_written_and_loaded(sprint: Sprint, folder: Path) -> None:
    done = sprint("generate")
    assert done.returncode == 0, done.stderr
    assert "batch 1, 2011-01-13 to 2011-02-12: 20 players, seed 42" in done.stdout
    assert "sprint eventlog build --batch 1" in done.stdout
    written = (folder / "eventlog/raw_players.csv").read_bytes()
    assert hashlib.sha256(written).hexdigest()[:16] in done.stdout
    assert written.count(b"\n") == 21
    assert rows(folder, "raw_players") == {1: 20}
    assert sprint("generate").returncode == 0
    assert (folder / "eventlog/raw_players.csv").read_bytes() == written
    assert rows(folder, "raw_players") == {1: 20}


def test_generating_with_other_settings_replaces_the_batch_and_no_other(
    sprint: Sprint, folder: Path
) -> None:
    for arguments in ([], ["--batch", "2"], ["--players", "7", "--seed", "9"]):
        assert sprint("generate", *arguments).returncode == 0
    assert rows(folder, "raw_players") == {1: 7, 2: 20}


def test_a_second_batch_is_appended_once(sprint: Sprint, folder: Path) -> None:
    assert sprint("generate").returncode == 0
    done = sprint("generate", "--batch", "2", "--no-ingest")
    assert "sprint eventlog load --mode append" in done.stdout
    assert rows(folder, "raw_players") == {1: 20}
    before = rows(folder, "raw_game_events")
    first, second = sprint("load", "--mode", "append"), sprint("load", "--mode", "append")
    assert (first.returncode, second.returncode) == (0, 0)
    assert rows(folder, "raw_players") == {1: 20, 2: 20}
    assert rows(folder, "raw_game_events")[1] == before[1]
    [line] = [line for line in second.stdout.splitlines() if "raw_players" in line]
    assert [cell.strip() for cell in line.split("│")[2:5]] == ["0", "20", "0"]


def test_recreate_drops_what_was_there(sprint: Sprint, folder: Path) -> None:
    for arguments in (["--batch", "1"], ["--batch", "2"]):
        assert sprint("generate", *arguments).returncode == 0
    assert sprint("load", "--mode", "recreate").returncode == 0
    assert rows(folder, "raw_players") == {2: 20}


def test_a_person_is_asked_for_the_mode_and_a_script_is_not(
    sprint: Sprint, environment: dict[str, str], folder: Path
) -> None:
    assert sprint("generate").returncode == 0
    assert "--mode recreate" in one_line(sprint("load"))
    person, terminal = pty.openpty()
    asked = subprocess.Popen(
        [str(SPRINT), "eventlog", "load"],
        env=environment,
        stdin=terminal,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.write(person, b"n\n")
    printed, _ = asked.communicate()
    os.close(person)
    os.close(terminal)
    assert asked.returncode == 0
    assert "Drop what is there and load afresh?" in printed
    assert rows(folder, "raw_players") == {1: 20}


def test_append_asks_to_recreate_first(sprint: Sprint) -> None:
    assert sprint("generate", "--no-ingest").returncode == 0
    line = one_line(sprint("load", "--mode", "append"))
    assert "has no raw_players, raw_sessions, raw_game_events to append to" in line
    assert "--mode recreate first" in line


def test_it_goes_on_from_what_the_warehouse_holds(sprint: Sprint, folder: Path) -> None:
    assert "generate batch 1 first" in one_line(sprint("generate", "--continue"))
    assert sprint("generate", "--end", "2011-01-20").returncode == 0
    done = sprint("generate", "--continue", "--players", "3")
    assert done.returncode == 0, done.stderr
    assert "batch 2, 2011-01-2" in done.stdout
    ids = [
        line.split(",")[0]
        for line in (folder / "eventlog/raw_players.csv").read_text().splitlines()
    ]
    assert ids == ["player_id", "player_21", "player_22", "player_23"]
    assert rows(folder, "raw_players") == {1: 20, 2: 3}
    assert sprint("generate", "--continue", "--end", "2011-03-01").returncode == 0
    starts = [
        line.split(",")[2][:10]
        for line in (folder / "eventlog/raw_sessions.csv").read_text().splitlines()[1:]
    ]
    assert max(starts) <= "2011-03-01"
    assert "leave --batch and --start out" in one_line(
        sprint("generate", "--continue", "--batch=4")
    )


@pytest.mark.parametrize(
    ("arguments", "variables", "line"),
    [
        (["--players", "0"], {}, "players is '0': input should be greater than or equal to 1"),
        (["--batch", "1000"], {}, "batch is '1000'"),
        (["--batch", "100000000"], {}, "batch is '100000000'"),
        (["--start", "2011-02-30"], {}, "--start is a day such as"),
        (["--end", "2011-01-01"], {}, "the last day 2011-01-01 lies before the first, 2011-01-13"),
        (["--game-version", "1,0"], {}, "game version is '1,0'"),
        ([], {"GAME_DATA_SEED": "-1"}, "GAME_DATA_SEED is '-1'"),
        ([], {"MAX_SESSIONS_PER_PLAYER": "few"}, "MAX_SESSIONS_PER_PLAYER is 'few'"),
    ],
)
def test_a_wrong_setting_is_named(
    sprint: Sprint, folder: Path, arguments: list[str], variables: dict[str, str], line: str
) -> None:
    assert line in one_line(sprint("generate", *arguments, **variables))
    assert not (folder / "eventlog").exists()


def test_files_that_do_not_belong_together_are_not_loaded(sprint: Sprint, folder: Path) -> None:
    files = folder / "eventlog"
    assert "generate a batch first" in one_line(sprint("load", "--mode", "recreate"))
    assert sprint("generate").returncode == 0
    of_batch_1 = {path.name: path.read_bytes() for path in files.glob("raw_players*")}
    assert sprint("generate", "--batch", "2").returncode == 0
    for name, content in of_batch_1.items():
        (files / name).write_bytes(content)
    assert "do not belong together" in one_line(sprint("load", "--mode", "append"))
    # a half-written file
    (files / "raw_sessions.csv").write_bytes((files / "raw_sessions.csv").read_bytes()[:-9])
    assert "raw_sessions.csv has" in one_line(sprint("load", "--mode", "append"))
    assert rows(folder, "raw_players") == {1: 20, 2: 20}


def test_models_are_built_published_and_refused_without_data(sprint: Sprint, folder: Path) -> None:
    assert "sprint eventlog generate" in one_line(sprint("build"))
    assert sprint("generate").returncode == 0
    done = sprint("build", "--as-of", "2011-03-01")
    assert done.returncode == 0, done.stderr
    assert "10 models built and" in done.stdout
    with duckdb.connect(str(folder / "published/sprint.duckdb"), read_only=True) as con:
        players, least = con.execute(
            "select count(*), min(recency_days) from eventlog_mart.dim_players"
        ).fetchall()[0]
    assert players == 20
    assert least >= 17  # from 12 February, the last that there can be, to 1 March
    with duckdb.connect(str(folder / "sprint.duckdb")) as con:
        con.execute("update eventlog_raw.raw_players set difficulty_selected = 'nightmare'")
    failed = sprint("build")
    assert failed.returncode == 1
    [line] = failed.stderr.strip().splitlines()
    assert line.startswith("error: dbt: 1 of")
    # which rows, for example, and what is wrong with them
    assert "test stg_players_rows: Got 20 results" in line
    assert "broken_rule the difficulty is known" in line
    assert "difficulty nightmare" in line


def test_a_build_takes_along_what_was_loaded_and_not_built(sprint: Sprint, folder: Path) -> None:
    for batch in ("1", "2"):
        assert sprint("generate", "--batch", batch).returncode == 0
    done = sprint("build", "--batch", "2")
    assert done.returncode == 0, done.stderr
    assert "also batch 1: loaded, and not built since" in done.stdout
    assert built(folder) == {1: 20, 2: 20}
    assert sprint("generate", "--players", "9", "--seed", "3").returncode == 0
    assert "also batch 1" in sprint("build", "--batch", "2").stdout
    assert built(folder) == {1: 9, 2: 20}
    assert "also" not in sprint("build", "--batch", "2").stdout
    # as many rows as before, but of another version
    again = ("--players", "9", "--seed", "3", "--game-version", "2.0")
    assert sprint("generate", *again).returncode == 0
    assert "also batch 1" in sprint("build", "--batch", "2").stdout
    assert "holds no batch 7: it holds 1, 2" in one_line(sprint("build", "--batch", "7"))
    assert "leave --batch out" in one_line(sprint("build", "--batch", "1", "--as-of", "2012-01-01"))
    line = one_line(sprint("build", "--as-of", "2011-02-01"))
    assert "recency cannot be counted to 2011-02-01" in line
    # what is gone from the raw tables goes from the marts
    assert sprint("load", "--mode", "recreate").returncode == 0
    assert sprint("build", "--batch", "1").returncode == 0
    assert built(folder) == {1: 9}


def built(folder: Path) -> dict[int, int]:
    """Players by batch whose sessions are in the published facts."""
    with duckdb.connect(str(folder / "published/sprint.duckdb"), read_only=True) as con:
        found = con.execute(
            "select load_batch_id, count(distinct player_id) from eventlog_mart.fct_sessions"
            " group by 1 order by 1"
        )
        return dict(found.fetchall())


def test_two_commands_at_once_leave_one_batch_whole(
    environment: dict[str, str], folder: Path
) -> None:
    commands = [
        subprocess.Popen(
            [str(SPRINT), "eventlog", "generate", "--players", players, "--seed", seed],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        for players, seed in (("300", "1"), ("200", "2"), ("100", "3"))
    ]
    assert [command.wait() for command in commands] == [0, 0, 0]
    with duckdb.connect(str(folder / "sprint.duckdb"), read_only=True) as con:
        # nobody is seen first when no session of theirs starts
        torn = con.execute(
            "select count(*) from eventlog_raw.raw_players as players where not exists"
            " (select 1 from eventlog_raw.raw_sessions as sessions"
            " where sessions.player_id = players.player_id"
            " and sessions.session_start = players.first_seen_at)"
        ).fetchone()
    assert torn == (0,)
    written = (folder / "eventlog/raw_players.csv").read_text().count("\n") - 1
    assert rows(folder, "raw_players") == {1: written}


def test_snowflake_asks_for_its_credentials(sprint: Sprint) -> None:
    assert sprint("generate", "--no-ingest").returncode == 0
    line = one_line(sprint("load", "--mode", "append", "--to", "snowflake", SNOWFLAKE_ACCOUNT="a"))
    assert "SNOWFLAKE_USER, SNOWFLAKE_PASSWORD are not set" in line


def test_the_same_commands_in_snowflake(sprint: Sprint, folder: Path) -> None:
    with serve() as account:
        variables = {**account, "SNOWFLAKE_DATABASE": "COMMANDS"}
        line = one_line(sprint("build", "--to", "snowflake", **variables))
        assert "has no raw_players: sprint eventlog generate" in line
        for arguments in (
            ["generate", "--to", "snowflake"],
            ["generate", "--batch", "2", "--no-ingest"],
            ["load", "--to", "snowflake", "--mode", "append"],
        ):
            done = sprint(*arguments, **variables)
            assert done.returncode == 0, done.stderr
        # the build of batch 2 names the other, which was loaded and never built
        done = sprint("build", "--to", "snowflake", "--batch", "2", **variables)
        assert done.returncode == 0, done.stderr
        assert "also batch 1" in done.stdout
        assert "10 models built and" in done.stdout
        printed = done.stdout + done.stderr
        line = one_line(sprint("build", "--to", "snowflake", "--batch", "9", **variables))
        assert "holds no batch 9: it holds 1, 2" in line
        assert account["SNOWFLAKE_PASSWORD"] not in printed + line
        # a file of one's own, with a difficulty that nobody knows
        players = folder / "eventlog/raw_players.csv"
        players.write_text(players.read_text().replace(",normal,", ",nightmare,"))
        (folder / "eventlog/raw_players.manifest.json").unlink()
        recreated = sprint("load", "--to", "snowflake", "--mode", "recreate", **variables)
        assert recreated.returncode == 0, recreated.stderr
        line = one_line(sprint("build", "--to", "snowflake", **variables))
        assert "stg_players_rows" in line
        assert "nightmare" in line
        wrong = {**variables, "SNOWFLAKE_PASSWORD": "of another"}
        line = one_line(sprint("build", "--to", "snowflake", **wrong))
        assert "SNOWFLAKE_PASSWORD" in line
        assert "of another" not in line
    # nothing of it went into the other warehouse
    assert not (folder / "sprint.duckdb").exists()
