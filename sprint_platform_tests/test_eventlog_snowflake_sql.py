"""The event log's models on Snowflake: dbt-snowflake and the real connector against a Snowflake of
the tests' own; and what dbt runs, parsed as Snowflake's SQL.

The stand-in runs on DuckDB and takes more than Snowflake does: hence the second half.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector
import sqlglot
from snowflake.connector.cursor import DictCursor
from sqlglot import exp
from sqlglot.tokens import TokenType

from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.places import dbt_project_dir
from sprint_platform_tests.dbt_runs import DbtRun, DbtWarehouse
from sprint_platform_tests.eventlog_marts import (
    MARTS,
    MISTYPED,
    MISTYPED_COLUMNS,
    Log,
    comparable,
    expected_marts,
    made_by_hand,
)
from sprint_platform_tests.fake_snowflake import serve

# a database of this module's own: the server keeps one memory for all
DATABASE, SCHEMA = "MODELS", "RAW"
PLACE = f"{DATABASE}.{SCHEMA}"

# What may stand before a parenthesis. Look a new function up in Snowflake's reference before it is
# added.
FUNCTIONS = {
    *("cast", "try_cast", "coalesce", "nullif", "lower", "upper", "trim", "md5"),
    *("as_boolean", "as_integer", "as_varchar"),
    *("count", "sum", "min", "max", "row_number", "lag", "datediff"),
}
WORDS = {"and", "as", "from", "in", "join", "not", "or", "over", "select", "when", "where"}
NOT_SNOWFLAKES = (exp.Filter, exp.Qualify, exp.IntDiv, exp.Lambda, exp.Struct, exp.Command)


class Snowflake:
    """A database there, and dbt runs in it."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.variables = {
            **variables,
            "SNOWFLAKE_DATABASE": DATABASE,
            "SNOWFLAKE_SCHEMA": SCHEMA,
        }
        self.connection = snowflake.connector.connect(
            **{k.removeprefix("SNOWFLAKE_").lower(): v for k, v in self.variables.items()}
        )

    def put(self, log: Log) -> None:
        """Makes the raw tables hold exactly these rows."""
        cursor = self.connection.cursor()
        cursor.execute(f"create schema if not exists {PLACE}")
        for table in RAW_TABLES.values():
            columns = table.definitions("snowflake")
            cursor.execute(f"create or replace table {PLACE}.{table.name} ({columns})")
            values = ", ".join(
                "(" + ", ".join(_literal(row[c.name]) for c in table.columns) + ")"
                for row in log.rows[table.name]
            )
            read = ", ".join(
                f"parse_json(column{n})" if c.type == "json" else f"column{n}"
                for n, c in enumerate(table.columns, 1)
            )
            cursor.execute(f"insert into {PLACE}.{table.name} select {read} from values {values}")

    def build(self, batches: str = "", *command: str) -> DbtRun:
        command = command or ("build", "--select", "tag:eventlog")
        tests = ("--exclude-resource-type", "unit_test") if command[0] == "build" else ()
        return DbtWarehouse(self.folder).invoke(
            (*command, *tests, "--target", "snowflake"),
            {
                **self.variables,
                "DBT_PROFILES_DIR": str(dbt_project_dir()),
                "SPRINT_DATA_DIR": str(self.folder),
                "SPRINT_BATCHES": batches,
            },
            "eventlog_snowflake",
        )

    def marts(self) -> dict[str, list[Any]]:
        cursor = self.connection.cursor(DictCursor)
        found = {}
        for name in MARTS:
            rows = cursor.execute(f"select * from {DATABASE}.eventlog_mart.{name}").fetchall()
            found[name] = comparable({c.lower(): v for c, v in row.items()} for row in rows)
        return found

    def dbt_sql(self) -> Iterator[tuple[str, str]]:
        """What dbt ran for each model and test: (name, SQL)."""
        for kind in ("compiled", "run"):
            folder = self.folder / "dbt" / "eventlog_snowflake" / kind / "sprint_dbt"
            for path in sorted(folder.rglob("*.sql")):
                yield f"{kind} {path.stem}", path.read_text(encoding="utf-8")


def _literal(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snowflake]:
    """Both batches made by hand, built; then batch 2 without a player, built alone."""
    with serve() as variables:
        made = Snowflake(tmp_path_factory.mktemp("snowflake"), variables)
        made.put(made_by_hand())
        run = made.build()
        assert run.status, run.error
        assert not run.unsuccessful, run.messages
        assert made.marts() == {n: comparable(r) for n, r in expected_marts(made_by_hand()).items()}
        made.put(changed())
        run = made.build("2")
        assert not run.unsuccessful, run.messages
        yield made
        made.connection.close()


def changed() -> Log:
    return made_by_hand().without(lambda row: row["player_id"] == "player_2_2")


def test_a_run_replaces_its_batch(account: Snowflake) -> None:
    built, expected = account.marts(), expected_marts(changed())
    for name in MARTS:
        assert built[name] == comparable(expected[name]), name


def test_what_dbt_runs_is_snowflakes_sql(account: Snowflake) -> None:
    sql_of = dict(account.dbt_sql())
    assert {f"compiled {name}" for name in (*MARTS, "stg_game_events", "retention_key")} < set(
        sql_of
    )
    for name, sql in sql_of.items():
        statements = sqlglot.parse(sql, read="snowflake")
        assert statements, name
        for statement in statements:
            if statement is None:
                continue
            foreign = list(statement.find_all(*NOT_SNOWFLAKES))
            assert not foreign, (name, foreign)
            for select in statement.find_all(exp.Select):
                # Snowflake's HAVING takes an alias before a column: a sum of the sum, which fails
                if having := select.args.get("having"):
                    aliases = {e.alias.lower() for e in select.expressions if e.alias}
                    in_having = {c.name.lower() for c in having.find_all(exp.Column)}
                    assert not aliases & in_having, name
            # names are unquoted: quoted ones would be of another case
            quoted = {i.name for i in statement.find_all(exp.Identifier) if i.args.get("quoted")}
            assert quoted == {q.upper() for q in quoted}, name
        if name.startswith("compiled"):
            tokens = sqlglot.tokenize(sql, read="snowflake")
            called = {
                before.text.lower()
                for before, after in pairwise(tokens)
                if after.token_type == TokenType.L_PAREN and before.text.isidentifier()
            }
            assert called <= FUNCTIONS | WORDS, name
            assert "//" not in sql, name


def test_a_batch_is_replaced_in_one_transaction(account: Snowflake) -> None:
    sql_of = dict(account.dbt_sql())
    for name in ("dim_players", "fct_game_events", "fct_sessions", "funnel_chapters", "retention"):
        statements = [s.strip() for s in sql_of[f"run {name}"].split(";") if s.strip()]
        assert statements[0].endswith("begin")
        assert statements[1].startswith("delete from")
        gone = "or load_batch_id not in (select load_batch_id from "
        assert f" where load_batch_id in (2) {gone}" in statements[1]
        assert statements[2].startswith("insert into")
        assert statements[3] == "commit"


def test_a_batch_that_cannot_be_written_stays_as_it_was(account: Snowflake) -> None:
    """The delete goes back with the insert that failed. (That no later statement commits it, as
    Snowflake's DDL would, is the profile's doing: the stand-in's DDL commits nothing.)"""
    log = changed()
    for event in log.rows["raw_game_events"]:
        if event["player_id"] == "player_2_1":
            event["event_time"] = "2011-03-01 00:00:00"  # in no session
    account.put(log)
    before = account.marts()
    table = f"{DATABASE}.eventlog_mart.fct_game_events"
    account.connection.cursor().execute(f"alter table {table} alter column session_id set not null")
    run = account.build("2", "run", "--select", "fct_game_events")
    assert run.status["fct_game_events"] == "error"
    assert "NOT NULL" in run.messages["fct_game_events"]
    assert account.marts() == before


def test_a_property_of_another_type_is_null_as_in_duckdb(account: Snowflake) -> None:
    log = changed()
    event = log.rows["raw_game_events"][-1]
    event["properties"] = MISTYPED
    account.put(log)
    row = (
        account.connection.cursor(DictCursor)
        .execute(
            f"select * from {DATABASE}.eventlog_stage.stg_game_events"
            f" where event_id = '{event['event_id']}'"
        )
        .fetchone()
    )
    assert row
    found = {column.lower(): value for column, value in row.items()}
    assert {name: found[name] for name in MISTYPED_COLUMNS} == MISTYPED_COLUMNS
