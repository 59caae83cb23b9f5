"""The consoles of commands, and the error that ends one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from sprint_platform.core.errors import SprintError
from sprint_platform.core.project import how_to_install

out = Console()
problems = Console(stderr=True)


class Problems(logging.Handler):
    """Prints log messages, such as that a lock is waited for, to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        problems.print(f"[yellow]{escape(record.getMessage())}[/]", highlight=False, soft_wrap=True)


class Stop(SprintError):
    """Ends a command with one line and exit code 1."""


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Around imports of packages that only an extra installs: raises Stop where one is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("sprint_platform"):
            raise
        raise Stop(
            f"{what} needs {error.name}, which is not installed: {how_to_install(extra)}"
        ) from error
