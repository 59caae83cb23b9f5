"""Where things lie: the project's folders and the data folder that ``SPRINT_DATA_DIR`` moves."""

from __future__ import annotations

import os
from pathlib import Path

from dotenv import dotenv_values


def environment() -> dict[str, str]:
    """The settings of this project: the process's environment, and what the project's ``.env`` adds
    to it. Read, not exported: a password in ``.env`` is not for every child process."""
    written = dotenv_values(project_root() / ".env")
    return {**{name: value for name, value in written.items() if value is not None}, **os.environ}


def project_root() -> Path:
    """The checkout: the folder that holds ``sprint_platform`` and ``sprint_dbt``."""
    return Path(__file__).resolve().parent.parent


def data_dir() -> Path:
    """Everything a run writes, an absolute path: ``SPRINT_DATA_DIR``, or ``data`` in the root."""
    chosen = os.environ.get("SPRINT_DATA_DIR")
    # resolved against the project root, not the working directory: the Dagster daemon, dbt and a
    # shell may each stand elsewhere and must still mean one folder
    return (project_root() / chosen).resolve() if chosen else project_root() / "data"


def database_path() -> Path:
    """The one DuckDB file of all titles and domains."""
    return data_dir() / "sprint.duckdb"


def published_dir() -> Path:
    """What notebooks, BI tools and dashboards read while runs write the database."""
    return data_dir() / "published"


def raw_dir(title: str, dataset: str) -> Path:
    """The folder of a dataset's partition files."""
    return data_dir() / "raw" / title / dataset


def dbt_project_dir() -> Path:
    """The dbt project of every title and domain."""
    return project_root() / "sprint_dbt"


def dbt_target_dir(title: str) -> Path:
    """dbt's target folder of one title: schemas and aliases freeze at parse, so titles never share
    one."""
    return data_dir() / "dbt" / title


def catalogue_path() -> Path:
    """The product catalogue, a dbt seed that all simulated titles share."""
    return dbt_project_dir() / "seeds" / "dim_products.csv"


def title_dirs() -> list[Path]:
    """Folders that hold title YAML files: the shipped ones, then the user's (``SPRINT_TITLES_DIR``,
    one or several separated like ``PATH``). A later folder's title wins over an earlier one's."""
    extra = os.environ.get("SPRINT_TITLES_DIR", "")
    return [
        Path(__file__).resolve().parent / "titles",
        *((project_root() / part).resolve() for part in extra.split(os.pathsep) if part),
    ]
