"""The consoles of commands, and the error that ends one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from sprint_platform.core.errors import SprintError, printable
from sprint_platform.core.project import how_to_install


class _Console(Console):
    """Writes what a terminal would obey, in a value that others wrote, as its escape."""

    def render_str(self, text: str, **options: Any) -> Text:
        lines = (printable(line) for line in text.split("\n"))
        return super().render_str("\n".join(lines), **options)


# a folder may be called :bomb:
out = _Console(emoji=False)
problems = _Console(stderr=True, emoji=False)


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
