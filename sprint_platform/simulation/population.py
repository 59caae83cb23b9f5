"""Who exists, who is still playing, who signs on: cohorts as differences of integer curves.

Players are numbered by sign-up day, then archetype, then rank, and **rank is lifetime**: those of a
(cohort, archetype) who still play at age a are its first ones. So a day's living players, and how
many days each of them has left, are a few numbers per cohort: neither a scan nor a stored churn
date is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import (
    ONE,
    STEP,
    cosine,
    cumulative,
    mix,
    stream_key,
    threshold,
    top_bits,
)
from sprint_platform.profiles import circles_of, traits
from sprint_platform.simulation.growth import (
    CompoundSignUps,
    SignUps,
    SteadySignUps,
    TargetSignUps,
)
from sprint_platform.simulation.lifetimes import (
    FADE_BITS,
    FADE_DAYS,
    OLDEST,
    Unreachable,
    decay,
    fade_window,
    fading,
    highest,
    returning,
    survival,
)
from sprint_platform.title import (
    ARCHETYPES,
    CompoundGrowth,
    Signons,
    Simulation,
    SteadyGrowth,
    Title,
    TitleError,
)

I64 = npt.NDArray[np.int64]

# The share of the title's habit with which an archetype signs on (weekday: Monday to Friday,
# weekend). Cyclical players come and go four times a year, each at times of its own.
DAILY, WEEKDAY, WEEKEND = Fraction(1), Fraction(1), Fraction(1, 2)
CYCLE_MEAN, CYCLE_SWING, CYCLES_A_YEAR = Fraction(3, 5), Fraction(3, 10), 4
# A year is 1,461 / 4 days; with 8 * 1,461 steps a turn, a day is a whole number of steps.
YEAR_STEPS, DAY_STEPS = 8 * 1461, 4 * 8
# More is played in the dark of the year than in its light, by this share of the mean.
SEASON = Fraction(1, 50)
CYCLICAL = ARCHETYPES.index("cyclical")

# Keenness is in 1/2^12: 4,096 is a player's usual readiness to play.
KEEN_BITS = 12
WEEK = 7


@dataclass(frozen=True)
class Players:
    """Some players of a title: parallel arrays, ascending by ``number``.

    ``number`` is the player's number in the world, ``signup`` the sign-up day and ``last`` the last
    day of play as days since launch, ``archetype`` an index into ARCHETYPES. Where ``last`` is
    farther ahead than was asked for, it is the last day that was looked at.
    """

    number: I64
    signup: npt.NDArray[np.int32]
    last: npt.NDArray[np.int32]
    archetype: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return int(self.number.size)

    def take(self, which: npt.NDArray | slice) -> Players:
        return Players(
            self.number[which], self.signup[which], self.last[which], self.archetype[which]
        )


class Population:
    """The players of one title, from its growth, retention, archetypes and habit."""

    def __init__(self, title: Title) -> None:
        assert title.simulation is not None
        self.title = title
        self.simulation: Simulation = title.simulation
        self._archetype_ends = cumulative(
            [self.simulation.archetypes.get(name, 0.0) for name in ARCHETYPES]
        )
        self._signed_up: list[int] = []  # players signed up by the end of day d, grown on demand
        self._survival = np.zeros(0, np.int64)
        self._growth = self._sign_ups()

    def _sign_ups(self) -> SignUps:
        growth = self.simulation.growth
        if isinstance(growth, CompoundGrowth):
            return CompoundSignUps(growth)
        if isinstance(growth, SteadyGrowth):
            return SteadySignUps(growth, self.retention(OLDEST))
        return TargetSignUps(growth)

    # -- cohorts -------------------------------------------------------------------------------

    def signed_up_by(self, age: int) -> int:
        """How many players have signed up by the end of day ``age`` (days since launch)."""
        if age < 0:
            return 0
        # u0: rounds the whole curve once, so a cohort is a difference and nothing is lost
        u0 = stream_key(self.title.seed, "cohorts") >> 32
        while len(self._signed_up) <= age:
            day = len(self._signed_up)
            self._signed_up.append((self._growth.cumulative(day) + u0) >> 32)
            # shares of a cohort are 32-bit fractions of it, in 64-bit integers
            if self._signed_up[day] >> 31:
                raise TitleError(
                    f"title {self.title.name}: simulation.growth: more than {2**31:,} players have"
                    f" signed up {day} days after the launch, more than can be simulated"
                )
        return self._signed_up[age]

    def signups(self, day: date) -> Players:
        """The players who sign up on that day, ascending."""
        age = self._age(day)
        return self._living(age, age, 0)

    # -- who is still playing --------------------------------------------------------------------

    def alive(self, day: date, ahead: int = 0) -> Players:
        """The players who still play on that day (they need not sign on), ascending by number.

        Their last days are known at least ``ahead`` days ahead, and as far as habit fades.
        """
        return self._living(0, self._age(day), ahead)

    def _living(self, first_cohort: int, age: int, ahead: int) -> Players:
        """The living players on day ``age`` of the cohorts from that one on."""
        self.signed_up_by(age)
        start = max(first_cohort, 0)
        cohorts = np.arange(start, age + 1)
        by_end = np.array([0, *self._signed_up[: max(age + 1, 0)]], np.int64)[start:]
        sizes = by_end[1:] - by_end[:-1]
        ordinals = cohorts + self._ordinal(0)
        # a golden-ratio sequence over days: the shares hold in aggregate, also with one a day
        g = (0x9E3779B9 * ordinals) & 0xFFFF_FFFF
        steps = FADE_DAYS + ahead
        later = age - cohorts[:, None] + np.arange(steps + 1)
        staying = self.survival(age + steps)[later]
        firsts, counts = [], []
        begin = np.zeros(cohorts.size, np.int64)
        for index, share in enumerate(self._archetype_ends):
            last = index == len(self._archetype_ends) - 1
            end = sizes if last else (sizes * share + g) >> 32
            u = top_bits(mix(stream_key(self.title.seed, f"lifetime/{index}"), ordinals))
            size = (end - begin)[:, None]
            # unbiased rounding: with a ceiling, cohorts of one would never die
            alive = np.minimum((size * staying + np.where(later > 0, u[:, None], 0)) >> 32, size)
            # of the first to the last rank: those who stay longest stand first
            leaving = np.concatenate([alive[:, -1:], -np.diff(alive)[:, ::-1]], axis=1)
            firsts.append(by_end[:-1] + begin)
            counts.append(leaving)
            begin = end
        runs = np.stack(counts, axis=1)  # (cohorts, archetypes, days that remain, most first)
        total = runs.sum(axis=2).reshape(-1)
        before = np.cumsum(total) - total
        first = np.stack(firsts, axis=1).reshape(-1)
        number = np.arange(int(total.sum()), dtype=np.int64) + np.repeat(first - before, total)
        last_day = np.broadcast_to(
            (age + np.arange(steps, -1, -1)).astype(np.int32), runs.shape
        ).reshape(-1)
        archetype = np.broadcast_to(np.arange(runs.shape[1], dtype=np.uint8), runs.shape[:2])
        return Players(
            number,
            np.repeat(np.repeat(cohorts.astype(np.int32), runs.shape[1]), total),
            np.repeat(last_day, runs.reshape(-1)),
            np.repeat(archetype.reshape(-1), total),
        )

    def survival(self, age: int) -> I64:
        """S[a] in 1/2^32 for a = 0 … age: the share of a cohort that still plays at age a. Raises
        TitleError where the title's retention cannot be reached."""
        if len(self._survival) <= age:
            length = max(OLDEST, 2 * age) + FADE_DAYS
            if isinstance(self.simulation.growth, CompoundGrowth):
                self._survival = decay(self.simulation.growth, length)
            else:
                solved = self._solved()
                self._survival = np.pad(solved, (0, length + 1 - len(solved)), mode="edge")
        return self._survival

    def _solved(self) -> I64:
        retention = self.simulation.retention
        assert retention is not None
        try:
            return survival(retention, self.mean_habit)
        except Unreachable:
            name, share = highest(retention, self.mean_habit)
            raise TitleError(
                f"title {self.title.name}: simulation.retention.{name}:"
                f" {getattr(retention, name):g} is too high, at most {share:g} can be reached where"
                f" who stays signs on on {float(self.mean_habit):.1%} of the days; lower it, or"
                " raise simulation.signons.habit"
            ) from None

    def retention(self, age: int) -> I64:
        """The share of a cohort that signs on at age 0 … ``age``, in 1/2^32."""
        staying = self.survival(age + FADE_DAYS)[: age + FADE_DAYS + 1]
        # factors of 32 and 30 bits: of 32 and 32 the product would not fit
        table = (returning(staying) * (threshold(self.mean_habit) >> 2)) >> 30
        table[0] = ONE
        return table

    # -- who signs on ------------------------------------------------------------------------------

    def active(self, day: date) -> Players:
        """The players who sign on that day: new ones always, others by their chance."""
        alive = self.alive(day)
        return alive.take(np.flatnonzero(self.signed_on(alive, day)))

    def signed_on(self, players: Players, day: date) -> npt.NDArray[np.bool_]:
        """Whether each player, alive then, signed on on the day."""
        key = stream_key(self.title.seed, "signon", day.toordinal())
        result = np.empty(len(players), bool)
        # in steps whose temporaries stay in the cache: twice as fast for millions
        for start in range(0, len(players), 2 * STEP):
            which = slice(start, start + 2 * STEP)
            part = players.take(which)
            result[which] = top_bits(mix(key, part.number)) < self.chance(part, day)
        return result

    def chance(self, players: Players, day: date) -> I64:
        """Each living player's chance of a sign-on on the day, in 1/2^32."""
        chance = _usual_chances(self.simulation.signons, day)[players.archetype]
        chance *= self.keenness(players, day)
        chance >>= KEEN_BITS
        cyclical = np.flatnonzero(players.archetype == CYCLICAL)
        if cyclical.size:
            phase = traits(self.title.seed, players.number[cyclical]) & np.uint64(0xFFFF)
            steps = CYCLES_A_YEAR * DAY_STEPS * day.toordinal()
            turn = (phase.astype(np.int64) * YEAR_STEPS >> 16) + steps % YEAR_STEPS
            chance[cyclical] = (chance[cyclical] * _swing()[turn % YEAR_STEPS]) >> 16
        chance[players.signup == self._age(day)] = ONE
        return chance

    def keenness(self, players: Players, day: date) -> I64:
        """How ready each player is to play on the day, in 1/2^12 of the mean: the player's habit,
        the mood of the week, and the fading of those who are about to leave."""
        settings = self.simulation.signons
        seed, number = self.title.seed, players.number
        own = traits(seed, number)
        keen = _around(top_bits(own << np.uint64(16), 16), settings.spread)
        # value noise: a mood for each week, and the days between go from one to the next
        week, at = divmod(day.toordinal(), WEEK)
        now, then = self._moods(circles_of(own, number), week)
        blend = 256 * at // WEEK
        now *= 256 - blend
        then *= blend
        now += then
        now >>= 8
        keen *= _around(now, settings.moods)
        keen >>= KEEN_BITS
        remaining = players.last - np.int32(self._age(day))
        leaving = np.flatnonzero(remaining < FADE_DAYS)
        window = fade_window(players.last[leaving] - players.signup[leaving])
        keen[leaving] = (keen[leaving] * fading()[window, remaining[leaving]]) >> FADE_BITS
        return keen

    def habit(self, number: I64) -> I64:
        """Each player's habit in 1/2^12 of the mean: what of keenness never changes."""
        own = traits(self.title.seed, number)
        return _around(top_bits(own << np.uint64(16), 16), self.simulation.signons.spread)

    def _moods(self, circle: I64, week: int) -> tuple[I64, I64]:
        """The moods of the week and of the next, 16 bits each: a draw holds those of four."""
        month, nth = divmod(week, 4)
        draw = mix(stream_key(self.title.seed, "mood", month), circle)
        now = top_bits(draw << np.uint64(16 * nth), 16)
        if nth < 3:
            return now, top_bits(draw << np.uint64(16 * nth + 16), 16)
        return now, top_bits(mix(stream_key(self.title.seed, "mood", month + 1), circle), 16)

    def expected_active(self, day: date) -> int:
        """About how many players sign on that day, from the curves alone (no draw)."""
        return int(self.expected_by_age(day).sum() >> 32)

    def expected_by_age(self, day: date) -> I64:
        """About how many players sign on that day by the days since their sign-up (0, 1, …), in
        1/2^32, from the curves alone (no draw)."""
        age = self._age(day)
        if age < 0:
            return np.zeros(1, np.int64)
        self.signed_up_by(age)
        by_end = np.array([0, *self._signed_up[: age + 1]], np.int64)
        return (by_end[1:] - by_end[:-1])[::-1] * self.retention(age)

    @cached_property
    def mean_habit(self) -> Fraction:
        """The share of days on which a living player signs on who is not about to leave, over
        archetypes, week and year."""
        settings = self.simulation.signons
        cycle = [Fraction(str(factor)) for factor in settings.weekly_cycle]
        means = (
            DAILY,
            # the cycle's mean is 1, but not over the working days alone
            (WEEKDAY * sum(cycle[:5]) + WEEKEND * sum(cycle[5:])) / 7,
            CYCLE_MEAN,
        )
        shares = [Fraction(str(self.simulation.archetypes.get(name, 0))) for name in ARCHETYPES]
        mean = sum((s * m for s, m in zip(shares, means, strict=True)), Fraction(0))
        return mean * Fraction(str(settings.habit))

    def _age(self, day: date) -> int:
        return (day - self.title.launch_date).days

    def _ordinal(self, age: int) -> int:
        return self.title.launch_date.toordinal() + age

    def day(self, age: int) -> date:
        """The day that many days after the launch."""
        return self.title.launch_date + timedelta(days=age)


def _around(level: I64, swing: float) -> I64:
    """1 - swing … 1 + swing in 1/2^12, evenly, by 16-bit levels."""
    wide = int(Fraction(str(swing)) * (1 << KEEN_BITS))
    around = level * (2 * wide)
    around -= 65_535 * wide
    around >>= 16
    around += 1 << KEEN_BITS
    return around


@lru_cache(maxsize=4_096)
def _usual_chances(settings: Signons, day: date) -> I64:
    """The chance of a sign-on on the day by archetype, in 1/2^32, before what is a player's own."""
    step = (DAY_STEPS * day.toordinal()) % YEAR_STEPS
    # day ordinals begin with a January: the cosine is highest at the turn of the year
    season = 1 + SEASON * Fraction(float(cosine(YEAR_STEPS)[step]))
    week = Fraction(str(settings.weekly_cycle[day.weekday()]))
    every_day = Fraction(str(settings.habit)) * week * season
    shapes = (DAILY, WEEKDAY if day.weekday() < 5 else WEEKEND, Fraction(1))
    return np.array([int(every_day * shape * ONE) for shape in shapes], np.int64)


@lru_cache(maxsize=1)
def _swing() -> I64:
    """A cyclical player's share of the habit by the step of the year's turn, in 1/2^16."""
    wave = np.rint(cosine(YEAR_STEPS) * float(CYCLE_SWING * 65_536)).astype(np.int64)
    result: I64 = int(CYCLE_MEAN * 65_536) + wave
    return result
