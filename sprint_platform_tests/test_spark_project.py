"""The dbt project as Spark's adapter reads it; no Java is needed for that."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprint_platform.cli.app import app
from sprint_platform.engines import spark_session
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.engine import LoadError
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.engines.spark_session import SparkError
from sprint_platform.places import dbt_project_dir
from sprint_platform.transform.dbt_runner import dbt_result

NOT_THERE = importlib.util.find_spec("pyspark") is None
WHY = "Spark is not installed (requirements-spark.txt)"


@pytest.mark.skipif(NOT_THERE, reason=WHY)
def test_every_domain_is_parsed_for_spark(tmp_path: Path) -> None:
    # dbt resolves every macro while it parses: one without a form for Spark would stop the project
    result = dbt_result(
        [
            *("--quiet", "parse", "--no-partial-parse", "--project-dir", str(dbt_project_dir())),
            *("--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path / "logs")),
        ],
        {"DBT_PROFILES_DIR": str(dbt_project_dir()), "DBT_TARGET": "spark"},
    )
    assert result.success, result.exception


@pytest.mark.skipif(NOT_THERE, reason=WHY)
def test_without_java_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    monkeypatch.setattr(spark_session.shutil, "which", lambda name: None)
    with pytest.raises(SparkError, match=r"Spark needs Java 17 or later, and there is none: .*apt"):
        spark_session.spark_session()


def test_without_spark_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(SparkError, match=r"SPRINT_ENGINE is spark, but .* is not installed: pip"):
        spark_session.spark_session()


def test_a_data_folder_belongs_to_one_engine(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect() as con:
        ensure_title_schemas(con, "sprint")
        monkeypatch.setenv("SPRINT_ENGINE", "spark")
        with pytest.raises(LoadError, match="sprint was built with SPRINT_ENGINE=duckdb"):
            ensure_title_schemas(con, "sprint")
        # another title has nothing there yet: its tables are views of Spark's files
        ensure_title_schemas(con, "leap")
        assert con.execute("select count(*) from leap_raw.event_session").fetchone() == (0,)
        monkeypatch.setenv("SPRINT_ENGINE", "duckdb")
        with pytest.raises(LoadError, match="leap was built with SPRINT_ENGINE=spark"):
            ensure_title_schemas(con, "leap")


def test_what_changes_duckdbs_tables_is_refused_where_they_are_sparks(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_ENGINE", "spark")
    refused = CliRunner().invoke(app, ["prune", "--title", "sprint", "--before", "2025-02-01"])
    assert "sprint prune works on DuckDB's tables" in str(refused.exception)
