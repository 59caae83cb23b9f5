"""`sprint`: the command line."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
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
from sprint_platform.cli.terminal import Problems, problems
from sprint_platform.core.errors import SprintError
from sprint_platform.places import project_root

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
    prepare_environment()
    logging.getLogger("sprint_platform").addHandler(Problems())
    import duckdb

    from sprint_platform.warehouse.database import disk_full

    try:
        app()
    except SprintError as error:
        _end(str(error))
    except (duckdb.Error, OSError) as error:
        line = disk_full(error)
        if line is None:
            raise
        _end(line)


def _end(line: str) -> NoReturn:
    problems.print(f"[bold red]error:[/] {escape(line)}", highlight=False, soft_wrap=True)
    sys.exit(1)


def prepare_environment() -> None:
    """What every command needs: Dagster's home in the project, one thread for small matrices."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(project_root() / ".dagster")))
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists():
        settings.write_bytes((project_root() / "dagster.yaml").read_bytes())
