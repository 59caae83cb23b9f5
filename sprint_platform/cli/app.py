"""The commands of `sprint`, in the order of its help."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from sprint_platform.cli import domain, eventlog, storefront
from sprint_platform.cli.ask import ask
from sprint_platform.cli.compact import compact
from sprint_platform.cli.dashboard import dashboard
from sprint_platform.cli.demo import demo
from sprint_platform.cli.docs import docs
from sprint_platform.cli.doctor import doctor
from sprint_platform.cli.export import export
from sprint_platform.cli.forget import forget
from sprint_platform.cli.init import init
from sprint_platform.cli.land import land
from sprint_platform.cli.plan import plan
from sprint_platform.cli.prune import prune
from sprint_platform.cli.realism import realism
from sprint_platform.cli.repair import repair
from sprint_platform.cli.run import run
from sprint_platform.cli.score import score
from sprint_platform.cli.simulate import simulate
from sprint_platform.cli.terminal import out
from sprint_platform.cli.titles import titles
from sprint_platform.cli.ui import ui
from sprint_platform.cli.verify import verify

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A live-service game in a box, and the analytics platform that runs it.",
)


@app.callback(invoke_without_command=True)
def main(
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True)
    ] = False,
) -> None:
    if show_version:
        out.print(f"sprint {version('sprint-platform')}", highlight=False)
        raise typer.Exit


for command in (
    init, run, simulate, demo, dashboard, ask, realism, land, plan, verify, repair, export, score,
    prune, forget, compact, docs, titles, doctor, ui,
):  # fmt: skip
    app.command()(command)
app.add_typer(eventlog.app, name="eventlog")
app.add_typer(storefront.app, name="storefront")
app.add_typer(domain.app, name="domain")
