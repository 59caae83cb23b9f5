"""What the tests share: folders of their own, and worlds that are made once."""

from __future__ import annotations

import os
from pathlib import Path

# before anything makes a console: tables are as wide on every machine, and in every worker
os.environ["COLUMNS"] = "200"

import pytest
from hypothesis import settings

from sprint_platform.simulation.world import World
from sprint_platform.title import Title

# The same examples on every machine: what passes here passes in CI. No deadline: machines differ.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("project")


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder of the test's own, in place of the project's."""
    folder = tmp_path / "data"
    monkeypatch.setenv("SPRINT_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def titles_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder whose YAML files are titles beside the shipped ones."""
    folder = tmp_path / "titles"
    folder.mkdir()
    monkeypatch.setenv("SPRINT_TITLES_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def sprint() -> World:
    """The shipped title ``sprint``: 1,000 players at launch."""
    return World(Title.load("sprint"))


@pytest.fixture(scope="session")
def leap() -> World:
    """The shipped title ``leap``: 20,000 players in a year."""
    return World(Title.load("leap"))
