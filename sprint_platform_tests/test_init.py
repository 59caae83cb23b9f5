"""A project of one's own: what `sprint init` makes, and where commands find it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from sprint_platform.core.project import PROJECT, ProjectError, find_project, installed_root
from sprint_platform.core.settings import Settings
from sprint_platform_tests.command_line import run_sprint

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
    settings["simulation"]["growth"]["starting_players"] = 30
    title.write_text(yaml.safe_dump(settings))
    return folder / "arcade"


def test_no_word_of_the_template_is_left(project: Path) -> None:
    for path in project.rglob("*"):
        text = path.name + (path.read_text() if path.is_file() else "")
        assert [word for word in ("mygame", "VERSION", "LAUNCH") if word in text] == []


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


def test_dg_accepts_it(project: Path) -> None:
    dg = str(Path(sys.executable).with_name("dg"))
    assert "All definitions loaded successfully" in run(project, dg, "check", "defs")


def test_dg_accepts_the_checkout() -> None:
    dg = str(Path(sys.executable).with_name("dg"))
    assert "All definitions loaded successfully" in run(installed_root(), dg, "check", "defs")


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
    folder = tmp_path / 'my "new" #1 game\'s ${HOME'
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
