"""What modules below say while they wait, in the log of the run whose step waits.

They know no Dagster, and log as any Python module does; Dagster's log takes only what its own
logger gets.
"""

from __future__ import annotations

import logging

import dagster as dg


class _RunLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        run_log = dg.get_dagster_logger()
        # outside a step nothing listens there, and Python would print the line as nobody's
        if run_log.handlers:
            run_log.log(record.levelno, "%s", record.getMessage())


def show_waits_in_run_log() -> None:
    """From now on; more than one call does no more than the first."""
    logger = logging.getLogger("sprint_platform")
    if not any(isinstance(handler, _RunLog) for handler in logger.handlers):
        logger.addHandler(_RunLog())
