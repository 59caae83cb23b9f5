"""Expected failures: one clear line in the run's log, not a stack trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

from sprint_platform.core.errors import SprintError
from sprint_platform.engines.duckdb_file import remedy


class ClearFailure(dg.Failure, DagsterUserCodeProcessError):
    """A failure that a person can act on, in one line.

    Dagster writes twenty lines of its own frames under a plain ``Failure``, twice. It writes an
    error from another process without them: so this one looks like such an error.
    """

    def __init__(self, line: str) -> None:
        DagsterUserCodeProcessError.__init__(
            self,
            line,
            user_code_process_error_infos=[
                SerializableErrorInfo(message=line, stack=[], cls_name="Failure")
            ],
        )
        self.description = line
        self.metadata = {}
        self.allow_retries = False


@contextmanager
def failures_in_one_line() -> Iterator[None]:
    """Turns errors with a message for a person into a failure of one line.

    Anything else stays as it is: a bug needs its stack trace.
    """
    try:
        yield
    except SprintError as error:
        raise ClearFailure(str(error)) from None
    except (duckdb.Error, OSError) as error:
        if line := remedy(error):
            raise ClearFailure(line) from None
        raise


def failure_of(event: dg.DagsterEvent) -> str | None:
    """A failed step, and the first line of its first cause; None where it does not say one."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{event.step_key}: {error.message.strip().splitlines()[0]}" if error else None
