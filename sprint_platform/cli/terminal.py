"""The consoles of commands, and the error that ends one."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.markup import escape

from sprint_platform.core.errors import SprintError

out = Console()
problems = Console(stderr=True)


class Problems(logging.Handler):
    """Prints log messages, such as that a lock is waited for, to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        problems.print(f"[yellow]{escape(record.getMessage())}[/]", highlight=False, soft_wrap=True)


class Stop(SprintError):
    """Ends a command with one line and exit code 1."""
