"""When players play: how many sessions, on which days, from when to when."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import ONE, below, mix, pick, picker, stream_key, top_bits
from sprint_platform.eventlog.generation.players import Players
from sprint_platform.eventlog.settings import BatchSettings

I64 = npt.NDArray[np.int64]

MEAN_SESSIONS = 5
# Days from one session to the next: every third player is back on the morrow, as in a good game.
GAPS = (1, 2, 3, 4, 5, 6, 7, 10, 14)
GAP_SHARES = (0.38, 0.21, 0.13, 0.08, 0.05, 0.03, 0.07, 0.03, 0.02)
# (least, most) seconds of a session: short, ordinary, long
LENGTHS = ((300, 1_200), (1_200, 3_600), (3_600, 10_800))
LENGTH_SHARES = (0.25, 0.50, 0.25)
# Weights of the hours in which sessions start, from 08:00 UTC: 43 % between 17:00 and 21:59. None
# starts before eight: the latest of the day before has ended by three.
FIRST_HOUR = 8
HOUR_SHARES = (2, 3, 4, 5, 6, 6, 6, 6, 7, 8, 8, 9, 10, 8, 7, 5)
DAY = 86_400


@dataclass(frozen=True)
class Sessions:
    """Sessions of some players, player by player in order of time; shape (sessions,) but
    ``first_of_player``, shape (players + 1,): where each player's begin.

    ``player`` indexes those players; ``key`` is unique in the batch; ``start`` counts seconds from
    the batch's first midnight; ``seconds`` is the length.
    """

    player: I64
    key: I64
    start: I64
    seconds: I64
    first_of_player: I64


def make_sessions(settings: BatchSettings, players: Players) -> Sessions:
    """Every player's sessions: one to ``max_sessions``, at most one a day, all within the batch's
    dates, and none before the last has ended."""

    def draw(what: str, entity: I64) -> npt.NDArray[np.uint64]:
        return mix(stream_key(settings.seed, f"log {what}", settings.batch), entity)

    counts = _session_counts(settings, top_bits(draw("sessions", players.number)))
    first = np.concatenate([[0], np.cumsum(counts)])
    player = np.repeat(np.arange(counts.size), counts)
    place = np.arange(player.size) - first[player]
    # 1,000 sessions at most: no two share a key
    key = players.number[player] * 1024 + place
    day = _days(settings, counts, first, player, place, draw("gap", key), draw("day", key))
    length = pick(picker(LENGTH_SHARES), draw("length", key))
    least, most = np.array(LENGTHS, np.int64)[length].T
    seconds = least + below(draw("seconds", key), most - least + 1)
    hour = FIRST_HOUR + pick(picker(HOUR_SHARES), draw("hour", key)).astype(np.int64)
    second = hour * 3600 + below(draw("second", key), 3600)
    # nothing is logged after the batch's last day
    last_day = day == settings.days - 1
    second = np.where(last_day, np.minimum(second, DAY - 1 - seconds), second)
    return Sessions(player, key, day * DAY + second, seconds, first)


def _session_counts(settings: BatchSettings, draw: I64) -> I64:
    """Each player's number of sessions: geometric (the exponential distribution in whole numbers),
    at most ``max_sessions`` and the number of days."""
    stays = 1 - Fraction(1, MEAN_SESSIONS)
    most = min(settings.max_sessions, settings.days)
    ends = [int((1 - stays**count) * ONE) for count in range(1, min(most, 120))]
    counts = np.searchsorted(np.array(ends, np.int64), draw, side="right") + 1
    return np.minimum(counts, most).astype(np.int64)


def _days(
    settings: BatchSettings,
    counts: I64,
    first: I64,
    player: I64,
    place: I64,
    gap_draw: npt.NDArray[np.uint64],
    day_draw: npt.NDArray[np.uint64],
) -> I64:
    """The day of each session, from 0."""
    gaps = np.where(place > 0, np.array(GAPS)[pick(picker(GAP_SHARES), gap_draw)], 0)
    running = np.cumsum(gaps)
    since_first = running - running[first[:-1]][player]
    span = since_first[first[1:] - 1]
    # players come early, the lower of two draws, but not too late for their sessions; the day does
    # not depend on the gaps between these, or the first day's players would be the keenest
    joining = day_draw[first[:-1]]
    early = np.minimum(joining >> np.uint64(32), joining & np.uint64(0xFFFF_FFFF)).astype(np.int64)
    joined = (early * (settings.days - counts + 1)) >> 32
    left = settings.days - joined
    # a player with gaps too wide for the days left plays once in each of as many parts of them
    parts, room = np.maximum(counts - 1, 1)[player], (left - 1)[player]
    start = 1 + (place - 1) * room // parts
    stop = 1 + place * room // parts
    spread = np.where(place > 0, start + below(day_draw, stop - start), 0)
    return joined[player] + np.where((span >= left)[player], spread, since_first)
