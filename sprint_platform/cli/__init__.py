"""`sprint`: the command line."""

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
from pathlib import Path
from typing import NoReturn

from rich.markup import escape

from sprint_platform.cli.terminal import Problems, problems
from sprint_platform.core.errors import SprintError
from sprint_platform.core.matrix_threads import limit_matrix_threads
from sprint_platform.core.project import PROJECT, find_project
from sprint_platform.core.settings import SettingsError, settings, variable
from sprint_platform.core.signals import Stopped, stopped_by_signals
from sprint_platform.core.whole_file import whole_file
from sprint_platform.places import dagster_config, dagster_home, shipped_dagster_configs


def main() -> None:
    """The console script. Prints one line, not a stack trace, for a SprintError, a database or a
    disk that cannot be used, and a command that is stopped."""
    try:
        with stopped_by_signals():
            _run()
    except Stopped as stopped:
        line = f"stopped: {stopped.left}" if stopped.left else "stopped"
        problems.print(line, highlight=False, soft_wrap=True, markup=False)
        # what sys.exit does, but for waiting for threads: one that waits for a lock which the main
        # thread took at the moment of the signal, and then left by Stopped, never ends. What the
        # command had open is released.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(128 + stopped.number)


def _run() -> None:
    try:
        prepare_environment()
    except SprintError as error:
        _end(str(error))
    logging.getLogger("sprint_platform").addHandler(Problems())
    # after prepare_environment: these import numpy, which reads the environment once
    import duckdb

    from sprint_platform.cli.app import app
    from sprint_platform.engines.duckdb_file import remedy

    try:
        app()
    except SprintError as error:
        _end(str(error))
    except (duckdb.Error, OSError) as error:
        line = remedy(error)
        if line is None:
            raise
        _end(line)


def _end(line: str) -> NoReturn:
    problems.print(f"[bold red]error:[/] {escape(line)}", highlight=False, soft_wrap=True)
    sys.exit(1)


def prepare_environment() -> None:
    """Exports the settings that Dagster and numpy read from the environment, and makes Dagster's
    home. Raises SettingsError."""
    limit_matrix_threads()
    if (project := find_project()) is None:
        # `sprint init` makes one; a command that needs it says that there is none
        return
    # for processes that are started in other folders
    os.environ[PROJECT] = str(project)
    home, name = dagster_home(), variable("dagster_home")
    os.environ[name] = str(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        _configure_instance(home / "dagster.yaml")
    except OSError as error:
        raise SettingsError(f"{name} is '{home}': {error.strerror}") from error


def _configure_instance(file: Path) -> None:
    """Writes the configuration of Dagster's instance where there is none, or the one of the other
    storage; one that somebody edited stays. Dagster itself reads the URL from the environment."""
    chosen = dagster_config().read_bytes()
    written = file.read_bytes() if file.exists() else None
    shipped = [None, *(config.read_bytes() for config in shipped_dagster_configs())]
    if written in shipped and written != chosen:
        with whole_file(file) as temporary:
            temporary.write_bytes(chosen)
    if url := settings().dagster_postgres_url:
        # Dagster's statements are psycopg2's, which is not SQLAlchemy's default any more
        named = re.sub("^postgres(ql)?://", "postgresql+psycopg2://", url.get_secret_value())
        os.environ[variable("dagster_postgres_url")] = named
