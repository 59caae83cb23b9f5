"""The teams of a day's matches: which one won, and who came together."""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.draws import mix, stream_key, top_bits, uuids
from sprint_platform.profiles import circles
from sprint_platform.simulation.columns import flag_column, uuid_column
from sprint_platform.simulation.matches import PlayerSessions

I64 = npt.NDArray[np.int64]

# Friends have one of the circles below this; the others play alone.
NO_CIRCLE = 1 << 40
# Two ratios of at most 1,000 kills and deaths differ by more than a step of 1/2^24.
RATIO_BITS = 24
# A draw and then the number of the team, of which there are at most 30, decide between equals.
DRAW_BITS, TEAM_BITS = 20, 5


def won_column(rows: PlayerSessions, seed: int, day: date) -> pa.Array:
    """Whether each player's team won, null where there was no other.

    Of a match's teams the one with the most kills for its deaths wins, half a kill and half a death
    added; between equals chance decides. ``rows`` has whole sessions.
    """
    leads = rows.leader == np.arange(len(rows))
    first = np.flatnonzero(leads)
    if not first.size:
        return flag_column(leads, leads)
    kills, deaths = (np.add.reduceat(c.astype(np.int64), first) for c in (rows.kills, rows.deaths))
    draw = mix(stream_key(seed, "winner", day.toordinal()), rows.session[first] ^ rows.team[first])
    place = ((2 * kills + 1) << RATIO_BITS) // (2 * deaths + 1)
    place = (place << DRAW_BITS) | top_bits(draw, DRAW_BITS)
    place = (place << TEAM_BITS) | rows.team[first]
    opens = rows.seat[first] == 0
    best = np.maximum.reduceat(place, np.flatnonzero(opens))[np.cumsum(opens) - 1]
    return flag_column((place == best)[np.cumsum(leads) - 1], rows.teams > 1)


def party_column(rows: PlayerSessions, seed: int, day: date) -> pa.Array:
    """An id for those of one circle who are in one team of a match, null for who is there without
    friends. ``rows`` has whole sessions."""
    circle = circles(seed, rows.number)
    row = np.flatnonzero(circle < NO_CIRCLE)
    # players, and so circles, are fewer than 2^31, rows of a table fewer than 2^32
    group = (rows.leader[row] << 31) | circle[row]
    order = np.argsort(group, kind="stable")
    row, group = row[order], group[order]
    begins = np.flatnonzero(np.r_[True, group[1:] != group[:-1]][: group.size])
    sizes = np.diff(np.r_[begins, group.size])
    # nobody is in two matches of a round
    key = (rows.around[row[begins]] << 32) | rows.number[row[begins]]
    ids = np.zeros(len(rows), "V16")
    ids[row] = np.repeat(uuids(seed, f"party/{day.toordinal()}", key), sizes)
    together = np.zeros(len(rows), np.bool_)
    together[row] = np.repeat(sizes > 1, sizes)
    return uuid_column(ids, together)
