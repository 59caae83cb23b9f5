"""What a store is made from: its settings, by flag, by preset, or by the project's settings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sprint_platform.core.settings import SettingsError, filled_in, settings, variable
from sprint_platform.core.window import EARLIEST, LATEST

# Raise it when the same settings give other records.
GENERATION_VERSION = 1
PRESETS: dict[str, dict[str, int]] = {
    "small": {"customers": 1_000, "products": 500, "orders": 1_000, "days": 30},
    "medium": {"customers": 10_000, "products": 5_000, "orders": 50_000, "days": 365},
    "large": {"customers": 100_000, "products": 50_000, "orders": 500_000, "days": 730},
}
DEFAULT_PRESET = "medium"
# The day on which the store opens.
FIRST_DAY = date(2025, 1, 1)
# On the strongest day there are some six times as many, with two lines each, all of which become
# movements that are numbered up to contracts.IDS_A_DAY.
MOST_ORDERS_A_DAY = 500_000


class StoreSettings(BaseModel):
    """What decides a store's records, and ``batch_size``, which decides none of them.

    The store reaches ``customers``, ``products`` and ``orders`` at the end of its first ``days``
    days, of which ``start`` is the first; later days go on at the same pace. ``title`` is the game
    whose players have accounts (none where it is empty); ``batch_size`` is how many rows are sent
    to PostgreSQL at a time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    customers: int = Field(ge=1, le=20_000_000)
    products: int = Field(ge=1, le=1_000_000)
    orders: int = Field(ge=1, le=200_000_000)
    days: int = Field(ge=1, le=3660)
    seed: int = Field(default=42, ge=0, lt=2**63)
    start: date = Field(default=FIRST_DAY, ge=EARLIEST, le=LATEST)
    title: str = Field(default="sprint", pattern=r"^[a-z0-9_]*$")
    batch_size: int = Field(default=50_000, ge=100, le=10_000_000)

    @model_validator(mode="after")
    def _orders_can_be_numbered(self) -> StoreSettings:
        if self.orders > MOST_ORDERS_A_DAY * self.days:
            raise ValueError(
                f"{self.orders:,} orders in {self.days} days are more than"
                f" {MOST_ORDERS_A_DAY:,} a day"
            )
        return self

    @property
    def first_days(self) -> list[date]:
        """The days in which the store reaches its numbers."""
        return [self.start + timedelta(days=n) for n in range(self.days)]

    def days_between(self, first: date | None, last: date | None, today: date) -> list[date]:
        """The days ``first`` to ``last``: without them the store's first days, without one of them
        from the day on which it opened, or to the last of its first days (``first`` where that is
        later). Raises SettingsError for days on which there is no store."""
        begin = first or self.start
        end = last or max(self.first_days[-1], begin)
        if begin < self.start:
            raise SettingsError(f"the store opens on {self.start}: there is no {begin}")
        if end < begin:
            raise SettingsError(f"--to {end} lies before --from {begin}")
        for day in (self.start, first, last):
            if day and day > today:
                raise SettingsError(f"{day} has not come yet: the last day that has is {today}")
        return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]

    def records_from(self) -> dict[str, Any]:
        """What decides the records, as JSON has it: what a load notes of the store."""
        return self.model_dump(mode="json", exclude={"batch_size"})

    def fingerprint(self, players: str) -> str:
        """What the records come from, as 16 hex digits; ``players`` says the same of the title's
        players (empty without any)."""
        stated = self.model_dump_json(exclude={"batch_size", "title"})
        text = f"{GENERATION_VERSION}:{stated}:{players}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @staticmethod
    def read(
        given: Mapping[str, Any],
        preset: str | None = None,
        default: StoreSettings | None = None,
    ) -> StoreSettings:
        """The settings: those that are given (None is not), then the given preset's, then the
        project's, then those of the project's preset, then those of ``default`` (of the default
        preset where it is None). Raises SettingsError."""
        name = preset or settings().store_preset or ("" if default else DEFAULT_PRESET)
        if name and name not in PRESETS:
            where = "preset" if preset else variable("store_preset")
            raise SettingsError(f"{where} is '{name}': choose one of {', '.join(PRESETS)}")
        numbers = PRESETS[name] if name else {}
        if preset:
            given = numbers | {n: value for n, value in given.items() if value is not None}
        otherwise = (default.records_from() if default else {}) | numbers
        return filled_in(StoreSettings, "store_", given, otherwise)
