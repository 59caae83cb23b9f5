"""When on a day people come to the store: evenings, in their own time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import U64, below, pick, picker, remix, stream_key
from sprint_platform.profiles import COUNTRY
from sprint_platform.title import COUNTRIES

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

DAY = 86_400
# Weights of the local hours: shops sell most between 19 and 21 o'clock.
_HOURS = picker([2, 1, 1, 1, 1, 2, 3, 5, 7, 8, 9, 9, 10, 10, 9, 9, 10, 12, 14, 16, 17, 15, 10, 5])
# Standard time of where most people of the country live; a store's day needs no more.
_OFFSETS = np.array([COUNTRY[code].time_zones[0][1] * 60 for code in COUNTRIES], np.int64)
# Visits begin in the first 23 hours of a day, so that they end on it.
LAST_START = 23 * 3600


def visit_second(draw: U64, country: U8, earliest: I64) -> I64:
    """The second of the UTC day, shape (n,), at which a visit begins: by the hour of the visitor's
    ``country`` (an index into COUNTRIES), and not before the second ``earliest`` (at most 22:00).
    """
    hour = pick(_HOURS, draw).astype(np.int64)
    local = hour * 3600 + below(remix(draw, stream_key(0, "second of hour")), 3600)
    second = (local - _OFFSETS[country]) % DAY * LAST_START // DAY
    later = earliest + (LAST_START - earliest) * second // DAY
    return np.where(second < earliest, later, second)
