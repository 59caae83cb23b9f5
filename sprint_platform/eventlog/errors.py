"""What can go wrong in a way that a person can mend."""

from __future__ import annotations

from sprint_platform.core.errors import SprintError


class EventlogError(SprintError):
    """The message is one line that says what is wrong, where, and what to do."""
