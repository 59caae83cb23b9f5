"""`sprint forget`: nothing names the player any more, and no landing brings the player back."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sprint_platform.cli.terminal import Stop
from sprint_platform.core.locks import hold
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.landing import forgetting
from sprint_platform.landing.forgetting import forget_landed, player_of
from sprint_platform.landing.forgotten import forget as never_land
from sprint_platform.landing.forgotten import forgotten_players
from sprint_platform.landing.land import land
from sprint_platform.landing.register import (
    LandingError,
    landing_lock,
    open_register,
    register_path,
)
from sprint_platform.operations import forget as forget_module
from sprint_platform.orchestration.title_models import TitleTranslator
from sprint_platform.places import data_dir, database_path
from sprint_platform.storage.ledger import FORGOTTEN, title_ledger
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import graph_manifest
from sprint_platform_tests.studio import (
    CLEO,
    DAYS,
    YAML,
    at,
    built_studio,
    copied,
    deliver,
    heartbeats,
    purchase,
    sprint,
)
from sprint_platform_tests.test_landing_reading import Read, a_title

LEDGER = title_ledger("arena")


@dataclass(frozen=True)
class Person:
    """Every way in which a file may name a player."""

    id: UUID
    text: str

    @property
    def in_duckdb(self) -> bytes:
        """A UUID as DuckDB stores it: a signed number of 128 bits."""
        return (self.id.int ^ 1 << 127).to_bytes(16, "little")

    def is_in(self, value: object) -> bool:
        if isinstance(value, bytes):
            names = (self.id.bytes, self.in_duckdb, str(self.id).encode(), self.id.hex.encode())
            return any(name in value for name in (*names, self.text.encode()))
        texts = str(value).lower()
        # samples in Dagster's history show the first digits
        return any(name in texts for name in (str(self.id), self.id.hex[:8], self.text.lower()))


def hashed(text: str) -> UUID:
    """The id of a player whose id in files is no UUID, by the rule of docs/landing.md."""
    digest = bytearray(hashlib.blake2b(f"player\0{text}".encode(), digest_size=16).digest())
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


ANNA, BEN = Person(hashed("anna"), "anna"), Person(hashed("ben"), '"ben')
CLEO_HERSELF = Person(UUID(CLEO), CLEO)


def values(path: Path) -> Iterator[object]:
    """What a file says, opened by its format; also its bytes."""
    content = path.read_bytes()
    yield content
    if path.suffix == ".parquet":
        yield from pq.read_table(path, partitioning=None).to_pylist()
    elif path.suffix == ".arrow":
        with pa.OSFile(str(path), "rb") as file:
            yield from pa.ipc.open_file(file).read_all().to_pylist()
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as con:
            for schema, table in con.execute(
                "select schema_name, table_name from duckdb_tables() where not internal"
            ).fetchall():
                yield from con.execute(f'from "{schema}"."{table}"').fetchall()
    elif content.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(path)) as con:
            for (table,) in con.execute("select name from sqlite_master where type = 'table'"):
                yield from con.execute(f'select * from "{table}"')


def files_naming(person: Person, root: Path) -> set[str]:
    """Every file that names the person, but those that the studio delivered."""
    return {
        str(path.relative_to(root))
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.relative_to(root).parts[:2] != ("data", "landing")
        if any(person.is_in(value) for value in values(path))
    }


def kinds(files: set[str]) -> set[str]:
    return {"/".join(Path(file).parts[:2]) for file in files}


def content() -> dict[str, list[tuple]]:
    """The rows of every table of the title and of the ledger's periods, ids as texts."""
    with duckdb.connect(str(database_path()), read_only=True) as con:
        return {
            f"{schema}.{table}": [
                tuple(map(str, row))
                for row in con.execute(f"from {schema}.{table} order by all").fetchall()
            ]
            for schema, table in con.execute(
                "select schema_name, table_name from duckdb_tables()"
                " where schema_name like 'arena%' and not table_name like 'built_%'"
                " and table_name not in ('loaded_partitions', 'landed_partitions')"
            ).fetchall()
        }


def marts() -> list:
    return TitleTranslator(Title.load("arena")).marts(graph_manifest())


@pytest.fixture(scope="module")
def forgotten(
    tmp_path_factory: pytest.TempPathFactory, shared_folder: Path
) -> Iterator[tuple[Path, dict[str, list[tuple]], str]]:
    """A studio that forgot Anna, its tables before, and what the command printed."""
    folder = tmp_path_factory.mktemp("forgotten") / "studio"
    with pytest.MonkeyPatch.context() as patch:
        copied(built_studio(shared_folder), folder, patch)
        before = content()
        yield folder, before, sprint("forget", "--title", "arena", "--player", "anna")


@pytest.fixture
def studio(shared_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The studio that knows everybody."""
    copied(built_studio(shared_folder), tmp_path / "studio", monkeypatch)
    return tmp_path / "studio"


@pytest.fixture
def later(
    forgotten: tuple[Path, dict[str, list[tuple]], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A copy of the studio that forgot Anna."""
    copied(forgotten[0], tmp_path / "studio", monkeypatch)
    return tmp_path / "studio"


def test_nothing_names_a_forgotten_player(
    forgotten: tuple[Path, dict[str, list[tuple]], str], shared_folder: Path
) -> None:
    everywhere = {
        "data/landed",
        "data/published",
        "data/raw",
        "data/sprint.duckdb",
        "home/history",
    }
    assert kinds(files_naming(ANNA, built_studio(shared_folder))) == everywhere
    assert files_naming(ANNA, forgotten[0]) == set()
    assert kinds(files_naming(BEN, forgotten[0])) == everywhere
    assert "arena_raw.event_heartbeat: 30 rows deleted" in forgotten[2]
    assert "14 delivered files name the player (dim_players/players.csv," in forgotten[2]


def test_totals_stay_and_so_does_everybody_else(later: Path, forgotten: tuple) -> None:
    before, after = forgotten[1], content()
    recounted = {"arena_raw.landed_files", "arena_raw.rejected", "arena_raw.duplicates"}
    for table, rows in before.items():
        if table not in recounted:
            others = [row for row in rows if not any(map(ANNA.is_in, row))]
            assert after[table] == others, table
    assert ("2025-01-01", "3") in {(row[0], row[2]) for row in after["arena_mart.kpi_daily"]}
    # nothing is to be built, and all is as it was landed
    assert "every landed day is built" in sprint("land", "--title", "arena")
    assert "3 days are what was landed" in sprint("verify", "--title", "arena")
    with connect() as con:
        recounted = LEDGER.loaded_from(con, FORGOTTEN)
    assert set(recounted["heartbeats"]) == set(map(date.fromisoformat, DAYS))
    # a record that was rejected still counts, without saying whose it was
    counted = {row[1]: row[8:13] for row in after["arena_raw.landed_files"]}
    assert counted["heartbeats/odd.csv"] == ("15", "0", "7", "2", "6")
    assert all(int(n[0]) == sum(map(int, n[1:])) for n in counted.values())
    rejected = [row for row in after["arena_raw.rejected"] if row[1] == "heartbeats/odd.csv"]
    assert sorted(row[3] for row in rejected) == sorted(
        ["duplicate_key", "outside_session"] * 2 + ["unparseable"] * 3
    )


def test_no_landing_brings_a_forgotten_player_back(later: Path) -> None:
    """Neither a new file, nor a changed one, nor everything read again: days are judged anew."""
    title = Title.load("arena")
    deliver("transactions", "late", [purchase(f"late-{p}", DAYS[0], p) for p in ("anna", "ben")])
    day = [row for p, t in (("anna", 1), ("ben", 2)) for row in heartbeats("m-x", DAYS[1], p, t)]
    deliver("heartbeats", DAYS[1], ["m-x,anna,1,soon,0,0,0", "anna,,not a record", *day])
    report = land(title)
    assert {file.notes for file in report.files if file.status != "touched"} == {
        "1 records of players who were forgotten were left out",
        "11 records of players who were forgotten were left out",
    }
    assert files_naming(ANNA, later) == set()
    register_path("arena").unlink()
    for folder in ("raw", "landed"):
        shutil.rmtree(data_dir() / folder)
    land(title)
    assert files_naming(ANNA, later) == set()


def test_the_register_counts_as_if_the_player_had_never_been_delivered(
    tmp_path: Path, titles_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a session over midnight: its day's records are judged in parts. Also after a later file
    has the day judged again."""
    (titles_folder / "arena.yaml").write_text(YAML)
    title, counted = Title.load("arena"), []
    for forgets in (True, False):
        monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path / str(forgets)))
        players = [("anna", 1), ("ben", 2), (CLEO, 3)][0 if forgets else 1 :]
        night = [
            (seconds, p, team)
            for p, team in players
            for seconds in (*range(43000, 43600, 30), 99000)
        ]
        parts = [
            f"m,{p},{team},US,{at(DAYS[0], 43000)},{at(DAYS[0], 43600)},1,1" for p, team in players
        ]
        deliver("sessions", "night", parts)
        beats = [f"m,{p},{team},{at(DAYS[0], seconds)},1,1,0" for seconds, p, team in night]
        deliver("heartbeats", "night", [*beats, *beats[::3]])
        deliver("signons", "often", [f"{p},US,pc,{at(DAYS[0])}" for p, _ in players * 2])
        land(title)
        if forgets:
            with hold(landing_lock("arena"), "a test"), open_register("arena") as con:
                forget_landed(con, title, player_of(con, title, "anna"))
        states = [register_counts()]
        deliver("heartbeats", "late", [f"m,ben,2,{at(DAYS[0], 43010)},1,1,0"])
        land(title)
        counted.append([*states, register_counts()])
    assert counted[0] == counted[1]


def register_counts() -> list[list[tuple]]:
    """What became of each file's records, and the partitions."""
    with duckdb.connect(str(register_path("arena")), read_only=True) as con:
        return [
            con.execute(query).fetchall()
            for query in (
                "select name, file_records.dataset, rows_read from file_records"
                " join files using (file_no) order by all",
                "select name, verdicts.dataset, day, unassigned, sum(accepted), sum(rejected),"
                " sum(duplicates), sum(waiting) from verdicts join files using (file_no)"
                " group by all order by all",
                "select dataset, sum(last_row - first_row + 1) from duplicates group by all"
                " order by all",
                "select dataset, day, arg_max(digest, landing) from changes group by all"
                " order by all",
            )
        ]


def test_a_player_with_a_uuid_is_forgotten_by_it(later: Path) -> None:
    """In any spelling; and whom nobody knows is forgotten for later."""
    assert files_naming(CLEO_HERSELF, later)
    sprint("forget", "--title", "arena", "--player", f" {CLEO.upper()} ")
    assert files_naming(CLEO_HERSELF, later) == set()
    printed = sprint("forget", "--title", "arena", "--player", "dora")
    assert "arena has no record of this player" in printed
    assert forgotten_players("arena").holds(hashed("dora").bytes)
    for name in ("salt", "arena.txt"):
        assert (data_dir() / "forgotten" / name).stat().st_mode & 0o777 == 0o600
    assert "dora" not in (data_dir() / "forgotten" / "arena.txt").read_text()


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (forgetting.FinishedPartition, "commit"),
        (forget_module, "publish"),
    ],
)
def test_a_killed_command_is_finished_by_the_same_one(
    studio: Path, monkeypatch: pytest.MonkeyPatch, module: object, step: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, step, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            forget_module.forget(Title.load("arena"), "anna", marts())
    sprint("forget", "--title", "arena", "--player", "anna")
    assert files_naming(ANNA, studio) == set()
    assert "3 days are what was landed" in sprint("verify", "--title", "arena")


@pytest.mark.parametrize("text", ["anna2", "anna2.0", "7", "7.0", "-7.00", " 7.5.0 ", "smurf7"])
def test_the_player_who_is_meant_is_the_one_whom_landing_makes_of_the_id(
    tmp_path: Path, data_folder: Path, text: str
) -> None:
    title = a_title(values={"player_id": {"smurf7": "anna"}})
    read = Read(
        tmp_path / "a.csv",
        f"player_id,platform,signed_on_at\n{text},pc,2025-01-01\n",
        "signons",
        values={"player_id": {"smurf7": "anna"}},
    )
    with open_register("studio") as con:
        player = player_of(con, title, text)
        # so that nothing comes back where the title translates no more
        assert player_of(con, title, "anna").untranslated == {hashed("smurf7").bytes}
    assert [row["player_id"] for row in read.records["signons"]] == [player.uuid]


@pytest.mark.parametrize("text", ["NULL", "9007199254740993.0"])
def test_what_landing_takes_for_no_id_is_nobody(data_folder: Path, text: str) -> None:
    with open_register("studio") as con, pytest.raises(LandingError, match="no player's id"):
        player_of(con, a_title(), text)


def test_a_player_is_forgotten_under_every_name_that_the_title_translates(
    titles_folder: Path, data_folder: Path
) -> None:
    """Also in records that were rejected, which have the file's own words."""
    yaml = YAML + "  mapping: {values: {player_id: {smurf7: anna, smurf8: ben}}}\n"
    (titles_folder / "arena.yaml").write_text(yaml.replace("limit: 0.5", "limit: 1"))
    title, names = Title.load("arena"), ("smurf7", "anna", "smurf8", "ben")
    deliver("signons", "a", [f"{p},US,pc,{t}" for p in names for t in (at(DAYS[0]), "soon")])
    land(title)
    with hold(landing_lock("arena"), "a test"), open_register("arena") as con:
        forget_landed(con, title, player_of(con, title, "smurf7"))
        quoted = con.execute("select record from rejected order by row").fetchall()
    assert [bool(record) for (record,) in quoted] == [False, False, True, True]
    never_land("arena", hashed("anna").bytes)
    deliver("signons", "b", ["smurf7,US,pc,late,one too many", "smurf8,US,pc,late,one too many"])
    land(title)
    with hold(landing_lock("arena"), "a test"), open_register("arena") as con:
        quoted = con.execute(
            "select record from rejected join files using (file_no)"
            " where name = 'signons/b.csv' order by row"
        ).fetchall()
    assert [bool(record) for (record,) in quoted] == [False, True]


def test_simulated_players_are_nobody(studio: Path) -> None:
    with pytest.raises(Stop, match="sprint is simulated: its players are nobody"):
        sprint("forget", "--title", "sprint", "--player", "anna")


def test_without_its_salt_nothing_is_landed(later: Path) -> None:
    (data_dir() / "forgotten" / "salt").unlink()
    with pytest.raises(LandingError, match="salt is missing"):
        land(Title.load("arena"))
