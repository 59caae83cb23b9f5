"""The models on Spark: the same rows as DuckDB's, and the same promises."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from sprint_platform.engines.duckdb_file import connect
from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.run_tags import range_tags, title_tags
from sprint_platform.orchestration.runs import materialize
from sprint_platform.places import dbt_project_dir
from sprint_platform.title import Title
from sprint_platform.transform.dbt_runner import (
    dbt_environment,
    dbt_result,
    node_results,
    spark_environment,
)
from sprint_platform_tests.small_titles import TINY
from sprint_platform_tests.two_engines import ENGINES, ON_BOTH, Place, two_places, window_of

pytestmark = ON_BOTH
FIRST = date(2025, 1, 1)
THIRD, LAST = FIRST + timedelta(days=2), FIRST + timedelta(days=6)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    """The tiny title's week in one run, and its third day again, on each engine."""
    with two_places(tmp_path_factory.mktemp("engines"), {"tiny": TINY}) as found:
        for place in found.values():
            place.build("tiny", FIRST, LAST)
            place.build("tiny", THIRD, THIRD)
        yield found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the dbt project, to be spoiled."""
    copy = tmp_path_factory.mktemp("spoiled") / "sprint_dbt"
    ignored = shutil.ignore_patterns("target", "logs")
    return Path(shutil.copytree(dbt_project_dir(), copy, ignore=ignored))


def test_every_table_is_the_other_engines(places: dict[str, Place]) -> None:
    on_spark, on_duckdb = (places[engine].digests("tiny") for engine in ENGINES)
    assert on_spark == on_duckdb
    # not a comparison of nothing with nothing
    assert sum(not digest.endswith(" 0 ") for digest in on_duckdb.values()) > 20


def test_readers_find_what_was_published(places: dict[str, Place]) -> None:
    from sprint_platform.publish.views import open_published

    published = {}
    for engine, place in places.items():
        with place.chosen(), open_published() as con:
            kpis = con.sql("select * from tiny_mart.kpi_daily order by all").fetchall()
            moments = con.sql("select count(*) from tiny_raw.event_heartbeat").fetchall()
            published[engine] = (kpis, moments)
    assert published["spark"] == published["duckdb"]
    assert published["spark"][0]


def test_the_ledger_notes_what_spark_built(places: dict[str, Place]) -> None:
    noted = {}
    for engine, place in places.items():
        with place.chosen(), connect() as con:
            noted[engine] = [
                con.execute(query).fetchall()
                for query in (
                    "select dataset, partition_date, digest, rows from tiny_raw.loaded_partitions"
                    " order by all",
                    "select model, dataset, period, digest, passed from tiny_raw.built_from"
                    " order by all",
                    "select model, period, row_count, passed from tiny_raw.built_periods"
                    " order by all",
                )
            ]
    assert noted["spark"] == noted["duckdb"]


def test_weekly_models_are_duckdbs_and_read_sparks_tables(places: dict[str, Place]) -> None:
    weekly = [f"tiny_mart.player_{name}_weekly" for name in ("features", "labels")]
    found = {}
    for engine, place in places.items():
        with place.chosen():
            ended = materialize(
                build_definitions([Title.load("tiny")]),
                "tiny_weekly_models",
                dg.AssetSelection.assets(*(["tiny_ml", name.split(".")[1]] for name in weekly)),
                {**title_tags("tiny"), **range_tags(FIRST, LAST)},
            )
        assert ended.success, (ended.failures, ended.failed_checks)
        digests = place.digests("tiny")
        found[engine] = [digests[name] for name in weekly]
    assert found["spark"] == found["duckdb"]
    # the week of the launch is over
    assert not found["duckdb"][0].endswith(" 0 ")


@pytest.mark.parametrize(
    ("instead_of", "by", "says"),
    [
        (
            "where {{ in_window('event_date') }}",
            "where 1 = 1",
            "new rows lie outside the window's periods",
        ),
        (
            "max(case when recency = 1 then country end) as country",
            "cast(null as string) as country",
            "country is null in a new row",
        ),
        (
            "with sessions as (",
            "{{ config(meta={'period_column': none}) }}\nwith sessions as (",
            "period_column in the meta of its YAML is missing",
        ),
    ],
)
def test_a_row_that_must_not_be_there_fails_its_model(
    places: dict[str, Place], project: Path, instead_of: str, by: str, says: str
) -> None:
    place = places["spark"]
    before = place.digests("tiny")
    model = project / "models" / "title" / "mart" / "player_activity_daily.sql"
    sql = model.read_text(encoding="utf-8")
    assert instead_of in sql
    try:
        model.write_text(sql.replace(instead_of, by), encoding="utf-8")
        with place.chosen():
            result = dbt_result(
                [
                    *("--quiet", "run", "--select", "player_activity_daily"),
                    *("--project-dir", str(project), "--target-path", str(project / "target")),
                    *("--log-path", str(project / "logs")),
                ],
                {**dbt_environment(Title.load("tiny"), window_of(THIRD)), **spark_environment()},
            )
    finally:
        model.write_text(sql, encoding="utf-8")
    assert not result.success
    assert says in str([r.message for r in node_results(result)])
    assert place.digests("tiny") == before
