"""The settings: every one of them counts for every reader, wherever somebody wrote it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import Mock

import dagster as dg
import duckdb
import pytest

from sprint_platform import cli
from sprint_platform.core import memory
from sprint_platform.core import settings as project_settings
from sprint_platform.core.errors import SprintError
from sprint_platform.core.project import PROJECT, ProjectError
from sprint_platform.core.settings import Settings, SettingsError, settings, variable
from sprint_platform.dashboard.published import NothingPublished, published, published_titles
from sprint_platform.engines import spark_session
from sprint_platform.engines.duckdb_file import _quarter_of_the_free, duckdb_options
from sprint_platform.engines.postgres_url import read_url
from sprint_platform.engines.snowflake_credentials import SnowflakeCredentials
from sprint_platform.engines.spark_session import on_spark
from sprint_platform.eventlog.settings import BatchSettings
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.storefront_models import StorefrontTranslator
from sprint_platform.places import (
    dagster_config,
    dagster_home,
    data_dir,
    dbt_project_dir,
    duckdb_temp_dir,
    project_root,
    spark_warehouse_dir,
    title_dirs,
)
from sprint_platform.publish.views import publish_views
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform.title import Title
from sprint_platform.transform import dbt_runner
from sprint_platform.transform.dbt_runner import project_environment, spark_environment
from sprint_platform_tests.command_line import run_sprint
from sprint_platform_tests.small_titles import TINY

SECRETS = {
    "SNOWFLAKE_ACCOUNT": "an-account",
    "SNOWFLAKE_USER": "somebody",
    "SNOWFLAKE_PASSWORD": "pass-in-file",
    "SPRINT_POSTGRES_URL": "postgresql://shop:pass-in-file@localhost:5432/shop",
}


def of_duckdb(option: str) -> str:
    with duckdb.connect(config=duckdb_options()) as con:
        [(value,)] = con.execute(f"select current_setting('{option}')").fetchall()
    return str(value)


def exported(name: str) -> str:
    """The variable in the environment of Dagster, numpy and the like, as a command prepares it."""
    before = dict(os.environ)
    try:
        cli.prepare_environment()
        return os.environ[name]
    finally:
        os.environ.clear()
        os.environ.update(before)


def of_store(field: str) -> Callable[[], str]:
    return lambda: str(getattr(StoreSettings.read({}), field))


def of_batch(field: str) -> Callable[[], str]:
    return lambda: str(getattr(BatchSettings.read({}), field))


def of_snowflake(name: str) -> Callable[[], str]:
    # as the connector gets it, and as dbt does
    return lambda: SnowflakeCredentials.read().environment()[name]


def of_spark(name: str) -> Callable[[], str]:
    return lambda: spark_session.options()[name]


class Case(NamedTuple):
    """A setting's value, another one, and how a reader sees it."""

    value: str
    other: str
    read: Callable[[], str]


def cases() -> dict[str, Case]:
    """By field; every field of the settings must have one."""
    return {
        "data_dir": Case("/one/data", "/other/data", lambda: str(data_dir())),
        "titles_dir": Case("/one/titles", "/other/titles", lambda: str(title_dirs()[-1])),
        "duckdb_memory": Case("300.0 MiB", "400.0 MiB", lambda: of_duckdb("memory_limit")),
        "duckdb_temp": Case("/one/temp", "/other/temp", lambda: of_duckdb("temp_directory")),
        "catch_up_days": Case("7", "8", lambda: str(settings().catch_up_days)),
        "dagster_home": Case("{tmp}/one", "{tmp}/other", lambda: exported("DAGSTER_HOME")),
        "dagster_postgres_url": Case(
            "postgresql+psycopg2://a@one/x",
            "postgresql+psycopg2://a@other/x",
            lambda: exported("SPRINT_DAGSTER_POSTGRES_URL"),
        ),
        "webhook_url": Case("https://one/x", "http://other/x", webhook),
        "ui_url": Case("https://one", "http://other:3000", lambda: str(settings().ui_url)),
        "engine": Case("spark", "duckdb", lambda: "spark" if on_spark() else "duckdb"),
        "spark_master": Case("local[3]", "spark://one:7077", spark_session.described),
        "spark_remote": Case("sc://one:15002", "sc://other:15002", spark_session.described),
        "spark_warehouse": Case("/one/spark", "/other/spark", lambda: str(spark_warehouse_dir())),
        "spark_memory": Case("3g", "700m", of_spark("spark.driver.memory")),
        "spark_partitions": Case("8", "16", of_spark("spark.sql.shuffle.partitions")),
        "spark_threads": Case("3", "4", lambda: spark_environment()["SPRINT_SPARK_THREADS"]),
        "openblas_num_threads": Case("3", "4", lambda: exported("OPENBLAS_NUM_THREADS")),
        # 1,000 customers in the small store
        "store_preset": Case("small", "large", lambda: preset_of(StoreSettings.read({}).customers)),
        "store_customers": Case("11", "12", of_store("customers")),
        "store_products": Case("11", "12", of_store("products")),
        "store_orders": Case("11", "12", of_store("orders")),
        "store_days": Case("11", "12", of_store("days")),
        "store_seed": Case("11", "12", of_store("seed")),
        "store_start": Case("2025-02-03", "2025-02-04", of_store("start")),
        "store_title": Case("leap", "arena", of_store("title")),
        "store_batch_size": Case("110", "120", of_store("batch_size")),
        "eventlog_players": Case("11", "12", of_batch("players")),
        "eventlog_max_sessions": Case("11", "12", of_batch("max_sessions")),
        "eventlog_game_version": Case("1.1", "1.2", of_batch("game_version")),
        "eventlog_seed": Case("11", "12", of_batch("seed")),
        "eventlog_batch": Case("11", "12", of_batch("batch")),
        "postgres_url": Case("postgresql://a@one/x", "postgresql://a@other/x", read_url),
        "snowflake_port": Case("4430", "4431", of_snowflake("SNOWFLAKE_PORT")),
        "snowflake_protocol": Case("http", "https", of_snowflake("SNOWFLAKE_PROTOCOL")),
        **{
            f"snowflake_{name}": Case("ONE", "OTHER", of_snowflake(f"SNOWFLAKE_{name.upper()}"))
            for name in (
                "account",
                "user",
                "password",
                "role",
                "warehouse",
                "database",
                "schema",
                "authenticator",
                "token",
                "private_key_file",
                "private_key_file_pwd",
            )
        },
        "snowflake_host": Case("one.host", "other.host", of_snowflake("SNOWFLAKE_HOST")),
    }


def webhook() -> str:
    url = settings().webhook_url
    return "" if url is None else url.get_secret_value()


def preset_of(customers: int) -> str:
    return {1_000: "small", 10_000: "medium", 100_000: "large"}[customers]


def variables() -> list[str]:
    return [variable(field) for field in Settings.model_fields]


@pytest.fixture
def nothing_exported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in variables():
        monkeypatch.delenv(name, raising=False)


def write(env_file: Path, values: Mapping[str, str]) -> None:
    env_file.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))


@pytest.mark.usefixtures("nothing_exported")
@pytest.mark.parametrize("field", list(Settings.model_fields))
def test_every_setting_counts_in_the_env_file_alone_and_less_than_what_is_exported(
    field: str, env_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    case, name = cases()[field], variable(field)
    value, other = (text.replace("{tmp}", str(tmp_path)) for text in (case.value, case.other))
    # Dagster's home is made by whoever prepares it
    write(env_file, {**SECRETS, "DAGSTER_HOME": str(tmp_path / "home"), name: value})
    assert case.read() == value
    monkeypatch.setenv(name, other)
    assert case.read() == other
    # a variable that is set to nothing is not set; but a store may have no title
    monkeypatch.setenv(name, "")
    assert case.read() == ("" if field == "store_title" else value)


@pytest.mark.usefixtures("nothing_exported")
def test_the_dashboard_reads_what_is_published_where_the_env_file_says(
    env_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere" / "published"
    write(env_file, {"SPRINT_DATA_DIR": str(folder.parent)})
    with pytest.raises(NothingPublished, match=str(folder)), published():
        pass
    mart = folder / "arena" / "kpi_daily"
    mart.mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute(f"copy (select 1 as one) to '{mart}/all.parquet' (format parquet)")
    publish_views()
    with published() as con:
        assert list(published_titles(con)) == ["arena"]


@pytest.mark.usefixtures("nothing_exported")
def test_the_default_is_what_counts_where_nobody_says_anything(env_file: Path) -> None:
    assert data_dir() == project_root() / "data"
    assert duckdb_temp_dir() == project_root() / "data" / "tmp"
    assert dagster_home() == project_root() / ".dagster"
    assert len(title_dirs()) == 1
    assert settings().catch_up_days == 400
    assert exported("OPENBLAS_NUM_THREADS") == "1"


@pytest.mark.usefixtures("nothing_exported")
def test_a_change_is_noticed_also_of_what_a_line_refers_to(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file.write_text("SPRINT_DATA_DIR=${DISK:-/small}/data\n")
    assert data_dir() == Path("/small/data")
    monkeypatch.setenv("DISK", "/big")
    assert data_dir() == Path("/big/data")
    env_file.write_text("# a comment\n\nexport SPRINT_DATA_DIR=work/data # here\nEDITOR=vim\n")
    assert data_dir() == project_root() / "work" / "data"
    env_file.write_text("SPRINT_DATA_DIR=~/data\n")
    assert data_dir() == Path.home() / "data"
    env_file.unlink()
    assert data_dir() == project_root() / "data"


@pytest.mark.usefixtures("nothing_exported")
@pytest.mark.parametrize(
    ("field", "wrong", "allowed"),
    [
        ("duckdb_memory", "700", "700MiB"),
        ("catch_up_days", "0", "greater than or equal to 1"),
        ("catch_up_days", "soon", "valid integer"),
        ("openblas_num_threads", "-1", "greater than or equal to 0"),
        ("store_orders", "many", "valid integer"),
        ("ui_url", "localhost:3000", "https://"),
    ],
)
def test_a_wrong_value_is_one_line_for_whoever_reads_it_and_for_nobody_else(
    field: str, wrong: str, allowed: str, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = variable(field)
    write(env_file, {name: wrong})
    with pytest.raises(SettingsError) as in_file:
        getattr(settings(), field)
    assert str(in_file.value).startswith(f"{name} is '{wrong}': ")
    assert allowed in str(in_file.value)
    assert str(in_file.value).endswith(f"(in {env_file})")
    monkeypatch.setenv(name, wrong)
    with pytest.raises(SettingsError) as in_environment:
        getattr(settings(), field)
    assert str(env_file) not in str(in_environment.value)
    # the games' graph, among others
    assert data_dir().name == "data"
    assert Title.load("sprint").name == "sprint"
    StorefrontTranslator()


def test_an_env_file_that_is_no_text_is_one_line(env_file: Path) -> None:
    env_file.write_bytes(b"SPRINT_DATA_DIR=caf\xe9\n")
    with pytest.raises(SprintError, match=re.escape(f"{env_file} cannot be read")):
        data_dir()


@pytest.mark.parametrize("line", ["'pass-in-file", '"pass-in-file" or so'])
def test_a_line_of_the_env_file_that_is_none_is_refused_and_not_shown(
    env_file: Path, line: str
) -> None:
    env_file.write_text(f"# mine\nSNOWFLAKE_PASSWORD={line}\n")
    with pytest.raises(SettingsError, match=r"line 2 is not NAME=value") as refused:
        data_dir()
    assert "pass-in-file" not in str(refused.value)


@pytest.mark.parametrize(
    "folder", ["~nobody99/data", "x" * 300, "/not/there/" + "x" * 300, __file__, "\udcff"]
)
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("SPRINT_DATA_DIR", data_dir),
        ("SPRINT_DUCKDB_TEMP", duckdb_temp_dir),
        ("DAGSTER_HOME", dagster_home),
        ("SPRINT_TITLES_DIR", title_dirs),
    ],
)
def test_a_folder_that_none_can_be_is_one_line_with_its_variable(
    name: str, read: Callable[[], object], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, folder)
    with pytest.raises(ProjectError, match=f"^{name} is '.*': ") as refused:
        read()
    assert str(refused.value).isprintable()


@pytest.mark.usefixtures("nothing_exported")
def test_no_secret_is_exported_or_shown(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(env_file, {**SECRETS, "DAGSTER_HOME": str(tmp_path / "home")})
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    # which it exports, too
    monkeypatch.setenv(PROJECT, str(tmp_path))
    cli.prepare_environment()
    assert "pass-in-file" in SnowflakeCredentials.read().environment()["SNOWFLAKE_PASSWORD"]
    assert "pass-in-file" in read_url()
    assert not any("pass-in-file" in value for value in os.environ.values())
    shown = f"{settings()!r} {settings()} {settings().model_dump()} {settings().postgres_url}"
    assert "pass-in-file" not in shown
    # somebody mixed up two lines
    write(env_file, {**SECRETS, "SNOWFLAKE_PORT": "pass-in-file"})
    with pytest.raises(SettingsError, match="SNOWFLAKE_PORT") as refused:
        SnowflakeCredentials.read()
    assert "pass-in-file" not in str(refused.value)


@pytest.mark.usefixtures("nothing_exported")
@pytest.mark.parametrize(
    ("container", "limit"),
    # in steps: for another limit dbt parses the project anew
    [("max", 3 << 30), (str(5 << 30), 1 << 30), (str(1 << 30), 512 << 20)],
    ids=["none", "5 GiB", "1 GiB"],
)
def test_duckdb_takes_a_quarter_of_the_free_memory_unless_it_is_set(
    container: str, limit: int, env_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what the container has, where the machine has more; 512 MiB to 3 GiB."""
    limits = tmp_path / "memory.max"
    limits.write_text(container)
    monkeypatch.setattr(memory, "CONTAINER_LIMITS", (tmp_path / "of another version", limits))
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: Mock(available=64 << 30))
    _quarter_of_the_free.cache_clear()
    try:
        value, unit = of_duckdb("memory_limit").split()
        assert float(value) * {"MiB": 1 << 20, "GiB": 1 << 30}[unit] == limit
        assert project_environment()["SPRINT_DUCKDB_MEMORY"] == f"{limit >> 20}MiB"
        write(env_file, {"SPRINT_DUCKDB_MEMORY": "300MiB"})
        assert of_duckdb("memory_limit") == "300.0 MiB"
    finally:
        _quarter_of_the_free.cache_clear()


@pytest.mark.usefixtures("nothing_exported")
def test_dbt_gets_every_setting_that_its_profile_reads(env_file: Path) -> None:
    write(
        env_file,
        {
            **SECRETS,
            **{variable(f): case.value for f, case in cases().items() if f.startswith("snowflake")},
            "SPRINT_DATA_DIR": "/one/data",
            "SPRINT_DUCKDB_MEMORY": "300MiB",
            "SPRINT_DUCKDB_TEMP": "/one/temp",
        },
    )
    profile = (dbt_project_dir() / "profiles.yml").read_text()
    read = set(re.findall(r"env_var\('(\w+)'", profile))
    for_duckdb = project_environment()
    # where the profile is, and our macros are for a project from outside: it reads neither
    places = {"DBT_PROFILES_DIR", "SPRINT_DBT_MACROS"}
    # of Spark's session, which is open already, it asks for the threads alone
    for_spark = spark_environment().keys() & {"SPRINT_SPARK_THREADS"}
    for_snowflake = SnowflakeCredentials.read().environment().keys()
    assert for_spark
    assert read == (for_duckdb.keys() - places) | for_snowflake | for_spark
    assert for_duckdb["SPRINT_DATA_DIR"] == "/one/data"
    assert for_duckdb["SPRINT_DUCKDB_MEMORY"] == "300MiB"
    assert for_duckdb["SPRINT_DUCKDB_TEMP"] == "/one/temp"


@pytest.mark.usefixtures("nothing_exported")
def test_the_data_stay_where_they_are_while_dbt_gets_its_environment(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", "/one/data")
    monkeypatch.setenv("SPRINT_BATCHES", "2")
    seen: list[Path] = []

    class Watched(dict[str, str]):
        """An environment in which another thread asks for the data folder after every change."""

        def __delitem__(self, name: str) -> None:
            super().__delitem__(name)
            seen.append(Path(self.get("SPRINT_DATA_DIR", "nowhere")))

        def pop(self, name: str, *default: Any) -> Any:
            value = super().pop(name, *default)
            seen.append(Path(self.get("SPRINT_DATA_DIR", "nowhere")))
            return value

    before = dict(os.environ)
    given = project_environment()
    watched = Watched(before)
    monkeypatch.setattr(dbt_runner.os, "environ", watched)
    with dbt_runner._environment(given):
        assert watched.items() >= given.items()
        assert "SPRINT_BATCHES" not in watched
    assert watched == before
    assert seen
    assert set(seen) == {Path("/one/data")}


def test_the_warehouse_takes_no_file_that_it_would_ignore() -> None:
    with pytest.raises(ValueError, match="database"):
        Warehouse(database="/elsewhere.duckdb")  # type: ignore[call-arg]

    @dg.asset
    def anything(warehouse: Warehouse) -> None: ...

    with pytest.raises(dg.DagsterInvalidConfigError, match='config entry "database"'):
        dg.materialize(
            [anything],
            resources={"warehouse": Warehouse()},
            run_config={"resources": {"warehouse": {"config": {"database": "/elsewhere.duckdb"}}}},
        )


def test_doctor_names_every_line_that_wins_in_dagsters_own_commands(
    env_file: Path, tmp_path: Path
) -> None:
    env_file.write_text(
        "SPRINT_DATA_DIR=/of/the/file\n"
        "SPRINT_TITLES_DIR=${SPRINT_TITLES_DIR:-/of/the/file}\n"
        "N_PLAYERS=5\n"
        "SNOWFLAKE_PASSWORD=pass-in-file\n"
        "LANG_OF_MINE=de\n"
        f"DAGSTER_HOME={tmp_path}/../{tmp_path.name}/home\n"
        "SPRINT_CATCH_UP_DAYS=0\n"
    )
    outside = {name: value for name, value in os.environ.items() if name not in variables()}
    done = run_sprint(
        ["doctor"],
        {
            **outside,
            "SPRINT_DATA_DIR": str(tmp_path / "data"),
            "SPRINT_TITLES_DIR": str(tmp_path),
            "N_PLAYERS": "5",
            "SNOWFLAKE_PASSWORD": "pass-outside",
            "LANG_OF_MINE": "en",
        },
    )
    lines = [line for line in done.stderr.splitlines() if "Dagster's own commands" in line]
    assert [line.split()[0] for line in lines] == [
        "SPRINT_DATA_DIR",
        "SNOWFLAKE_PASSWORD",
        "LANG_OF_MINE",
    ]
    assert lines[0].endswith("write SPRINT_DATA_DIR=${SPRINT_DATA_DIR:-value}")
    assert "pass-" not in done.stdout + done.stderr
    assert f"{tmp_path / 'data'}" in done.stdout
    # and what is wrong by itself
    assert done.returncode == 1
    assert "SPRINT_CATCH_UP_DAYS is '0'" in done.stderr


def test_set_up_writes_lines_that_win_over_nothing_that_is_exported(
    tmp_path: Path, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sprint_platform").mkdir()
    for name in ("Makefile", "sprint_platform/dagster.yaml"):
        shutil.copy(project_root() / name, tmp_path / name)
    env_file.write_text("SPRINT_STORE_PRESET=small\nOPENBLAS_NUM_THREADS=2\n")
    os.utime(env_file, (0, 0))
    subprocess.run(["make", "--silent", ".env"], cwd=tmp_path, check=True)
    lines = env_file.read_text().splitlines()
    assert lines == [
        "SPRINT_STORE_PRESET=small",
        "OPENBLAS_NUM_THREADS=2",
        f'DAGSTER_HOME="${{DAGSTER_HOME:-{tmp_path}/.dagster}}"',
    ]
    env_file.unlink()
    subprocess.run(["make", "--silent", ".env"], cwd=tmp_path, check=True)
    monkeypatch.setenv("DAGSTER_HOME", "/mine")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    assert project_settings.read_env_file() == {
        "DAGSTER_HOME": "/mine",
        "OPENBLAS_NUM_THREADS": "7",
    }


# -- whole programs, that have nothing but a checkout with an .env


class Checkout(NamedTuple):
    """A copy of the project with an ``.env`` of its own; in ``elsewhere`` lies what it names."""

    root: Path
    elsewhere: Path

    def run(self, cwd: Path, *command: str) -> str:
        """What the command said; it must succeed."""
        no = {PROJECT, *variables()}
        environment = {name: value for name, value in os.environ.items() if name not in no}
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=cwd,
            env={**environment, "PYTHONPATH": str(self.root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    root, elsewhere = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("elsewhere")
    for name in ("sprint_platform", "sprint_dbt"):
        shutil.copytree(project_root() / name, root / name)
    shutil.copy(project_root() / "pyproject.toml", root)
    (elsewhere / "home").mkdir()
    shutil.copy(dagster_config(), elsewhere / "home")
    (elsewhere / "titles").mkdir()
    (elsewhere / "titles" / "tiny.yaml").write_text(TINY)
    (elsewhere / "titles" / "broken.yaml").write_text("name: broken\n")
    write(
        root / ".env",
        {
            # from the root, wherever a command is started
            "SPRINT_DATA_DIR": f"../{elsewhere.name}/data",
            "SPRINT_TITLES_DIR": str(elsewhere / "titles"),
            "DAGSTER_HOME": str(elsewhere / "home"),
            "N_PLAYERS": "7",
            "MAX_SESSIONS_PER_PLAYER": "3",
            "GAME_VERSION": "9.9",
            "GAME_DATA_SEED": "5",
            "LOAD_BATCH_ID": "4",
        },
    )
    return Checkout(root, elsewhere)


def test_sprint_reads_the_env_file_wherever_it_is_started(
    checkout: Checkout, tmp_path: Path
) -> None:
    printed = checkout.run(tmp_path, "sprint_platform.cli", "eventlog", "generate", "--no-ingest")
    assert "batch 4" in printed
    assert "7 players, seed 5" in printed
    players = (checkout.elsewhere / "data" / "eventlog" / "raw_players.csv").read_text()
    assert len(players.splitlines()) == 1 + 7
    assert list(tmp_path.iterdir()) == []


def test_dagsters_command_reads_the_env_file(checkout: Checkout) -> None:
    # from the root, where Dagster itself looks for .env: for its home
    checkout.run(
        checkout.root,
        *("dagster", "asset", "materialize", "-m", "sprint_platform.definitions"),
        *("--select", "key:tiny/dim_players", "--partition", "2025-01-01"),
    )
    assert not (checkout.root / "data").exists()
    assert (checkout.elsewhere / "data" / "sprint.duckdb").exists()
    with dg.DagsterInstance.from_config(str(checkout.elsewhere / "home")) as instance:
        assert len(instance.get_runs()) == 1
    with duckdb.connect(str(checkout.elsewhere / "data" / "sprint.duckdb"), read_only=True) as con:
        found = con.execute("select count(*) from duckdb_tables() where schema_name = 'tiny_dim'")
        assert found.fetchall() == [(1,)]


def test_a_code_server_reads_the_env_file_wherever_it_is_started(
    checkout: Checkout, tmp_path: Path
) -> None:
    printed = checkout.run(
        tmp_path,
        *("dagster", "definitions", "validate", "--load-with-grpc"),
        *("-m", "sprint_platform.definitions"),
    )
    assert "Started Dagster code server" in printed
    # its folder of titles
    assert f"a title is left out: {checkout.elsewhere}/titles/broken.yaml" in printed


def test_numpy_is_not_loaded_before_its_threads_are_set() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sprint_platform.cli, sys; print('numpy' in sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(project_root())},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


@pytest.mark.usefixtures("nothing_exported")
def test_dagsters_history_goes_where_one_setting_says(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    config = home / "dagster.yaml"

    def stored() -> str:
        exported("DAGSTER_HOME")
        return "postgres" if "postgres_url" in config.read_text() else "files"

    assert stored() == "files"
    monkeypatch.setenv("SPRINT_DAGSTER_POSTGRES_URL", "postgresql://a:secret@one/x")
    assert stored() == "postgres"
    assert "secret" not in config.read_text()
    monkeypatch.delenv("SPRINT_DAGSTER_POSTGRES_URL")
    assert stored() == "files"
    # what somebody edited stays
    config.write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("SPRINT_DAGSTER_POSTGRES_URL", "postgresql://a:secret@one/x")
    exported("DAGSTER_HOME")
    assert config.read_text() == "telemetry: {enabled: false}\n"
