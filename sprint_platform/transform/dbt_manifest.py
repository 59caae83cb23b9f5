"""dbt's manifest for Dagster's graph: what models there are, for all titles.

It is parsed when there is none for the project as it is. Runs never use it: schemas and names
freeze in a manifest, and another title's models would be built into this one's schemas.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sprint_platform.core.errors import SprintError, one_line
from sprint_platform.core.locks import Kind, Lock, hold
from sprint_platform.engines.spark_session import on_spark
from sprint_platform.places import data_dir, dbt_project_dir
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.transform.dbt_runner import (
    dbt_result,
    project_environment,
)

# An entry of the manifest: a model, seed, test or source; and the manifest itself.
Node = Mapping[str, Any]
DATASET_OF_TABLE = {dataset.table: name for name, dataset in DATASETS.items()}
# Called by every model, and decides none of its rows.
NOT_ROWS = {"record_built"}
# Whose macros dbt's version stands for.
DBT_PACKAGES = {"dbt", "dbt_duckdb", "dbt_postgres", "dbt_snowflake", "dbt_spark"}
_ENV_VAR = re.compile(r"env_var\(\s*['\"](\w+)['\"]")
_QUOTED_OR_COMMENT = re.compile(
    r"('(?:[^'\\]|''|\\.)*'|\"[^\"]*\")|--[^\n]*|/\*.*?\*/|\{#.*?#\}", re.DOTALL
)
# What dbt writes into a project, and what it never reads.
NOT_THE_PROJECT = {"target", "logs", "dbt_packages", ".user.yml", "__pycache__"}


class ManifestError(SprintError):
    """The dbt project could not be parsed. The message is one line."""


def graph_manifest(project: Path | None = None) -> dict[str, Any]:
    """The parsed project (ours, where none is named): from the data folder where it is there, else
    after a parse.

    Raises ManifestError with dbt's own words when the project is wrong.
    """
    project = project or dbt_project_dir()
    path = _manifest_path(project)
    folder = path.parent
    if not path.exists():
        # the web server, the daemon and a run may all find it missing at once
        lock = Lock(Kind.DBT_MANIFEST, folder / ".lock", f"dbt's manifest in {folder}")
        with hold(lock, "a parse of the dbt project"):
            if not path.exists():
                _parse_to(path, project)
    return json.loads(path.read_bytes())


def manifest_at_hand(project: Path | None = None) -> dict[str, Any] | None:
    """The parsed project where the data folder has it as it is now, else None; nothing is
    parsed."""
    path = _manifest_path(project or dbt_project_dir())
    return json.loads(path.read_bytes()) if path.exists() else None


def _manifest_path(project: Path) -> Path:
    folder = data_dir() / "dbt" / "graph"
    if project != dbt_project_dir():
        place = hashlib.blake2b(str(project).encode(), digest_size=4).hexdigest()
        folder = folder / f"{project.name}-{place}"
    return folder / f"manifest-{_fingerprint(project)}.json"


def _fingerprint(project: Path) -> str:
    """The project's fingerprint; for a project from outside also that of our macros, with which it
    is parsed."""
    if project == dbt_project_dir():
        return project_fingerprint(project)
    return project_fingerprint(project) + project_fingerprint(dbt_project_dir() / "macros")


def project_fingerprint(project: Path) -> str:
    """16 hex digits over the project's files and dbt's versions.

    A seed counts by its name only: its rows change nothing in the graph, and the catalogue's may
    change with every run of the asset ``products``.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"{version('dbt-core')} {version('dbt-duckdb')}".encode())
    for path in _project_files(project):
        digest.update(f"\0{path.relative_to(project)}\0".encode())
        if path.suffix != ".csv":
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _project_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in NOT_THE_PROJECT or path.suffix == ".tmp":
            continue
        if path.is_dir():
            yield from _project_files(path)
        else:
            yield path


def _parse_to(path: Path, project: Path) -> None:
    target = path.parent / "target"
    result = dbt_result(
        [
            "--quiet",
            "parse",
            *("--project-dir", str(project)),
            *("--target-path", str(target)),
            *("--log-path", str(target / "logs")),
        ],
        # no title: the graph's translator gives every title its own names
        project_environment(),
    )
    if not result.success:
        raise ManifestError(f"{project} is wrong: {one_line(result.exception)}")
    os.replace(target / "manifest.json", path)
    for older in path.parent.glob("manifest-*.json"):
        if older != path:
            older.unlink(missing_ok=True)


def is_source(unique_id: str) -> bool:
    return unique_id.startswith("source.")


def tests_of(manifest: Node, unique_id: str) -> list[str]:
    """The tests that read the node, by unique id."""
    return [child for child in manifest["child_map"][unique_id] if child.startswith("test.")]


def dataset_of(source: Node) -> str:
    """The dataset whose table the source is."""
    return DATASET_OF_TABLE[source["identifier"]]


def domain_of(node: Node) -> str:
    """``title``, ``eventlog``, …: the folder of ``models`` or ``tests`` that the node lies in."""
    return str(node["fqn"][1])


def unread_sources(manifest: Node, domain: str) -> list[str]:
    """The domain's sources that have tests and no model of the domain."""
    return [
        source
        for source, node in manifest["sources"].items()
        if domain_of(node) == domain
        and tests_of(manifest, source)
        and not any(
            child.startswith("model.") and domain_of(manifest["nodes"][child]) == domain
            for child in manifest["child_map"][source]
        )
    ]


def sources_of(manifest: Node, node: Node) -> list[Node]:
    """The sources that a model or test reads, however many models lie between."""
    found, waiting = set(), [node["unique_id"]]
    while waiting:
        for parent in manifest["parent_map"][waiting.pop()]:
            waiting.append(parent)
            if is_source(parent):
                found.add(parent)
    return [manifest["sources"][source] for source in sorted(found)]


def datasets_of(manifest: Node, node: Node) -> list[str]:
    """The datasets of a title that a model reads, however many models lie between."""
    return sorted({dataset_of(source) for source in sources_of(manifest, node)})


def definitions_of(
    manifest: Node, nodes: Iterable[Node], environment: Mapping[str, str]
) -> dict[str, str]:
    """What defines each model's rows, by unique id, as 16 hex digits: its SQL and that of every
    macro of ours that it calls, without comments and extra blanks, and the values in
    ``environment`` of the variables that they read. The definitions of the model's parents are not
    in it, nor are Spark's versions of macros where models are built on DuckDB."""
    macros = manifest["macros"]
    # all versions of a macro that is dispatched by the engine
    by_name: dict[str, list[str]] = {}
    sql: dict[str, str] = {}
    for unique_id, macro in macros.items():
        spark_only = str(macro["name"]).startswith("spark__") and not on_spark()
        if macro["package_name"] not in DBT_PACKAGES and not spark_only:
            by_name.setdefault(str(macro["name"]).rpartition("__")[2], []).append(unique_id)
            sql[unique_id] = _plain_sql(str(macro["macro_sql"]))
    definitions = {}
    for node in nodes:
        called: set[str] = set()
        waiting = list(node["depends_on"]["macros"])
        while waiting:
            macro = macros.get(waiting.pop())
            if macro is None or macro["name"] in NOT_ROWS:
                continue
            for unique_id in by_name.get(str(macro["name"]), []):
                if unique_id not in called:
                    called.add(unique_id)
                    waiting += macros[unique_id]["depends_on"]["macros"]
        code = [_plain_sql(str(node["raw_code"])), *(sql[macro] for macro in sorted(called))]
        read = {name for text in code for name in _ENV_VAR.findall(text)}
        code += [f"{name}={environment[name]}" for name in sorted(read & environment.keys())]
        digest = hashlib.blake2b("\0".join(code).encode(), digest_size=8)
        definitions[str(node["unique_id"])] = digest.hexdigest()
    return definitions


def _plain_sql(code: str) -> str:
    """The code without comments and with single blanks; quoted text stays as it is."""
    plain = _QUOTED_OR_COMMENT.sub(lambda found: found[1] or " ", code)
    return " ".join(plain.split())
