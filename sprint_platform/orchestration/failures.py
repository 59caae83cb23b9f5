"""Expected failures as one clear line in the run's log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from sprint_platform.telemetry.partitions import PartitionError
from sprint_platform.title import TitleError
from sprint_platform.warehouse.lease import LeaseError


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turns the errors that tell a person what to do into a Dagster failure with that line.

    Anything else stays as it is: a bug deserves its stack trace.
    """
    try:
        yield
    except (LeaseError, PartitionError, TitleError) as error:
        raise dg.Failure(str(error), allow_retries=False) from None
