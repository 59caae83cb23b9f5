"""Where commands write, and how one ends that cannot go on."""

from __future__ import annotations

from rich.console import Console

from sprint_platform.core.errors import SprintError

out = Console()
problems = Console(stderr=True)


class Stop(SprintError):
    """Ends a command with one line and exit code 1."""
