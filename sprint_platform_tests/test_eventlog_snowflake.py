"""The event log in Snowflake: Snowflake's own connector, against the stand-in of fake_snowflake."""

from __future__ import annotations

import csv
import errno
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from sprint_platform.core.errors import driver_line
from sprint_platform.core.settings import Settings, SettingsError
from sprint_platform.engines import snowflake_engine
from sprint_platform.engines.engine import LoadError
from sprint_platform.engines.load import Mode
from sprint_platform.engines.snowflake_credentials import SnowflakeCredentials, SnowflakeError
from sprint_platform.engines.snowflake_engine import SnowflakeEngine
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.load import load
from sprint_platform.eventlog.warehouse import open_snowflake
from sprint_platform_tests import fake_snowflake

EVENTS = RAW_TABLES["raw_game_events"]
CRAFTED = {
    "chapter": 3,
    "item": "kit",
    "materials": {"rag": 2, "alcohol": 1},
    "place": 'the "Łódź", \\',
}
_database = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[dict[str, str]]:
    with fake_snowflake.serve() as variables:
        yield variables


@pytest.fixture
def variables(server: dict[str, str]) -> dict[str, str]:
    """The variables that lead to a database of the test's own, which nobody has made yet."""
    return {**server, "SNOWFLAKE_DATABASE": f"GAME_{next(_database)}"}


def read_credentials(environment: dict[str, str]) -> SnowflakeCredentials:
    """The credentials that this environment gives."""
    with pytest.MonkeyPatch.context() as patch:
        for field in Settings.model_fields.values():
            if str(field.alias).startswith("SNOWFLAKE_"):
                patch.delenv(str(field.alias), raising=False)
        for variable, value in environment.items():
            patch.setenv(variable, value)
        return SnowflakeCredentials.read()


@pytest.fixture
def target(variables: dict[str, str]) -> Iterator[SnowflakeEngine]:
    with open_snowflake(read_credentials(variables)) as opened:
        yield opened


def write_files(folder: Path, batch: int, players: int = 2) -> dict[str, Path]:
    """The three files of a small batch: each player has a session, and in it two events."""
    space = "" if batch == 1 else f"{batch}_"
    at = "2011-01-13 10:00:00"
    rows: dict[str, list[Sequence[Any]]] = {name: [] for name in RAW_TABLES}
    for n in range(1, players + 1):
        player = f"player_{space}{n}"
        rows["raw_players"].append((player, at, "Pl", "PL", "hard", batch))
        rows["raw_sessions"].append(
            (f"session_{space}{n}", player, at, "2011-01-13 10:30:00", "ps3", batch)
        )
        for k, (event, properties) in enumerate(
            (("game_started", {"chapter": n, "resumed": False}), ("item_crafted", CRAFTED))
        ):
            rows["raw_game_events"].append(
                (
                    f"event_{space}{2 * n + k}",
                    f"2011-01-13 10:0{k}:00",
                    player,
                    event,
                    "ps3",
                    "1.0.3",
                    json.dumps(properties, ensure_ascii=False),
                    batch,
                )
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in RAW_TABLES.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(table.column_names)
            writer.writerows(rows[name])
    return {name: folder / f"{name}.csv" for name in RAW_TABLES}


def held(target: SnowflakeEngine) -> dict[str, list[tuple]]:
    """Everything in the raw tables, in the order of the keys."""
    return {
        name: target.rows(f"select * from {target.relation(table)} order by {table.key[0]}")
        for name, table in RAW_TABLES.items()
    }


def counts(target: SnowflakeEngine) -> list[int]:
    return [len(rows) for rows in held(target).values()]


def added(report: Any) -> list[int]:
    return [table.added for table in report.tables]


def test_recreate_makes_database_schema_and_tables_and_leaves_only_the_files_rows(
    target: SnowflakeEngine, tmp_path: Path
) -> None:
    assert target.existing() == {}
    load(target, write_files(tmp_path / "one", 1, players=3), Mode.RECREATE)
    assert counts(target) == [3, 3, 6]
    report = load(target, write_files(tmp_path / "two", 2), Mode.RECREATE)
    assert added(report) == [2, 2, 4]
    assert counts(target) == [2, 2, 4]
    assert target.existing() == dict.fromkeys(RAW_TABLES, True)


def test_append_adds_another_batch_and_nothing_the_second_time(
    target: SnowflakeEngine, tmp_path: Path
) -> None:
    load(target, write_files(tmp_path / "one", 1), Mode.RECREATE)
    second = write_files(tmp_path / "two", 2, players=3)
    assert added(load(target, second, Mode.APPEND)) == [3, 3, 6]
    once = held(target)
    again = load(target, second, Mode.APPEND)
    assert added(again) == [0, 0, 0]
    assert [table.there_already for table in again.tables] == [3, 3, 6]
    assert held(target) == once
    assert counts(target) == [5, 5, 10]


def test_append_to_missing_tables_says_to_recreate(target: SnowflakeEngine, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="recreate first"):
        load(target, write_files(tmp_path, 1), Mode.APPEND)
    assert target.existing() == {}


def test_replace_touches_its_own_batch_only(target: SnowflakeEngine, tmp_path: Path) -> None:
    load(target, write_files(tmp_path / "one", 1), Mode.RECREATE)
    load(target, write_files(tmp_path / "two", 2, players=4), Mode.REPLACE, batch=2)
    assert counts(target) == [6, 6, 12]
    load(target, write_files(tmp_path / "two", 2, players=1), Mode.REPLACE, batch=2)
    assert counts(target) == [3, 3, 6]


def test_properties_are_variant_and_can_be_asked(target: SnowflakeEngine, tmp_path: Path) -> None:
    load(target, write_files(tmp_path, 1), Mode.RECREATE)
    assert target.rows(
        "select properties:chapter::int, properties:materials:rag::int, properties:place::varchar"
        f" from {target.relation(EVENTS)} where event_id = 'event_3'"
    ) == [(3, 2, CRAFTED["place"])]
    started = target.rows(
        "select properties:chapter::int, properties:resumed::boolean"
        f" from {target.relation(EVENTS)} where event_name = 'game_started' order by 1"
    )
    assert started == [(1, False), (2, False)]
    types = dict(
        target.rows(
            f"select column_name, data_type from {target.credentials.database}.information_schema"
            ".columns where table_name = 'RAW_GAME_EVENTS'"
        )
    )
    assert types["PROPERTIES"] == "VARIANT"


class BreaksAt(SnowflakeEngine):
    """A target that fails for real, in Snowflake, in place of the insert with this number."""

    def __init__(self, target: SnowflakeEngine, number: int) -> None:
        super().__init__(target.connection, target.credentials, target.ledger.name, target.tables)
        self._set_aside = target._set_aside
        self.left = number
        self.loading = False

    def make(self, table: Any) -> None:
        self.loading = True
        super().make(table)

    def execute(self, sql: str) -> int:
        if self.loading and sql.startswith("insert into"):
            self.left -= 1
            if self.left == 0:
                return super().execute("insert into no_such_table select 1")
        return super().execute(sql)


@pytest.mark.parametrize("number", [2, 3])
def test_a_load_that_breaks_in_the_middle_leaves_all_tables_as_they_were(
    target: SnowflakeEngine, tmp_path: Path, number: int
) -> None:
    load(target, write_files(tmp_path / "one", 1), Mode.RECREATE)
    before = held(target)
    for mode in (Mode.RECREATE, Mode.REPLACE):
        with pytest.raises(SnowflakeError, match=r"(?i)no_such_table"):
            load(BreaksAt(target, number), write_files(tmp_path / "two", 2), mode, batch=2)
        assert held(target) == before


@pytest.mark.parametrize(
    "spoiled",
    [
        ("item_crafted,ps3,", "item_crafted,ps3,surplus,"),  # a column too many
        ('"{""chapter"": 1, ""resumed"": false}"', '"{""chapter"": 1,"'),  # no JSON
        ('"{""chapter"": 1, ""resumed"": false}",1', '"{""chapter"": 1, ""resumed"": false}",x'),
        ("event_id,event_time", "event_time,event_id"),
    ],
)
def test_a_broken_file_is_named_before_anything_changes(
    target: SnowflakeEngine, tmp_path: Path, spoiled: tuple[str, str]
) -> None:
    load(target, write_files(tmp_path / "one", 1), Mode.RECREATE)
    before = held(target)
    files = write_files(tmp_path / "broken", 1)
    text = files["raw_game_events"].read_text(encoding="utf-8")
    assert spoiled[0] in text
    files["raw_game_events"].write_text(text.replace(*spoiled, 1), encoding="utf-8")
    with pytest.raises(LoadError, match=r"raw_game_events\.csv") as caught:
        load(target, files, Mode.RECREATE)
    assert "\n" not in str(caught.value)
    assert held(target) == before


def test_a_folder_with_signs_of_patterns_and_quotes_in_its_name_is_read(
    target: SnowflakeEngine, tmp_path: Path
) -> None:
    load(target, write_files(tmp_path / "Ann's [data]", 1), Mode.RECREATE)
    assert counts(target) == [2, 2, 4]


def old_layout(target: SnowflakeEngine) -> None:
    for name in RAW_TABLES:
        target.rows(f"create table {name} (id varchar)")
        target.rows(f"insert into {name} values ('old')")


def test_recreate_replaces_tables_of_other_columns_and_leaves_no_others(
    variables: dict[str, str], tmp_path: Path
) -> None:
    credentials = read_credentials(variables)
    with open_snowflake(credentials) as target:
        old_layout(target)
        load(target, write_files(tmp_path, 1), Mode.RECREATE)
    with open_snowflake(credentials) as target:
        assert counts(target) == [2, 2, 4]
        assert tables(target) == {*RAW_TABLES, *LEDGER_TABLES}


def test_tables_of_other_columns_are_there_again_after_a_failed_recreate(
    variables: dict[str, str], tmp_path: Path
) -> None:
    credentials = read_credentials(variables)
    with open_snowflake(credentials) as target:
        old_layout(target)
        with pytest.raises(SnowflakeError):
            load(BreaksAt(target, 3), write_files(tmp_path, 1), Mode.RECREATE)
    with open_snowflake(credentials) as target:
        for table in RAW_TABLES.values():
            assert target.rows(f"select * from {target.relation(table)}") == [("old",)]
        assert tables(target) == {*RAW_TABLES, *LEDGER_TABLES}


LEDGER_TABLES = ("loaded_batches", "built_from", "built_periods")


def tables(target: SnowflakeEngine) -> set[str]:
    """All that a load leaves in the schema, for a session that comes after it."""
    return {
        name.lower()
        for (name,) in target.rows(
            f"select table_name from {target.credentials.database}.information_schema.tables"
            f" where table_schema = '{target.credentials.schema_}'"
        )
    }


# --- credentials, and what goes wrong on the way in


def test_missing_variables_are_all_named() -> None:
    with pytest.raises(SettingsError) as caught:
        read_credentials({"SNOWFLAKE_USER": "me", "SNOWFLAKE_PASSWORD": " "})
    assert str(caught.value).startswith("SNOWFLAKE_ACCOUNT, SNOWFLAKE_PASSWORD are not set")


@pytest.mark.parametrize(
    ("given", "parameters"),
    [
        ({"SNOWFLAKE_PASSWORD": "p w"}, {"password": "p w"}),
        (
            {"SNOWFLAKE_PRIVATE_KEY_FILE": "k.p8", "SNOWFLAKE_PRIVATE_KEY_FILE_PWD": "p w"},
            {"private_key_file": "k.p8", "private_key_file_pwd": "p w"},
        ),
        (
            {"SNOWFLAKE_AUTHENTICATOR": "PROGRAMMATIC_ACCESS_TOKEN", "SNOWFLAKE_TOKEN": "p w"},
            {"authenticator": "programmatic_access_token", "token": "p w"},
        ),
        (
            {"SNOWFLAKE_AUTHENTICATOR": "https://Us.okta.com", "SNOWFLAKE_PASSWORD": "p w"},
            {"authenticator": "https://Us.okta.com", "password": "p w"},
        ),
        ({"SNOWFLAKE_AUTHENTICATOR": "externalbrowser"}, {"authenticator": "externalbrowser"}),
    ],
)
def test_there_are_several_ways_in(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    parameters: dict[str, str],
) -> None:
    import snowflake.connector

    monkeypatch.chdir(tmp_path)
    Path("k.p8").write_bytes(private_key(b"p w"))
    asked: dict[str, Any] = {}

    def connect(**parameters: Any) -> None:
        asked.update(parameters)
        raise snowflake.connector.errors.DatabaseError("closed")

    monkeypatch.setattr(snowflake.connector, "connect", connect)
    read = read_credentials({"SNOWFLAKE_ACCOUNT": "a", "SNOWFLAKE_USER": "me", **given})
    with pytest.raises(SnowflakeError, match="no connection") as refused, open_snowflake(read):
        pass
    ways = {"password", "token", "authenticator", "private_key_file", "private_key_file_pwd"}
    assert {name: value for name, value in asked.items() if name in ways} == parameters
    assert "p w" not in f"{refused.value} {read!r}"
    assert read_credentials(read.environment()) == read


def private_key(password: bytes) -> bytes:
    """The content of a key's file."""
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)
    )


def test_what_fails_but_the_private_key_does_not_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import snowflake.connector

    def connect(**_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/home/me/.cache/snowflake")

    monkeypatch.setattr(snowflake.connector, "connect", connect)
    key = tmp_path / "k.p8"
    key.write_bytes(private_key(b"p w"))
    ways: tuple[dict[str, str], ...] = (
        {"SNOWFLAKE_PASSWORD": "p w"},
        {"SNOWFLAKE_PRIVATE_KEY_FILE": str(key), "SNOWFLAKE_PRIVATE_KEY_FILE_PWD": "p w"},
    )
    for way in ways:
        read = read_credentials({"SNOWFLAKE_ACCOUNT": "a", "SNOWFLAKE_USER": "me", **way})
        with pytest.raises(SnowflakeError) as refused, open_snowflake(read):
            pass
        assert "Permission denied: /home/me/.cache/snowflake" in str(refused.value)
        assert "key" not in str(refused.value)


def test_a_private_key_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "none.p8").write_text("no key")
    (tmp_path / "locked.p8").write_bytes(private_key(b"another"))
    for key in (tmp_path / f"{name}.p8" for name in ("missing", "none", "locked")):
        read = read_credentials(
            {
                "SNOWFLAKE_ACCOUNT": "a", "SNOWFLAKE_USER": "me",
                "SNOWFLAKE_PRIVATE_KEY_FILE": str(key),
            }
        )  # fmt: skip
        with pytest.raises(SnowflakeError) as refused, open_snowflake(read):
            pass
        assert str(refused.value).startswith(f"the private key {key} cannot be read")


def test_dotenv_fills_in_what_the_environment_does_not_say(env_file: Path) -> None:
    env_file.write_text(
        "SNOWFLAKE_ACCOUNT=written\nSNOWFLAKE_USER=me\nSNOWFLAKE_PASSWORD='pa$$ #1'\n"
    )
    read = read_credentials({"SNOWFLAKE_ACCOUNT": "given", "SNOWFLAKE_USER": ""})
    assert (read.account, read.user) == ("given", "me")
    assert read.way_in == {"password": "pa$$ #1"}
    assert (read.warehouse, read.database, read.schema_) == ("COMPUTE_WH", "GAME_ANALYTICS", "RAW")


def test_the_environment_says_all_that_was_read(variables: dict[str, str]) -> None:
    read = read_credentials({**variables, "SNOWFLAKE_ROLE": "SYSADMIN"})
    environment = read.environment()
    assert environment.items() >= variables.items()
    assert read_credentials(environment) == read


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SNOWFLAKE_SCHEMA", "RAW; drop database X"),
        ("SNOWFLAKE_DATABASE", "1GAME"),
        ("SNOWFLAKE_WAREHOUSE", 'W"'),
        ("SNOWFLAKE_PORT", "70000"),
        ("SNOWFLAKE_PROTOCOL", "ftp"),
    ],
)
def test_a_wrong_variable_is_named(variables: dict[str, str], variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable) as caught:
        read_credentials({**variables, variable: value})
    assert "\n" not in str(caught.value)
    # a password that slipped into the wrong line is not shown either
    assert value not in str(caught.value)


def test_a_password_that_is_a_common_word_leaves_messages_alone(
    variables: dict[str, str],
) -> None:
    credentials = read_credentials({**variables, "SNOWFLAKE_PASSWORD": "or"})
    with pytest.raises(SnowflakeError) as refused, open_snowflake(credentials):
        pass
    assert "Incorrect username or password" in str(refused.value)


@pytest.mark.parametrize(
    "message",
    [
        "invalid connection postgresql://me:hunter2@somewhere/game",
        "bad options: host=somewhere password = hunter2",
        "connect(**{'user': 'me', 'password': 'hunter2'})",
    ],
)
def test_a_message_that_quotes_how_to_get_in_is_left_out(message: str) -> None:
    assert driver_line(message) == "the driver's message quotes how to get in, and is left out"


def test_nothing_shows_the_password(target: SnowflakeEngine) -> None:
    shown = f"{target.credentials!r} {target.credentials} {target.described} {target!r}"
    assert fake_snowflake.PASSWORD not in shown
    assert fake_snowflake.PASSWORD not in str(target.credentials.model_dump())


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("SNOWFLAKE_PASSWORD", "wrong-horse-8", "SNOWFLAKE_PASSWORD"),
        ("SNOWFLAKE_ACCOUNT", "nobody-knows", "SNOWFLAKE_ACCOUNT"),
        ("SNOWFLAKE_ROLE", "EMPEROR", "SNOWFLAKE_ROLE"),
        ("SNOWFLAKE_WAREHOUSE", "CASTLE", "SNOWFLAKE_WAREHOUSE"),
        ("SNOWFLAKE_PORT", "1", "SNOWFLAKE_HOST"),
    ],
)
def test_who_is_not_let_in_learns_in_one_line_which_variable_to_look_at(
    variables: dict[str, str],
    variable: str,
    value: str,
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(snowflake_engine, "LOGIN_SECONDS", 2)
    variables |= {variable: value}
    with (
        pytest.raises(SnowflakeError, match=named) as caught,
        open_snowflake(read_credentials(variables)),
    ):
        pass
    message = str(caught.value)
    assert "\n" not in message
    assert variables["SNOWFLAKE_PASSWORD"] not in message + caplog.text


def test_without_the_connector_one_line_says_what_to_install(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "snowflake.connector", None)
    with (
        pytest.raises(SnowflakeError, match="not installed: make setup-all"),
        open_snowflake(read_credentials(variables)),
    ):
        pass
