"""What the tests share: folders of their own, and worlds that are made once."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

# before anything makes a console: tables are as wide on every machine, and in every worker
os.environ["COLUMNS"] = "200"

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers

from sprint_platform import places
from sprint_platform.core import settings as project_settings
from sprint_platform.simulation.world import World
from sprint_platform.title import Title
from sprint_platform_tests.parsed_once import parsed_once

# As sprint_platform.definitions has it: graphs are a million objects, at which Python's collector
# would look again after every 700 new ones.
gc.set_threshold(100_000, 50, 100)
# The same examples on every machine: what passes here passes in CI. No deadline: machines differ.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("project")
# Hypothesis also tries the constants of all modules that are loaded so far: others in every worker.
providers._get_local_constants = lambda: providers._local_constants


# The files that take the longest, longest first: what a worker begins last should be short.
LONGEST = (
    "test_landing_graph",
    "test_dashboard",
    "test_storefront_marts",
    "test_repair",
    "test_dbt_kpis",
    "test_signals",
    "test_graph_runs",
    "test_chaos",
    "test_foresight_graph",
    "test_score",
    "test_cli",
    "test_takeover",
    "test_notebooks",
    "test_foresight",
    "test_foresight_marts",
    "test_init",
    "test_dbt_project",
    "test_eventlog_cli",
    "test_examples",
    "test_real_telemetry",
    "test_eventlog_graph",
    "test_eventlog_snowflake_sql",
    "test_outside_domains",
    "test_landing",
    "test_prune",
    "test_forget",
    "test_eventlog_snowflake",
    "test_docs_site",
    "test_landing_admission",
    "test_determinism",
    "test_eventlog_marts",
    "test_settings",
    "test_storefront_graph",
    "test_storefront_load",
    "test_storefront_cli",
    "test_ask",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In this order the files are handed to the workers (``--no-loadscope-reorder``)."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def no_env_file() -> Iterator[None]:
    """The ``.env`` and the titles of whoever runs the tests are not read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "find_project", lambda: None)
        patch.setattr(project_settings, "env_file", lambda: Path("/not/there/.env"))
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run of the tests have in common."""
    own = tmp_path_factory.getbasetemp()
    # next to the folders of all workers
    return own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own


@pytest.fixture(scope="session", autouse=True)
def dbt_parses_once(shared_folder: Path) -> Iterator[Path]:
    """dbt parses its project once for each title and domain, not for each data folder. Returns the
    folder of what it parsed."""
    folder = shared_folder / "parsed"
    folder.mkdir(exist_ok=True)
    with parsed_once(folder):
        yield folder


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's ``.env``, in a folder of the test's own: to be written."""
    path = tmp_path / ".env"
    monkeypatch.setattr(project_settings, "env_file", lambda: path)
    return path


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder of the test's own, in place of the project's."""
    folder = tmp_path / "data"
    monkeypatch.setenv("SPRINT_DATA_DIR", str(folder))
    return folder


@pytest.fixture(scope="module")
def _path_of_parsed_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parsed") / "data"


@pytest.fixture
def parsed_data_folder(_path_of_parsed_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that is empty but for what dbt parsed in the file's earlier tests.

    It has one path in all of them: where the database has another, dbt parses the whole project
    anew, which takes longer than what most tests run."""
    folder = _path_of_parsed_data
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name == "dbt":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
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
