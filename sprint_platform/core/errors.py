"""The base class of errors that a person can fix."""

from __future__ import annotations

import re

# `postgresql://user:password@host`, `password=…`, `'password': …`
CONNECTION_STRING = re.compile(r"://[^\s/]*@|password['\"]?\s*[=:]", re.IGNORECASE)


class SprintError(Exception):
    """The message is one line that says what is wrong, where, and what to do.

    The command line ends with that line and Dagster fails the step with it; any other exception is
    a bug, and keeps its stack trace.
    """

    def __str__(self) -> str:
        # it names values that others wrote: line breaks, and what a terminal would obey
        return printable(super().__str__())


def printable(text: str) -> str:
    """The text with everything that is not printable written as its escape."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def one_line(error: object, letters: int = 600) -> str:
    """An error's text without its line breaks, at most so many letters."""
    return " ".join(str(error or "no reason was given").split())[:letters]


def driver_line(message: str) -> str:
    """A database driver's message in one line of at most 400 characters. A message that quotes a
    connection string is left out whole: masking the password in it would show where it is, and
    garble messages where it is a common word or number."""
    if CONNECTION_STRING.search(message):
        return "the driver's message quotes how to get in, and is left out"
    return " ".join(message.split())[:400]
