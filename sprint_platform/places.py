"""Where things lie: the project's folders, and those that its settings move."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sprint_platform.core.project import find_project, folder_at, installed_root, project_root
from sprint_platform.core.settings import SettingsError, settings, variable

_CONFIGS = Path(__file__).resolve().parent


@cache
def _absolute(path: Path, field: str) -> Path:
    # relative to the project's root, not the working directory: the Dagster daemon, dbt and a shell
    # may run in different folders and must mean the same one
    return folder_at(path, variable(field), project_root)


@cache
def _data_dir(chosen: Path) -> Path:
    path = _absolute(chosen, "data_dir")
    refuse_for_database(path)
    return path


def refuse_for_database(folder: Path) -> None:
    """Raises SettingsError for a data folder in which DuckDB or dbt cannot find the database."""
    for letter, reason in (
        ("?", "a question mark in its name, which DuckDB takes for options"),
        # in a pattern, where nothing escapes it
        ("\\", "a backslash in its name, which DuckDB takes for the end of a folder's name"),
        # dbt names the database by the address of its file
        ("#", "a # in its name, which dbt takes for the end of the path"),
    ):
        if letter in folder.as_posix():
            raise SettingsError(
                f"the data folder {folder} has {reason}: choose another ({variable('data_dir')})"
            )


def data_dir() -> Path:
    """Everything a run writes, an absolute path: ``SPRINT_DATA_DIR``, or ``data`` in the root.
    Raises SettingsError for a folder in which DuckDB cannot open a file."""
    return _data_dir(settings().data_dir)


def duckdb_temp_dir() -> Path:
    """The folder for DuckDB's temporary files, an absolute path: ``SPRINT_DUCKDB_TEMP``, or ``tmp``
    in the data folder."""
    chosen = settings().duckdb_temp
    return data_dir() / "tmp" if chosen is None else _absolute(chosen, "duckdb_temp")


def spark_warehouse_dir() -> Path:
    """Where Spark's tables lie, an absolute path that the driver and every worker see:
    ``SPRINT_SPARK_WAREHOUSE``, or ``spark`` in the data folder."""
    chosen = settings().spark_warehouse
    return data_dir() / "spark" if chosen is None else _absolute(chosen, "spark_warehouse")


def dagster_home() -> Path:
    """Where Dagster writes its history, an absolute path: ``DAGSTER_HOME``, or ``.dagster`` in the
    root."""
    return _absolute(settings().dagster_home, "dagster_home")


def dagster_config() -> Path:
    """The configuration of Dagster's instance that a new home gets as its ``dagster.yaml``: history
    in SQLite there, or in the PostgreSQL of ``SPRINT_DAGSTER_POSTGRES_URL``."""
    postgres = settings().dagster_postgres_url is not None
    return _CONFIGS / ("dagster-postgres.yaml" if postgres else "dagster.yaml")


def shipped_dagster_configs() -> list[Path]:
    """The configurations that ``dagster_config`` chooses from."""
    return sorted(_CONFIGS.glob("dagster*.yaml"))


def database_path() -> Path:
    """The one DuckDB file of all titles and domains."""
    return data_dir() / "sprint.duckdb"


def published_dir() -> Path:
    """The folder that notebooks, BI tools and dashboards read while runs write the database."""
    return data_dir() / "published"


def published_path() -> Path:
    """The small database of views that readers open."""
    return published_dir() / "sprint.duckdb"


def raw_dir(title: str, dataset: str) -> Path:
    """The folder of a dataset's partition files."""
    return data_dir() / "raw" / title / dataset


def dbt_project_dir() -> Path:
    """The dbt project of every title and domain; installed, not the user's to write in."""
    return installed_root() / "sprint_dbt"


def dbt_target_dir(title: str) -> Path:
    """dbt's target folder of one title. Schemas and aliases freeze at parse: titles never share
    one."""
    return data_dir() / "dbt" / title


def catalogue_path() -> Path:
    """The product catalogue that all simulated titles share: the data folder's, or the committed
    dbt seed where it has none. The dbt project's macro ``load_csv_rows`` chooses the same."""
    made = made_catalogue_path()
    return made if made.exists() else dbt_project_dir() / "seeds" / "dim_products.csv"


def made_catalogue_path() -> Path:
    """The data folder's catalogue, which the asset ``products`` writes."""
    return data_dir() / "catalogue" / "dim_products.csv"


def title_dirs() -> list[Path]:
    """Folders that hold title YAML files: the shipped ones, ``titles`` in the project where that is
    there, then those of ``SPRINT_TITLES_DIR`` (one or several separated like ``PATH``). A later
    folder's title wins over an earlier one's."""
    folders = [Path(__file__).resolve().parent / "titles"]
    project = find_project()
    if project is not None and (project / "titles").is_dir():
        folders.append(project / "titles")
    return [*folders, *(_absolute(folder, "titles_dir") for folder in settings().titles_dir)]
