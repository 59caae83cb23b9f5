"""dbt's documentation as one page: models, sources, tests, lineage, and the columns' types.

The types are read from a temporary warehouse: every table of the contracts without a row, and dbt's
models over them. So the page is the same before the first run as after a year, and waits for no
warehouse.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

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


class Table(NamedTuple):
    """A model or a source: ``kind`` and ``unique_id`` are dbt's; the text is its description and
    those of its columns."""

    kind: str
    unique_id: str
    schema: str
    name: str
    text: str


class Documented(NamedTuple):
    """dbt's page as HTML, which loads nothing else, and the tables that it shows."""

    page: str
    tables: list[Table]


def dbt_docs(title: Title) -> Documented:
    """The documentation with the table names of this title.

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
        manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    # the folders of this machine are private, and differ from build to build
    page = page.replace(f"{target}/", "").replace(str(dbt_project_dir()), dbt_project_dir().name)
    return Documented(page, _tables(manifest))


def _tables(manifest: dict[str, Any]) -> list[Table]:
    return [
        Table(
            node["resource_type"],
            node["unique_id"],
            node["schema"],
            node["name"],
            " ".join(
                (
                    node["description"],
                    *(f"{c['name']}: {c['description']}" for c in node["columns"].values()),
                )
            ),
        )
        for node in (*manifest["nodes"].values(), *manifest["sources"].values())
        if node["resource_type"] in ("model", "source")
    ]


def _make_empty_warehouse(path: Path, title: Title) -> None:
    """Creates the tables that dbt reads, without rows: the title's datasets and what models
    say of it, the event log's tables, the store's."""
    with duckdb.connect(str(path)) as con:
        ensure_title_schemas(con, title.name)
        ensure_foresight(con, title.name)
        ensure_bronze(con)
        ensure_tables(con, LEDGER, RAW_TABLES.values())
