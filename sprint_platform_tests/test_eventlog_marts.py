"""The event log's models: every mart against brute force, what a run of some batches replaces, and
what the tests catch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from sprint_platform.eventlog.contracts import (
    COUNTRY_LANGUAGES,
    DIFFICULTIES,
    EVENT_NAMES,
    PLATFORMS,
    RAW_TABLES,
)
from sprint_platform.eventlog.settings import BatchSettings
from sprint_platform.places import dbt_project_dir
from sprint_platform_tests.dbt_runs import DbtRun, DbtWarehouse
from sprint_platform_tests.eventlog_marts import (
    MARTS,
    MISTYPED,
    MISTYPED_COLUMNS,
    Log,
    Row,
    comparable,
    expected_marts,
    generated,
    made_by_hand,
)

WHOLE = ("daily_active_players", "funnel_sessions")  # they belong to no batch


class EventlogWarehouse(DbtWarehouse):
    """A database with the raw tables of the event log."""

    def put(self, log: Log) -> None:
        """Makes the raw tables hold exactly these rows."""
        with self.connect() as con:
            con.execute("create schema if not exists eventlog_raw")
            for table in RAW_TABLES.values():
                relation = f"eventlog_raw.{table.name}"
                con.execute(f"create or replace table {relation} ({table.definitions('duckdb')})")
                if log.rows[table.name]:
                    con.register("records", pa.Table.from_pylist(log.rows[table.name]))
                    con.execute(f"insert into {relation} by name select * from records")

    def build(
        self,
        batches: str | None = None,
        *command: str,
        environment: Mapping[str, str] | None = None,
    ) -> DbtRun:
        """Builds and tests these batches' models, or all; or another dbt command about them."""
        variables = {
            "DBT_PROFILES_DIR": str(dbt_project_dir()),
            "SPRINT_DATA_DIR": str(self.folder),
            "SPRINT_BATCHES": batches or "",
        }
        command = command or ("build", "--select", "tag:eventlog")
        return self.invoke(command, {**variables, **(environment or {})}, "eventlog")

    def marts(self) -> dict[str, list[Any]]:
        return {name: comparable(self.rows(f"eventlog_mart.{name}")) for name in MARTS}


def assert_marts(warehouse: EventlogWarehouse, expected: dict[str, list[Row]]) -> None:
    built = warehouse.marts()
    for name in MARTS:
        assert built[name] == comparable(expected[name]), name


@pytest.fixture(scope="module")
def third_batch() -> Log:
    return generated(
        BatchSettings(batch=3, players=60, start=date(2011, 3, 1), end=date(2011, 3, 31))
    )


@pytest.fixture(scope="module")
def logs(third_batch: Log) -> Log:
    return made_by_hand() + third_batch


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, logs: Log) -> EventlogWarehouse:
    """Batches 1 and 3, built and tested together; then batch 2, built alone."""
    made = EventlogWarehouse(tmp_path_factory.mktemp("eventlog"))
    earlier = logs.of_batch(1) + logs.of_batch(3)
    made.put(earlier)
    run = made.build()
    assert not run.unsuccessful, run.messages
    assert "events_find_their_session" in run.status
    assert_marts(made, expected_marts(earlier))
    made.put(logs)
    run = made.build("2")
    assert not run.unsuccessful, run.messages
    return made


def test_a_batch_is_added_to_what_was_built(warehouse: EventlogWarehouse, logs: Log) -> None:
    expected = expected_marts(logs)
    assert_marts(warehouse, expected)
    # the hand-made batches come to what they were made for
    retention = {
        (r["platform"], r["difficulty"], r["day_number"]): (
            r["cohort_players"],
            r["retained_players"],
        )
        for r in expected["retention"]
        if (r["load_batch_id"], r["cohort_date"]) == (1, date(2011, 1, 13))
    }
    assert [retention["ps3", "normal", day] for day in (0, 1, 7, 14, 30)] == [
        *((2, 2), (2, 1), (2, 1), (2, 0), (2, 1))
    ]
    # player_2's cohort is of the next day, and the batch ends before its day 30
    assert {r["day_number"] for r in expected["retention"] if r["cohort_date"].day == 14} == {
        *(0, 1, 7, 14)
    }
    story = {
        (c["chapter"], c["platform"]): c
        for c in expected["funnel_chapters"]
        if c["load_batch_id"] == 1
    }
    assert set(story) == {(1, "ps3"), (2, "ps3"), (12, "pc")}
    assert (story[2, "ps3"]["attempts"], story[2, "ps3"]["players_started"]) == (2, 1)
    assert story[12, "pc"]["deaths"] == story[12, "pc"]["players_stopped"] == 1


@pytest.fixture
def changing(warehouse: EventlogWarehouse) -> Iterator[EventlogWarehouse]:
    """The warehouse, as it was again after the test."""
    database = warehouse.folder / "sprint.duckdb"
    before = shutil.copy(database, warehouse.folder / "before.duckdb")
    yield warehouse
    shutil.move(before, database)


def test_a_run_replaces_its_batches_and_no_other(changing: EventlogWarehouse, logs: Log) -> None:
    """Batch 1 has lost a player and a session, batch 2 is empty: nothing of them stays. What was
    built of batch 3 is not built again."""

    def gone(row: Row) -> bool:
        lost_session = row.get("session_start", row.get("event_time", "")) >= "2011-02-12"
        in_batch_1 = row["player_id"] == "player_2" or lost_session
        return row["load_batch_id"] == 2 or (row["load_batch_id"] == 1 and in_batch_1)

    changed = logs.without(gone)
    changing.put(changed)
    # a mark that another build of batch 3 would wipe out
    marked = "event_name = 'game_closed' and load_batch_id = 3"
    with changing.connect() as con:
        con.execute(f"update eventlog_mart.fct_game_events set score = -1 where {marked}")
    run = changing.build("1,2", environment={"SPRINT_AS_OF": "2011-04-10"})
    assert not run.unsuccessful, run.messages
    assert [run.times_written[name] for name in MARTS] == [1] * len(MARTS)
    expected = expected_marts(changed, as_of={1: date(2011, 4, 10)})
    for event in expected["fct_game_events"]:
        if event["event_name"] == "game_closed" and event["load_batch_id"] == 3:
            event["score"] = -1
    assert_marts(changing, expected)
    recency = {p["load_batch_id"]: p["recency_days"] for p in expected["dim_players"]}
    assert recency[1] >= 10


# --- what the tests catch ------------------------------------------------------------------------

# all in batch 1, but where a table has no batches
FAULTS = (
    "update eventlog_raw.raw_players set player_id = '', country = 'XX'"
    " where player_id = 'player_5'",
    "update eventlog_raw.raw_sessions set session_id = '', session_end = 'never'"
    " where session_start = '2011-02-12 10:00:00'",
    "update eventlog_raw.raw_sessions set platform = 'pc'"
    " where session_start = '2011-01-14 09:00:00'",
    "update eventlog_raw.raw_game_events set event_id = '', event_name = 'game_won'"
    " where event_time = '2011-01-14 12:00:03'",
    # one session within another
    "insert into eventlog_raw.raw_sessions by name select * replace ('session_x' as session_id)"
    " from eventlog_raw.raw_sessions where session_id = 'session_1'",
    "update eventlog_raw.raw_game_events set properties = json_merge_patch(properties,"
    """ '{"place": 3}') where event_name = 'checkpoint_reached' and load_batch_id = 1""",
    "update eventlog_mart.dim_players set first_seen_at = first_seen_at - interval 1 day"
    " where load_batch_id = 1",
    "update eventlog_mart.fct_game_events set session_id = null where load_batch_id = 1",
    "update eventlog_mart.fct_sessions set game_starts = 2 where load_batch_id = 1",
    "update eventlog_mart.daily_active_players set active_players = active_players + 1",
    "update eventlog_mart.funnel_sessions set sessions = sessions + 1 where step_number = 3",
    "update eventlog_mart.funnel_chapters set players_completed = 99 where load_batch_id = 1",
    "update eventlog_mart.retention set retained_players = 99 where load_batch_id = 1",
)
DUPLICATED = {
    **{f"eventlog_raw.{name}": "load_batch_id = 1" for name in RAW_TABLES},
    **{f"eventlog_mart.{name}": "load_batch_id = 1" for name in MARTS if name not in WHOLE},
    "eventlog_mart.fct_game_events": "load_batch_id = 1 and event_name = 'game_started'",
    "eventlog_mart.retention": "load_batch_id = 1 and day_number = 0",
    "eventlog_mart.daily_active_players": "true",
    "eventlog_mart.funnel_sessions": "step_number = 1",
}


def test_every_data_test_fails_on_its_fault(changing: EventlogWarehouse) -> None:
    with changing.connect() as con:
        for fault in FAULTS:
            con.execute(fault)
        for relation, condition in DUPLICATED.items():
            copied = f"insert into {relation} select * from {relation} where {condition} limit 1"
            con.execute(copied)
        # lost, and not made good by the double above
        con.execute(
            "delete from eventlog_raw.raw_game_events"
            " where event_name = 'item_crafted' and load_batch_id = 1"
        )
    command = ("test", "--select", "tag:eventlog", "--exclude-resource-type", "unit_test")
    run = changing.build("1", *command)
    assert len(run.status) >= 30
    assert run.unsuccessful == run.status.keys()
    # the wrong rows are printed, not only their number
    assert "broken_rule the country is known" in run.log
    assert "broken_rule start and end are times" in run.log
    assert "copies 2" in run.messages["fct_sessions_key"]

    # a run sees its own batches: in batch 3 all is well, but for the tables that have none
    seen = changing.build("3", *command)
    assert seen.status.keys() == run.status.keys()
    assert seen.unsuccessful == {
        *(name for name in run.status if name.startswith(WHOLE)),
        "funnel_never_widens",
    }


def test_nothing_is_built_on_events_that_lie_nowhere(
    changing: EventlogWarehouse, logs: Log
) -> None:
    """Neither on properties that are not of their type: both stay, and fail the same test."""
    with changing.connect() as con:
        con.execute(
            "update eventlog_raw.raw_game_events set event_time = '2011-02-01 00:00:00'"
            " where event_name = 'item_crafted' and load_batch_id = 1"
        )
        con.execute(
            "update eventlog_raw.raw_game_events set properties ="
            """ replace(properties::varchar, '"chapter": 12', '"chapter": "last"')"""
            " where event_name = 'player_died' and player_id = 'player_2'"
        )
    before = {name: rows for name, rows in changing.marts().items() if name != "fct_game_events"}
    run = changing.build("1", "build", "--select", "tag:eventlog", "--exclude", "dim_players")
    assert run.status["fct_game_events_rows"] == "fail"
    assert "fct_game_events_rows (2 of 2)" in run.log
    assert "broken_rule it lies in a session of its player" in run.log
    assert "broken_rule every event has its chapter" in run.log
    skipped = {name for name, status in run.status.items() if status == "skipped"}
    assert {"fct_sessions", "retention", "funnel_chapters", "daily_active_players"} < skipped
    after = changing.marts()
    assert before == {name: after[name] for name in before}


def test_a_property_of_another_type_is_null_and_counted(changing: EventlogWarehouse) -> None:
    with changing.connect() as con:
        con.execute(
            "update eventlog_raw.raw_game_events set properties = ?"
            " where event_name = 'item_crafted' and load_batch_id = 1",
            [MISTYPED],
        )
    changed = "event_name = 'item_crafted' and load_batch_id = 1"
    rows = changing.rows("eventlog_stage.stg_game_events", changed)
    assert rows
    for row in rows:
        assert {name: row[name] for name in MISTYPED_COLUMNS} == MISTYPED_COLUMNS
    run = changing.build("1", "test", "--select", "properties_are_of_their_type")
    assert run.status == {"properties_are_of_their_type": "warn"}
    assert run.messages["properties_are_of_their_type"].startswith(f"Got {len(rows)} result")
    assert "chapter attempt checkpoint place" in run.log
    others = changing.rows("eventlog_stage.stg_game_events", f"not ({changed})")
    assert {row["mistyped"] for row in others} == {None}


# --- what is promised ----------------------------------------------------------------------------


def test_sources_are_the_contracts_tables() -> None:
    declared = yaml.safe_load(
        (dbt_project_dir() / "models" / "eventlog" / "sources.yml").read_text()
    )
    (source,) = declared["sources"]
    tables = {table["name"]: table for table in source["tables"]}
    assert tables.keys() == RAW_TABLES.keys()
    for name, table in RAW_TABLES.items():
        columns = {column["name"]: column["data_type"] for column in tables[name]["columns"]}
        types = {"text": "varchar", "integer": "integer"}
        assert list(columns) == table.column_names
        assert {c.name: columns[c.name] for c in table.columns if c.type != "json"} == {
            c.name: types[c.type] for c in table.columns if c.type != "json"
        }


def test_the_codes_that_are_known_are_the_contracts() -> None:
    known: dict[str, set[str]] = {}
    for path in (dbt_project_dir() / "models" / "eventlog" / "stage").glob("*.yml"):
        for test in yaml.safe_load(path.read_text())["models"][0]["data_tests"]:
            for rule, condition in (
                test.get("valid_rows", {}).get("arguments", {}).get("rules", {}).items()
            ):
                if rule.endswith(" is known"):
                    codes = set(re.findall(r"'([^']+)'", condition))
                    assert known.setdefault(rule, codes) == codes
    assert known == {
        "the country is known": set(COUNTRY_LANGUAGES),
        "the language is known": set(COUNTRY_LANGUAGES.values()),
        "the difficulty is known": set(DIFFICULTIES),
        "the platform is known": set(PLATFORMS),
        "the event is known": set(EVENT_NAMES),
    }


# --- how it refuses ------------------------------------------------------------------------------


def test_wrong_batches_and_days_are_refused(warehouse: EventlogWarehouse) -> None:
    before = warehouse.marts()
    run = warehouse.build("first", "run", "--select", "fct_game_events")
    assert "SPRINT_BATCHES must be numbers of batches" in run.messages["fct_game_events"]
    wrong_day = {"SPRINT_AS_OF": "tomorrow"}
    run = warehouse.build("1", "run", "--select", "dim_players", environment=wrong_day)
    assert "SPRINT_AS_OF must be a day as YYYY-MM-DD" in run.messages["dim_players"]
    run = warehouse.build("1", "run", "--select", "fct_game_events", "--full-refresh")
    assert "would keep those batches only" in run.messages["fct_game_events"]
    assert warehouse.marts() == before


def test_rows_of_other_batches_are_refused(changing: EventlogWarehouse, tmp_path: Path) -> None:
    """A model that forgets the batches' filter fails, and its table stays as it was."""
    project = tmp_path / "forgetful"
    shutil.copytree(
        dbt_project_dir(),
        project,
        ignore=shutil.ignore_patterns("seeds", "tests", "title", "title_ml", "analyses"),
    )
    models = project / "models" / "eventlog"
    for path in models.rglob("*.*"):
        if path.name not in ("sources.yml", "terms.md"):
            path.unlink()
    (models / "mart" / "forgetful.sql").write_text(
        "{{ config(materialized='incremental') }}"
        " select player_id, load_batch_id from {{ source('eventlog', 'raw_players') }}"
    )
    columns = [
        {"name": "player_id", "data_type": "varchar"},
        {"name": "load_batch_id", "data_type": "integer"},
    ]
    meta = {"batch_column": "load_batch_id"}
    model = {"name": "forgetful", "config": {"meta": meta}, "columns": columns}
    (models / "mart" / "forgetful.yml").write_text(yaml.safe_dump({"models": [model]}))

    def run(batches: str | None) -> DbtRun:
        environment = {
            "DBT_PROFILES_DIR": str(project),
            "SPRINT_DATA_DIR": str(changing.folder),
            "SPRINT_BATCHES": batches or "",
        }
        return changing.invoke(("run", "--select", "forgetful"), environment, "", project)

    assert run(None).success
    before = changing.rows("eventlog_mart.forgetful")
    refused = run("2")
    assert "new rows lie outside the run's batches" in refused.messages["forgetful"]
    assert "filter the model with in_batches('load_batch_id')" in refused.messages["forgetful"]
    assert changing.rows("eventlog_mart.forgetful") == before
