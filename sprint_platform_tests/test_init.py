"""A project of one's own: what `sprint init` makes, and where commands find it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from sprint_platform.cli.init import init, write_project
from sprint_platform.core.project import PROJECT, ProjectError, find_project, installed_root
from sprint_platform.core.settings import Settings
from sprint_platform.simulation.movement.registry import models
from sprint_platform.title import (
    ARCHETYPES,
    COUNTRIES,
    PLATFORMS,
    SPENDER_CLUSTERS,
    Movement,
    Sessions,
    Simulation,
    Spending,
)
from sprint_platform_tests.command_line import run_sprint

DG = str(Path(sys.executable).with_name("dg"))
# a setting of whoever runs the tests is none of the project's
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name not in {PROJECT, *(str(field.alias) for field in Settings.model_fields.values())}
} | {"PYTHONPATH": str(installed_root())}


def run(folder: Path, *command: str, code: int = 0) -> str:
    """What a command says that is started in the folder."""
    done = subprocess.run(
        command, cwd=folder, env=CLEAN, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def sprint(folder: Path, *arguments: str, code: int = 0) -> str:
    return run(folder, sys.executable, "-m", "sprint_platform.cli", *arguments, code=code)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("init")
    printed = sprint(folder, "init", "arcade")
    assert f"cd {folder / 'arcade'}" in printed
    assert "sprint run --title arcade" in printed
    title = folder / "arcade" / "titles" / "arcade.yaml"
    settings = yaml.safe_load(title.read_text())
    settings["simulation"]["growth"]["active_players"] = 30
    title.write_text(yaml.safe_dump(settings))
    return folder / "arcade"


def test_no_word_of_the_template_is_left(project: Path) -> None:
    for path in project.rglob("*"):
        text = path.name + (path.read_text() if path.is_file() else "")
        assert [word for word in ("mygame", "VERSION", "LAUNCH") if word in text] == []


def test_the_title_says_what_its_settings_may_be(tmp_path: Path) -> None:
    write_project(tmp_path, "arcade", home=tmp_path / "home")
    text = (tmp_path / "titles" / "arcade.yaml").read_text()
    settings = yaml.safe_load(text)
    simulation = settings["simulation"]
    sections = {"movement": Movement, "sessions": Sessions, "spending": Spending}
    assert set(Simulation.model_fields) == set(simulation)
    assert {name: set(part.model_fields) for name, part in sections.items()} == {
        name: set(simulation[name]) for name in sections
    }
    words = set(re.findall(r"\w+", text))
    kinds = {"compound", "target", "steady"}
    assert words >= {*COUNTRIES, *PLATFORMS, *ARCHETYPES, *SPENDER_CLUSTERS, *models(), *kinds}


def test_its_titles_and_data_are_found_from_every_folder_in_it(project: Path) -> None:
    deep = project / "arcade" / "deep"
    deep.mkdir()
    assert "titles/arcade.yaml" in sprint(deep, "titles")
    sprint(deep, "run", "--title", "arcade", "--to", "2025-01-01", "--entrypoint", "players")
    assert (project / "data" / "sprint.duckdb").exists()
    assert list(deep.iterdir()) == []


def test_dagsters_command_makes_a_day_as_its_ci_does(project: Path) -> None:
    workflow = yaml.safe_load((project / ".github" / "workflows" / "daily.yml").read_text())
    (command,) = (
        step["run"]
        for step in workflow["jobs"]["day"]["steps"]
        if "materialize" in step.get("run", "")
    )
    assert 'key:"arcade/*"' in command
    assert "--partition 2025-01-01" in command
    # one asset of it: the whole day takes ten times as long
    command = command.replace("arcade/*", "arcade/signons")
    run(project, "bash", "-c", f"{sys.executable} -m {command}")
    assert list((project / "data" / "raw" / "arcade" / "signons").rglob("*.parquet"))


def test_dg_accepts_it_and_lists_it(project: Path) -> None:
    assert "All definitions loaded successfully" in run(project, DG, "check", "defs")
    assert "arcade/heartbeats" in run(project, DG, "list", "defs", "--json")


@pytest.mark.door
def test_dg_accepts_the_checkout_and_lists_it() -> None:
    root = installed_root()
    assert "All definitions loaded successfully" in run(root, DG, "check", "defs")
    assert "sprint/heartbeats" in run(root, DG, "list", "defs", "--json")


@pytest.mark.door
@pytest.mark.parametrize("of", ["checkout", "project"])
def test_dg_dev_serves_it(project: Path, tmp_path: Path, of: str) -> None:
    folder = project if of == "project" else installed_root()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # a home of its own: the checkout's is somebody's history
    environment = CLEAN | {"DAGSTER_HOME": str(tmp_path)}
    with subprocess.Popen(
        [DG, "dev", "--port", str(port)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as served:
        assert served.stdout is not None
        lines = threading.Thread(target=served.stdout.read, daemon=True)
        lines.start()
        try:
            assert b"dagster_version" in answer_of(f"http://127.0.0.1:{port}/server_info", served)
        finally:
            os.killpg(served.pid, signal.SIGTERM)
            lines.join()


def answer_of(address: str, served: subprocess.Popen[str]) -> bytes:
    """What is served there, once it is."""
    while served.poll() is None:
        try:
            with urllib.request.urlopen(address) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"it ended with {served.returncode}")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("9lives",), "'9lives' is no name for a game"),
        (("numpy",), "the name numpy is taken"),
        (("sprint",), "the name sprint is taken"),
        (("gold",), "the name gold is taken"),
        (("data",), "the name data is taken"),
        (("class",), "the name class is taken"),
        (("yes",), "the name yes is taken"),
        (("mine.txt/game",), "Not a directory"),
        (("~nobody99/game",), "Could not determine home directory"),
        (("a}b", "--name", "game"), "has '}' in its name, which .env cannot"),
        (("a?b", "--name", "game"), "has a question mark in its name, which DuckDB"),
        ((".", "--name", "arcade"), "is there and not empty"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    home = {"DAGSTER_HOME": str(tmp_path / ".." / "home")}
    ended = run_sprint(["init", *arguments], {**CLEAN, **home})
    assert ended.returncode == 1
    assert reason in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_its_env_file_names_its_home_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    folder = tmp_path / 'my "new" game\'s ${HOME'
    assert run_sprint(["init", str(folder), "--name", "game"], os.environ).returncode == 0
    monkeypatch.delenv("DAGSTER_HOME")
    assert dotenv_values(folder / ".env")["DAGSTER_HOME"] == str(folder / ".dagster")


def test_a_named_project_wins_over_the_folder_and_the_folder_over_the_checkout(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = find_project.__wrapped__
    monkeypatch.delenv(PROJECT, raising=False)
    monkeypatch.chdir(tmp_path)
    assert find() == installed_root()
    monkeypatch.chdir(project / "titles")
    assert find() == project
    monkeypatch.setenv(PROJECT, str(tmp_path))
    assert find() == tmp_path
    monkeypatch.setenv(PROJECT, str(tmp_path / "typo"))
    with pytest.raises(ProjectError, match=f"{PROJECT} names .*typo, which is not a folder"):
        find()


def test_a_clone_of_an_empty_repository_becomes_a_project(tmp_path: Path) -> None:
    clone = tmp_path / "my-game"
    (clone / ".git").mkdir(parents=True)
    sprint(clone, "init", ".")
    assert (clone / "titles" / "my_game.yaml").exists()


def test_a_project_that_was_not_finished_can_be_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("sprint_platform.cli.init._title_like_sprint", dies)
    with pytest.raises(KeyboardInterrupt):
        init(tmp_path / "arcade", "arcade")
    monkeypatch.undo()
    init(tmp_path / "arcade", "arcade")
    assert (tmp_path / "arcade" / "titles" / "arcade.yaml").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["arcade"]
