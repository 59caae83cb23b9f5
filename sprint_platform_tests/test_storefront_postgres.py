"""The store in PostgreSQL: a real server, small partitions written by hand."""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sprint_platform.engines import postgres_url
from sprint_platform.engines.load import LoadReport
from sprint_platform.engines.postgres_engine import advisory_lock
from sprint_platform.engines.postgres_url import Place, PostgresError, read_place, read_url
from sprint_platform.storage.partitions import (
    PartitionError,
    partition_dir,
    read_manifest,
    write_partition,
)
from sprint_platform.storefront.contracts import BRONZE_TABLES
from sprint_platform.storefront.postgres import held_store, load_days
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform_tests import postgres_server

DAYS = [date(2025, 1, 1) + timedelta(days=n) for n in range(4)]
DAY = DAYS[0]
SOURCE = "0123456789abcdef"
SETTINGS = StoreSettings(customers=9, products=9, orders=9, days=4)
PLAYER = UUID("00112233-4455-6677-8899-aabbccddeeff")
NOON = datetime(2025, 1, 1, 12, 30, 0, 250)
VALUES: dict[str, Any] = {
    "bigint": 1,
    "text": "word",
    "timestamp": NOON,
    "date": date(1990, 2, 28),
    "money": Decimal("12.50"),
    "integer": -3,
    "small": 2,
    "flag": True,
    "uuid": PLAYER,
    "json": '{"a": 1}',
}
Row = dict[str, Any]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgres_server.serve() as url:
        yield url


@pytest.fixture
def url(server: str, data_folder: Path) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    with postgres_server.database(server) as own:
        yield own


def write_day(day: date, rows: dict[str, list[Row]], source: str = SOURCE) -> None:
    """The day's seven partitions: the rows of each table, with a value for what a row leaves out;
    no rows where none are given."""
    for name, contract in BRONZE_TABLES.items():
        of_table = rows.get(name, [])
        columns = []
        for column in contract.columns:
            values = [row.get(column.name, VALUES[column.type]) for row in of_table]
            if column.type == "uuid":
                storage = pa.array([v and v.bytes for v in values], pa.binary(16))
                columns.append(pa.ExtensionArray.from_storage(pa.uuid(), storage))
            else:
                columns.append(pa.array(values, column.arrow_type))
        table = pa.Table.from_arrays(columns, schema=contract.arrow_schema)
        write_partition("storefront", name, day, [table], source=source, contract=contract)


def a_row_each(number: int) -> dict[str, list[Row]]:
    return {name: [{table.key[0]: number}] for name, table in BRONZE_TABLES.items()}


def write_days(days: list[date] = DAYS, source: str = SOURCE, first: int = 1) -> None:
    for number, day in enumerate(days, start=first):
        write_day(day, a_row_each(number), source)


def load(
    url: str, days: list[date] = DAYS, source: str = SOURCE, batch_size: int = 1000, **options: Any
) -> LoadReport[date]:
    # tests send fewer rows at a time than a person may ask for
    settings = SETTINGS.model_copy(update={"batch_size": batch_size})
    return load_days(url, days, source, settings, **options)


def query(url: str, sql: str, *parameters: Any) -> list[tuple]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def counts(url: str) -> dict[str, int]:
    return {
        name: query(url, f"select count(*) from bronze.{name}")[0][0]
        for name in (*BRONZE_TABLES, "loaded_days")
    }


def added(report: LoadReport[date]) -> dict[str, int]:
    return {table.table: table.added for table in report.tables}


def refusal(call: Callable[[], object], kind: type[Exception] = PostgresError) -> str:
    """The message of the error that the call raises: one line, and nowhere the password."""
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    trace = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "\n" not in message
    assert len(message) < 900
    for secret in (postgres_server.PASSWORD, "ele%20phant%407", "phant", "hunter"):
        assert secret not in message
        # the frames quote this file's lines, but the values are in none of them
        assert secret not in trace
    return message


def with_user(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}"))


@pytest.fixture
def loader(server: str, url: str) -> Iterator[str]:
    """The URL of a user without any rights of its own in the test's database."""
    user = f"loader_{urlsplit(url).path.removeprefix('/')}"
    query(url, f"create role {user} login password 'hunter2'")
    yield with_user(url, user, "hunter2")
    query(url, f"drop owned by {user} cascade")
    query(url, f"drop role {user}")


def test_every_type_comes_back_as_it_was(url: str) -> None:
    items = '[{"line": 1, "name": "a \\"b\\", \\\\ Łódź", "amount": 12.50}]'
    order = {
        "order_id": 2**62,
        "status": "placed",
        "items": items,
        "total": Decimal("-9999999.99"),
        "raw_data": None,
    }
    customers: list[Row] = [
        {"customer_id": 1, "player_id": PLAYER, "first_name": "", "last_name": "\\N"},
        {"customer_id": 2, "player_id": None, "first_name": 'a,"b"', "last_name": "x\n\\.\ny"},
    ]
    review = {"review_id": 1, "order_id": None, "verified_purchase": False, "rating": -1}
    write_day(DAY, {"raw_orders": [order], "raw_customers": customers, "raw_reviews": [review]})
    load(url, [DAY])
    moment = NOON.replace(tzinfo=UTC)
    assert query(
        url,
        "select order_id, status, status_at, items, total, subtotal, raw_data, event_date,"
        " source_system from bronze.raw_orders",
    ) == [
        (
            2**62,
            "placed",
            moment,
            json.loads(items),
            Decimal("-9999999.99"),
            Decimal("12.50"),
            None,
            DAY,
            "checkout",
        )
    ]
    assert query(
        url,
        "select player_id, first_name, last_name, birth_date from bronze.raw_customers order by 1",
    ) == [
        (PLAYER, "", "\\N", date(1990, 2, 28)),
        (None, 'a,"b"', "x\n\\.\ny", date(1990, 2, 28)),
    ]
    assert query(
        url, "select order_id, rating, helpful_count, verified_purchase from bronze.raw_reviews"
    ) == [(None, -1, -3, False)]


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(TEXTS, st.one_of(st.none(), TEXTS, st.sampled_from(["\\.", "\r", '""']))))
)
def test_texts_and_json_come_back_as_they_were(
    url: str, rows: list[tuple[str, str | None]]
) -> None:
    write_day(
        DAY,
        {
            "raw_clickstream": [
                {
                    "sequence_number": number,
                    "page_url": page,
                    "search_query": search,
                    "product_id": None,
                    "raw_data": json.dumps({"page": page, "search": search}, ensure_ascii=False),
                }
                for number, (page, search) in enumerate(rows)
            ]
        },
    )
    load(url, [DAY], batch_size=2, replace=True)
    assert query(
        url,
        "select page_url, search_query, raw_data, product_id from bronze.raw_clickstream"
        " order by sequence_number",
    ) == [(page, search, {"page": page, "search": search}, None) for page, search in rows]


def test_a_times_zone_is_utc_whatever_the_database_says(url: str) -> None:
    name = urlsplit(url).path.removeprefix("/")
    query(url, f"alter database {name} set timezone to 'Asia/Tokyo'")
    query(url, f"alter database {name} set datestyle to 'German'")
    write_days([DAY])
    load(url, [DAY])
    assert query(
        url, "select ordered_at at time zone 'UTC', event_date from bronze.raw_orders"
    ) == [(NOON, DAY)]


def test_a_second_load_adds_nothing_and_changes_nothing(url: str) -> None:
    write_days()
    stamps = (
        "select 'c', customer_id, ingestion_timestamp from bronze.raw_customers union all"
        " select 'o', order_id, ingestion_timestamp from bronze.raw_orders union all"
        " select table_name, rows, loaded_at from bronze.loaded_days order by 1, 2, 3"
    )
    first = load(url)
    before = query(url, stamps)
    second = load(url)
    assert query(url, stamps) == before
    assert added(first) == dict.fromkeys(BRONZE_TABLES, 4)
    assert {t.there_already for t in first.tables} == {0}
    assert added(second) == dict.fromkeys(BRONZE_TABLES, 0)
    assert {t.there_already for t in second.tables} == {4}
    assert len(second.tables[0].loaded) == 4
    assert second.described == f"127.0.0.1:{urlsplit(url).port}{urlsplit(url).path}"


def test_rows_that_somebody_deleted_come_back(url: str) -> None:
    rows = [{"sequence_number": n} for n in range(1, 4)]
    write_day(DAY, {"raw_clickstream": rows, "raw_customers": [{}]})
    load(url, [DAY])
    query(url, "delete from bronze.raw_clickstream where sequence_number = 2")
    query(url, "delete from bronze.raw_customers")
    report = load(url, [DAY])
    assert query(
        url, "select sequence_number from bronze.raw_clickstream order by sequence_number"
    ) == [(1,), (2,), (3,)]
    by_table = {table.table: table for table in report.tables}
    assert (by_table["raw_clickstream"].added, by_table["raw_clickstream"].there_already) == (1, 2)
    assert by_table["raw_customers"].added == 1


def test_a_key_of_an_unpartitioned_table_holds_over_all_days(url: str) -> None:
    for day in DAYS[:2]:
        write_day(day, {"raw_customers": [{"customer_id": 7}], "raw_sessions": [{"session_id": 7}]})
        load(url, [day])
    assert query(url, "select customer_id, event_date from bronze.raw_customers") == [(7, DAY)]
    assert len(query(url, "select 1 from bronze.raw_sessions where session_id = 7")) == 2


def test_days_are_loaded_in_any_order_and_reported_one_by_one(url: str) -> None:
    write_days()
    seen: list[tuple[date, int]] = []
    load(url, [DAYS[2], DAYS[0], DAYS[2]], watch=lambda day, rows: seen.append((day, rows)))
    assert sorted(seen) == [(DAYS[0], 7), (DAYS[2], 7)]
    load(url, connections=3)
    assert counts(url) == {**dict.fromkeys(BRONZE_TABLES, 4), "loaded_days": 28}


def test_the_ledger_says_what_was_loaded(url: str) -> None:
    write_day(DAY, {"raw_orders": [{}]})
    load(url, [DAY])
    ledger = query(url, "select table_name, event_date, rows, source from bronze.loaded_days")
    assert sorted(ledger) == [
        (name, DAY, int(name == "raw_orders"), SOURCE) for name in sorted(BRONZE_TABLES)
    ]


def test_another_store_is_refused_and_takes_the_place_only_with_replace(url: str) -> None:
    write_days()
    load(url)
    other = "fedcba9876543210"
    write_days(DAYS[:2], source=other, first=100)
    for day in DAYS[:2]:
        message = refusal(partial(load, url, [day], source=other))
        assert "other settings" in message
        assert SOURCE in message
        assert "--replace" in message
    assert counts(url)["raw_orders"] == 4
    report = load(url, DAYS[:2], source=other, replace=True)
    assert added(report) == dict.fromkeys(BRONZE_TABLES, 2)
    assert counts(url) == {**dict.fromkeys(BRONZE_TABLES, 2), "loaded_days": 14}
    assert query(url, "select order_id from bronze.raw_orders order by 1") == [(100,), (101,)]


def test_the_settings_are_noted_with_the_store_that_is_held(url: str) -> None:
    assert held_store(url) is None
    load(url, [])
    assert held_store(url) is None
    write_days()
    load(url)
    held = held_store(url)
    assert held is not None
    assert (held.days, held.source, held.settings) == (4, SOURCE, SETTINGS)
    # a load that fails on its first day leaves them as they were
    other, seven = "fedcba9876543210", SETTINGS.model_copy(update={"seed": 7})
    write_days(source=other, first=100)
    damage("raw_clickstream", DAY)
    refusal(lambda: load_days(url, DAYS, other, seven, replace=True), PartitionError)
    assert held_store(url) == held
    write_days([DAY], source=other, first=100)
    load_days(url, [DAY], other, seven, replace=True)
    held = held_store(url)
    assert held is not None
    assert (held.days, held.source, held.settings) == (1, other, seven)
    assert query(url, "select source from bronze.loaded_store") == [(other,)]


def test_other_records_of_a_loaded_day_are_refused(url: str) -> None:
    write_days()
    load(url)
    write_days([DAYS[1]], first=50)
    message = refusal(lambda: load(url))
    assert "2025-01-02" in message
    assert "--replace" in message
    assert counts(url)["raw_orders"] == 4


def test_partitions_of_another_store_are_refused_before_anything_happens(url: str) -> None:
    write_days(DAYS[:3])
    write_days([DAYS[3]], source="fedcba9876543210")
    message = refusal(lambda: load(url), PartitionError)
    assert "2025-01-04" in message
    assert "generate" in message
    assert query(url, "select 1 from pg_namespace where nspname = 'bronze'") == []


def test_a_missing_partition_is_named(url: str) -> None:
    write_days(DAYS[:3])
    assert "2025-01-04" in refusal(lambda: load(url), PartitionError)


def damage(name: str, day: date) -> None:
    """Overwrites the middle of the partition's file; its size stays."""
    manifest = read_manifest("storefront", name, day, BRONZE_TABLES[name])
    assert manifest is not None
    (path,) = manifest.paths
    content = bytearray(path.read_bytes())
    content[4:-400] = b"\xff" * (len(content) - 404)
    path.write_bytes(content)


def test_a_broken_partition_leaves_nothing_of_its_day(url: str) -> None:
    write_days()
    damage("raw_reviews", DAYS[1])
    message = refusal(lambda: load(url, connections=1), PartitionError)
    assert "raw_reviews" in message
    assert counts(url) == {**dict.fromkeys(BRONZE_TABLES, 1), "loaded_days": 7}
    write_days([DAYS[1]], first=2)
    assert added(load(url)) == dict.fromkeys(BRONZE_TABLES, 3)


def test_a_partition_with_fewer_rows_than_it_says_is_refused(url: str) -> None:
    write_days([DAY])
    path = partition_dir("storefront", "raw_sessions", DAY) / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"rows": 2}))
    assert "2" in refusal(lambda: load(url, [DAY]), PartitionError)
    assert set(counts(url).values()) == {0}


def test_a_replacing_load_that_fails_on_its_first_day_leaves_the_old_store(url: str) -> None:
    write_days()
    load(url)
    other = "fedcba9876543210"
    write_days(source=other, first=100)
    damage("raw_clickstream", DAY)
    refusal(lambda: load(url, source=other, replace=True), PartitionError)
    assert query(url, "select min(order_id), max(order_id), count(*) from bronze.raw_orders") == [
        (1, 4, 4)
    ]
    assert query(url, "select distinct source from bronze.loaded_days") == [(SOURCE,)]


def test_a_replacing_load_that_fails_later_is_gone_on_with(url: str) -> None:
    write_days()
    load(url)
    other = "fedcba9876543210"
    write_days(source=other, first=100)
    damage("raw_orders", DAYS[2])
    refusal(lambda: load(url, source=other, replace=True, connections=1), PartitionError)
    assert query(url, "select order_id from bronze.raw_orders order by 1") == [(100,), (101,)]
    write_days([DAYS[2]], source=other, first=102)
    assert added(load(url, source=other))["raw_orders"] == 2


ON_INSERT = (
    "create function {name}() returns trigger language plpgsql as $$ begin {body}; return new; end"
    " $$; create trigger {name} before insert on {relation} for each row execute function {name}()"
)


@pytest.mark.parametrize("relation", ["bronze.raw_reviews", "bronze.raw_clickstream_20250103"])
def test_a_connection_that_is_cut_in_the_middle_leaves_nothing_of_its_day(
    url: str, relation: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_days()
    load(url, DAYS[:2])
    load(url, [])
    cut = "if new.event_date = '2025-01-03' then perform pg_terminate_backend(pg_backend_pid())"
    with psycopg.connect(url) as connection:
        if relation.endswith("0103"):
            connection.execute(
                "create table bronze.raw_clickstream_20250103 partition of bronze.raw_clickstream"
                " for values from ('2025-01-03') to ('2025-01-04')"
            )
        connection.execute(ON_INSERT.format(name="cuts", relation=relation, body=f"{cut}; end if"))
    message = refusal(lambda: load(url, connections=1))
    assert "2025-01-03" in message
    assert "load again" in message
    assert counts(url) == {**dict.fromkeys(BRONZE_TABLES, 2), "loaded_days": 14}
    assert capfd.readouterr().err == ""
    query(url, f"drop trigger cuts on {relation}")
    assert added(load(url)) == dict.fromkeys(BRONZE_TABLES, 2)


def test_a_full_disk_is_one_line_and_leaves_nothing_of_its_day(url: str) -> None:
    write_days()
    load(url, DAYS[:1])
    full = (
        "raise exception using errcode = '53100', hint = 'Check free disk space.',"
        " message = 'could not extend file \"base/5\": No space left on device'"
    )
    query(url, ON_INSERT.format(name="no_room", relation="bronze.raw_clickstream", body=full))
    message = refusal(lambda: load(url))
    assert "No space left on device" in message
    assert "make room" in message
    assert "bronze.raw_clickstream" in message
    assert f"{urlsplit(url).port}{urlsplit(url).path}, user tester" in message
    assert counts(url)["raw_customers"] == 1


def test_a_value_that_postgres_cannot_hold_is_one_line(url: str) -> None:
    write_day(DAY, {"raw_orders": [{}], "raw_sessions": [{"city": "a\0b"}]})
    message = refusal(lambda: load(url, [DAY]))
    assert "bronze.raw_sessions" in message
    assert counts(url)["raw_orders"] == 0
    write_day(DAY, {"raw_orders": [{"items": '{"a": '}]})
    assert "json" in refusal(lambda: load(url, [DAY]))


def test_no_right_to_create_the_schema_is_one_line(url: str, loader: str) -> None:
    write_days([DAY])
    message = refusal(lambda: load(loader, [DAY]))
    assert "permission denied for database" in message
    assert f"create schema bronze authorization {urlsplit(loader).username}" in message


def test_a_schema_that_is_there_takes_no_right_on_the_database(url: str, loader: str) -> None:
    write_days([DAY])
    query(url, f"create schema bronze authorization {urlsplit(loader).username}")
    assert added(load(loader, [DAY])) == dict.fromkeys(BRONZE_TABLES, 1)


def test_tables_of_somebody_else_take_the_right_to_insert_and_no_more(
    url: str, loader: str
) -> None:
    write_days([DAY])
    user = urlsplit(loader).username
    load(url, [DAY])
    query(url, "truncate bronze.raw_orders, bronze.raw_customers")
    query(url, f"grant usage on schema bronze to {user}")
    query(url, f"grant select, insert on all tables in schema bronze to {user}")
    assert sum(added(load(loader, [DAY])).values()) == 2
    query(url, "truncate bronze.raw_orders, bronze.raw_customers")
    query(url, f"revoke insert on bronze.raw_orders from {user}")
    message = refusal(lambda: load(loader, [DAY]))
    assert "permission denied for table raw_orders" in message
    assert f"grant user {user}" in message
    assert counts(url)["raw_customers"] == 0


def test_wrong_doors_are_one_line(url: str) -> None:
    write_days([DAY])
    parts = urlsplit(url)
    free = postgres_server._free_port()
    cases = {
        with_user(url, "tester", "hunter2"): ("password", postgres_url.VARIABLE),
        with_user(url, "nobody_here", "hunter2"): ("nobody_here", postgres_url.VARIABLE),
        urlunsplit(parts._replace(path="/not_there")): ("not_there", "create it"),
        url.replace(f":{parts.port}/", f":{free}/"): ("refused", str(free), "server runs"),
        url.replace("127.0.0.1", "no-such-host.invalid"): ("no-such-host.invalid", "host in"),
    }
    for wrong, words in cases.items():
        message = refusal(partial(load, wrong, [DAY]))
        for word in words:
            assert word in message


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "mysql://tester:hunter2@localhost/game",
        "host=localhost password=hunter2",
        "postgresql://tester:hun@ter2@localhost/game",
        "postgresql://tester:hun/ter2@localhost/game",
        "postgresql://tester:12/hunter2@localhost/game",
        "postgresql://tester:hunter2@localhost:hunter2/game",
        "postgresql://tester:%hunter2@localhost/game",
        "postgresql://tester:hunter2@localhost/game?nothing=hunter2",
    ],
)
def test_a_url_that_is_none_is_one_line_which_names_the_variable(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(postgres_url.VARIABLE, wrong)
    message = refusal(read_url)
    assert postgres_url.VARIABLE in message
    assert "ter2" not in message


def test_the_url_is_of_the_environment_then_of_the_env_file(
    monkeypatch: pytest.MonkeyPatch, env_file: Path
) -> None:
    monkeypatch.delenv(postgres_url.VARIABLE, raising=False)
    assert "not set" in refusal(read_url)
    env_file.write_text(f"{postgres_url.VARIABLE}=postgresql://of@file/game\n")
    assert read_url() == "postgresql://of@file/game"
    monkeypatch.setenv(postgres_url.VARIABLE, "postgres://a@b/c")
    assert read_url() == "postgres://a@b/c"


@pytest.mark.parametrize("password", ["password", "a", "127", "tester"])
def test_a_password_that_is_a_common_word_leaves_messages_alone(url: str, password: str) -> None:
    write_days([DAY])
    wrong = with_user(url, "tester", password)
    with pytest.raises(PostgresError) as refused:
        load(wrong, [DAY])
    assert 'password authentication failed for user "tester"' in str(refused.value)
    assert "127.0.0.1" in str(refused.value)
    assert "***" not in str(refused.value)


def test_what_says_where_never_shows_the_password() -> None:
    place = postgres_url.read_place("postgresql://tester:hunter2@somewhere:5433/game")
    assert "hunter2" not in repr(place)
    assert place.described == "somewhere:5433/game"


def test_a_missing_driver_is_one_line_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    url = with_user("postgresql://localhost:5432/game", "tester", "hunter2")
    reported = refusal(lambda: load(url, [DAY]))
    assert reported == "psycopg is not installed: make setup-all"


def test_two_loads_at_once_are_one_and_a_refusal(url: str) -> None:
    write_days()
    refused: list[str] = []

    def another(day: date, rows: int) -> None:
        if not refused:
            refused.append(refusal(lambda: load(url)))

    load(url, watch=another)
    assert "another load" in refused[0]
    assert "user tester" in refused[0]
    assert added(load(url)) == dict.fromkeys(BRONZE_TABLES, 0)


@pytest.mark.parametrize("connections", [1, 2])
def test_an_interrupt_undoes_what_is_under_way_and_frees_the_tables(
    url: str, connections: int
) -> None:
    write_days()
    load(url, DAYS[:1])
    query(
        url,
        ON_INSERT.format(
            name="waits",
            relation="bronze.raw_reviews",
            body="perform pg_sleep(case when new.event_date > '2025-01-02' then 600 else 0 end)",
        ),
    )

    def interrupt(day: date, rows: int) -> None:
        if day == DAYS[1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(url, DAYS[1:], watch=interrupt, connections=connections)
    assert [thread for thread in threading.enumerate() if "ThreadPool" in thread.name] == []
    query(url, "drop trigger waits on bronze.raw_reviews")
    assert counts(url) == {**dict.fromkeys(BRONZE_TABLES, 2), "loaded_days": 14}
    assert added(load(url)) == dict.fromkeys(BRONZE_TABLES, 2)


def test_days_have_partitions_and_tables_have_their_keys(url: str) -> None:
    write_days()
    load(url, DAYS[:2])
    partitions = query(
        url,
        "select i.inhparent::regclass::text, c.relname, pg_get_expr(c.relpartbound, c.oid)"
        " from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relkind = 'r'",
    )
    wanted = [
        (
            f"bronze.{table.name}",
            f"{table.name}_{day:%Y%m%d}",
            f"FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')",
        )
        for table in BRONZE_TABLES.values()
        if table.by_day
        for day in DAYS[:2]
    ]
    assert sorted(partitions) == sorted(wanted)
    keys = dict(
        query(
            url,
            "select conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint"
            " where contype = 'p' and conparentid = 0 and connamespace = 'bronze'::regnamespace",
        )
    )
    assert keys == {
        "bronze.raw_customers": "PRIMARY KEY (customer_id)",
        "bronze.raw_products": "PRIMARY KEY (product_id)",
        "bronze.raw_orders": "PRIMARY KEY (event_date, order_id, status)",
        "bronze.raw_inventory": "PRIMARY KEY (event_date, movement_id)",
        "bronze.raw_reviews": "PRIMARY KEY (review_id)",
        "bronze.raw_sessions": "PRIMARY KEY (event_date, session_id)",
        "bronze.raw_clickstream": "PRIMARY KEY (event_date, session_id, sequence_number)",
        "bronze.loaded_days": "PRIMARY KEY (event_date, table_name)",
        "bronze.loaded_store": "PRIMARY KEY (source)",
    }


def test_every_column_has_the_contracts_type_and_comment(url: str) -> None:
    load(url, [])
    found = {
        (table, column): (kind, not null, comment)
        for table, column, kind, null, comment in query(
            url,
            "select relname, attname, format_type(atttypid, atttypmod), not attnotnull,"
            " col_description(c.oid, attnum) from pg_class c join pg_attribute on attrelid = c.oid"
            " where relnamespace = 'bronze'::regnamespace and relkind in ('r', 'p')"
            " and attnum > 0",
        )
    }
    orders = {
        column: details for (table, column), details in found.items() if table == "raw_orders"
    }
    assert list(orders) == [
        *BRONZE_TABLES["raw_orders"].column_names,
        "event_date",
        "source_system",
        "ingestion_timestamp",
    ]
    assert orders["tax"] == ("numeric(9,2)", True, "on subtotal less discount (USD)")
    assert orders["items"][:2] == ("jsonb", True)
    assert orders["raw_data"][:2] == ("jsonb", False)
    assert orders["ordered_at"][:2] == ("timestamp with time zone", True)
    assert orders["ingestion_timestamp"][:2] == ("timestamp with time zone", True)
    assert found["raw_customers", "player_id"][:2] == ("uuid", False)
    for name, table in BRONZE_TABLES.items():
        comment = query(url, "select obj_description(%s::regclass)", f"bronze.{name}")[0][0]
        assert table.one_row_is in comment
        for column in table.columns:
            assert found[name, column.name][2].startswith(column.meaning)
        assert all(details[2] for (relation, _), details in found.items() if relation == name)


def test_json_can_be_asked_into(url: str) -> None:
    write_day(DAY, {"raw_orders": [{"items": '[{"product_id": 5}, {"product_id": 6}]'}]})
    load(url, [DAY])
    assert query(
        url,
        "select (item ->> 'product_id')::int from bronze.raw_orders,"
        " jsonb_array_elements(items) item where items @> '[{\"product_id\": 6}]' order by 1",
    ) == [(5,), (6,)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("alter table bronze.raw_reviews alter rating type integer", ("raw_reviews", "rating")),
        ("alter table bronze.raw_orders add extra text", ("raw_orders", "extra")),
        ("alter table bronze.raw_orders drop tax", ("raw_orders", "tax", "missing")),
        ("alter table bronze.raw_sessions alter city drop not null", ("raw_sessions", "city")),
        (
            "alter table bronze.raw_customers drop constraint raw_customers_pkey",
            ("raw_customers", "primary key"),
        ),
        (
            "drop table bronze.raw_orders; create table bronze.raw_orders (order_id bigint)",
            ("raw_orders", "partition key"),
        ),
        ("alter table bronze.loaded_days drop digest", ("loaded_days", "digest")),
    ],
)
def test_a_table_with_other_columns_or_keys_is_refused(
    url: str, change: str, words: tuple[str, ...]
) -> None:
    write_days([DAY])
    load(url, [])
    query(url, change)
    message = refusal(lambda: load(url, [DAY]))
    for word in words:
        assert word in message
    assert query(url, "select 1 from bronze.raw_products") == []


def test_a_table_that_somebody_holds_is_waited_for_but_not_for_ever(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_url, "LOCK_SECONDS", 1)
    write_days([DAY])
    load(url, [])
    with psycopg.connect(url) as holder:
        holder.execute("lock table bronze.raw_customers in access exclusive mode")
        assert "pg_stat_activity" in refusal(lambda: load(url, [DAY]))


def test_the_lock_is_one_for_each_database(url: str, server: str) -> None:
    write_days([DAY])
    with postgres_server.database(server) as other, psycopg.connect(other) as holder:
        holder.execute("select pg_advisory_lock(%s)", [advisory_lock("bronze")])
        assert len(load(url, [DAY]).tables[0].loaded) == 1
        assert "another load" in refusal(lambda: load(other, [DAY]))


class Client:
    """A connection to a pooler: what it asks goes over a session of the server's, which it may
    share with others."""

    def __init__(self, session: psycopg.Connection) -> None:
        self.session = session
        self.info = SimpleNamespace(backend_pid=0)  # the pooler's own number

    def execute(self, *asked: Any) -> psycopg.Cursor:
        return self.session.execute(*asked)

    def cancel_safe(self, **_: Any) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_in_transaction_mode_is_refused_and_nothing_stays_in_it(
    url: str, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    sessions: list[psycopg.Connection] = []

    def connect(*_: object) -> Client:
        if mode == "session" or not sessions:
            sessions.append(psycopg.connect(url, autocommit=True))
        return Client(sessions[-1])

    monkeypatch.setattr(Place, "_connection", connect)
    place = read_place(url)
    if mode == "session":
        assert place.connect("storefront").session is sessions[0]
    else:
        line = refusal(lambda: place.connect("storefront"))
        assert "is a pooler in transaction mode" in line
        assert sessions[0].execute("show lock_timeout").fetchone() == ("0",)
    for session in sessions:
        session.close()


def test_a_database_of_another_encoding_is_refused_before_anything_is_made(server: str) -> None:
    name = "latin_1"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            f"create database {name} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'"
            " template template0"
        )
        latin = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        try:
            line = refusal(lambda: held_store(latin))
            assert f"/{name} has the encoding LATIN1: the store needs UTF8" in line
            assert query(latin, "select to_regnamespace('bronze') is null") == [(True,)]
        finally:
            connection.execute(f"drop database {name}")


def test_a_user_with_one_connection_is_served_with_one(url: str, loader: str) -> None:
    user = urlsplit(loader).username
    query(url, f"grant create on database {urlsplit(url).path[1:]} to {user}")
    query(url, f"alter role {user} connection limit 1")
    write_days()
    assert held_store(loader) is None
    load(loader, connections=4)
    assert counts(url)["loaded_days"] == 7 * len(DAYS)


def test_a_foreign_key_on_what_is_replaced_is_named(url: str) -> None:
    write_days()
    load(url)
    query(
        url,
        "create schema own; create table own.notes (customer_id bigint constraint of_customer"
        " references bronze.raw_customers (customer_id))",
    )
    before = counts(url)
    line = refusal(lambda: load(url, replace=True))
    assert "the foreign key of_customer of own.notes refers to bronze.raw_customers" in line
    assert counts(url) == before
    query(url, "alter table own.notes drop constraint of_customer")
    load(url, replace=True)
