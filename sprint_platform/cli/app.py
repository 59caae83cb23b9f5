"""The commands of `sprint`, in the order of its help."""

from __future__ import annotations

import typer

from sprint_platform.cli import domain, eventlog, storefront
from sprint_platform.cli.about import doctor, titles, ui
from sprint_platform.cli.asking import ask
from sprint_platform.cli.docs import docs
from sprint_platform.cli.exporting import export
from sprint_platform.cli.landing import land
from sprint_platform.cli.planning import plan, verify
from sprint_platform.cli.running import demo, run
from sprint_platform.cli.scoring import score
from sprint_platform.cli.showing import dashboard

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A live-service game in a box, and the analytics platform that runs it.",
)
for command in (
    run, demo, dashboard, ask, land, plan, verify, export, score, docs, titles, doctor, ui,
):  # fmt: skip
    app.command()(command)
app.add_typer(eventlog.app, name="eventlog")
app.add_typer(storefront.app, name="storefront")
app.add_typer(domain.app, name="domain")
