"""The titles that are shipped as examples: each runs a day through the whole graph."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest
import yaml

from sprint_platform.core.window import Window
from sprint_platform.orchestration.runs import build_landed, land_files, run_graph
from sprint_platform.places import data_dir, database_path, installed_root
from sprint_platform.title import Title, title_names
from sprint_platform_tests.command_line import run_sprint

EXAMPLES = installed_root() / "examples"
TITLES = sorted(path.stem for path in (EXAMPLES / "titles").glob("*.yaml"))


@pytest.fixture
def place(parsed_data_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A data folder, with the examples' titles; some have fewer players."""
    titles = tmp_path / "titles"
    shutil.copytree(EXAMPLES / "titles", titles)
    for path in titles.glob("*.yaml"):
        text = path.read_text()
        path.write_text(text.replace("starting_players: 1000", "starting_players: 60"))
    monkeypatch.setenv("SPRINT_TITLES_DIR", str(titles))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return parsed_data_folder


def numbers(query: str) -> tuple:
    with duckdb.connect(str(database_path()), read_only=True) as con:
        found = con.execute(query).fetchone()
        assert found is not None
        return found


def test_they_are_those_that_the_docs_name() -> None:
    named = re.findall(
        r"^\| `(\w+)` \| ", (installed_root() / "docs" / "yours.md").read_text(), re.MULTILINE
    )
    assert set(TITLES) == {"arena", "classic", "muddy", "pitch", "royale"}
    assert set(TITLES) <= set(named)


def land(name: str) -> None:
    shutil.copytree(EXAMPLES / "landing" / name, data_dir() / "landing" / name)
    title = Title.load(name)
    ended, report = land_files(title)
    assert ended.success, ended.failures
    assert report is not None
    days = report.days
    for run in build_landed(title, [Window.of(days[0], days[-1])]):
        assert run.success, run.failures


@pytest.mark.usefixtures("place")
def test_all_of_them_are_titles() -> None:
    assert set(TITLES) < set(title_names())
    assert all(Title.load(name).description for name in TITLES)


def test_the_landing_page_does_as_it_says(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its title, its files and its commands as they stand there, from the first to the last."""
    page = (installed_root() / "docs" / "landing.md").read_text()
    (tmp_path / "data").symlink_to(place)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    title, *_ = re.findall(r"`titles/arena.yaml`:\n\n```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "titles" / "arena.yaml").write_text(title)
    shown, forget = page[: page.index("## Several samples")].split("## 5. Forget a player")
    printed = follow(shown)
    # what is shipped is what the page has
    assert yaml.safe_load((EXAMPLES / "titles" / "arena.yaml").read_text()) == yaml.safe_load(title)
    for path in (EXAMPLES / "landing").rglob("arena/*/*.csv"):
        there = place / "landing" / path.relative_to(EXAMPLES / "landing")
        assert path.read_text() == there.read_text()
    # the rows that the page counts
    assert numbers("select count(*) from arena_raw.event_heartbeat") == (6,)
    assert numbers("select count(*) from arena_raw.rejected") == (1,)
    assert numbers("select count(*) from arena_raw.duplicates") == (1,)
    assert numbers("select count(*) from arena_raw.pending_session") == (1,)
    assert "squad" in printed
    close = "select sum(close_encounter_count) from arena_mart.session_close_encounters_daily"
    assert numbers(close) == (2,)
    follow(forget)
    names = (
        "select list(source_id order by source_id) from arena_dim.source_ids where kind = 'player'"
    )
    assert numbers(names) == (["ben", "cleo"],)


def follow(page: str) -> str:
    """Runs the page's blocks for a shell; returns what was printed."""
    printed = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        if language not in ("", "bash"):
            continue
        if block.startswith("sprint "):
            for line in block.splitlines():
                ended = run_sprint(shlex.split(line)[1:], dict(os.environ))
                assert ended.returncode == 0, (line, ended.stderr)
                printed.append(ended.stdout)
        else:
            shell = subprocess.run(
                ["bash", "-e", "-c", block], capture_output=True, text=True, check=False
            )
            assert shell.returncode == 0, (block, shell.stderr)
            printed.append(shell.stdout)
    return "\n".join(printed)


@pytest.mark.usefixtures("place")
def test_pitch_lands_a_game_without_height() -> None:
    land("pitch")
    assert numbers(
        "select count(*), min(position_z), max(position_z) from pitch_raw.event_heartbeat"
    ) == (
        240,
        0,
        0,
    )
    counted = numbers("select close_encounter_count from pitch_mart.session_close_encounters_daily")
    # the middles of the teams pass each other once, between the 40th second and the 51st
    assert counted == (1,)


@pytest.mark.usefixtures("place")
def test_royale_fills_lobbies_of_sixty_in_teams_of_three() -> None:
    title = Title.load("royale")
    day = date(2025, 1, 1)
    run = run_graph(title, day, day)
    assert run.success, run.failures
    largest = "select max(players), max(teams) from (select count(*) as players,"
    largest += (
        " count(distinct team_id) as teams from royale_raw.event_session group by session_id)"
    )
    assert numbers(largest) == (60, 20)


@pytest.mark.parametrize("name", ["classic", "muddy"])
@pytest.mark.usefixtures("place")
def test_a_day_of_a_simulated_one_is_built(name: str) -> None:
    title = Title.load(name)
    run = run_graph(title, title.launch_date, title.launch_date)
    assert run.success, run.failures
    sessions, most = numbers(
        "select count(*), max(n) from (select player_id, count(*) as n"
        f" from {name}_raw.event_session group by 1)"
    )
    assert sessions > 0
    if name == "classic":
        assert most == 1
