"""A database that is lost, another one, or older is refused before anything is published from it,
and is made anew from the partition files.

The folder is that of test_takeover.py, which has every domain. It is damaged and repaired once, and
the tests look at how each step ended.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from sprint_platform.publish.views import LINKS
from sprint_platform_tests.command_line import Ended, run_sprint
from sprint_platform_tests.test_takeover import ARCHIVE, Row, names_of

ONE_DAY = ("run", "--title", "tiny", "--from", "2025-01-02", "--to", "2025-01-02", "--reuse")
STORE = ("--customers", "20", "--products", "10", "--orders", "20", "--days", "5")
MEND = "put back the file that is missed, or make it anew from the partition files: sprint repair"
# What says when it was loaded, and is another time each time.
LOADED_AT = "ingestion_timestamp"
# Which run loaded and built what is another one, and this version notes more than the one before.
NOTES = (
    "built_from", "built_periods", "built_partitions", "loaded_partitions", "loaded_batches",
    "database_identity",
)  # fmt: skip
# They look back over the day that was never made: this version has null there.
LOOKING_BACK = {
    f"tiny_mart.{mart}"
    for mart in ("cohort_revenue", "kpi_daily", "player_rfm_monthly", "concurrency_5_minutes")
}


@dataclass
class Place:
    """The data folder, and how the commands of each step ended."""

    data: Path
    environment: dict[str, str]
    ended: dict[str, Ended] = field(default_factory=dict)
    tables: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    published: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def sprint(self, step: str, *arguments: str) -> None:
        self.ended[step] = run_sprint(list(arguments), self.environment)

    def look(self, step: str) -> None:
        self.tables[step] = dict(tables_of(self.data))
        self.published[step] = published_files(self.data)

    # database files after the refused runs
    left: list[Path] = field(default_factory=list)

    @property
    def database(self) -> Path:
        return self.data / "sprint.duckdb"


def published_files(data: Path) -> dict[str, bytes]:
    root = data / "published"
    paths = (path for path in root.rglob("*.parquet") if path.parent.name != LINKS)
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def tables_of(data: Path) -> Iterator[tuple[str, list[str]]]:
    """The rows of each table and view, in order."""
    with duckdb.connect(str(data / "sprint.duckdb"), read_only=True) as con:
        for name in sorted(
            names_of(con, "duckdb_tables", "table") | names_of(con, "duckdb_views", "view")
        ):
            con.execute(f"select * from {name}")
            columns = [column[0] for column in con.description or []]
            rows = (dict(zip(columns, row, strict=True)) for row in con.fetchall())
            yield name, sorted(_line(row) for row in rows)


def _line(row: Row) -> str:
    # a table that was migrated has its new columns last
    return repr({name: row[name] for name in sorted(row) if name != LOADED_AT})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("repair")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    settings = ("SPRINT_", "N_PLAYERS", "MAX_SESSIONS", "GAME_", "LOAD_BATCH_ID")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(settings)},
        "SPRINT_DATA_DIR": str(folder / "data"),
        "SPRINT_TITLES_DIR": str(folder / "titles"),
        "DAGSTER_HOME": str(folder / "dagster"),
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }
    place = Place(folder / "data", environment)
    # the version before had other columns, and its simulation made other records
    place.sprint("columns", "repair")
    place.sprint("simulated", "run", "--title", "tiny", "--stale")
    # and it read the studios' files in another way
    for title in ("muddy", "dropped"):
        place.sprint(f"{title} landed anew", "land", "--title", title)
    # nor did it note the settings of a store
    place.sprint("store", "storefront", "generate", "--load", "--replace", *STORE)
    place.sprint("store built", "storefront", "build")
    shutil.copy(place.database, folder / "older.duckdb")
    place.sprint("log", "eventlog", "build")
    place.look("before")

    os.replace(place.database, folder / "whole.duckdb")
    shutil.copy(folder / "older.duckdb", place.database)
    place.sprint("an older copy", *ONE_DAY)
    place.database.unlink()
    duckdb.connect(str(place.database)).close()
    place.sprint("another", *ONE_DAY)
    place.database.unlink()
    place.sprint("none", *ONE_DAY)
    place.left = [path for path in folder.glob("data/*.duckdb*") if path.suffix != ".lock"]
    place.published["refused"] = published_files(place.data)

    # the version before left the files of the last batch only
    place.sprint("files gone", "repair")
    generate = ("eventlog", "generate", "--players", "10", "--max-sessions", "2", "--no-ingest")
    place.sprint("batch", *generate, "--batch", "1")
    place.sprint("repair", "repair")
    place.look("repaired")

    shutil.rmtree(place.data / "published")
    place.sprint("published gone", "repair")
    place.look("published again")
    for title in ("tiny", "muddy", "dropped"):
        place.sprint(f"verify {title}", "verify", "--title", title)
    return place


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("an older copy", "is an older copy: 1 transactions that were loaded or published are not"),
        ("another", "is another database than the one that was loaded and published from before"),
        ("none", "sprint.duckdb is gone, and"),
    ],
)
def test_a_run_refuses_a_database_that_is_not_the_noted_one(
    place: Place, step: str, reason: str
) -> None:
    assert place.ended[step].returncode == 1
    assert reason in place.ended[step].stderr
    assert MEND in place.ended[step].stderr


def test_a_refused_run_changes_nothing(place: Place) -> None:
    assert place.published["refused"] == place.published["before"]
    assert place.left == []


def test_what_cannot_be_made_again_stops_a_repair(place: Place) -> None:
    assert place.ended["files gone"].returncode == 1
    assert "eventlog, batch 1: published once, but its partition files are gone" in (
        place.ended["files gone"].stderr
    )


def test_a_repair_ends_in_what_was_there(place: Place) -> None:
    assert place.ended["repair"].returncode == 0, place.ended["repair"].stderr
    before, after = place.tables["before"], place.tables["repaired"]
    compared = {name for name in before if not name.endswith(NOTES)} - LOOKING_BACK
    assert len(compared) > 100
    assert [name for name in compared if before[name] != after.get(name)] == []
    assert all(len(before[name]) == len(after[name]) for name in LOOKING_BACK)


def test_what_is_published_is_what_was_repaired(place: Place) -> None:
    for title in ("tiny", "muddy", "dropped"):
        assert place.ended[f"verify {title}"].returncode == 0, place.ended[f"verify {title}"]
    assert place.published["published again"].keys() == place.published["repaired"].keys()
    assert place.tables["published again"].keys() == place.tables["repaired"].keys()
    assert not (place.data / ".repair").exists()
