"""What a batch is made from: its settings, by flag, or by the project's settings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from sprint_platform.core.settings import filled_in
from sprint_platform.core.window import EARLIEST, LATEST

LAST_BATCH = 999
# The first batch's days; every further batch has as many, after those of the one before it.
FIRST_DAY = date(2011, 1, 13)
LAST_DAY = date(2011, 2, 12)
BATCH_SPAN = LAST_DAY - FIRST_DAY + timedelta(days=1)

_NUMBER, _DAY = TypeAdapter(int), TypeAdapter(date)


class BatchSettings(BaseModel):
    """Everything that decides a batch's rows, to the last byte.

    Without dates, batch 1 is of the first month and batch 2 of the next; a first day alone is
    followed by thirty more. ``numbered_from`` holds the numbers of the first player, session and
    event where ids go on from what a warehouse holds; without it, a batch from 2 on counts in a
    namespace of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(default=1, ge=1, le=LAST_BATCH)
    players: int = Field(default=2000, ge=1, le=50_000_000)
    max_sessions: int = Field(default=25, ge=1, le=1000)
    game_version: str = Field(default="1.0.3", pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}$")
    seed: int = Field(default=42, ge=0, lt=2**63)
    start: date = Field(default=FIRST_DAY, ge=EARLIEST, le=LATEST)
    end: date = Field(default=LAST_DAY, ge=EARLIEST, le=LATEST)
    numbered_from: tuple[PositiveInt, PositiveInt, NonNegativeInt] | None = None

    @model_validator(mode="before")
    @classmethod
    def _dates_of_batch(cls, given: dict[str, Any]) -> dict[str, Any]:
        given = dict(given)
        # the field's own check reports what is wrong with a number or a day
        with suppress(ValidationError, OverflowError):
            if "start" not in given:
                batch = _NUMBER.validate_python(given.get("batch", 1))
                given["start"] = FIRST_DAY + BATCH_SPAN * (batch - 1)
            if "end" not in given:
                start = _DAY.validate_python(given["start"])
                given["end"] = start + min(BATCH_SPAN - timedelta(days=1), date.max - start)
        return given

    @model_validator(mode="after")
    def _dates_in_order(self) -> BatchSettings:
        if self.end < self.start:
            raise ValueError(f"the last day {self.end} lies before the first, {self.start}")
        if self.days > 3660:
            raise ValueError(f"{self.days} days are more than ten years")
        return self

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @staticmethod
    def read(given: Mapping[str, Any]) -> BatchSettings:
        """The settings: those that are given (None is not), then the project's, then defaults.
        Raises SettingsError."""
        return filled_in(BatchSettings, "eventlog_", given)
