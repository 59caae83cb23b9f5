"""Models of a few players whose weeks are drawn here: what is learned where a studio delivers no
purchases, of which players, and which trainings stay."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pyarrow as pa
import pytest

from sprint_platform.dashboard import foresight as page_of
from sprint_platform.dashboard.published import published
from sprint_platform.dashboard.view import read_view
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.ml import store
from sprint_platform.ml.errors import ForesightError, TooShort
from sprint_platform.ml.features import NUMBERS, read_rows, weeks_of
from sprint_platform.ml.periods import in_a_row, weeks_over
from sprint_platform.ml.predictions import predict
from sprint_platform.ml.training import Trained, periods_of, train
from sprint_platform.orchestration.foresight_assets import build_foresight_assets
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.title import Title
from sprint_platform.transform.questions import QuestionError, ask, questions
from sprint_platform_tests.built_marts import publish_built

FIRST, WEEKS, PLAYERS = date(2025, 1, 6), 26, 90


def draw(con: duckdb.DuckDBPyConnection, title: str) -> None:
    """The weekly marts of the title. Ids count up and end alike, as of an older kind of UUID;
    nobody plays on a handheld before the last weeks."""
    rng = np.random.default_rng(4)
    con.execute(f"create schema {title}_mart")
    mondays = [FIRST + timedelta(weeks=n) for n in range(WEEKS)]
    week = np.repeat(np.array(mondays, "datetime64[D]"), PLAYERS)
    number = np.tile(np.arange(PLAYERS), WEEKS)
    last = np.arange(len(week)) >= (WEEKS - 4) * PLAYERS
    drawn = pa.table(
        {
            "player_id": [f"{n:08x}-0000-1000-8000-00000000abcd" for n in number],
            "year_week": week,
            "country": ["US"] * len(week),
            "platform": np.where(last, "handheld", "pc"),
            **{name: rng.integers(0, 9, len(week)).astype(np.float64) for name in NUMBERS},
            "left_in_14_days": rng.random(len(week)) < 0.3,
            "bought_in_14_days": rng.random(len(week)) < 0.3,
            "spend_in_30_days": rng.integers(0, 3, len(week)),
        }
    )
    con.register("drawn", drawn)
    columns = "player_id::uuid as player_id, year_week"
    con.execute(
        f"create table {title}_mart.player_features_weekly as select {columns}, country, platform,"
        f" {', '.join(NUMBERS)} from drawn"
    )
    known = "case when year_week <= date '{}' then {} end as {}"
    labels = ", ".join(
        known.format(mondays[-1 - behind], label, label)
        for label, behind in (
            ("left_in_14_days", 2), ("bought_in_14_days", 2), ("spend_in_30_days", 5),
        )
    )  # fmt: skip
    con.execute(
        f"create table {title}_mart.player_labels_weekly as select {columns}, {labels} from drawn"
    )
    con.unregister("drawn")


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        draw(con, "some")
        yield con


@pytest.fixture(scope="module")
def trained() -> Trained:
    with duckdb.connect() as con:
        draw(con, "some")
        return train(con, "some")


def test_weeks_count_in_a_row_up_to_the_last() -> None:
    weeks = [FIRST + timedelta(weeks=n) for n in (0, 1, 3, 4, 5)]
    assert in_a_row(weeks) == weeks[2:]
    assert in_a_row([]) == []
    # a launch on a Wednesday; the last week is over on a Sunday
    assert weeks_over(date(2025, 1, 8), date(2025, 1, 18)) == [FIRST]
    assert weeks_over(date(2025, 1, 8), date(2025, 1, 19)) == [FIRST, date(2025, 1, 13)]
    assert weeks_over(FIRST, FIRST) == []


def test_the_page_and_the_question_count_weeks_as_the_job_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty weeks with a hole: the job writes nothing, and nobody promises that it will."""
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    weeks = [FIRST + timedelta(weeks=n) for n in range(30) if n != 12]
    with connect() as con:
        title_ledger("sprint").ensure(con)
        con.execute("create schema if not exists sprint_mart")
        con.execute(
            "create table sprint_mart.kpi_daily as select (date '2025-01-06' + n::integer) as"
            " calendar_date, 'US' as country from range(210) days(n)"
        )
        con.execute(
            "create table sprint_mart.player_features_weekly as select unnest(?::date[]) as"
            " year_week",
            [weeks],
        )
        publish_built(
            con, "sprint", ["sprint_mart.kpi_daily", "sprint_mart.player_features_weekly"]
        )
    line = "of which 17 weeks are there: 9 weeks are missing"
    [offers] = [question for question in questions() if question.number == 8]
    with pytest.raises(QuestionError, match=line):
        ask(Title.load("sprint"), offers)
    with published() as con:
        assert line in str(page_of.page(con, read_view(con, "?title=sprint")))
    with connect() as con:
        con.execute(
            "insert into sprint_mart.player_features_weekly values (date '2025-01-06' + 84)"
        )
        publish_built(con, "sprint", ["sprint_mart.player_features_weekly"])
    with pytest.raises(QuestionError, match="run the job sprint_weekly"):
        ask(Title.load("sprint"), offers)
    with published() as con:
        shown = str(page_of.page(con, read_view(con, "?title=sprint")))
    # a command that returns when the models are there
    assert "dagster asset materialize" in shown
    assert "--select 'group:sprint_ml' --partition-range 2025-01-06...2025-08-03" in shown


def test_a_label_that_cannot_be_learned_is_left_out_and_the_others_are_not(
    con: duckdb.DuckDBPyConnection,
) -> None:
    assert periods_of(con, "some")[1] == {}
    labels = "some_mart.player_labels_weekly"
    # nobody ever bought, and amounts are known of too few weeks
    con.execute(f"update {labels} set bought_in_14_days = false where bought_in_14_days")
    known = FIRST + timedelta(weeks=16)
    con.execute(f"update {labels} set spend_in_30_days = null where year_week > date '{known}'")
    found, left_out = periods_of(con, "some")
    assert found.keys() == {"left_in_14_days"}
    assert "one outcome only" in left_out["bought_in_14_days"]
    assert "17 weeks have a label of 30 days, and it takes 19" in left_out["spend_in_30_days"]
    only = train(con, "some")
    assert only.left_out == left_out
    of = predict(con, only, FIRST + timedelta(weeks=WEEKS - 1))
    assert ((of.leaves > 0) & (of.leaves < 1)).all()
    assert np.isnan([of.buys, of.spend]).all()
    assert not of.decile.any()
    con.execute(f"update {labels} set left_in_14_days = false where left_in_14_days")
    with pytest.raises(TooShort, match="left_in_14_days is left out: the training weeks have one"):
        periods_of(con, "some")


def test_a_title_of_which_nothing_can_be_learned_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    with connect() as con:
        title_ledger("sprint").ensure(con)
        draw(con, "sprint")
        con.execute(
            "update sprint_mart.player_labels_weekly set left_in_14_days = false,"
            " bought_in_14_days = false"
        )
    result = dg.materialize(
        build_foresight_assets(Title.load("sprint")), resources={"warehouse": Warehouse()}
    )
    assert result.success
    for event in result.get_asset_materialization_events():
        line = str(event.step_materialization_data.materialization.metadata["missing"])
        assert "left_in_14_days is left out: the training weeks have one outcome only" in line


def test_a_share_of_players_is_read_whatever_their_ids_are(con: duckdb.DuckDBPyConnection) -> None:
    weeks = weeks_of(con, "some")[-3:]
    some = read_rows(con, "some", weeks, 3 * PLAYERS // 3)
    chosen = {bytes(player) for player in some.player}
    assert len(some) == 3 * len(chosen)
    assert PLAYERS / 6 < len(chosen) < PLAYERS / 2


def test_words_of_weeks_that_nothing_is_learned_from_are_no_columns(trained: Trained) -> None:
    assert "platform=pc" in trained.columns.names
    assert "platform=handheld" not in trained.columns.names


def test_the_last_trainings_stay(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    versions = [f"{FIRST + timedelta(weeks=n)}-abcd" for n in range(7)]
    for version in versions:
        store.save(dataclasses.replace(trained, version=version))
        assert store.load("some").version == version
    folders = {path.name for path in store.models_dir("some").iterdir() if path.is_dir()}
    assert folders == set(versions[-store.TRAININGS :])
    # one that is trained on less history again stays, too
    store.save(dataclasses.replace(trained, version=versions[0]))
    assert store.load("some").version == versions[0]


@pytest.mark.parametrize("name", ["model.json", "value.json"])
def test_a_training_without_one_of_its_files_is_none(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    (store.save(trained) / name).unlink()
    with pytest.raises(ForesightError, match=f"{name} is missing: materialize some_ml/models"):
        store.load("some")
