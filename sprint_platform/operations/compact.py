"""What grows in the data folder and in Dagster's home, written anew without free room."""

from __future__ import annotations

from collections.abc import Iterator

from sprint_platform.core.compaction import Compacted, compact
from sprint_platform.core.locks import hold
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.landing.register import landing_lock, open_register, register_path
from sprint_platform.operations.history_files import history_files, vacuum
from sprint_platform.places import dagster_home, data_dir, database_path


def compact_all() -> Iterator[Compacted]:
    """Compacts the warehouse, the registers of landed titles, and those of Dagster's files that
    have free pages. Raises CompactionError for the first one that cannot be; those before it are
    done."""
    if database_path().exists():
        yield compact_warehouse()
    for register in sorted((data_dir() / "landed").glob("*/landing.duckdb")):
        yield compact_register(register.parent.name)
    for path in history_files(dagster_home()):
        if done := vacuum(path):
            yield done


def compact_warehouse() -> Compacted:
    """Compacts the database, under its lease."""
    with hold(warehouse_lock(), "sprint compact"), connect() as con:
        return compact(con, database_path())


def compact_register(title: str) -> Compacted:
    """Compacts the register of a landed title, under its lock."""
    with hold(landing_lock(title), "sprint compact"), open_register(title) as con:
        return compact(con, register_path(title))
