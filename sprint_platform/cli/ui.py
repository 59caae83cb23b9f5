"""`sprint ui`: Dagster's UI."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from sprint_platform.cli.terminal import out
from sprint_platform.places import dagster_home

# Dagster's services end within a second or two; a run under way releases its locks first.
SECONDS_TO_END = 15.0
# A killed process is gone at once, unless its parent does not reap it.
SECONDS_TO_DIE = 2.0


def ui(
    port: Annotated[int, typer.Option(help="The port, on loopback.")] = 3000,
) -> None:
    """Open the Dagster UI on loopback; history is stored in DAGSTER_HOME."""
    out.print(f"Dagster's UI: [bold]http://127.0.0.1:{port}[/]  (Ctrl-C ends it)")
    command = [
        str(Path(sys.executable).parent / "dagster"), "dev", "-m", "sprint_platform.definitions",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    # dagster's commands are looked up by name in its child processes
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    # a process group of its own: Ctrl-C reaches this process alone, which then ends the group
    services = subprocess.Popen(
        command,
        # not the project's root: Dagster would export the .env there over the environment
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
