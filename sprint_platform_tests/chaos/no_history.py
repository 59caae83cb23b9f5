"""Dagster without its history: two thirds of a small run's time are its events' way into SQLite."""

from __future__ import annotations

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.in_memory import InMemoryEventLogStorage

INSTANCE = f"""\
telemetry: {{enabled: false}}
nux: {{enabled: false}}
event_log_storage: {{module: {__name__}, class: NoEvents, config: {{}}}}
"""


class NoEvents(InMemoryEventLogStorage):
    """An event log that stores nothing."""

    def store_event(self, event: EventLogEntry) -> None:
        """Stores nothing; the run itself has its events."""
