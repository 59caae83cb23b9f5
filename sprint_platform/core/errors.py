"""The root of every error that a person can mend."""

from __future__ import annotations


class SprintError(Exception):
    """The message is one line that says what is wrong, where, and what to do.

    The command line ends with that line and Dagster fails the step with it; any other exception is
    a bug, and keeps its stack trace.
    """
