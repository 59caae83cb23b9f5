"""Real dbt runs for tests: records written into DuckDB, dbt in this process, rows read back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from sprint_platform.core.window import Window
from sprint_platform.places import dbt_project_dir
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Encounters, Title
from sprint_platform.transform.dbt_runner import dbt_environment, dbt_result

Row = dict[str, Any]
# what a run of a title's days leaves out
OTHER_DOMAINS = ("eventlog", "storefront", "title_ml")


def landed_title(name: str, distance: float, gap_seconds: int, word: str = "encounter") -> Title:
    """A title whose records the test writes itself."""
    return Title(
        name=name,
        launch_date=date(2025, 1, 1),
        seed=1,
        source="landing",
        encounters=Encounters(distance=distance, gap_seconds=gap_seconds, word=word),
    )


@dataclass(frozen=True)
class DbtRun:
    """What a dbt invocation did: status and message by node (model, seed, test), and its log."""

    success: bool
    status: dict[str, str]
    messages: dict[str, str]
    error: str
    log: str

    @property
    def unsuccessful(self) -> set[str]:
        """Nodes that failed, warned or were skipped."""
        return {name for name, status in self.status.items() if status not in ("success", "pass")}

    @property
    def times_written(self) -> Counter[str]:
        """How often each new row was written, by table: dbt may put them into another first."""
        written = re.findall(
            r"^\s*(?:create\s+temporary\s+table|insert\s+into)"
            r"\s+(?:\"\w+\"\.)*\"(\w+?)(?:__dbt_tmp\w*)?\"",
            self.log,
            re.MULTILINE,
        )
        return Counter(written)


@dataclass(frozen=True)
class DbtWarehouse:
    """A data folder with a database of its own, and dbt's target folders in it. At ``info`` the log
    is without the statements, and a run takes a tenth less."""

    folder: Path
    log_level: str = "debug"

    def connect(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.folder / "sprint.duckdb"))

    def create_tables(self, title: Title) -> None:
        """The empty tables that a load would create."""
        with self.connect() as con:
            for dataset in DATASETS.values():
                if dataset.name != "products":
                    con.execute(f"create schema if not exists {dataset.schema_name(title.name)}")
                    con.execute(dataset.create_table_sql(title.name))
            title_ledger(title.name).ensure(con)

    def load(self, title: Title, dataset: str, days: Mapping[date, Iterable[Row]]) -> None:
        """Replaces the dataset's rows of these days, as a load would."""
        contract = DATASETS[dataset]
        day_column = contract.partition_column
        records = [{**row, "day": day} for day, rows in days.items() for row in rows]
        # uuids go in as text: DuckDB casts them, and Arrow makes none from Python's
        names = [column.name for column in contract.columns]
        # what may be missing may be left out
        values = [
            [row.get(c.name) if c.nullable else row[c.name] for row in records]
            for c in contract.columns
        ]
        arrays = [
            pa.array([value and str(value) for value in column], pa.string())
            if c.type == "uuid"
            else pa.array(column, c.arrow_type)
            for c, column in zip(contract.columns, values, strict=True)
        ]
        with self.connect() as con:
            con.begin()
            record_days = pa.array([row["day"] for row in records], pa.date32())
            con.register("records", pa.table([*arrays, record_days], [*names, "day"]))
            con.executemany(
                f"delete from {contract.relation(title.name)} where {day_column} = ?",
                [[day] for day in days],
            )
            con.execute(
                f"insert into {contract.relation(title.name)} ({', '.join(names)}, {day_column})"
                " select * from records"
            )
            ledger = title_ledger(title.name).loaded_table
            con.executemany(
                f"insert or replace into {ledger} (dataset, partition_date, digest, rows, source)"
                " values (?, ?, uuid(), 0, 'test')",
                [[dataset, day] for day in days],
            )
            con.commit()

    def rows(self, relation: str, where: str = "true") -> list[Row]:
        """A table's rows, sorted by all columns (their order in a table means nothing)."""
        with self.connect() as con:
            con.execute(f"select * from {relation} where {where} order by all")
            names = [column[0] for column in con.description or []]
            return [dict(zip(names, row, strict=True)) for row in con.fetchall()]

    def relations(self) -> set[str]:
        """Every table and view of the database."""
        with self.connect() as con:
            con.execute("select table_schema || '.' || table_name from information_schema.tables")
            return {name for (name,) in con.fetchall()}

    def dbt(
        self,
        title: Title,
        *command: str,
        window: tuple[date, date] | None = None,
        project: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> DbtRun:
        """One dbt invocation for the title; ``window`` is half-open, None is everything."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPRINT_DATA_DIR", str(self.folder))
            variables = dbt_environment(title, Window(*window) if window else None)
        # the test's own records are to pass every test, also those that only a simulator passes
        variables["SPRINT_SOURCE"] = "simulated"
        # a title's database has no tables of another domain
        titles_own = (*command, "--exclude", *(f"tag:{domain}" for domain in OTHER_DOMAINS))
        return self.invoke(titles_own, {**variables, **(environment or {})}, title.name, project)

    def invoke(
        self,
        command: Iterable[str],
        environment: Mapping[str, str],
        target_name: str,
        project: Path | None = None,
    ) -> DbtRun:
        """One dbt invocation with a target folder of that name, or of the project's."""
        target = self.folder / "dbt" / (project.name if project else target_name)
        result = dbt_result(
            [
                *("--quiet", "--no-use-colors"),
                *command,
                *("--log-level-file", self.log_level),
                *("--project-dir", str(project or dbt_project_dir())),
                *("--target-path", str(target)),
                *("--log-path", str(target)),
            ],
            environment,
        )
        # a command that stopped before its first node has no results
        results = getattr(result.result, "results", [])
        # nothing is done for an exposure, and dbt says so; a hook is nobody's model or test
        results = [
            r for r in results if str(r.status) != "no-op" and r.node.resource_type != "operation"
        ]
        return DbtRun(
            success=result.success,
            status={r.node.name: str(r.status) for r in results},
            messages={r.node.name: str(r.message) for r in results},
            error=str(result.exception or ""),
            log=(target / "dbt.log").read_text(encoding="utf-8").rpartition("Running with dbt=")[2],
        )
