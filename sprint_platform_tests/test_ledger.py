"""The ledger: what is missing, stale or changed, by what was loaded and built."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.load import Mode, load_partitions
from sprint_platform.eventlog.batches import batches_behind
from sprint_platform.eventlog.files import csv_path, write_batch
from sprint_platform.eventlog.load import load
from sprint_platform.eventlog.settings import BatchSettings
from sprint_platform.eventlog.warehouse import LEDGER, open_duckdb
from sprint_platform.operations.days_to_build import missing_days, stale_days
from sprint_platform.publish.marts import publish_loaded
from sprint_platform.storage.ledger import Ledger, Model, Standing, title_ledger
from sprint_platform.storage.partitions import write_partition
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import definitions_of
from sprint_platform_tests.worlds import World

TITLE = title_ledger("sprint")
SESSIONS = Model("activity", "now", frozenset({"sessions"}))
BOTH = Model("kpi", "now", frozenset({"sessions", "signons"}))
DAYS = [date(2025, 1, 1) + timedelta(days=n) for n in range(3)]


def note(con: duckdb.DuckDBPyConnection, ledger: Ledger, model: Model, **noted: str | bool) -> None:
    """What dbt notes of the model for all that is loaded, unless ``noted`` says otherwise."""
    period = "load_batch_id" if ledger.batches else "partition_date"
    reported = {"definition": model.definition, "passed": True, "only": "true", **noted}
    con.execute(
        f"delete from {ledger.schema}.built_from where model = ? and period in"
        f" (select cast({period} as varchar) from {ledger.loaded_table} where {reported['only']})",
        [model.name],
    )
    con.execute(
        f"insert into {ledger.schema}.built_from select ?, dataset, cast({period} as varchar),"
        f" digest, ?, 'a run', ? from {ledger.loaded_table}"
        f" where list_contains(?, dataset) and {reported['only']}",
        [model.name, reported["definition"], reported["passed"], sorted(model.datasets)],
    )


@pytest.fixture
def warehouse(data_folder: Path, sprint: World) -> Iterator[duckdb.DuckDBPyConnection]:
    """Two datasets of three days, of which both models were built."""
    with connect() as con:
        for dataset in ("sessions", "signons"):
            for day in DAYS:
                load_day(con, sprint, dataset, day, day)
        for model in (SESSIONS, BOTH):
            note(con, TITLE, model)
        yield con


def load_day(
    con: duckdb.DuckDBPyConnection, world: World, dataset: str, day: date, of: date
) -> None:
    """Loads as the day's records those of another day, or its own."""
    made = write_partition("sprint", dataset, day, getattr(world, dataset)(of), source="test")
    load_partitions(con, title_ledger("sprint"), DATASETS[dataset], {day: made})


def standing(con: duckdb.DuckDBPyConnection, *models: Model) -> Standing:
    """By the database; the copy of what is loaded and built says the same."""
    found = TITLE.standing(con, models)
    publish_loaded(con, TITLE, views=False)
    assert TITLE.published_standing(models) == found
    return found


def test_what_is_built_from_what_is_loaded_is_built(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = standing(warehouse, SESSIONS, BOTH)
    assert found.built == ("2025-01-01", "2025-01-02", "2025-01-03")
    assert (found.unbuilt, found.stale) == ((), ())
    # asked of one day, nothing is said of another
    one = TITLE.standing(warehouse, [BOTH], (DAYS[1], DAYS[2]))
    assert one.built == ("2025-01-02",)


def test_a_day_that_was_loaded_anew_is_not_built(
    warehouse: duckdb.DuckDBPyConnection, sprint: World
) -> None:
    load_day(warehouse, sprint, "signons", DAYS[1], DAYS[0])
    assert standing(warehouse, SESSIONS, BOTH).unbuilt == ("2025-01-02",)
    # a model that does not read that dataset is not behind
    assert standing(warehouse, SESSIONS).unbuilt == ()
    load_day(warehouse, sprint, "signons", DAYS[1], DAYS[1])
    assert standing(warehouse, SESSIONS, BOTH).unbuilt == ()


@pytest.mark.parametrize("passed", ["false", "null"])
def test_a_model_whose_tests_failed_or_never_ended_is_not_built(
    warehouse: duckdb.DuckDBPyConnection, passed: str
) -> None:
    warehouse.execute(
        f"update sprint_raw.built_from set passed = {passed} where model = 'kpi'"
        " and period = '2025-01-03'"
    )
    assert standing(warehouse, SESSIONS, BOTH).unbuilt == ("2025-01-03",)


def test_another_definition_is_stale_and_a_model_that_was_never_built_is_missing(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    changed = Model("kpi", "another", BOTH.datasets)
    found = standing(warehouse, SESSIONS, changed)
    assert found.stale == found.built == ("2025-01-01", "2025-01-02", "2025-01-03")
    assert found.stale_models == {"kpi"}
    note(warehouse, TITLE, changed, only="partition_date = '2025-01-02'")
    assert standing(warehouse, SESSIONS, changed).stale == ("2025-01-01", "2025-01-03")
    new = Model("new", "now", frozenset({"sessions"}))
    assert standing(warehouse, SESSIONS, new).unbuilt == found.built


def test_players_of_before_the_launch_are_judged_by_themselves(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """Nothing else is loaded of such a day, and nothing else can be built of it."""
    players = Model("kpi", "now", frozenset({"dim_players", "sessions", "signons"}))
    # what landing notes of its own is no dataset of a model
    warehouse.execute(
        "insert into sprint_raw.loaded_partitions values"
        " ('landed_files', '1970-01-01', 'd', 1, 's', [])"
    )
    for day in ("2024-12-30", "2025-01-01", "2025-01-02", "2025-01-03", "2025-01-07"):
        warehouse.execute(
            "insert into sprint_raw.loaded_partitions values ('dim_players', ?, 'd', 1, 's', [])",
            [day],
        )
    note(warehouse, TITLE, players, only="partition_date < '2025-01-04'")
    found = standing(warehouse, players)
    assert found.built == ("2024-12-30", "2025-01-01", "2025-01-02", "2025-01-03")
    # of a day that is not made yet players are loaded, too: it is not built for that
    note(warehouse, TITLE, players)
    assert standing(warehouse, players).unbuilt == ("2025-01-07",)
    warehouse.execute(
        "update sprint_raw.loaded_partitions set digest = 'late'"
        " where partition_date < '2025-01-01'"
    )
    assert standing(warehouse, players).unbuilt == ("2024-12-30", "2025-01-07")


def test_another_version_of_the_title_is_noted_where_the_records_are_the_same(
    warehouse: duckdb.DuckDBPyConnection, sprint: World
) -> None:
    made = write_partition(
        "sprint", "sessions", DAYS[0], sprint.sessions(DAYS[0]), source="another version"
    )
    report = load_partitions(
        warehouse, title_ledger("sprint"), DATASETS["sessions"], {DAYS[0]: made}
    )
    assert report.unchanged == (DAYS[0],)
    found = warehouse.execute(
        "select source from sprint_raw.loaded_partitions"
        " where dataset = 'sessions' and partition_date = '2025-01-01'"
    ).fetchall()
    assert found == [("another version",)]


def test_a_model_that_there_is_no_more_is_forgotten(warehouse: duckdb.DuckDBPyConnection) -> None:
    note(warehouse, TITLE, Model("gone", "old", frozenset({"sessions"})), only="rows < 0")
    TITLE.forget_others(warehouse, [SESSIONS, BOTH])
    models = warehouse.execute("select distinct model from sprint_raw.built_from").fetchall()
    assert sorted(models) == [("activity",), ("kpi",)]


def test_days_that_were_never_made_are_missing(
    warehouse: duckdb.DuckDBPyConnection, sprint: World
) -> None:
    load_day(warehouse, sprint, "signons", DAYS[1], DAYS[0])
    found = standing(warehouse, SESSIONS, BOTH)
    last = date(2025, 1, 5)
    expected = [DAYS[1], date(2025, 1, 4), date(2025, 1, 5)]
    assert missing_days(sprint.title, found, last) == expected
    assert stale_days(sprint.title, found) == []


def test_before_anything_is_published_days_are_missing_that_were_not_made(
    data_folder: Path, sprint: World
) -> None:
    assert TITLE.published_standing() is None
    for dataset in ("dim_players", "signons", "sessions", "heartbeats", "transactions"):
        write_partition("sprint", dataset, DAYS[0], [], source="test")
    write_partition("sprint", "dim_players", DAYS[1], [], source="test")
    assert missing_days(sprint.title, None, DAYS[1]) == [DAYS[1]]


# --- an event log's batches ----------------------------------------------------------------------

FACTS = Model("fct_sessions", "now", frozenset({"raw_players", "raw_sessions", "raw_game_events"}))


def test_a_batch_is_behind_by_what_was_loaded_not_by_its_number_of_rows(
    data_folder: Path, tmp_path: Path
) -> None:
    one, two = (BatchSettings(batch=batch, players=6) for batch in (1, 2))
    files = {batch: write_batch(batch, tmp_path / str(batch.batch)) for batch in (one, two)}
    paths = {
        batch: {table: file.path for table, file in written.items()}
        for batch, written in files.items()
    }
    with open_duckdb("a test") as target:
        for batch in (one, two):
            load(target, paths[batch], Mode.REPLACE, batch.batch)
        assert batches_behind(target, [FACTS]) == {1, 2}
        note(target.con, LEDGER, FACTS)
        assert batches_behind(target, [FACTS]) == set()

        # the same file once more is no change; one of as many rows, and another value, is
        load(target, paths[two], Mode.REPLACE, 2)
        load(target, paths[two], Mode.APPEND)
        assert batches_behind(target, [FACTS]) == set()
        path = csv_path(tmp_path / "2", "raw_players")
        text = path.read_text()
        changed = text.replace(",normal,", ",hard,", 1) if ",normal," in text else ""
        assert changed, text
        path.write_text(changed)
        load(target, paths[two], Mode.REPLACE, 2)
        assert batches_behind(target, [FACTS]) == {2}
        load(target, paths[two], Mode.REPLACE, 2)
        assert batches_behind(target, [FACTS]) == {2}
        note(target.con, LEDGER, FACTS)
        assert batches_behind(target, [FACTS]) == set()

        # rows that are added to a batch change it; and another definition is another mart
        target.con.execute(
            "delete from eventlog_raw.raw_sessions where session_id ="
            " (select min(session_id) from eventlog_raw.raw_sessions where load_batch_id = 1)"
        )
        load(target, paths[one], Mode.APPEND)
        assert batches_behind(target, [FACTS]) == {1}
        note(target.con, LEDGER, FACTS)
        other = Model("fct_sessions", "another", FACTS.datasets)
        assert batches_behind(target, [other]) == {1, 2}
        load(target, paths[one], Mode.RECREATE)
        # batch 2 is gone, and nothing is said of it
        assert batches_behind(target, [FACTS]) == {1}


# --- definitions ---------------------------------------------------------------------------------


def manifest(sql: str, **macros: str) -> tuple[dict, dict]:
    """A manifest of a model, which calls the first of these macros; that one calls the others."""
    names = list(macros)
    calls = {name: names[1:] if name == names[0] else [] for name in names}
    entries = {
        f"macro.sprint_dbt.{name}": {
            "name": name,
            "package_name": "sprint_dbt",
            "macro_sql": text,
            "depends_on": {"macros": [f"macro.sprint_dbt.{called}" for called in calls[name]]},
        }
        for name, text in macros.items()
    }
    node = {
        "unique_id": "model.sprint_dbt.daily",
        "raw_code": sql,
        "depends_on": {"macros": [f"macro.sprint_dbt.{name}" for name in names[:1]]},
    }
    return {"macros": entries}, node


SQL = "-- One row is a day.\nselect a, '--not a comment' as b from t where {{ near() }}"
NEAR = "{% macro near() %}{# how near #} x <= {{ env_var('SPRINT_DISTANCE', '50') }}{% endmacro %}"


def definition(sql: str = SQL, environment: dict[str, str] | None = None, **macros: str) -> str:
    entries, node = manifest(sql, **{"near": NEAR, **macros})
    return definitions_of(entries, [node], environment or {})["model.sprint_dbt.daily"]


def test_comments_and_blanks_are_no_definition() -> None:
    same = "select a,\n\n    '--not a comment' as b -- really\nfrom t /* all */ where {{ near() }}"
    assert definition() == definition(same) == definition(near=NEAR.replace("how near", "how far"))


@pytest.mark.parametrize(
    "changed",
    [
        {"sql": SQL.replace("select a", "select c")},
        {"sql": SQL.replace("--not", "--really not")},
        {"near": NEAR.replace("<=", "<")},
        {"environment": {"SPRINT_DISTANCE": "20"}},
        {"far": "{% macro far() %}1{% endmacro %}"},
        {"duckdb__near": "{% macro duckdb__near() %}2{% endmacro %}"},
    ],
    ids=["sql", "a text", "a macro", "a value that it reads", "a macro's macro", "an engine's"],
)
def test_what_decides_rows_is_a_definition(changed: dict) -> None:
    assert definition(**changed) != definition()


def test_a_value_that_nothing_reads_is_no_definition() -> None:
    assert definition(environment={"SPRINT_WINDOW_START": "2025-01-01"}) == definition()


def test_titles_differ_where_their_values_matter() -> None:
    """Of a shipped title's models only the one that counts encounters has the distance in it."""
    from sprint_platform.orchestration.title_models import TitleTranslator
    from sprint_platform.transform.dbt_manifest import graph_manifest

    title = Title.load("sprint")
    near = title.model_copy(
        update={"encounters": title.encounters.model_copy(update={"distance": 20.0})}
    )
    models = [
        {m.name: m.definition for m in TitleTranslator(reported).models(graph_manifest())}
        for reported in (title, near)
    ]
    assert {name for name in models[0] if models[0][name] != models[1][name]} == {
        "stage_encounters"
    }
