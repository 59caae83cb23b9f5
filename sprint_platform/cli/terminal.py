"""Where commands write, and how one ends that cannot go on."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.markup import escape

from sprint_platform.core.errors import SprintError

out = Console()
problems = Console(stderr=True)


class Problems(logging.Handler):
    """Writes what modules log, as that a lock is waited for, where a person sees it."""

    def emit(self, record: logging.LogRecord) -> None:
        problems.print(f"[yellow]{escape(record.getMessage())}[/]", highlight=False, soft_wrap=True)


class Stop(SprintError):
    """Ends a command with one line and exit code 1."""
