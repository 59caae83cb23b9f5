"""A player's day: when the player signs on, how many matches follow, and with what pauses.

All of it is a hash of the player and the day, so it is known without matchmaking, for any day. What
would run on after the UTC day's end, a match after another, runs after its beginning instead: the
days meet without a seam, and each day is whole in itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

import numpy as np

from sprint_platform.draws import (
    ONE,
    below,
    mix,
    pick,
    picker,
    remix,
    stream_key,
    threshold,
    top_bits,
)
from sprint_platform.profiles import People, circles, time_zone_offsets
from sprint_platform.simulation.population import I64, KEEN_BITS, Players, Population
from sprint_platform.title import Sessions, Title

# Sittings by local hour, in thousandths: 42 % between 17:00 and 21:59, a trough before dawn
# (Chambers et al. 2005, and starts computed from one server's sessions).
LOCAL_HOURS = (
    28, 18, 11, 7, 6, 8, 13, 20, 26, 30, 34, 38,
    43, 45, 46, 50, 57, 75, 86, 92, 90, 77, 58, 42,
)  # fmt: skip

DAY_SECONDS = 86_400
# A player signs on at most this long before being ready for a match.
LONGEST_QUEUE_SECONDS = 120
# Between the matches of a sitting nobody waits longer than this.
LONGEST_WAIT_BETWEEN = 480
# Between two matches of a sitting; together with the wait for a lobby less than ten minutes, or it
# would be two sittings.
SHORTEST_PAUSE, LONGEST_PAUSE = 15, 110
# One in so many pauses is a break of an hour to four: another sitting on the same day.
BREAK_SHARE = Fraction(1, 12)
SHORTEST_BREAK, LONGEST_BREAK = 3_600, 14_400
# Nobody is so keen that a further match is more certain than this.
MOST_AGAIN = int(Fraction(19, 20) * ONE)

_HOUR = picker(LOCAL_HOURS)


@dataclass(frozen=True)
class Plan:
    """Players' days: parallel arrays. ``signon``, ``ready`` and ``evening`` are seconds of the UTC
    day.

    ``matches`` are planned, of which the first ``early`` follow when the player is ``ready``, after
    the sign-on, and the others begin at ``evening`` (which is ``ready`` where none are early).
    """

    signon: I64
    ready: I64
    evening: I64
    early: I64
    matches: I64


class Sittings:
    """The days of a title's players."""

    def __init__(self, title: Title, population: Population, people: People) -> None:
        assert title.simulation is not None
        self.seed = title.seed
        self.settings: Sessions = title.simulation.sessions
        self.population = population
        self.people = people

    def signon(self, players: Players, day: date) -> I64:
        """The second of the UTC day at which each active player signs on, 0 … 86,398."""
        return self.plan(players, day).signon

    def plan(self, players: Players, day: date) -> Plan:
        """The day of each player who is active on it."""
        plan = self._planned(players, day)
        # who may still be in yesterday's last match signs on after it
        soon = np.flatnonzero(plan.signon < self.settings.longest_seconds)
        free = self._yesterdays_end(players.take(soon), day - timedelta(days=1))
        plan.signon[soon] = np.maximum(plan.signon[soon], free)
        np.maximum(plan.ready, plan.signon + 1, out=plan.ready)
        np.maximum(plan.evening, plan.ready, out=plan.evening)
        return plan

    def plays(self, players: Players, day: date) -> np.ndarray:
        """Whether each active player plays at all on the day."""
        circle = circles(self.seed, players.number)
        draw = mix(stream_key(self.seed, "plays", day.toordinal()), circle)
        return top_bits(draw) < threshold(self.settings.play_share)

    def pause(self, number: I64, nth: int, day: date) -> I64:
        """The seconds between the end of each player's ``nth`` match of the day (from 1) and the
        player's readiness for the next. Friends wait for each other."""
        circle = circles(self.seed, number)
        draw = mix(stream_key(self.seed, f"pause/{nth}", day.toordinal()), circle)
        long = below(remix(draw, stream_key(self.seed, "break")), LONGEST_BREAK - SHORTEST_BREAK)
        return np.where(
            top_bits(draw) < threshold(BREAK_SHARE),
            SHORTEST_BREAK + long,
            SHORTEST_PAUSE
            + (draw & np.uint64(0xFFFF)).astype(np.int64)
            * (LONGEST_PAUSE - SHORTEST_PAUSE)
            // 65_536,
        )

    def _planned(self, players: Players, day: date) -> Plan:
        number, ordinal = players.number, day.toordinal()
        # friends play at the same time, and live in one country
        draw = mix(stream_key(self.seed, "ready", ordinal), circles(self.seed, number))
        within = below(remix(draw, stream_key(self.seed, "ready second")), 3600)
        local = pick(_HOUR, draw).astype(np.int64) * 3600 + within
        zone = self.people.time_zone(number, self.people.country(number))
        begins = np.maximum((local - time_zone_offsets()[zone]) % DAY_SECONDS, 1)
        matches = self._matches(players, day)
        # a step takes a match's usual length: those that would begin tomorrow begin the day
        step = self.settings.typical_seconds + LONGEST_PAUSE
        fit = (DAY_SECONDS - 1 - begins) // step + 1
        early = np.maximum(matches - fit, 0)
        ready = np.where(early > 0, begins + fit * step - DAY_SECONDS, begins)
        ready = np.clip(ready, 1, begins)
        apart = mix(stream_key(self.seed, "apart", ordinal), number)
        signon = np.maximum(ready - 1 - below(apart, LONGEST_QUEUE_SECONDS), 0)
        return Plan(signon, ready, begins, early, matches)

    def _matches(self, players: Players, day: date) -> I64:
        """How many matches each player plans: the keener, the more. Friends go on together."""
        again = (
            threshold(self.settings.replay_share)
            * ((1 << KEEN_BITS) + self.population.keenness(players, day))
        ) >> (KEEN_BITS + 1)
        again = np.minimum(again, MOST_AGAIN)
        circle = circles(self.seed, players.number)
        matches = np.ones(len(players), np.int64)
        which = np.arange(len(players))
        for nth in range(1, self.settings.per_day):
            draw = mix(stream_key(self.seed, f"again/{nth}", day.toordinal()), circle[which])
            which = which[top_bits(draw) < again[which]]
            matches[which] += 1
        return matches

    def _yesterdays_end(self, players: Players, yesterday: date) -> I64:
        """The latest second of today at which a match of yesterday's can end for each player, 0 for
        whom none can. No match begins after its day, and none waits longer than the title says."""
        end = np.zeros(len(players), np.int64)
        before = (yesterday - self.population.title.launch_date).days
        old = np.flatnonzero(players.signup <= before)
        group = players.take(old)
        played = self.population.signed_on(group, yesterday) & self.plays(group, yesterday)
        old = old[np.flatnonzero(played)]
        group = players.take(old)
        plan = self._planned(group, yesterday)
        longest = self.settings.longest_seconds
        # yesterday's own beginning may have been put off, at most until here
        latest = np.maximum(plan.ready, longest + 1)
        for nth in range(self.settings.per_day):
            after = np.flatnonzero(plan.matches > nth)
            if nth:
                latest[after] += self.pause(group.number[after], nth, yesterday)
            due = after[plan.early[after] == nth]
            latest[due] = np.maximum(latest[due], plan.evening[due])
            latest[after] += self.settings.longest_wait_seconds + longest
        end[old] = np.clip(latest - DAY_SECONDS, 0, longest)
        return end
