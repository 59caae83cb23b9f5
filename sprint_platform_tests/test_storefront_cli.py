"""`sprint storefront` as people meet it, in a data folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import psycopg
import pytest

from sprint_platform.places import project_root
from sprint_platform.storefront.contracts import BRONZE_TABLES
from sprint_platform_tests import postgres_server
from sprint_platform_tests.command_line import Ended, run_sprint

Sprint = Callable[..., Ended]
SPRINT = Path(sys.executable).parent / "sprint"
FEW = ("--customers", "80", "--products", "50", "--orders", "90", "--days", "5")


@pytest.fixture
def folder(parsed_data_folder: Path) -> Path:
    return parsed_data_folder


@pytest.fixture
def environment(tmp_path: Path, folder: Path) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if "STORE" not in name}
    mine.pop("SPRINT_POSTGRES_URL", None)
    return {
        **mine,
        "SPRINT_DATA_DIR": str(folder),
        "DAGSTER_HOME": str(tmp_path / "home"),
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }


@pytest.fixture
def sprint(environment: dict[str, str]) -> Sprint:
    """Runs `sprint storefront …`, as nobody's terminal; returns how it ended."""

    def run(*arguments: str, **variables: str) -> Ended:
        return run_sprint(["storefront", *arguments], {**environment, **variables})

    return run


def counts(folder: Path) -> dict[str, int]:
    with duckdb.connect(str(folder / "sprint.duckdb"), read_only=True) as con:
        found = {}
        for table in BRONZE_TABLES:
            row = con.execute(f"select count(*) from bronze.{table}").fetchone()
            assert row is not None
            found[table] = row[0]
        return found


def held(folder: Path) -> dict[str, list[str]]:
    """All rows of bronze, but for when they were loaded."""
    with duckdb.connect(str(folder / "sprint.duckdb"), read_only=True) as con:
        return {
            table: [
                repr(row)
                for row in con.execute(
                    f"select * exclude (ingestion_timestamp) from bronze.{table} order by all"
                ).fetchall()
            ]
            for table in BRONZE_TABLES
        }


def files_of(folder: Path) -> dict[str, bytes]:
    """The store's partition files."""
    raw = folder / "raw" / "storefront"
    return {str(f.relative_to(raw)): f.read_bytes() for f in raw.rglob("*") if f.is_file()}


def line_of(ended: Ended) -> str:
    """The one line of a command that could not go on."""
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


def test_generate_and_load_then_build(sprint: Sprint, folder: Path) -> None:
    first = sprint("generate", *FEW, "--load")
    assert first.returncode == 0, first.stderr
    assert "a store of 80 customers, 50 products and 90 orders, 2025-01-01 to 2025-01-05" in (
        first.stdout
    )
    before = counts(folder)
    assert before["raw_customers"] == 80
    assert before["raw_products"] == 50
    assert f"{before['raw_clickstream']:,}" in first.stdout

    again = sprint("load", *FEW)
    assert again.returncode == 0, again.stderr
    assert counts(folder) == before
    row = next(line for line in again.stdout.splitlines() if "raw_orders" in line)
    assert row.split("│")[2:5] == [
        " 0".rjust(len(row.split("│")[2]) - 1) + " ",
        *row.split("│")[3:5],
    ]

    built = sprint("build")
    assert built.returncode == 0, built.stderr
    assert "models built" in built.stdout
    with duckdb.connect(str(folder / "sprint.duckdb"), read_only=True) as con:
        orders = con.execute("select sum(orders) from gold.daily_sales").fetchone()
        placed = con.execute("select count(distinct order_id) from bronze.raw_orders").fetchone()
    assert orders == placed


def test_settings_come_from_the_environment_and_flags_win(sprint: Sprint, folder: Path) -> None:
    ended = sprint(
        "generate",
        "--days",
        "3",
        "--load",
        SPRINT_STORE_CUSTOMERS="70",
        SPRINT_STORE_PRODUCTS="30",
        SPRINT_STORE_ORDERS="20",
        SPRINT_STORE_DAYS="9",
        SPRINT_STORE_TITLE="",
    )
    assert ended.returncode == 0, ended.stderr
    assert "a store of 70 customers, 30 products and 20 orders, 2025-01-01 to 2025-01-03" in (
        ended.stdout
    )
    with duckdb.connect(str(folder / "sprint.duckdb"), read_only=True) as con:
        linked = con.execute("select count(player_id) from bronze.raw_customers").fetchone()
    assert linked == (0,)


def test_another_store_asks_for_replace(sprint: Sprint, folder: Path) -> None:
    assert sprint("generate", *FEW, "--load").returncode == 0
    before = counts(folder)
    message = line_of(sprint("generate", *FEW, "--seed", "5", "--load"))
    assert "bronze holds 5 days of a store with other settings" in message
    assert "--replace" in message
    assert counts(folder) == before
    replaced = sprint("generate", *FEW, "--seed", "5", "--load", "--replace")
    assert replaced.returncode == 0, replaced.stderr
    assert counts(folder) != before


def test_what_no_flag_says_is_as_in_the_store_that_is_loaded(sprint: Sprint, folder: Path) -> None:
    assert sprint("generate", *FEW, "--seed", "5", "--load").returncode == 0
    before = counts(folder)
    for command in (("generate", "--load"), ("load",), ("load", "--orders", "90")):
        again = sprint(*command)
        assert again.returncode == 0, again.stderr
        assert counts(folder) == before
    # what the environment says is not passed over
    message = line_of(sprint("generate", "--load", SPRINT_STORE_PRESET="medium"))
    assert "bronze holds 5 days of a store with other settings (customers 80, not 10000;" in message
    assert "SPRINT_STORE_" in message
    message = line_of(sprint("load", "--seed", "6"))
    assert "(seed 5, not 6)" in message
    assert counts(folder) == before
    # but says how many rows are sent at a time without being another store
    assert sprint("load", SPRINT_STORE_BATCH_SIZE="100").returncode == 0


def test_a_trial_removes_no_files_unasked(sprint: Sprint, folder: Path) -> None:
    assert sprint("generate", *FEW, "--load").returncode == 0
    before = files_of(folder)
    message = line_of(sprint("generate", "--preset", "small"))
    assert "holds 35 partitions of a store with other settings" in message
    assert "the store that bronze holds" in message
    assert "--replace" in message
    assert files_of(folder) == before
    trial = sprint("generate", "--preset", "small", "--days", "2", "--replace")
    assert trial.returncode == 0, trial.stderr
    # of 35, the 14 of its own days are written over
    assert "removed 21 partitions" in trial.stdout
    assert len(files_of(folder)) < len(before)
    # the warehouse still holds the first one, whose files come back the same way
    message = line_of(sprint("generate"))
    assert "holds 14 partitions of a store with other settings (fingerprint " in message
    assert sprint("generate", "--replace").returncode == 0
    # the trial's parts on its two days stay until these days are written again
    assert before.items() <= files_of(folder).items()


def test_a_store_is_extended_day_by_day(
    sprint: Sprint, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("whole") / "data"
    whole = sprint(
        *("generate", *FEW, "--to", "2025-01-08", "--load"), SPRINT_DATA_DIR=str(elsewhere)
    )
    assert whole.returncode == 0, whole.stderr
    assert sprint("generate", *FEW, "--load").returncode == 0
    for day in ("2025-01-07", "2025-01-06", "2025-01-08", "2025-01-07"):
        more = sprint("generate", "--from", day, "--to", day, "--load")
        assert more.returncode == 0, more.stderr
        assert "1 day loaded" in more.stdout
    assert files_of(folder) == files_of(elsewhere)
    assert held(folder) == held(elsewhere)
    # the first days, unless others are said
    assert sprint("load").returncode == 0
    message = line_of(sprint("load", "--to", "2025-01-09"))
    assert "2025-01-09 of storefront/raw_customers is missing" in message


def test_a_store_opens_on_the_day_that_is_said(sprint: Sprint, folder: Path) -> None:
    made = sprint("generate", *FEW, "--start", "2024-12-30", "--load")
    assert made.returncode == 0, made.stderr
    assert "2024-12-30 to 2025-01-03" in made.stdout
    assert (
        sprint("generate", "--from", "2025-01-04", "--to", "2025-01-04", "--load").returncode == 0
    )
    with duckdb.connect(str(folder / "sprint.duckdb"), read_only=True) as con:
        days = con.execute(
            "select min(event_date)::varchar, max(event_date)::varchar from bronze.raw_sessions"
        ).fetchone()
    assert days == ("2024-12-30", "2025-01-04")
    message = line_of(sprint("generate", "--load", SPRINT_STORE_START="2025-01-01"))
    assert "(start '2024-12-30', not '2025-01-01')" in message


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (("generate", "--customers", "0"), {}, "customers is '0'"),
        (("generate",), {"SPRINT_STORE_DAYS": "week"}, "SPRINT_STORE_DAYS is 'week'"),
        (("generate",), {"SPRINT_STORE_PRESET": "huge"}, "SPRINT_STORE_PRESET is 'huge'"),
        (("generate", "--title", "nosuch"), {}, "nosuch"),
        (("load", *FEW), {}, "2025-01-01 of storefront/raw_customers is missing"),
        (("build",), {}, "bronze holds no day of the store"),
        (("generate", "--to", "postgres"), {}, "add --load"),
        (("generate", "--from", "2024-12-31"), {}, "the store opens on 2025-01-01"),
        (("load", "--from", "2025-01-02", "--to", "2025-01-01"), {}, "lies before --from"),
        (("generate", "--from", "2025-01-02", "--to", "2099-01-01"), {}, "has not come yet"),
        (("generate", "--start", "2099-01-01"), {}, "2099-01-01 has not come yet"),
        (("generate", "--from", "soon"), {}, "--from is a day such as 2025-01-31, not 'soon'"),
        (("generate", "--start", "soon"), {}, "--start is a day such as 2025-01-31, not 'soon'"),
        (("generate",), {"SPRINT_STORE_START": "soon"}, "SPRINT_STORE_START is 'soon'"),
        (("generate", "--to", "bigquery"), {}, "neither duckdb nor postgres"),
        (("load", "--to", "2025-01-01", "--to", "2025-01-02"), {}, "--to says 2 days"),
        (("load", "--to", "duckdb", "--warehouse", "postgres"), {}, "one after another"),
        (("generate", "--orders", "900000000", "--days", "1"), {}, "orders is '900000000'"),
        (("generate", "--orders", "900000", "--days", "1"), {}, "more than 500,000 a day"),
        (("generate", *FEW, "--load", "--to", "postgres"), {}, "SPRINT_POSTGRES_URL"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    sprint: Sprint, arguments: tuple[str, ...], variables: dict[str, str], message: str
) -> None:
    assert message in line_of(sprint(*arguments, **variables))


def test_make_has_the_two_targets() -> None:
    for target, does in (("generate-data", "generate"), ("load-data", "generate --load")):
        ended = subprocess.run(
            ["make", "--dry-run", target, "STORE=--preset small"],
            cwd=project_root(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"sprint storefront {does} --preset small" in ended.stdout


def test_postgres_by_url_gets_what_duckdb_gets_and_the_second_load_adds_nothing(
    sprint: Sprint, folder: Path
) -> None:
    with postgres_server.serve() as server, postgres_server.database(server) as url:
        first = sprint("generate", *FEW, "--load", "--to", "postgres", SPRINT_POSTGRES_URL=url)
        assert first.returncode == 0, first.stderr
        again = sprint("load", *FEW, "--to", "postgres", SPRINT_POSTGRES_URL=url)
        assert again.returncode == 0, again.stderr
        assert sprint("load", *FEW).returncode == 0
        for ended in (first, again):
            assert postgres_server.PASSWORD not in ended.stdout + ended.stderr
        with psycopg.connect(url) as connection:
            held = {
                table: connection.execute(f"select count(*) from bronze.{table}").fetchone()
                for table in BRONZE_TABLES
            }
        # a wrong password: one line, and no password in it
        message = line_of(
            sprint(
                *("load", *FEW, "--to", "postgres"),
                SPRINT_POSTGRES_URL=url.replace("ele%20phant%407", "hippo"),
            )
        )
    assert "password" in message
    assert "hippo" not in message
    assert held == {table: (count,) for table, count in counts(folder).items()}
    for table, count in counts(folder).items():
        row = next(line for line in again.stdout.splitlines() if table in line)
        assert [cell.strip() for cell in row.split("│")[2:4]] == ["0", f"{count:,}"]


def test_postgres_is_extended_day_by_day_with_the_settings_that_it_holds(sprint: Sprint) -> None:
    with (
        postgres_server.serve() as server,
        postgres_server.database(server) as url,
        postgres_server.database(server) as of_whole,
    ):
        whole = sprint(
            *("generate", *FEW, "--to", "2025-01-07", "--to", "postgres", "--load"),
            SPRINT_POSTGRES_URL=of_whole,
        )
        assert whole.returncode == 0, whole.stderr
        assert (
            sprint("load", *FEW, "--warehouse", "postgres", SPRINT_POSTGRES_URL=url).returncode == 0
        )
        # tables of a version that did not note the settings: they are found by the fingerprint
        with psycopg.connect(url) as connection:
            connection.execute("drop table bronze.loaded_store")
        few = dict(zip(FEW[::2], FEW[1::2], strict=True))
        variables = {f"SPRINT_STORE_{k.strip('-').upper()}": v for k, v in few.items()}
        day = ("--from", "2025-01-07", "--to", "2025-01-07", "--to", "postgres", "--load")
        found = sprint("generate", *day, SPRINT_POSTGRES_URL=url, **variables)
        assert found.returncode == 0, found.stderr
        for day in ("2025-01-06", "2025-01-07"):
            options = ("--from", day, "--to", day, "--warehouse", "postgres", "--load")
            more = sprint("generate", *options, SPRINT_POSTGRES_URL=url)
            assert more.returncode == 0, more.stderr
        message = line_of(
            sprint("load", "--seed", "7", "--warehouse", "postgres", SPRINT_POSTGRES_URL=url)
        )
        assert "7 days of a store with other settings (seed 42, not 7)" in message
        rows = []
        for database in (url, of_whole):
            with psycopg.connect(database) as connection:
                rows.append(
                    {
                        table: sorted(
                            connection.execute(
                                f"select (to_jsonb(t) - 'ingestion_timestamp')::text"
                                f" from bronze.{table} as t"
                            ).fetchall()
                        )
                        for table in BRONZE_TABLES
                    }
                )
    assert rows[0] == rows[1]
    assert all(rows[0].values())
