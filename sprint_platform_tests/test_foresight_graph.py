"""Models of what players do next as people meet them: a weekly job, `sprint ask 8`, the
dashboard."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pytest

from sprint_platform.dashboard import foresight as page_of
from sprint_platform.dashboard.published import published
from sprint_platform.dashboard.view import read_view
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.ml import store
from sprint_platform.ml.drift import reference_of
from sprint_platform.ml.names import PREDICTIONS, SCORES, SEGMENTS
from sprint_platform.operations.practice import (
    LAUNCH,
    build_weeks,
    days_of_weeks,
    load_days,
    load_purchases,
    practice_shop,
)
from sprint_platform.operations.practice import (
    practice_title as game,
)
from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.foresight_assets import build_foresight_assets
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_tags import range_tags
from sprint_platform.orchestration.runs import selection_for
from sprint_platform.orchestration.verification import verify_models
from sprint_platform.simulation.world import World
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.title import Title
from sprint_platform.transform.questions import QuestionError, ask, questions
from sprint_platform_tests.built_marts import publish_built
from sprint_platform_tests.dbt_runs import landed_title
from sprint_platform_tests.small_titles import TINY

LAST = LAUNCH + timedelta(weeks=25)
[OFFERS] = [question for question in questions() if question.number == 8]


def materialized(title: Title) -> dg.ExecuteInProcessResult:
    return dg.materialize(build_foresight_assets(title), resources={"warehouse": Warehouse()})


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    [found] = [
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path[-1] == asset
        for event in [event.step_materialization_data]
    ]
    return {name: value.value for name, value in found.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with half a year of a small game, and all that its models say."""
    folder = tmp_path_factory.mktemp("foreseen")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        title = game(120, seed=6)
        with connect() as con:
            load_days(con, World(title), days_of_weeks(26))
        build_weeks(title, tests=False)
        with connect() as con:
            con.execute(
                "create table sprint_mart.kpi_daily as select distinct event_date as calendar_date,"
                " 'US' as country from sprint_raw.event_signons"
            )
            publish_built(con, title.name, ["sprint_mart.kpi_daily"])
        yield folder


@pytest.fixture(scope="module")
def result(folder: Path) -> dg.ExecuteInProcessResult:
    return materialized(game(120, seed=6))


def test_every_asset_says_what_it_made(result: dg.ExecuteInProcessResult) -> None:
    assert result.success
    tried = metadata(result, "models")
    assert tried["served left_in_14_days"] in str(tried["tried"])
    assert "near" in str(metadata(result, "training_set")["periods"])
    assert "share_of_attainable" in str(metadata(result, "evaluation")["scores"])
    said = metadata(result, "player_predictions")
    assert (said["week"], said["weeks_behind"]) == (str(LAST), 0)
    assert said["version"] == tried["version"]
    checks = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
    assert checks.keys() == {"features_have_not_drifted", "scores_have_not_drifted"}


def test_models_that_are_old_or_of_other_players_are_shown(
    folder: Path, result: dg.ExecuteInProcessResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = store.load("sprint")
    # they learned from players who never came in a party, and were sure that nobody would leave
    none = reference_of(np.zeros(9))
    nobody = {"party_sessions_4w": none, "score:left_in_14_days": none}
    other = dataclasses.replace(
        trained,
        last_week=trained.last_week - timedelta(weeks=3),
        reference={**trained.reference, **nobody},
    )
    monkeypatch.setattr(store, "load", lambda title: other)
    seen = dg.materialize(
        build_foresight_assets(game(120, seed=6)),
        selection=[dg.AssetKey(["sprint_ml", "player_predictions"])],
        resources={"warehouse": Warehouse()},
    )
    assert metadata(seen, "player_predictions")["weeks_behind"] == 3
    said = {e.check_name: e for e in seen.get_asset_check_evaluations()}
    assert not any(e.passed for e in said.values())
    assert "party_sessions_4w" in str(said["features_have_not_drifted"].description)
    assert "score:left_in_14_days" in str(said["scores_have_not_drifted"].description)


def test_offers_are_published_and_asked_for(
    folder: Path, result: dg.ExecuteInProcessResult
) -> None:
    answer = ask(game(120, seed=6), OFFERS)
    assert answer.columns[:3] == ("year_week", "who", "item_type")
    assert {row[0] for row in answer.rows} == {LAST}
    assert "sprint_mart.sales_segments" in answer.sql
    with duckdb.connect(str(folder / "published" / "sprint.duckdb"), read_only=True) as con:
        [(players, chances)] = con.execute(
            f"select count(distinct player_id), count(*) filter (chance_to_buy between 0 and 1 and"
            f" chance_to_leave between 0 and 1) from sprint_mart.{PREDICTIONS}"
        ).fetchall()
        [(of_segments,)] = con.execute(
            f"select sum(players) from sprint_mart.{SEGMENTS}"
        ).fetchall()
        ceilings = con.execute(
            f"select count(*) from sprint_mart.{SCORES} where model = 'ceiling'"
        ).fetchone()
    assert players == chances == of_segments > 100
    assert ceilings is not None
    assert ceilings[0] > 0


def test_a_week_that_is_made_again_is_there_once(
    folder: Path, result: dg.ExecuteInProcessResult
) -> None:
    with connect() as con:
        before = con.execute(f"select * from sprint_mart.{PREDICTIONS} order by all").fetchall()
    assert materialized(game(120, seed=6)).success
    with connect() as con:
        after = con.execute(f"select * from sprint_mart.{PREDICTIONS} order by all").fetchall()
    assert after == before


def test_the_page_shows_offers_scores_and_what_was_said(
    folder: Path, result: dg.ExecuteInProcessResult
) -> None:
    with published() as con:
        shown = str(page_of.page(con, read_view(con, "?title=sprint")))
    for part in ("segments-table", "scores-table", "calibration-left", "(served)", "ceiling"):
        assert part in shown


def test_a_short_history_says_how_many_weeks_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    title = game(20)
    with connect() as con:
        load_days(con, World(title), days_of_weeks(3))
        con.execute(
            "create table sprint_mart.kpi_daily as select distinct event_date as calendar_date,"
            " 'US' as country from sprint_raw.event_signons"
        )
        publish_built(con, title.name, ["sprint_mart.kpi_daily"])
    line = "of which 3 weeks are there: 23 weeks are missing"
    # before anything weekly was made
    with pytest.raises(QuestionError, match=line):
        ask(title, OFFERS)
    build_weeks(title, tests=False)
    result = materialized(title)
    assert result.success
    for asset in ("training_set", "models", "player_predictions", "sales_segments"):
        assert line in str(metadata(result, asset)["missing"])
    with published() as con:
        assert line in str(page_of.page(con, read_view(con, "?title=sprint")))


# --- a landed title -------------------------------------------------------------------------------


def test_a_landed_title_of_purchases_alone_is_foreseen_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CDNOW's: dates and amounts of customers, and nothing else."""
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    title = practice_shop()
    with connect() as con:
        load_purchases(con, title, days_of_weeks(26))
    build_weeks(title)
    assert materialized(title).success
    answer = ask(title, OFFERS)
    assert {row[2] for row in answer.rows} <= {"Skin", "Emote"}
    assert sum(row[4] for row in answer.rows) > 300
    with duckdb.connect(str(tmp_path / "published" / "sprint.duckdb"), read_only=True) as con:
        found = con.execute(
            f"select model, value from shop_mart.{SCORES} where metric = 'roc_auc' and"
            " label = 'bought_in_14_days' and period = 'near'"
        ).fetchall()
    areas = dict(found)
    # nobody knows the truth of a studio's customers
    assert "ceiling" not in areas
    assert max(areas["boosted trees"], areas["random forest"]) > areas["days since last active"]
    with connect() as con:
        con.execute(
            "create table shop_mart.kpi_daily as select distinct event_date as calendar_date,"
            " 'US' as country from shop_raw.event_transaction"
        )
        publish_built(con, title.name, ["shop_mart.kpi_daily"])
    with published() as con:
        shown = str(page_of.page(con, read_view(con, "?title=shop")))
    assert "segments-table" in shown
    assert "scores-table" in shown


def test_a_landed_title_of_sessions_alone_has_its_models_of_who_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As landing's own datasets are, where a studio names no others: nobody is known to buy."""
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    title = landed_title("arena", 50, 180)
    with connect() as con:
        ensure_title_schemas(con, title.name)
        title_ledger(title.name).ensure(con)
        # a player plays on a third of the days, from some day to another
        con.execute(
            "insert into arena_raw.event_session (session_id, player_id, team_id, country,"
            " started_at, event_datetime, event_length_seconds, kills, deaths, event_date)"
            " select md5('s' || p || ' ' || n)::uuid, md5('p' || p)::uuid, 1, 'US', day,"
            " day + interval 10 minute, 600, hash(p + n) % 5, 1, day from (select p, n,"
            " (date '2025-01-06' + n::integer) as day from range(1500) players(p), range(182) d(n)"
            " where hash(p * 1000 + n) % 3 = 0 and n >= (hash(p) % 150)::integer - 60"
            " and n <= (hash(p) % 150)::integer - 40 + (hash(p + 9999) % 200)::integer)"
        )
        con.execute(
            f"insert into {title_ledger(title.name).loaded_table} (dataset, partition_date, digest,"
            " rows, source) select 'sessions', date '2025-01-06' + n::integer, 'd', 1, 'files'"
            " from range(182) days(n)"
        )
    build_weeks(title)
    result = materialized(title)
    assert result.success
    said = str(metadata(result, "models")["left_out"])
    for label in ("bought_in_14_days", "spend_in_30_days"):
        assert f"{label} is left out: 0 weeks have a label" in said
    assert said in str(metadata(result, "sales_segments"))
    with duckdb.connect(str(tmp_path / "published" / "sprint.duckdb"), read_only=True) as con:
        [(players, leave, buy, spend, decile)] = con.execute(
            "select count(*), count(chance_to_leave), count(chance_to_buy), count(expected_spend),"
            f" count(decile) from arena_mart.{PREDICTIONS}"
        ).fetchall()
    assert players == leave > 100
    assert (buy, spend, decile) == (0, 0, 0)
    with pytest.raises(QuestionError, match="sales_segments is published, but empty"):
        ask(title, OFFERS)
    with connect() as con:
        con.execute(
            "create table arena_mart.kpi_daily as select distinct event_date as calendar_date,"
            " 'US' as country from arena_raw.event_session"
        )
        publish_built(con, title.name, ["arena_mart.kpi_daily"])
    with published() as con:
        shown = str(page_of.page(con, read_view(con, "?title=arena")))
    assert "calibration-left" in shown
    assert "calibration-bought" not in shown


# --- the weekly job -------------------------------------------------------------------------------


def test_the_weekly_job_runs_over_a_real_week_and_its_schedule_asks_for_it_once(
    parsed_data_folder: Path, titles_folder: Path
) -> None:
    # a Monday to the next
    yaml = TINY.replace("launch_date: 2025-01-01", "launch_date: 2025-01-06")
    (titles_folder / "tiny.yaml").write_text(yaml)
    definitions = build_definitions([Title.load("tiny")])
    with dg.instance_for_test() as instance:
        schedule = definitions.resolve_schedule_def("tiny_weekly_schedule")

        def tick(day: date) -> Any:
            with dg.build_schedule_context(
                instance=instance,
                scheduled_execution_time=datetime(day.year, day.month, day.day, 4, tzinfo=UTC),
                repository_def=definitions.get_repository_def(),
            ) as context:
                return schedule.evaluate_tick(context)

        monday = date(2025, 1, 13)
        skipped = tick(monday)
        assert "is not built up to 2025-01-12" in str(skipped.skip_message)
        tags = range_tags(date(2025, 1, 6), date(2025, 1, 12))
        days = definitions.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection=selection_for("tiny", "all").resolve(definitions.resolve_asset_graph())
        )
        assert days.execute_in_process(instance=instance, tags=tags).success
        [request] = tick(monday).run_requests
        assert request.tags["sprint/days"] == "2025-01-06 to 2025-01-12"
        job = definitions.resolve_job_def("tiny_weekly")
        ran = job.execute_in_process(instance=instance, tags={**request.tags})
        assert ran.success
        assert "every week of tiny is there" in str(tick(monday).skip_message)
        # a day's mart that is built again: no note of a week is lost by it
        one = definitions.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection={dg.AssetKey(["tiny", "kpi_daily"])}
        )
        assert one.execute_in_process(instance=instance, tags=tags).success
        assert "every week of tiny is there" in str(tick(monday).skip_message)
    with connect() as con:
        con.execute("update tiny_mart.player_features_weekly set sessions_1w = sessions_1w + 1")
    assert "features_are_the_records" in str(verify_models(Title.load("tiny")))
    with duckdb.connect(
        str(parsed_data_folder / "published" / "sprint.duckdb"), read_only=True
    ) as con:
        weeks = con.execute(
            "select distinct year_week from tiny_mart.player_features_weekly"
        ).fetchall()
    assert weeks == [(date(2025, 1, 6),)]
