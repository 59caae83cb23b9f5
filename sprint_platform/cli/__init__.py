"""`sprint`: the command line."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer
from rich.markup import escape

from sprint_platform.cli import eventlog, storefront
from sprint_platform.cli.about import doctor, titles, ui
from sprint_platform.cli.asking import ask
from sprint_platform.cli.docs import docs
from sprint_platform.cli.exporting import export
from sprint_platform.cli.landing import land
from sprint_platform.cli.planning import plan, verify
from sprint_platform.cli.running import demo, run
from sprint_platform.cli.scoring import score
from sprint_platform.cli.showing import dashboard
from sprint_platform.cli.terminal import problems
from sprint_platform.core.checkout import project_root
from sprint_platform.core.errors import SprintError
from sprint_platform.core.settings import settings, variable
from sprint_platform.places import dagster_home

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A live-service game in a box, and the analytics platform that runs it.",
)
# in the order of the help
for command in (
    run, demo, dashboard, ask, land, plan, verify, export, score, docs, titles, doctor, ui,
):  # fmt: skip
    app.command()(command)
app.add_typer(eventlog.app, name="eventlog")
app.add_typer(storefront.app, name="storefront")


def main() -> None:
    """The console script: one clear line, not a stack trace, for what a person can mend."""
    import duckdb
    from filelock import Timeout

    from sprint_platform.warehouse.database import disk_full, open_elsewhere

    try:
        prepare_environment()
        app()
    except (SprintError, Timeout) as error:
        _end(str(error))
    except (duckdb.Error, OSError) as error:
        line = open_elsewhere(error) or disk_full(error)
        if line is None:
            raise
        _end(line)


def _end(line: str) -> NoReturn:
    problems.print(f"[bold red]error:[/] {escape(line)}", highlight=False, soft_wrap=True)
    sys.exit(1)


def prepare_environment() -> None:
    """What Dagster and numpy read from the environment themselves: the settings that are theirs."""
    os.environ[variable("openblas_num_threads")] = str(settings().openblas_num_threads)
    home = dagster_home()
    os.environ[variable("dagster_home")] = str(home)
    home.mkdir(parents=True, exist_ok=True)
    instance = home / "dagster.yaml"
    if not instance.exists():
        instance.write_bytes((project_root() / "dagster.yaml").read_bytes())
