"""`sprint dashboard`: what is published, in a browser."""

from __future__ import annotations

import errno
import logging
from typing import Annotated

import typer
from rich.markup import escape

from sprint_platform.cli.terminal import Stop, needs_extra, out, problems
from sprint_platform.places import published_dir
from sprint_platform.title import first_title

# A browser opens six connections at once.
THREADS = 8


def dashboard(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port, on loopback.")] = 8050,
) -> None:
    """Show what is published in a browser, on loopback; it follows the runs while it is open."""
    with needs_extra("dashboard", "the dashboard"):
        from waitress import create_server  # type: ignore[import-untyped]

        from sprint_platform.dashboard.app import build_app
    # a page requests more files at once than there are threads; each is served quickly
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    try:
        server = create_server(
            build_app().server, host="127.0.0.1", port=port, threads=THREADS, ident=None
        )
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
        raise Stop(f"port {port} {why}: choose another with --port") from error
    if not (published_dir() / "sprint.duckdb").exists():
        problems.print(
            f"[yellow]note[/] nothing is published in {escape(str(published_dir()))} yet; the page"
            f" shows numbers as soon as a run has ended: sprint run --title {first_title()}",
            highlight=False,
            soft_wrap=True,
        )
    out.print(f"The dashboard: [bold]http://127.0.0.1:{port}[/]  (Ctrl-C ends it)")
    server.run()
