"""What dbt's own tests catch, what the project promises its readers, and how it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlglot
import yaml
from sqlglot import exp

from sprint_platform.eventlog.warehouse import in_duckdb
from sprint_platform.operations.seconds_columns import SECONDS
from sprint_platform.places import dbt_project_dir
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.transform.dbt_manifest import graph_manifest
from sprint_platform.transform.dbt_runner import dbt_result, project_environment
from sprint_platform_tests.dbt_runs import OTHER_DOMAINS, DbtRun, DbtWarehouse, landed_title
from sprint_platform_tests.game_records import PLAYERS, Records, add_random_day, known_players

SPRINT = landed_title("sprint", distance=50, gap_seconds=180)
LEAP = landed_title("leap", distance=30, gap_seconds=60, word="conflict")
DAY = timedelta(days=1)
# ten days in January, and two in April that nothing is done to: a purchase counts for three months
JANUARY = [date(2025, 1, 1) + n * DAY for n in range(10)]
APRIL = [date(2025, 4, 14), date(2025, 4, 15)]

SIX_OF_THE_SEEDS = {
    "no_zero_duration_encounters",
    "country_referential_integrity",
    "non_negative_playtime",
    "revenue_consistency_weekly",
    "test_activity_matches_heartbeats",
    "test_consecutive_days_within_month",
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> DbtWarehouse:
    """Sprint and Leap, each built whole: from the same records."""
    made = DbtWarehouse(tmp_path_factory.mktemp("project"))
    rng = np.random.default_rng(20250101)
    records = Records()
    for day in JANUARY:
        add_random_day(records, rng, day, PLAYERS[:12])
    for day in APRIL:
        add_random_day(records, rng, day, PLAYERS[12:])
    for title in (SPRINT, LEAP):
        made.create_tables(title)
        # in between nobody played: no day is missing
        records.load(
            made, title, [JANUARY[0] + n * DAY for n in range((APRIL[-1] - JANUARY[0]).days + 1)]
        )
        made.load(title, "dim_players", {JANUARY[0]: known_players()})
        run = made.dbt(title, "build", "--exclude-resource-type", "unit_test")
        assert not run.unsuccessful, run.messages
    return made


@pytest.fixture
def manifest(warehouse: DbtWarehouse) -> dict[str, Any]:
    """The project as dbt parsed it for Sprint."""
    return json.loads((warehouse.folder / "dbt" / "sprint" / "manifest.json").read_bytes())


def data_tests(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {n["name"]: n for n in manifest["nodes"].values() if n["resource_type"] == "test"}


# --- titles --------------------------------------------------------------------------------------


def test_leaps_tables_take_its_word(warehouse: DbtWarehouse) -> None:
    """And only its tables: the columns' names stay, and Sprint's tables are Sprint's."""
    built = {name for name in warehouse.relations() if "_raw." not in name}
    sprints = {name.removeprefix("sprint_") for name in built if name.startswith("sprint_")}
    leaps = {name.removeprefix("leap_") for name in built if name.startswith("leap_")}
    assert {"stage.stage_encounters", "mart.session_close_encounters_daily"} < sprints
    assert leaps == {name.replace("encounter", "conflict") for name in sprints}
    assert len(built) == len(sprints) + len(leaps)
    # 30 units and 60 s find other meetings than 50 units and 180 s
    conflicts = warehouse.rows("leap_stage.stage_conflicts")
    assert {"encounter_start", "encounter_end"} < conflicts[0].keys()
    assert max(row["min_distance"] for row in conflicts) <= 30
    encounters = warehouse.rows("sprint_stage.stage_encounters")
    assert 30 < max(row["min_distance"] for row in encounters) <= 50


def test_the_graph_takes_no_exported_titles_names(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exported for dbt's own command line, they would freeze into every title's names."""
    monkeypatch.setenv("SPRINT_TITLE", "leap")
    monkeypatch.setenv("SPRINT_WORD", "conflict")
    nodes = graph_manifest()["nodes"].values()
    models = [n for n in nodes if n["resource_type"] == "model" and "title" in n["tags"]]
    assert {"stage_encounters", "session_close_encounters_daily"} < {n["alias"] for n in models}
    assert {n["schema"] for n in models} == {"sprint_stage", "sprint_mart"}


# --- what is promised ----------------------------------------------------------------------------


def test_sources_are_the_contracts_datasets() -> None:
    declared = yaml.safe_load((dbt_project_dir() / "models" / "title" / "sources.yml").read_text())
    tables = {
        (source["name"], table["name"]): table
        for source in declared["sources"]
        for table in source["tables"]
    }
    datasets = {(d.schema, d.table): d for d in DATASETS.values() if d.name != "products"}
    assert tables.keys() == datasets.keys()
    for name, dataset in datasets.items():
        columns = {column["name"]: column["data_type"] for column in tables[name]["columns"]}
        expected = {column.name: column.duckdb_type for column in dataset.columns}
        assert columns == {**expected, str(dataset.partition_column): "date"}, name
        assert tables[name]["config"]["meta"]["period_column"] == dataset.partition_column


def test_the_sums_of_seconds_are_those_that_follow_the_beat() -> None:
    declared = {
        (path.stem, column["name"])
        for path in (dbt_project_dir() / "models").rglob("*.yml")
        for model in yaml.safe_load(path.read_text()).get("models", [])
        for column in model.get("columns", [])
        if "SPRINT_SECONDS_TYPE" in column["data_type"]
    }
    assert set(SECONDS) == declared, "operations/seconds_columns.py: SECONDS"


def test_catalogue_seed_has_the_contracts_types(manifest: dict[str, Any]) -> None:
    seed = manifest["nodes"]["seed.sprint_dbt.dim_products"]
    assert seed["config"]["column_types"] == {
        column.name: column.duckdb_type for column in DATASETS["products"].columns
    }


PLAIN_VIEW = r"(--.*\n|{{ config.*\n)*\s*select\s[\w,\s]+\sfrom {{ (source|ref)\([^)]*\) }}\s*"


# Models that group by their key, and have a cheaper test that nothing was added to them twice.
GROUPED_BY_KEY = {"stage_centroids": "centroids_count_their_heartbeats"}


def with_a_key(manifest: dict[str, Any]) -> set[str]:
    """What has a test of its key, by unique id."""
    return {
        node["depends_on"]["nodes"][0]
        for node in data_tests(manifest).values()
        if node.get("test_metadata", {}).get("name") in ("unique_combination", "unique_moments")
    }


def is_plain_view(node: dict[str, Any]) -> bool:
    """Whether the model is a view of each row of one relation, column by column."""
    is_view = node["config"].get("materialized") == "view"
    return is_view and re.fullmatch(PLAIN_VIEW, node["raw_code"]) is not None


def test_everything_is_described_keyed_and_under_contract(manifest: dict[str, Any]) -> None:
    keyed = with_a_key(manifest)
    nodes = [n for n in manifest["nodes"].values() if n["resource_type"] in ("model", "seed")]
    for node in (*nodes, *manifest["sources"].values()):
        name = node["name"]
        assert node["description"].strip(), name
        undescribed = [c["name"] for c in node["columns"].values() if not c["description"].strip()]
        assert not undescribed, (name, undescribed)
        domain = node["fqn"][1] if node["fqn"][1] in OTHER_DOMAINS else "title"
        assert node["config"]["tags"] == [domain], name
    for node in nodes:
        # a view of a table's rows as they are has the table's key, which is tested there
        tested = node["depends_on"]["nodes"][0] if is_plain_view(node) else node["unique_id"]
        assert tested in keyed or node["name"] in GROUPED_BY_KEY, node["name"]
        if node["resource_type"] == "model":
            assert node["config"]["contract"]["enforced"], node["name"]
            assert node["config"]["on_schema_change"] == "fail", node["name"]


def test_conditions_and_divisions_are_the_same_on_every_engine(manifest: dict[str, Any]) -> None:
    """`where (true)` names an alias in Spark; integers divide to doubles in one engine, to decimals
    of so many digits in another."""
    built = {
        node["name"]: node["compiled_code"]
        for node in manifest["nodes"].values()
        # a hook of the project is compiled too, and may have nothing to say
        if "compiled" in node and node["resource_type"] in ("model", "test")
    }
    assert {"kpi_daily", "event_heartbeat_source_key"} < built.keys()
    for name, sql in built.items():
        tree = sqlglot.parse_one(sql, dialect="duckdb")
        for boolean in tree.find_all(exp.Boolean):
            outer = boolean.find_ancestor(exp.Where, exp.Func, exp.Not, exp.EQ, exp.Alias)
            assert not isinstance(outer, exp.Where), (name, outer)
        for division in tree.find_all(exp.Div):
            casts = division.this.find_all(exp.Cast)
            is_double = any(cast.is_type("double") for cast in casts) or division.find(exp.Sqrt)
            assert is_double, (name, division.sql())


def test_every_data_test_belongs_to_one_asset(manifest: dict[str, Any]) -> None:
    """Dagster attaches a generic test to its model, and a singular one to its only parent; with
    several, meta.dagster.ref must name one that the test reads."""
    assert data_tests(manifest).keys() >= SIX_OF_THE_SEEDS
    for name, node in data_tests(manifest).items():
        parents = node["depends_on"]["nodes"]
        if node.get("attached_node") or len(parents) == 1:
            continue
        ref = node["config"]["meta"]["dagster"]["ref"]["name"]
        assert ref in {parent.rpartition(".")[2] for parent in parents}, name


# --- what dbt's tests catch ----------------------------------------------------------------------

# every one breaks another test; all in January. Keys are broken by `doubled_rows`
FAULTS = (
    "update sprint_raw.event_signons set platform = 'abacus' where event_date < '2025-01-09'",
    "update sprint_raw.event_session set kills = -1 where event_date = '2025-01-04'",
    "update sprint_raw.event_heartbeat set team_id = 0 where event_date = '2025-01-05'",
    "update sprint_raw.event_transaction set purchase_item = 'SKU-1', purchase_price = -1"
    " where event_date = '2025-01-03'",
    "update sprint_raw.event_transaction set currency = 'EUR' where event_date < '2025-01-04'",
    "update sprint_dim.dim_players set birth_year = 19 where signup_date = '2025-01-01'",
    "update sprint_dim.dim_products set tier = 'Gold' where product_sku = 'SKU-1001'",
    "update sprint_stage.stage_encounters set encounter_end = encounter_start"
    " where event_date = '2025-01-02'",
    "delete from sprint_raw.event_heartbeat where event_date = '2025-01-06'",
    # where no teams met, no sum shows that the session is gone
    "delete from sprint_mart.session_close_encounters_daily"
    " where calendar_day = '2025-01-08' and close_encounter_count = 0",
    "update sprint_mart.player_activity_daily set total_play_time_seconds = -1"
    " where calendar_date = '2025-01-07'",
    "update sprint_mart.country_weekly_revenue set country = 'XX' where year_week < '2025-01-05'",
    "update sprint_mart.player_consecutive_days_monthly set max_consecutive_days_played = 31"
    " where year_month = '2025-01-01'",
    "update sprint_mart.player_stats_lifetime set total_kills = total_kills + 1"
    " where last_played < '2025-02-01'",
    "update sprint_mart.kpi_daily set monthly_active_players = -1"
    " where calendar_date = '2025-01-02'",
    "update sprint_mart.cohort_retention set retained_players = cohort_players + 1"
    " where calendar_date = '2025-01-04'",
    "update sprint_mart.concurrency_5_minutes set players_online = day_peak + 1"
    " where slot_started_at = '2025-01-05 12:00'",
    # the day's own revenue is right, and so is its sum: what came before it is not
    "update sprint_mart.cohort_revenue set cumulative_revenue = cumulative_revenue + 1, payers = -1"
    " where calendar_date = '2025-01-05'",
    "update sprint_mart.spender_concentration_monthly set top_10_percent_revenue = revenue + 1"
    " where year_month = '2025-01-01'",
    "update sprint_mart.player_rfm_monthly set recency_score = 6 where year_month = '2025-01-01'",
    "update sprint_mart.player_churn_weekly set days_played = 8 where year_week < '2025-01-10'",
)


def doubled_rows(manifest: dict[str, Any]) -> dict[str, str]:
    """By table with a key: the statement that repeats a row of January's, or a seed's."""
    statements = {}
    keyed = with_a_key(manifest)
    for unique_id, node in {**manifest["nodes"], **manifest["sources"]}.items():
        if unique_id not in keyed and node["name"] not in GROUPED_BY_KEY:
            continue
        if not set(OTHER_DOMAINS).intersection(node["config"]["tags"]):
            meta = node["config"]["meta"]
            column = meta.get("period_column") or meta.get("span_start")
            days = f" where {column} between '2024-12-30' and '2025-01-10'" if column else ""
            table = node["relation_name"]
            statements[table] = f"insert into {table} from {table}{days} limit 1"
    return statements


@pytest.fixture
def spoilt(warehouse: DbtWarehouse, manifest: dict[str, Any]) -> Any:
    """The warehouse with faults in January, which are gone after the test."""
    database = warehouse.folder / "sprint.duckdb"
    sound = shutil.copy(database, warehouse.folder / "sound.duckdb")
    with warehouse.connect() as con:
        con.execute(
            "insert into sprint_raw.event_signons"
            " select player_id, any_value(country), 'pc', min(started_at), event_date"
            " from sprint_raw.event_session group by player_id, event_date"
        )
        for fault in FAULTS:
            con.execute(fault)
        for relation, doubled in doubled_rows(manifest).items():
            added = con.execute(doubled).fetchone()
            assert added == (1,), f"{relation} has no row that could stand there twice"
    yield warehouse
    shutil.move(sound, database)


def test_every_data_test_fails_on_its_fault(spoilt: DbtWarehouse, manifest: dict[str, Any]) -> None:
    tests = {
        name
        for name, node in data_tests(manifest).items()
        if not set(OTHER_DOMAINS).intersection(node["tags"])
    }
    january = (JANUARY[0], JANUARY[-1] + DAY)
    command = ("test", "--exclude-resource-type", "unit_test")
    run = spoilt.dbt(SPRINT, *command, window=january)
    assert run.status.keys() == tests
    without = sorted(tests - run.unsuccessful)
    assert run.unsuccessful == tests, f"FAULTS: nothing in it fails {without}"
    warned = {name for name, status in run.status.items() if status == "warn"}
    assert warned == {"purchases_of_known_products"}
    # the wrong rows are printed, not only their number
    assert "event_session_source_rows (1 of " in run.log
    assert "broken_rule kills and deaths are not negative" in run.log
    assert "birth_year 19," in run.messages["dim_players_source_rows"]
    assert "display_name" not in run.messages["dim_players_source_rows"]
    doubled = "country XX, year_week 2024-12-30, copies 6"
    assert doubled in run.messages["country_weekly_revenue_key"]

    # a run sees its own days: in April all is well, but for the seeds, which have no days
    run = spoilt.dbt(SPRINT, *command, window=(APRIL[0], APRIL[-1] + DAY))
    assert run.status.keys() == tests
    seeds_tests = {"dim_countries_key", "dim_products_key", "dim_products_rows"}
    assert run.unsuccessful == seeds_tests

    # without a window everything is looked at
    run = spoilt.dbt(SPRINT, *command)
    assert run.unsuccessful == tests


@pytest.mark.parametrize("doubled", sorted(GROUPED_BY_KEY))
def test_a_row_that_is_there_twice_is_found_without_its_key(
    warehouse: DbtWarehouse, doubled: str
) -> None:
    database = warehouse.folder / "sprint.duckdb"
    sound = shutil.copy(database, warehouse.folder / "sound.duckdb")
    with warehouse.connect() as con:
        con.execute(
            f"insert into sprint_stage.{doubled} select * from sprint_stage.{doubled}"
            f" where event_date = '{JANUARY[2]}' limit 1"
        )
    for window in ((JANUARY[0], JANUARY[-1] + DAY), (JANUARY[2], JANUARY[2] + DAY)):
        run = warehouse.dbt(SPRINT, "test", "--select", GROUPED_BY_KEY[doubled], window=window)
        assert run.unsuccessful == {GROUPED_BY_KEY[doubled]}
    shutil.move(sound, database)


def test_nothing_is_built_on_a_faulty_source(spoilt: DbtWarehouse) -> None:
    before = spoilt.rows("sprint_mart.player_activity_daily")
    run = spoilt.dbt(
        SPRINT,
        *("build", "--select", "source:raw.event_session+", "--exclude-resource-type", "unit_test"),
        window=(JANUARY[0], JANUARY[-1] + DAY),
    )
    assert run.status["event_session_source_rows"] == "fail"
    assert run.status["player_activity_daily"] == run.status["stage_encounters"] == "skipped"
    assert spoilt.rows("sprint_mart.player_activity_daily") == before


# --- how it refuses ------------------------------------------------------------------------------


def test_dbt_build_in_its_folder_needs_nothing_else(tmp_path: Path) -> None:
    project = tmp_path / "sprint_dbt"
    shutil.copytree(dbt_project_dir(), project, ignore=shutil.ignore_patterns("target", "logs"))
    (tmp_path / "data").mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SPRINT_", "DBT_"))}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), "--no-use-colors", "build"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "ERROR=0 SKIP=0" in done.stdout
    relations = DbtWarehouse(tmp_path / "data").relations()
    assert {"sprint_mart.kpi_daily", "eventlog_mart.retention", "gold.daily_sales"} <= relations
    # a load finds the tables that it would make itself
    with DbtWarehouse(tmp_path / "data").connect() as con:
        assert all(in_duckdb(con).existing().values())


@pytest.mark.parametrize(
    ("environment", "flags", "reason"),
    [
        ({"SPRINT_WINDOW_START": "2025-01-01"}, [], "belong together"),
        (
            {"SPRINT_WINDOW_START": "2025-01-02", "SPRINT_WINDOW_END": "2025-01-02"},
            [],
            "must be a day before",
        ),
        (
            {"SPRINT_WINDOW_START": "yesterday", "SPRINT_WINDOW_END": "2025-01-02"},
            [],
            "as YYYY-MM-DD",
        ),
        (
            {"SPRINT_WINDOW_START": "2025-01-01", "SPRINT_WINDOW_END": "2025-01-02"},
            ["--full-refresh"],
            "would keep the window's rows only",
        ),
    ],
)
def test_a_wrong_window_is_refused(
    warehouse: DbtWarehouse, environment: dict[str, str], flags: list[str], reason: str
) -> None:
    before = warehouse.rows("sprint_mart.player_activity_daily")
    run = warehouse.dbt(
        SPRINT, "run", "--select", "player_activity_daily", *flags, environment=environment
    )
    assert not run.success
    assert reason in run.messages["player_activity_daily"]
    assert warehouse.rows("sprint_mart.player_activity_daily") == before


def test_a_log_on_a_full_disk_is_no_stack_trace(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "dbt.log").symlink_to("/dev/full")
    parse = ["--quiet", "parse", "--project-dir", str(dbt_project_dir())]
    folders = ["--target-path", str(tmp_path), "--log-path", str(logs)]
    result = dbt_result([*parse, *folders], project_environment())
    assert result.success
    assert "Logging error" not in capsys.readouterr().err


# in the meta of a model's YAML, by model
IN_META = {
    "forgetful": {"period_column": "event_date", "period": "day"},
    "without_period": {"period": "day"},
    "misspelt": {"period_column": "evnt_date"},
    "without_end": {"span_key": "session_id", "span_start": "event_date"},
    "without_batch": {},
    "new": {},
}
STRATEGIES = {"without_end": "replace_span", "without_batch": "replace_batch"}
# of the model that has all, by test
ARGUMENTS = {
    "unique_combination": {},
    "unique_moments": {"columns": ["session_id"]},
    "reconciles_with": {"keys": {"event_date": "event_date"}, "sums": {"event_date": "1"}},
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of models that forget the window's filter, whose YAML lacks what it must say."""
    project = tmp_path_factory.mktemp("faulty") / "forgetful"
    shutil.copytree(
        dbt_project_dir(),
        project,
        ignore=shutil.ignore_patterns("seeds", "tests", "analyses"),
    )
    folder = project / "models" / "title"
    for path in folder.rglob("*.*"):
        if path.stem not in ("fact_session", "sources", "terms"):
            path.unlink()
    columns = [
        {"name": "session_id", "data_type": "uuid"},
        {"name": "event_date", "data_type": "date"},
    ]
    models = []
    for name, meta in IN_META.items():
        (folder / "stage" / f"{name}.sql").write_text(
            "select session_id, event_date from {{ ref('fact_session') }}"
        )
        strategy = STRATEGIES.get(name, "replace_period")
        config = {"meta": meta, "incremental_strategy": strategy}
        models.append({"name": name, "config": config, "columns": columns})
    models[0]["data_tests"] = [
        {test: {"name": test, "arguments": arguments}} for test, arguments in ARGUMENTS.items()
    ]
    (folder / "stage" / "models.yml").write_text(yaml.safe_dump({"models": models}))
    (folder / "nowhere.sql").write_text("select 1 as one")
    nowhere = {"name": "nowhere", "columns": [{"name": "one", "data_type": "integer"}]}
    (folder / "nowhere.yml").write_text(yaml.safe_dump({"models": [nowhere]}))
    return project


def test_a_model_that_is_wrong_replaces_nothing(
    warehouse: DbtWarehouse, faulty: Path, tmp_path: Path
) -> None:
    """A model that forgets the window's filter, or has other columns than its table, fails, and its
    table stays as it was. One that reads its own table finds there what it is to replace."""
    project = tmp_path / "forgetful"
    shutil.copytree(faulty, project)
    stage = project / "models" / "title" / "stage"

    def run(window: tuple[date, date] | None = (JANUARY[3], JANUARY[4])) -> DbtRun:
        return warehouse.dbt(SPRINT, "run", "--select", "forgetful", project=project, window=window)

    assert run(None).success
    before = warehouse.rows("sprint_stage.forgetful")
    assert any(row["event_date"] == JANUARY[3] for row in before)
    refused = run()
    assert "lie outside the window's periods" in refused.messages["forgetful"]
    assert "filter the model with in_window('event_date')" in refused.messages["forgetful"]
    assert warehouse.rows("sprint_stage.forgetful") == before

    sql = stage / "forgetful.sql"
    remembers = sql.read_text() + " where {{ in_window('event_date') }}"
    sql.write_text(remembers + " and session_id in (select session_id from {{ this }})")
    again = run()
    assert again.success, again.messages
    assert again.times_written == {"forgetful": 2}
    assert warehouse.rows("sprint_stage.forgetful") == before

    models = yaml.safe_load((stage / "models.yml").read_text())
    [model] = [model for model in models["models"] if model["name"] == "forgetful"]
    model["columns"] = [*model["columns"], {"name": "country", "data_type": "varchar"}]
    (stage / "models.yml").write_text(yaml.safe_dump(models))
    sql.write_text(remembers.replace("_date from", "_date, country from"))
    refused = run()
    assert "out of sync" in refused.messages["forgetful"]
    assert warehouse.rows("sprint_stage.forgetful") == before


def test_what_yaml_must_say_is_asked_for_in_one_line(warehouse: DbtWarehouse, faulty: Path) -> None:
    """Of models that are there and of a new one; nothing is replaced, and nothing is left."""
    there = [name for name in IN_META if name != "new"]
    with warehouse.connect() as con:
        for name in there:
            con.execute(
                f"create or replace table sprint_stage.{name} as select session_id, event_date"
                " from sprint_raw.event_session limit 1"
            )
    before = [warehouse.rows(f"sprint_stage.{name}") for name in there]
    # the tests of forgetful alone: it would fail itself
    faults = ("without_period", "misspelt", "without_end", "without_batch", "new", "nowhere")
    run = warehouse.dbt(
        SPRINT,
        *("build", "--select", *faults, *ARGUMENTS),
        project=faulty,
        window=(JANUARY[3], JANUARY[4]),
    )
    named = "name one of the model's columns (session_id, event_date)"
    for name, reason in {
        "without_period": f"is missing, and replace_period replaces rows by it: {named}",
        "misspelt": "period_column in the meta of its YAML is 'evnt_date'",
        "without_end": "span_end in the meta of its YAML is missing",
        "without_batch": "batch_column in the meta of its YAML is missing",
        "new": "period_column in the meta of its YAML is missing",
        "nowhere": "dbt_project.yml has no schema for its folder",
    }.items():
        assert f"{name}: " in run.messages[name], run.messages[name]
        assert reason in run.messages[name]
    for test, argument in {
        "unique_combination": "columns",
        "unique_moments": "moment",
        "reconciles_with": "to",
    }.items():
        assert f"parameter '{argument}' was not provided" in run.messages[test]
    assert [warehouse.rows(f"sprint_stage.{name}") for name in there] == before
    assert not warehouse.relations() & {"sprint_stage.new", "main.nowhere"}
