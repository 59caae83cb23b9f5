"""Partitions and tables of an older contract: nothing but their columns changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from sprint_platform.dataset import Column, Dataset
from sprint_platform.engines import load as load_module
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.load import ensure_title_schemas, load_partitions
from sprint_platform.landing.land import land
from sprint_platform.operations import migrate as migrate_module
from sprint_platform.operations.migrate import migrate
from sprint_platform.operations.verify import loaded_digests
from sprint_platform.simulation.world import World
from sprint_platform.storage import migration
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.migration import migrate_partition, older_partitions
from sprint_platform.storage.partitions import (
    Manifest,
    OlderContractError,
    made_days,
    partition_dir,
    prune_partition,
    read_manifest,
    read_partition,
    stored_manifest,
    write_partition,
)
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform_tests.worlds import LAUNCH, compound, days_from, title_like

DAYS = days_from(LAUNCH, 3)
SESSIONS, PLAYERS = DATASETS["sessions"], DATASETS["dim_players"]
OLD_SESSIONS = replace(
    SESSIONS,
    version=1,
    columns=tuple(c for c in SESSIONS.columns if c.name not in ("party_id", "won")),
)
OLD_PLAYERS = replace(
    PLAYERS,
    version=1,
    columns=(
        *PLAYERS.columns[:-1],
        Column("archetype", "text", "sign-on habit"),
        Column("spender_cluster", "text", "spending habit"),
        PLAYERS.columns[-1],
    ),
)
OLD = {"dim_players": OLD_PLAYERS, "sessions": OLD_SESSIONS}


@pytest.fixture
def title() -> Title:
    return title_like("sprint", simulation__growth=compound(40))


@pytest.fixture
def folder(title: Title, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with three days of ``sprint``, written and loaded by the older contract."""
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    world = World(title)
    manifests: dict[str, dict[date, Manifest]] = {name: {} for name in OLD}
    for name, contract in OLD.items():
        for day in DAYS:
            tables = [as_before(table, contract) for table in getattr(world, name)(day)]
            made = write_partition("sprint", name, day, tables, title.fingerprint, contract)
            manifests[name][day] = made
    ledger = title_ledger("sprint")
    with connect() as con:
        for name, contract in OLD.items():
            load_partitions(con, ledger, contract, manifests[name])
            con.executemany(
                "insert into sprint_raw.built_from values ('kpi_daily', ?, ?, ?, '', '', true)",
                [[name, str(day), made.digest] for day, made in manifests[name].items()],
            )
    return tmp_path / "data"


def as_before(table: pa.Table, contract: Dataset) -> pa.Table:
    """The records with the older contract's columns."""
    columns = [
        table[c.name]
        if c.name in table.column_names
        else pa.array(["daily"] * table.num_rows, c.arrow_type)
        for c in contract.columns
    ]
    return pa.Table.from_arrays(columns, schema=contract.arrow_schema)


def rows(dataset: str, day: date, contract: Dataset | None = None) -> list[dict]:
    return [row for t in read_partition("sprint", dataset, day, contract) for row in t.to_pylist()]


def expected(old: list[dict], contract: Dataset) -> list[dict]:
    return [{name: row.get(name) for name in contract.column_names} for row in old]


def is_old_or_new(dataset: str, day: date, old: list[dict]) -> str:
    """Which of the two the partition is, whole."""
    manifest = stored_manifest(partition_dir("sprint", dataset, day))
    assert manifest is not None
    if manifest.contract_version == 1:
        assert rows(dataset, day, OLD[dataset]) == old
        return "old"
    assert rows(dataset, day) == expected(old, DATASETS[dataset])
    return "new"


def noted(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], tuple[str, str, int]]:
    """Of each loaded day of a dataset the digests that it was loaded with and built from, and its
    rows."""
    found = con.execute(
        "select loaded.dataset, cast(partition_date as varchar), loaded.digest, built.digest, rows"
        " from sprint_raw.loaded_partitions as loaded join sprint_raw.built_from as built"
        " on built.dataset = loaded.dataset and built.period = cast(partition_date as varchar)"
    ).fetchall()
    return {(dataset, day): tuple(rest) for dataset, day, *rest in found}


def test_an_older_partition_is_not_missing_and_stays_until_it_is_migrated(folder: Path) -> None:
    assert older_partitions("sprint") == [(name, day) for day in DAYS for name in sorted(OLD)]
    for name, contract in OLD.items():
        with pytest.raises(OlderContractError, match="`sprint repair`"):
            read_manifest("sprint", name, DAYS[0])
        before = rows(name, DAYS[0], contract)
        with pytest.raises(RuntimeError, match="stopped"):
            write_partition("sprint", name, DAYS[0], stopped(), "", DATASETS[name])
        assert rows(name, DAYS[0], contract) == before
    with connect() as con, pytest.raises(OlderContractError, match="`sprint repair`"):
        ensure_title_schemas(con, "sprint")


def stopped() -> Iterator[pa.Table]:
    raise RuntimeError("stopped")
    yield


def test_everything_but_the_columns_stays(title: Title, folder: Path) -> None:
    before = {(n, d): rows(n, d, c) for n, c in OLD.items() for d in DAYS}
    with connect() as con:
        counted = noted(con)
    assert len(migrate(title, tables=True)) == 1
    assert older_partitions("sprint") == []
    for (name, day), old in before.items():
        manifest = read_manifest("sprint", name, day, missing_ok=False)
        assert manifest is not None
        assert (manifest.rows, manifest.source) == (len(old), title.fingerprint)
        assert rows(name, day) == expected(old, DATASETS[name])
        assert {p.name for p in manifest.folder.glob("*.parquet")} == {
            part.name for part in manifest.parts
        }
    with connect() as con:
        ensure_title_schemas(con, "sprint")
        now = noted(con)
        assert now.keys() == counted.keys()
        for (name, day), (loaded, built, count) in now.items():
            manifest = read_manifest("sprint", name, date.fromisoformat(day))
            assert manifest is not None
            assert loaded == built == manifest.digest
            assert count == manifest.rows
        # and the tables really hold these rows
        for day in DAYS:
            held = loaded_digests(con, title_ledger("sprint"), [PLAYERS, SESSIONS], day)
            assert held == {name: now[name, str(day)][0] for name in OLD}
    assert migrate(title, tables=True) == []


@pytest.mark.parametrize("at", range(7))
def test_a_kill_leaves_each_partition_old_or_new_and_the_next_repair_goes_on(
    title: Title, folder: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    before = {(n, d): rows(n, d, c) for n, c in OLD.items() for d in DAYS}
    done = 0

    def killed(*partition: object) -> None:
        nonlocal done
        if done == at:
            raise KeyboardInterrupt
        done += 1
        migrate_partition(*partition)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(migrate_module, "migrate_partition", killed)
        if at < 6:
            with pytest.raises(KeyboardInterrupt):
                migrate(title, tables=True)
        else:
            # in the middle of writing the manifest of the last one
            patch.setattr(migration, "write_partition", interrupted)
            with pytest.raises(KeyboardInterrupt):
                migrate(title, tables=True)
    found = [is_old_or_new(name, day, old) for (name, day), old in before.items()]
    assert found.count("new") == (at if at < 6 else 0)
    migrate(title, tables=True)
    assert {is_old_or_new(name, day, old) for (name, day), old in before.items()} == {"new"}
    with connect() as con:
        for (name, day), (loaded, built, _) in noted(con).items():
            manifest = read_manifest("sprint", name, date.fromisoformat(day))
            assert manifest is not None
            assert loaded == built == manifest.digest


def interrupted(
    name: str, dataset: str, day: date, tables: Iterator[pa.Table], source: str
) -> Manifest:
    """As ``write_partition``, killed once all records are written."""

    def all_and_then() -> Iterator[pa.Table]:
        yield from tables
        raise KeyboardInterrupt

    return write_partition(name, dataset, day, all_and_then(), source)


def test_a_kill_before_the_tables_are_changed_changes_nothing_of_the_ledger(
    title: Title, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect() as con:
        before = noted(con)

    def killed(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, set[str]]:
        found = load_module.other_columns(con, name)
        return Killing(found)

    class Killing(dict[str, set[str]]):
        def items(self):  # type: ignore[no-untyped-def]
            yield next(iter(super().items()))
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(migrate_module, "other_columns", killed)
        with pytest.raises(KeyboardInterrupt):
            migrate(title, tables=True)
    with connect() as con:
        assert noted(con) == before
        assert con.execute("select count(archetype) from sprint_dim.dim_players").fetchone()
    assert len(older_partitions("sprint")) == 6
    migrate(title, tables=True)
    with connect() as con:
        ensure_title_schemas(con, "sprint")


def test_a_pruned_day_stays_pruned_with_its_digest(title: Title, folder: Path) -> None:
    old = stored_manifest(partition_dir("sprint", "sessions", DAYS[1]))
    assert old is not None
    path = old.folder / "manifest.json"
    text = json.loads(path.read_text()) | {"parts": [], "bytes": 0, "source": "pruned"}
    path.write_text(json.dumps(text))
    migrate(title, tables=False)
    manifest = read_manifest("sprint", "sessions", DAYS[1], missing_ok=False)
    assert manifest is not None
    assert manifest.pruned
    assert (manifest.rows, manifest.digest) == (old.rows, old.digest)
    assert prune_partition("sprint", "sessions", DAYS[1], old.digest) >= 0


def test_a_damaged_partition_is_named_and_then_a_missing_one(title: Title, folder: Path) -> None:
    manifest = stored_manifest(partition_dir("sprint", "sessions", DAYS[1]))
    assert manifest is not None
    manifest.paths[0].write_bytes(b"PAR1")
    lines = migrate(title, tables=True)
    assert len(lines) == 2
    assert manifest.paths[0].name in lines[0]
    assert lines[0].endswith("sprint run makes it again")
    assert made_days("sprint", "sessions") == {DAYS[0], DAYS[2]}
    assert older_partitions("sprint") == []


def test_a_mapping_may_still_name_a_column_that_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    title = Title.model_validate(
        {
            "name": "arena", "description": "", "launch_date": LAUNCH, "seed": 0,
            "source": "landing", "encounters": {"distance": 50, "gap_seconds": 180},
            "landing": {
                "datasets": ["dim_players"],
                "mapping": {"defaults": {"dim_players": {
                    "archetype": "daily", "spender_cluster": "none", "display_name": "somebody",
                    "language": "en", "time_zone": "UTC", "platform": "pc", "birth_year": 1990,
                }}},
            },
        }
    )  # fmt: skip
    (tmp_path / "landing" / "arena" / "dim_players").mkdir(parents=True)
    file = tmp_path / "landing" / "arena" / "dim_players" / "known.csv"
    file.write_text("player_id,signed_up_at\nann,2025-01-02T10:00:00Z\n")
    assert land(title).days == [LAUNCH + timedelta(days=1)]
