"""Why there is no model. The message is one line."""

from __future__ import annotations

from sprint_platform.core.errors import SprintError


class ForesightError(SprintError):
    """Models that cannot be made or used."""


class TooShort(ForesightError):
    """A history of which nothing can be learned yet, mostly of too few weeks: it says how many are
    missing."""
