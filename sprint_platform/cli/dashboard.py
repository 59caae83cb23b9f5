"""`sprint dashboard`: what is published, in a browser."""

from __future__ import annotations

import errno
import logging
import re
from ipaddress import ip_address
from typing import Annotated

import typer
from rich.markup import escape

from sprint_platform.cli.terminal import Stop, needs_extra, out, problems
from sprint_platform.places import published_dir
from sprint_platform.title import first_title

# A browser opens six connections at once.
THREADS = 8
# A host's name or address as it stands in a request's Host, without its port.
NAME = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]")
SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]+")


def dashboard(
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than loopback need --allow-host.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 8050,
    base_path: Annotated[
        str, typer.Option(help="Where a proxy shows it, such as /games; it passes the path as is.")
    ] = "/",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="A name by which browsers reach it, such as stats.example; may be repeated. On"
            " loopback it answers to loopback's names, too."
        ),
    ] = None,
) -> None:
    """Show what is published in a browser, on loopback; it follows the runs while it is open."""
    with needs_extra("dashboard", "the dashboard"):
        from waitress import create_server  # type: ignore[import-untyped]

        from sprint_platform.dashboard.app import LOOPBACK_NAMES, build_app
    prefix, given = _prefix(base_path), [_name(name) for name in allow_host or []]
    local = _is_loopback(host)
    if not local and not given:
        raise Stop(
            f"--host {host} can be reached from other machines: say with --allow-host by which name"
            " browsers reach it there, or leave --host out"
        )
    app = build_app(prefix, [*LOOPBACK_NAMES, *given] if local else given)
    # a page requests more files at once than there are threads; each is served quickly
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    try:
        server = create_server(app.server, host=host, port=port, threads=THREADS, ident=None)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Stop(
                f"port {port} is taken by another program: choose another with --port"
            ) from error
        raise Stop(
            f"{host}, port {port} cannot be used ({error.strerror}): choose others with --host and"
            " --port"
        ) from error
    except ValueError as error:
        # waitress says so of a name that has no address
        raise Stop(f"--host {host} is no address of this machine: {error}") from error
    if not (published_dir() / "sprint.duckdb").exists():
        problems.print(
            f"[yellow]note[/] nothing is published in {escape(str(published_dir()))} yet; the page"
            f" shows numbers as soon as a run has ended: sprint run --title {first_title()}",
            highlight=False,
            soft_wrap=True,
        )
    if not local:
        problems.print(
            "[yellow]note[/] it asks nobody who they are: whoever reaches this port reads all that"
            " is published; docs/dashboard.md says how to put a log-in before it",
            highlight=False,
            soft_wrap=True,
        )
    shown = f"[{host}]" if ":" in host else host
    where = f"[bold]{escape(f'http://{shown}:{port}{prefix}'.rstrip('/'))}[/]"
    names = f", which answers as {' or '.join(given)}" if given else ""
    out.print(f"The dashboard: {where}{escape(names)}  (Ctrl-C ends it)", soft_wrap=True)
    server.run()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _name(given: str) -> str:
    if not NAME.fullmatch(given):
        raise Stop(
            f"--allow-host wants a name as in stats.example, without scheme, port and path, not"
            f" {given!r}"
        )
    return given


def _prefix(base_path: str) -> str:
    """The base path with a slash at its begin and end."""
    parts = [part for part in base_path.split("/") if part]
    if not all(map(SEGMENT.fullmatch, parts)):
        raise Stop(
            "--base-path wants a path of letters, digits, dots and dashes, such as /games, not"
            f" {base_path!r}"
        )
    return "/".join(["", *parts, ""]) if parts else "/"
