"""Features and labels of players' weeks: that nothing of the future is in the ones, and all of it
in the others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sprint_platform.core.window import Window
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.operations.practice import (
    LAUNCH,
    build_weeks,
    days_of_weeks,
    load_days,
)
from sprint_platform.operations.practice import (
    practice_title as game,
)
from sprint_platform.places import dbt_project_dir
from sprint_platform.simulation.world import World
from sprint_platform.title import Title
from sprint_platform.transform import dbt_runner

WEEKS = 16
# the 11th week: with weeks before and after it that the features could look into
MIDDLE = LAUNCH + timedelta(weeks=10)
FEATURES = "sprint_mart.player_features_weekly"
LABELS = "sprint_mart.player_labels_weekly"
RAW = ("signons", "session", "transaction")


def rows(relation: str, where: str = "true") -> list[tuple[Any, ...]]:
    with connect() as con:
        return con.execute(f"select * from {relation} where {where} order by all").fetchall()


def run(sql: str) -> None:
    with connect() as con:
        con.execute(sql)


def fetched(sql: str) -> list[tuple[Any, ...]]:
    with connect() as con:
        return con.execute(sql).fetchall()


@pytest.fixture(scope="module")
def title() -> Title:
    return game(20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, title: Title) -> Iterator[Path]:
    """A data folder with sixteen weeks of a small game, and its weekly marts."""
    folder = tmp_path_factory.mktemp("foresight")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        with connect() as con:
            load_days(con, World(title), days_of_weeks(WEEKS))
        build_weeks(title)
        yield folder


@pytest.fixture
def restored(folder: Path) -> Iterator[None]:
    """What a test does to the database is undone."""
    database = folder / "sprint.duckdb"
    sound = shutil.copy(database, folder / "sound.duckdb")
    yield
    shutil.move(sound, database)


def without_the_future(title: Title, monday: date) -> list[tuple[Any, ...]]:
    """The features of the week, built anew where every later day is absent."""
    run(f"drop table {FEATURES}")
    run(f"drop table {LABELS}")
    for table in RAW:
        name = "event_signons" if table == "signons" else f"event_{table}"
        run(f"delete from sprint_raw.{name} where event_date > date '{monday}' + 6")
    run(f"delete from sprint_dim.dim_players where signup_date > date '{monday}' + 6")
    run(f"delete from sprint_raw.loaded_partitions where partition_date > date '{monday}' + 6")
    build_weeks(title, tests=False)
    return rows(FEATURES, f"year_week = date '{monday}'")


def test_features_are_the_same_without_every_later_day(
    title: Title, folder: Path, restored: None
) -> None:
    for monday in (MIDDLE, LAUNCH + timedelta(weeks=2)):
        known = rows(FEATURES, f"year_week = date '{monday}'")
        assert len(known) > 20
        assert without_the_future(title, monday) == known


def test_a_future_under_an_innocent_name_is_found(
    title: Title,
    folder: Path,
    restored: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = shutil.copytree(
        dbt_project_dir(),
        tmp_path / "sprint_dbt",
        ignore=shutil.ignore_patterns("target", "logs", "__pycache__"),
    )
    model = project / "models/title_ml/player_features_weekly.sql"
    sql = model.read_text(encoding="utf-8")
    honest = "range between {{ 7 * (weeks - 1) }} preceding and current row"
    assert honest in sql
    model.write_text(sql.replace(honest, honest.replace("current row", "7 following")))
    monkeypatch.setattr(dbt_runner, "dbt_project_dir", lambda: project)
    run(f"drop table {FEATURES}")
    build_weeks(title, tests=False)
    known = rows(FEATURES, f"year_week = date '{MIDDLE}'")
    assert without_the_future(title, MIDDLE) != known


def test_any_order_of_windows_gives_the_same_rows(
    title: Title, folder: Path, restored: None
) -> None:
    features, labels = rows(FEATURES), rows(LABELS)
    run(f"drop table {FEATURES}")
    run(f"drop table {LABELS}")
    first, last = LAUNCH, LAUNCH + timedelta(weeks=WEEKS)
    build_weeks(title, Window(MIDDLE, last), tests=False)
    build_weeks(title, Window(first, MIDDLE), tests=False)
    assert rows(FEATURES) == features
    assert rows(LABELS) == labels
    # a day that changes changes the weeks that look at it, and no other
    day = MIDDLE + timedelta(days=2)
    run(f"delete from sprint_raw.event_session where event_date = date '{day}'")
    run(f"delete from sprint_raw.event_transaction where event_date = date '{day}'")
    build_weeks(title, Window(day, day + timedelta(days=1)))
    one_day = rows(FEATURES), rows(LABELS)
    assert one_day[0] != features
    build_weeks(title)
    assert (rows(FEATURES), rows(LABELS)) == one_day


def test_pauses_and_mates_are_those_of_the_records(folder: Path) -> None:
    days: dict[object, set[date]] = {}
    for player, day in fetched(
        "select player_id, event_date from sprint_raw.event_signons union"
        " select player_id, event_date from sprint_raw.event_session union"
        " select player_id, event_date from sprint_raw.event_transaction where not is_recurring"
    ):
        days.setdefault(player, set()).add(day)
    met: dict[object, list[tuple[object, date]]] = {}
    for player, mate, day in fetched(
        "select distinct a.player_id, b.player_id, a.event_date from sprint_raw.event_session a"
        " join sprint_raw.event_session b using (session_id, party_id)"
        " where a.player_id <> b.player_id"
    ):
        met.setdefault(player, []).append((mate, day))
    columns = (
        "pauses_as_long_12w, squared_pauses_12w, mates_12w, mates_active_1w, mates_days_active_4w,"
        " shortest_mate_silence, longest_mate_silence"
    )
    known = fetched(f"select player_id, year_week, {columns} from {FEATURES}")
    for player, week, *figures in known:
        first, last = week - timedelta(days=77), week + timedelta(days=6)

        def between(of: object, start: date, end: date = last) -> list[date]:
            return sorted(day for day in days[of] if start <= day <= end)

        played = between(player, first)
        pauses = [(b - a).days for a, b in pairwise(played)]
        mates = {mate for mate, day in met.get(player, []) if first <= day <= last}
        silences = [(last - between(mate, first)[-1]).days for mate in mates]
        assert figures == [
            sum(pause > (last - played[-1]).days for pause in pauses),
            sum(pause * pause for pause in pauses),
            len(mates),
            sum(silence < 7 for silence in silences),
            sum(len(between(mate, last - timedelta(days=27))) for mate in mates),
            min(silences, default=None),
            max(silences, default=None),
        ], (player, week)
    for n in range(2, 7):
        assert sum(bool(row[n]) for row in known) > 20, n


def test_labels_are_what_came(folder: Path) -> None:
    [(wrong, known, open_)] = fetched(
        "with came as (select player_id, year_week, l.left_in_14_days, l.bought_in_14_days,"
        " l.spend_in_30_days, not exists (select 1 from sprint_raw.event_signons s where"
        "   s.player_id = l.player_id and s.event_date between year_week + 7 and year_week + 20)"
        " as gone, exists (select 1 from sprint_raw.event_transaction t where"
        "   t.player_id = l.player_id and t.event_date between year_week + 7 and year_week + 20)"
        " as bought, coalesce((select sum(purchase_price) from sprint_raw.event_transaction t where"
        "   t.player_id = l.player_id and t.event_date between year_week + 7 and year_week + 36),"
        "   0)"
        f" as spent from {LABELS} l)"
        " select count(*) filter (left_in_14_days <> gone or bought_in_14_days <> bought"
        "   or spend_in_30_days <> spent), count(left_in_14_days),"
        " count(*) filter (left_in_14_days is null) from came"
    )
    assert (wrong, known > 500, open_ > 50) == (0, True, True)
    # null exactly where the horizon is not over
    ends = fetched(
        f"select max(year_week) filter (left_in_14_days is not null), max(year_week) filter"
        f" (spend_in_30_days is not null), max(year_week) from {LABELS}"
    )
    last = LAUNCH + timedelta(weeks=WEEKS - 1)
    assert ends == [(last - timedelta(weeks=2), last - timedelta(weeks=5), last)]


def test_a_week_that_is_not_over_or_looks_back_over_a_hole_has_no_row(
    title: Title, folder: Path, restored: None
) -> None:
    day = LAUNCH + timedelta(days=10)
    for table in ("event_signons", "event_session", "event_transaction"):
        run(f"delete from sprint_raw.{table} where event_date = date '{day}'")
    run(f"delete from sprint_raw.loaded_partitions where partition_date = date '{day}'")
    saturday = LAUNCH + timedelta(days=7 * WEEKS - 2)
    run(f"delete from sprint_raw.loaded_partitions where partition_date > date '{saturday}'")
    build_weeks(title)
    found = [week for (week,) in fetched(f"select distinct year_week from {FEATURES} order by 1")]
    weeks = [LAUNCH + timedelta(weeks=n) for n in range(WEEKS)]
    # the hole is in the second week; twelve weeks later nobody looks at it
    assert found == [weeks[0], *weeks[13:-1]]


FAULTS = {
    "player_features_weekly_key": f"insert into {FEATURES} select * from {FEATURES} limit 1",
    "player_features_weekly_rows": f"update {FEATURES} set days_since_active = 9",
    "features_are_the_records": f"update {FEATURES} set sessions_1w = sessions_1w + 1",
    "player_labels_weekly_key": f"insert into {LABELS} select * from {LABELS} limit 1",
    "player_labels_weekly_rows": f"update {LABELS} set spend_in_30_days = -1",
    "every_feature_has_its_label": f"delete from {LABELS} where year_week = date '{MIDDLE}'",
}


def test_every_test_of_dbt_fails_on_its_fault(title: Title, folder: Path, restored: None) -> None:
    for fault in FAULTS.values():
        run(fault)
    from sprint_platform.transform.dbt_runner import dbt_environment, dbt_result_in_duckdb

    result = dbt_result_in_duckdb(
        [
            "test",
            *dbt_runner.project_arguments(title.name),
            *("--quiet", "--no-write-json", "--select", "tag:title_ml"),
        ],
        dbt_environment(title, None),
    )
    failed = {r.node.name for r in dbt_runner.node_results(result) if str(r.status) == "fail"}
    assert failed == FAULTS.keys()


def test_the_marts_note_every_day_that_they_are_built_of(folder: Path) -> None:
    marts = [("player_features_weekly", 7 * WEEKS), ("player_labels_weekly", 7 * WEEKS)]
    with duckdb.connect(str(folder / "sprint.duckdb"), read_only=True) as con:
        noted = con.execute(
            "select model, count(distinct period) from sprint_raw.built_from"
            " where dataset = 'sessions' group by model"
        ).fetchall()
        weeks = con.execute("select distinct model from sprint_raw.built_periods").fetchall()
    assert sorted(noted) == marts
    assert sorted(weeks) == [(mart,) for mart, _ in marts]
