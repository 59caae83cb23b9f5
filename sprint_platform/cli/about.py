"""`sprint titles`, `sprint doctor` and `sprint ui`: what is here, and where to look at it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal as bytes_as_text
from rich.markup import escape
from rich.table import Table

from sprint_platform.cli.terminal import Stop, out, problems
from sprint_platform.core.checkout import project_root
from sprint_platform.core.locks import Lock
from sprint_platform.core.settings import env_file, settings, winning_over_exported
from sprint_platform.places import dagster_home, data_dir, database_path, title_dirs
from sprint_platform.title import Title, TitleError, title_names

# Dagster's services end within a second or two; a run under way lets go of what it holds first.
SECONDS_TO_END = 15.0
# Who is killed is gone at once, but for those that nobody reaps.
SECONDS_TO_DIE = 2.0
PACKAGES = (
    "dagster", "dagster-dbt", "dbt-core", "dbt-duckdb", "duckdb", "polars",
    "numpy", "pyarrow", "pydantic",
)  # fmt: skip


def titles() -> None:
    """List the titles, their launch and where their data comes from."""
    table = Table()
    for heading in ("title", "launch", "source", "growth", "encounters", "file"):
        table.add_column(heading)
    wrong = []
    for name in title_names():
        try:
            game = Title.load(name)
        except TitleError as error:
            wrong.append(str(error))
            continue
        growth = "-"
        if game.simulation is not None:
            told = game.simulation.growth
            growth = (
                f"{told.players:,} players in {told.days} days"
                if told.kind == "target"
                else f"{told.starting_players:,} players,"
                f" {told.daily_growth - told.daily_decay:+.2%} a day"
            )
        near = game.encounters
        table.add_row(
            name,
            str(game.launch_date),
            f"{game.source}, with faults" if game.faults is not None else game.source,
            growth,
            f"{near.word}s: {near.distance:g} units, {near.gap_seconds} s",
            escape(str(_title_file(name))),
        )
    out.print(table)
    for line in wrong:
        problems.print(f"[yellow]left out[/] {line}", highlight=False, soft_wrap=True)


def _title_file(name: str) -> Path:
    found = [
        path for folder in title_dirs() for path in folder.glob("*.y*ml") if path.stem == name
    ][-1]
    root = project_root()
    return found.relative_to(root) if found.is_relative_to(root) else found


def doctor() -> None:
    """Show versions, the data folder, who holds the warehouse, missing days, files that wait, and
    what is wrong with settings."""
    from sprint_platform.cli.coverage_report import coverage_rows
    from sprint_platform.core.locks import holder_of
    from sprint_platform.engines.duckdb_file import warehouse_lock
    from sprint_platform.landing.files import landing_dir
    from sprint_platform.landing.land import folder_state, last_landed_state

    table = Table(show_header=False)

    def row(what: str, found: str) -> None:
        # text, not markup: a folder's name is anybody's
        table.add_row(escape(what), escape(found))

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
    row("lease", holder_of(warehouse_lock()) or "free")
    row("Dagster's home", str(dagster_home()))
    wrong: list[str] = settings().refusals()
    games = []
    for name in title_names():
        try:
            game = Title.load(name)
        except TitleError as error:
            wrong.append(str(error))
            continue
        games.append(game)
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
    out.print(table)
    for name in winning_over_exported():
        problems.print(
            f"[yellow]{name}[/] of {escape(str(env_file()))} wins in Dagster's own commands over"
            f" the value that you exported, and not in `sprint`: write {name}=${{{name}:-value}}",
            highlight=False,
            soft_wrap=True,
        )
    if wrong:
        raise Stop("; ".join(wrong))


def _other_locks(games: list[Title]) -> list[Lock]:
    """Those that a command may wait for, beside the lease."""
    from sprint_platform.eventlog.files import batch_dir, batch_lock, eventlog_dir
    from sprint_platform.landing.land import landing_lock
    from sprint_platform.operations.days_to_build import title_lock

    folders = [eventlog_dir(), *sorted(batch_dir(1).parent.glob("*"))]
    return [
        *(title_lock(game) for game in games),
        *(landing_lock(game.name) for game in games if game.lands),
        *(batch_lock(folder) for folder in folders),
    ]


def ui(
    port: Annotated[int, typer.Option(help="The port, on loopback.")] = 3000,
) -> None:
    """Open the Dagster UI on loopback; history is kept in DAGSTER_HOME."""
    out.print(f"Dagster's UI: [bold]http://127.0.0.1:{port}[/]  (Ctrl-C ends it)")
    command = [
        str(Path(sys.executable).parent / "dagster"), "dev", "-m", "sprint_platform.definitions",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    # dagster's commands are looked up by name in its child processes
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    # a group of its own: Dagster's processes then end together, and only after this one asked
    services = subprocess.Popen(
        command,
        # not from the root: Dagster would put the .env there above what is exported, and export it
        cwd=dagster_home(),
        env={**os.environ, "PATH": path},
        start_new_session=True,
    )
    try:
        code = services.wait()
    finally:
        _end_group(services)
    raise typer.Exit(code)


def _end_group(services: subprocess.Popen[bytes]) -> None:
    """Ends the processes of the group: those that Dagster started, and runs that are under way."""
    deadline = time.monotonic() + SECONDS_TO_END
    number = int(signal.SIGTERM)
    # with nobody left there is no group; some systems refuse one of the dead
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline + SECONDS_TO_DIE:
            os.killpg(services.pid, number)
            number = 0 if time.monotonic() < deadline else int(signal.SIGKILL)
            services.poll()
            time.sleep(0.1)
