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
    told = line_of(sprint("generate", *FEW, "--seed", "5", "--load"))
    assert "bronze holds 5 days of a store with other settings" in told
    assert "--replace" in told
    assert counts(folder) == before
    replaced = sprint("generate", *FEW, "--seed", "5", "--load", "--replace")
    assert replaced.returncode == 0, replaced.stderr
    assert counts(folder) != before


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (("generate", "--customers", "0"), {}, "customers is '0'"),
        (("generate",), {"SPRINT_STORE_DAYS": "week"}, "SPRINT_STORE_DAYS is 'week'"),
        (("generate",), {"SPRINT_STORE_PRESET": "huge"}, "SPRINT_STORE_PRESET is 'huge'"),
        (("generate", "--title", "nosuch"), {}, "nosuch"),
        (("load", *FEW), {}, "2025-01-01 of storefront/raw_customers is missing"),
        (("build",), {}, "bronze holds no day of the store"),
        (("generate", "--to", "postgres"), {}, "add --load"),
        (("generate", "--orders", "900000000", "--days", "1"), {}, "orders is '900000000'"),
        (("generate", "--orders", "900000", "--days", "1"), {}, "more than 500,000 a day"),
        (("generate", *FEW, "--load", "--to", "postgres"), {}, "SPRINT_POSTGRES_URL"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    sprint: Sprint, arguments: tuple[str, ...], variables: dict[str, str], told: str
) -> None:
    assert told in line_of(sprint(*arguments, **variables))


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
        told = line_of(
            sprint(
                *("load", *FEW, "--to", "postgres"),
                SPRINT_POSTGRES_URL=url.replace("ele%20phant%407", "hippo"),
            )
        )
    assert "password" in told
    assert "hippo" not in told
    assert held == {table: (count,) for table, count in counts(folder).items()}
    for table, count in counts(folder).items():
        row = next(line for line in again.stdout.splitlines() if table in line)
        assert [cell.strip() for cell in row.split("│")[2:4]] == ["0", f"{count:,}"]
