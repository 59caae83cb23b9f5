"""When a day's players sign on."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from sprint_platform.draws import below, mix, pick, picker, remix, stream_key
from sprint_platform.profiles import People, time_zone_offsets
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    midnight,
    table_of,
    timestamp_column,
    uuid_column,
    word_column,
)
from sprint_platform.simulation.population import I64, Players
from sprint_platform.title import COUNTRIES, PLATFORMS

# Sign-ons by local hour, in thousandths: 42 % between 17:00 and 21:59, a trough before dawn
# (Chambers et al. 2005, and starts computed from one server's sessions).
LOCAL_HOURS = (
    28, 18, 11, 7, 6, 8, 13, 20, 26, 30, 34, 38,
    43, 45, 46, 50, 57, 75, 86, 92, 90, 77, 58, 42,
)  # fmt: skip

DAY_SECONDS = 86_400
# Nobody signs on in the day's last minute, so that a session can still start on the same UTC day.
LAST_SIGNON = DAY_SECONDS - 60

_HOUR = picker(LOCAL_HOURS)


def signon_second(seed: int, people: People, number: I64, country: np.ndarray, day: date) -> I64:
    """The second of the UTC day at which each player signs on, 0 … 86,340.

    A local hour is mapped into the same UTC day: 20:00 in Los Angeles on the 3rd is 04:00 UTC on
    the 3rd, not on the 4th.
    """
    draw = mix(stream_key(seed, "signon time", day.toordinal()), number)
    within = below(remix(draw, stream_key(seed, "signon second")), 3600)
    local = pick(_HOUR, draw).astype(np.int64) * 3600 + within
    offset = time_zone_offsets()[people.time_zone(number, country)]
    return np.minimum((local - offset) % DAY_SECONDS, LAST_SIGNON)


def signons_table(
    seed: int, people: People, ids: np.ndarray, players: Players, day: date
) -> pa.Table:
    """The sign-ons of these players, who are active on the day."""
    country = people.country(players.number)
    second = signon_second(seed, people, players.number, country, day)
    return table_of(
        "signons",
        [
            uuid_column(ids),
            word_column(COUNTRIES, country),
            word_column(PLATFORMS, people.platform(players.number)),
            timestamp_column(midnight(day) + second * MICROSECONDS),
        ],
    )
