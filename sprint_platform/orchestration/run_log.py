"""Writes what modules below log while they wait to the log of the run whose step waits.

They know no Dagster, and log as any Python module does; Dagster's log takes only what its own
logger gets.
"""

from __future__ import annotations

import logging

import dagster as dg


class _RunLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        run_log = dg.get_dagster_logger()
        # outside a step it has no handler, and Python would print the line without a name
        if run_log.handlers:
            run_log.log(record.levelno, "%s", record.getMessage())


def show_waits_in_run_log() -> None:
    """Shows waits from now on; further calls change nothing."""
    logger = logging.getLogger("sprint_platform")
    if not any(isinstance(handler, _RunLog) for handler in logger.handlers):
        logger.addHandler(_RunLog())
