"""`sprint …` in the test's own process: another one would take two seconds to start.

That a process of its own behaves alike, from its environment to its exit code, is test_cli.py's.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import pytest

from sprint_platform.cli import main


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def run_sprint(arguments: list[str], environment: Mapping[str, str]) -> Ended:
    """Runs the command in exactly this environment, as nobody's terminal; an error that no person
    could mend is raised."""
    before = dict(os.environ)
    stdout, stderr = io.StringIO(), io.StringIO()
    code = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sprint", *arguments])
        patch.setattr(sys, "stdin", io.StringIO())
        os.environ.clear()
        os.environ.update(environment)
        try:
            with redirect_stdout(stdout), redirect_stderr(stderr):
                main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            # what the command set for itself goes too
            os.environ.clear()
            os.environ.update(before)
    return Ended(code, stdout.getvalue(), stderr.getvalue())
