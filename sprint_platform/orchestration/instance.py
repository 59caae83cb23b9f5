"""Dagster's instance, whose history lies in SQLite files in ``DAGSTER_HOME``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from sqlalchemy.exc import DBAPIError

from sprint_platform.core.errors import SprintError, one_line
from sprint_platform.core.settings import variable
from sprint_platform.places import dagster_home


class HistoryError(SprintError):
    """Dagster's history cannot be read or written."""


@contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    """The instance, closed at the end of the block. Raises HistoryError where its files cannot be
    read or written there: a full disk, say."""
    try:
        with dg.DagsterInstance.get() as instance:
            yield instance
    except DBAPIError as error:
        raise HistoryError(
            f"Dagster's history in {dagster_home()} cannot be used ({one_line(error.orig)}): see"
            f" whether its disk is full and who may write there, or name another folder in"
            f" {variable('dagster_home')}; partitions and tables are whole"
        ) from error
