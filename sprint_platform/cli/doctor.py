"""`sprint doctor`: versions, the data folder, locks, days, and settings that are wrong."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

from rich.filesize import decimal as bytes_as_text
from rich.markup import escape
from rich.table import Table

from sprint_platform.cli.terminal import Stop, out, problems
from sprint_platform.core.locks import Lock
from sprint_platform.core.settings import env_file, settings, winning_over_exported
from sprint_platform.places import dagster_home, data_dir, database_path
from sprint_platform.title import Title, title_names, valid_titles

PACKAGES = (
    "dagster", "dagster-dbt", "dbt-core", "dbt-duckdb", "duckdb", "polars",
    "numpy", "pyarrow", "pydantic",
)  # fmt: skip


def doctor() -> None:
    """Show versions, the data folder, who holds the warehouse, missing days, files that wait, and
    what is wrong with settings."""
    from sprint_platform.cli.coverage_report import coverage_rows
    from sprint_platform.core.locks import holder_of
    from sprint_platform.engines.duckdb_file import warehouse_lock
    from sprint_platform.landing.files import folder_state, landing_dir
    from sprint_platform.landing.past_landings import last_landed_state
    from sprint_platform.landing.register import landing_lock, register_path
    from sprint_platform.storage.migration import older_partitions
    from sprint_platform.storage.partitions import OlderContractError

    table = Table(show_header=False)

    def row(what: str, value: str) -> None:
        # a folder's name may look like markup
        table.add_row(escape(what), escape(value))

    row("python", f"{platform.python_version()} on {platform.system()}")
    for name in PACKAGES:
        row(name, importlib.metadata.version(name))
    table.add_section()
    folder = data_dir()
    row("data folder", f"{folder}{'' if folder.is_dir() else ' (not made yet)'}")
    if folder.is_dir():
        free = os.statvfs(folder)
        row("free there", bytes_as_text(free.f_bavail * free.f_frsize))
    database = database_path()
    size = (
        f"{database} ({bytes_as_text(database.stat().st_size)})"
        if database.exists()
        else "none yet"
    )
    row("warehouse", size)
    row("in use by", holder_of(warehouse_lock()) or _another_program(database) or "nobody")
    row("Dagster's home", str(dagster_home()))
    games, errors = valid_titles()
    wrong = [*settings().refusals(), *errors]
    landed = [game for game in games if game.lands]
    row("titles", ", ".join(title_names()))
    for game in landed:
        waiting = (
            "" if folder_state(game) == last_landed_state(game) else " (files wait: sprint land)"
        )
        row(f"files of {game.name}", f"{landing_dir(game.name)}{waiting}")
    for name, state in coverage_rows(games):
        row(name, state)
    for lock in _other_locks(games):
        if holder := holder_of(lock):
            row(lock.what, f"in use by {holder}")
    for game in landed:
        register = register_path(game.name)
        if not holder_of(landing_lock(game.name)) and (holder := _another_program(register)):
            row(str(register), f"in use by {holder}")
    out.print(table)
    if older := [game.name for game in games if older_partitions(game.name)]:
        wrong.append(str(OlderContractError(", ".join(older))))
    for name in winning_over_exported():
        problems.print(
            f"[yellow]{name}[/] of {escape(str(env_file()))} wins in Dagster's own commands over"
            f" the value that you exported, and not in `sprint`: write {name}=${{{name}:-value}}",
            highlight=False,
            soft_wrap=True,
        )
    if wrong:
        raise Stop("; ".join(wrong))


def _another_program(database: Path) -> str | None:
    """A program that has the file open and takes none of our locks: a shell, or a BI tool."""
    from sprint_platform.core.database_file import opened_by

    try:
        program = opened_by(database)
    except OSError as error:
        return f"unknown: {database} cannot be written ({error.strerror})"
    return program and f"{program}, which shuts out every run: close it there"


def _other_locks(games: list[Title]) -> list[Lock]:
    """The locks that a command may wait for, without the lease."""
    from sprint_platform.eventlog.files import batch_dir, batch_lock, eventlog_dir
    from sprint_platform.landing.register import landing_lock
    from sprint_platform.operations.days_to_build import title_lock

    folders = [eventlog_dir(), *sorted(batch_dir(1).parent.glob("*"))]
    return [
        *(title_lock(game) for game in games),
        *(landing_lock(game.name) for game in games if game.lands),
        *(batch_lock(folder) for folder in folders),
    ]
