"""A day's sign-ons as records."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from sprint_platform.profiles import People
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    midnight,
    table_of,
    timestamp_column,
    uuid_column,
    word_column,
)
from sprint_platform.simulation.population import I64
from sprint_platform.title import COUNTRIES, PLATFORMS


def signons_table(people: People, ids: np.ndarray, number: I64, second: I64, day: date) -> pa.Table:
    """The sign-ons of these players at these seconds of the day, as the contract's ``signons``."""
    return table_of(
        "signons",
        [
            uuid_column(ids),
            word_column(COUNTRIES, people.country(number)),
            word_column(PLATFORMS, people.platform(number)),
            timestamp_column(midnight(day) + second * MICROSECONDS),
        ],
    )
