"""`sprint ui`: Dagster's UI, with its daemon."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.markup import escape

from sprint_platform.cli.progress import working
from sprint_platform.cli.terminal import Stop, out, problems
from sprint_platform.core.project import project_root
from sprint_platform.places import dagster_home

# Dagster's services end within a second or two; a run under way releases its locks first.
SECONDS_TO_END = 15.0
# A killed process is gone at once, unless its parent does not reap it.
SECONDS_TO_DIE = 2.0
# What Dagster says of these belongs on the terminal, too.
SERIOUS = re.compile(r"- .{0,8}(ERROR|CRITICAL).{0,8} -")


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port, on loopback.")] = 3000,
) -> None:
    """Open the Dagster UI on loopback, with the daemon of schedules; it says when it is ready.

    History is stored in DAGSTER_HOME, and there, in ui-PORT.log, what the services log.
    """
    path = dagster_home() / f"ui-{port}.log"
    root = project_root()
    command = [
        # "superseded by dg dev", which is a development tool that users need not have
        sys.executable, "-W", "ignore:Function", "-m", "dagster", "dev",
        "-m", code_location(root), "--working-directory", str(root),
        "--host", "127.0.0.1", "--port", str(port), "--log-level", "debug",
    ]  # fmt: skip
    # dagster's commands are looked up by name in its child processes
    found = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    address = f"http://127.0.0.1:{port}"
    if _answers(address):
        raise Stop(f"{address} is in use: choose another port with --port")
    out.print(f"Dagster's UI is starting; its log: {escape(str(path))}", soft_wrap=True)
    with path.open("w", encoding="utf-8") as log:
        # a process group of its own: Ctrl-C reaches this process alone, which then ends the group
        # nothing that a person typed is in the command but a number, and no shell reads it
        services = subprocess.Popen(  # nosec B603
            command,
            # not the project's root: Dagster would export the .env there over the environment
            cwd=dagster_home(),
            env={**os.environ, "PATH": found},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            assert services.stdout is not None
            reader = threading.Thread(target=_log_lines, args=(services.stdout, log), daemon=True)
            reader.start()
            with working("loading the graph (about 20 seconds on a laptop)"):
                while services.poll() is None and not _answers(address):
                    time.sleep(0.2)
            if services.poll() is None:
                out.print(f"ready: [bold]{address}[/]  (Ctrl-C ends it)")
            code = services.wait()
        finally:
            _end_group(services)
            reader.join(SECONDS_TO_DIE)
    raise Stop(f"Dagster's services ended with {code}: {path} says why")


def code_location(root: Path) -> str:
    """The module that the project's ``[tool.dagster]`` names; the platform's own by default."""
    try:
        tools = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
        return str(tools["dagster"]["module_name"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return "sprint_platform.definitions"


def _log_lines(lines: IO[str], log: IO[str]) -> None:
    """Writes the lines into the log as they come; errors are printed, too."""
    for line in lines:
        log.write(line)
        log.flush()
        if SERIOUS.search(line):
            problems.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)


def _answers(address: str) -> bool:
    # on loopback, whatever proxy the environment names
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/server_info", timeout=2):
            return True
    except (urllib.error.HTTPError, http.client.HTTPException):
        # another program answers
        return True
    except OSError:
        return False


def _end_group(services: subprocess.Popen[str]) -> None:
    """Ends the processes of the group: Dagster's services, and runs under way."""
    deadline = time.monotonic() + SECONDS_TO_END
    number = int(signal.SIGTERM)
    # the group is gone with its last process; some systems refuse a group of dead processes
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline + SECONDS_TO_DIE:
            os.killpg(services.pid, number)
            number = 0 if time.monotonic() < deadline else int(signal.SIGKILL)
            services.poll()
            time.sleep(0.1)
