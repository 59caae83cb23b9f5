"""dbt's documentation as one page: models, sources, tests, lineage, and the columns' types.

The types are read from a temporary warehouse: every table of the contracts without a row, and dbt's
models over them. So the page is the same before the first run as after a year, and waits for no
warehouse.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

from sprint_platform.core.errors import SprintError
from sprint_platform.engines.load import ensure_tables, ensure_title_schemas
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.warehouse import LEDGER
from sprint_platform.ml.marts import ensure_tables as ensure_foresight
from sprint_platform.places import database_path, dbt_project_dir
from sprint_platform.storefront.duckdb_target import ensure_bronze
from sprint_platform.title import Title
from sprint_platform.transform.dbt_runner import dbt_environment, dbt_result, failure_line

# dbt's own name for the page with everything in it
_PAGE = "static_index.html"


class DocsError(SprintError):
    """dbt could not document the project. The message is one line."""


def dbt_docs_page(title: Title) -> str:
    """The page as HTML, with the table names of this title; it loads nothing else.

    Raises DocsError with dbt's own words when the project is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="sprint-docs-") as folder:
        _make_empty_warehouse(Path(folder) / database_path().name, title)
        environment = {
            **dbt_environment(title, None),
            "SPRINT_DATA_DIR": folder,
            "SPRINT_DUCKDB_TEMP": str(Path(folder) / "tmp"),
            "SPRINT_STORE_TITLE": title.name,
        }
        target = Path(folder) / "target"
        for command in (
            ("build", "--no-write-json", "--exclude-resource-type", "test", "unit_test"),
            ("docs", "generate", "--static"),
        ):
            arguments = [
                *command,
                *("--log-level", "none", "--log-level-file", "info", "--no-use-colors"),
                *("--project-dir", str(dbt_project_dir())),
                *("--target-path", str(target)),
                *("--log-path", str(target / "logs")),
            ]
            if line := failure_line("the documentation", dbt_result(arguments, environment)):
                raise DocsError(line)
        page = (target / _PAGE).read_text(encoding="utf-8")
    # the folders of this machine are private, and differ from build to build
    return page.replace(f"{target}/", "").replace(str(dbt_project_dir()), dbt_project_dir().name)


def _make_empty_warehouse(path: Path, title: Title) -> None:
    """Creates the tables that dbt reads, without rows: the title's datasets and what models
    say of it, the event log's tables, the store's."""
    with duckdb.connect(str(path)) as con:
        ensure_title_schemas(con, title.name)
        ensure_foresight(con, title.name)
        ensure_bronze(con)
        ensure_tables(con, LEDGER, RAW_TABLES.values())
