"""The same days built by DuckDB and by Spark, and what their tables hold, to the last bit."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from sprint_platform.core.window import Window
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.orchestration.runs import run_graph
from sprint_platform.places import dagster_config
from sprint_platform.title import Title

# what fails is more likely Spark
ENGINES = ("spark", "duckdb")
# Half the time of a session that lives for minutes. Java has 48 MB for such code: full before all
# models are built, and nothing is compiled any more.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=240m"
# written by the platform beside the tables
NOTES = ("loaded_partitions", "built_from", "built_periods")


def _without_spark() -> str:
    """Why Spark cannot be tested here; nothing where it can."""
    if importlib.util.find_spec("pyspark") is None or not importlib.util.find_spec(
        "dbt.adapters.spark"
    ):
        return "Spark is not installed (requirements-spark.txt)"
    return "" if shutil.which("java") else "there is no Java"


# the marks of a file whose tests build on both engines
ON_BOTH = [pytest.mark.spark, pytest.mark.skipif(bool(_without_spark()), reason=_without_spark())]


@dataclass(frozen=True)
class Place:
    """A data folder in which one engine builds."""

    engine: str
    folder: Path

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """The settings of this engine and folder, while the block runs."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPRINT_ENGINE", self.engine)
            patch.setenv("SPRINT_DATA_DIR", str(self.folder))
            patch.setenv("DAGSTER_HOME", str(self.folder / "dagster"))
            home = self.folder / "dagster"
            home.mkdir(parents=True, exist_ok=True)
            shutil.copy(dagster_config(), home / "dagster.yaml")
            yield

    def build(self, title: str, first: date, last: date, *, reuse: bool = False) -> None:
        """Builds these days in one run, which must succeed."""
        with self.chosen():
            run = run_graph(Title.load(title), first, last, reuse=reuse)
            assert run.success, (run.failures, run.failed_checks)

    def digests(self, title: str) -> dict[str, str]:
        """By table of the title: the number of its rows, and a digest of all their values in any
        order. DuckDB writes a double so that no other reads the same."""
        found = {}
        with self.chosen(), connect() as con:
            tables = con.execute(
                "select table_schema || '.' || table_name from information_schema.tables"
                " where table_schema in (?, ?, ?, ?) and not list_contains(?, table_name)"
                " order by 1",
                [*(f"{title}_{part}" for part in ("raw", "dim", "stage", "mart")), [*NOTES]],
            ).fetchall()
            for (table,) in tables:
                names = sorted(name for name, *_ in con.execute(f"describe {table}").fetchall())
                row = ", ".join(f"coalesce(cast({name} as varchar), '\\N')" for name in names)
                [(digest,)] = con.execute(
                    "select count(*) || ' ' || coalesce(md5(string_agg(one, '' order by one)), '')"
                    f" from (select md5(concat_ws(chr(31), {row})) as one from {table})"
                ).fetchall()
                found[table] = f"{','.join(names)} {digest}"
        return found


@contextmanager
def two_places(folder: Path, titles: Mapping[str, str]) -> Iterator[dict[str, Place]]:
    """An empty data folder for each engine, while the block runs, and these titles (name: YAML)
    beside the shipped ones. Spark has two cores; its session ends with the block, as it knows
    tables by where they lie."""
    (folder / "titles").mkdir()
    for name, text in titles.items():
        (folder / "titles" / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_TITLES_DIR", str(folder / "titles"))
        patch.setenv("SPRINT_SPARK_MASTER", "local[2]")
        patch.setenv("JAVA_TOOL_OPTIONS", QUICK_JAVA)
        yield {engine: Place(engine, folder / engine) for engine in ENGINES}
        from pyspark.sql import SparkSession

        if session := SparkSession.getActiveSession():
            session.stop()


def window_of(*days: date) -> Window:
    return Window.of(min(days), max(days))
