"""Who exists, who is still playing, who signs on: cohorts as differences of integer curves.

Players are numbered by sign-up day, then archetype, then rank, and **rank is lifetime**: those of a
(cohort, archetype) who still play at age a are its first ones. So a day's living players are a few
numbers per cohort, and neither a scan nor a stored churn date is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import (
    ONE,
    cosine,
    cumulative,
    mix,
    stream_key,
    threshold,
    top_bits,
)
from sprint_platform.title import (
    ARCHETYPES,
    CompoundGrowth,
    Simulation,
    TargetGrowth,
    Title,
    TitleError,
)

I64 = npt.NDArray[np.int64]

# Decimal's ln and exp are correctly rounded at any precision on every machine, unlike float's.
_EXACT = Context(prec=40)

# The shares of days on which a player signs on, by archetype (weekday: Monday to Friday, weekend).
DAILY, WEEKDAY, WEEKEND = 0.9, 0.8, 0.3
CYCLE_MEAN, CYCLE_SWING, CYCLES_A_YEAR = 0.5, 0.4, 4


@dataclass(frozen=True)
class Players:
    """Some players of a title: parallel arrays, ascending by ``number``.

    ``number`` is the player's number in the world, ``signup`` the sign-up day as days since launch,
    ``archetype`` an index into ARCHETYPES.
    """

    number: I64
    signup: npt.NDArray[np.int32]
    archetype: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return int(self.number.size)

    def take(self, which: npt.NDArray | slice) -> Players:
        return Players(self.number[which], self.signup[which], self.archetype[which])


class Population:
    """The players of one title, from its growth, retention and archetypes."""

    def __init__(self, title: Title) -> None:
        assert title.simulation is not None
        self.title = title
        self.simulation: Simulation = title.simulation
        self._archetype_ends = cumulative(
            [self.simulation.archetypes.get(name, 0.0) for name in ARCHETYPES]
        )
        self._signed_up: list[int] = []  # players signed up by the end of day d, grown on demand
        self._growth = _signups(self.simulation)
        self._survival = np.zeros(0, np.int64)

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

    def cohort(self, signup: int) -> tuple[int, list[int]]:
        """A sign-up day's first player number, and the ends of its archetypes within it."""
        first = self.signed_up_by(signup - 1)
        size = self.signed_up_by(signup) - first
        # a golden-ratio sequence over days: the shares hold in aggregate, also with one a day
        g = (0x9E3779B9 * (self._ordinal(signup) & 0xFFFF_FFFF)) & 0xFFFF_FFFF
        ends = [(size * end + g) >> 32 for end in self._archetype_ends[:-1]]
        return first, [*ends, size]

    def signups(self, day: date) -> Players:
        """The players who sign up on that day, ascending."""
        age = self._age(day)
        if age < 0:
            return _join([], [], [], [])
        first, ends = self.cohort(age)
        starts = [0, *ends[:-1]]
        return _join(
            [first + start for start in starts],
            [end - start for start, end in zip(starts, ends, strict=True)],
            [age] * len(ends),
            list(range(len(ends))),
        )

    # -- who is still playing --------------------------------------------------------------------

    def alive(self, day: date) -> Players:
        """The players who still play on that day (they need not sign on), ascending by number."""
        age = self._age(day)
        if age < 0:
            return _join([], [], [], [])
        self.signed_up_by(age)
        cohorts = np.arange(age + 1)
        by_end = np.array([0, *self._signed_up[: age + 1]], np.int64)
        sizes = by_end[1:] - by_end[:-1]
        ordinals = cohorts + self._ordinal(0)
        g = (0x9E3779B9 * ordinals) & 0xFFFF_FFFF
        survival = self.survival(age)[age - cohorts]
        firsts, counts = [], []
        start = np.zeros(age + 1, np.int64)
        for index, share in enumerate(self._archetype_ends):
            last = index == len(self._archetype_ends) - 1
            end = sizes if last else (sizes * share + g) >> 32
            u = top_bits(mix(stream_key(self.title.seed, f"lifetime/{index}"), ordinals))
            # unbiased rounding: with a ceiling, cohorts of one would never die
            counts.append(((end - start) * survival + np.where(age > cohorts, u, 0)) >> 32)
            firsts.append(by_end[:-1] + start)
            start = end
        shape = (age + 1, len(firsts))
        return _join(
            np.stack(firsts, axis=1).reshape(-1),
            np.minimum(np.stack(counts, axis=1), np.stack(_sizes(firsts, by_end), axis=1)).reshape(
                -1
            ),
            np.repeat(cohorts, shape[1]),
            np.tile(np.arange(shape[1]), shape[0]),
        )

    def survival(self, age: int) -> I64:
        """S[a] in 1/2^32 for a = 0 … age: the share of a cohort that still plays at age a."""
        if len(self._survival) <= age:
            length = max(64, 2 * age)
            if isinstance(self.simulation.growth, CompoundGrowth):
                table = _decay(self.simulation.growth, length)
            else:
                table = self._from_retention(length)
            self._survival = np.array(table, np.int64)
        return self._survival

    def _from_retention(self, length: int) -> list[int]:
        """Survival is retention over the mean sign-on habit: retention counts sign-ons on a day.

        Retention falls as a power law between its points (a * n^b with a kink after week 1) and on
        beyond D30 with the last exponent.
        """
        retention = self.simulation.retention
        assert retention is not None
        habit = self.mean_habit
        points = {1: retention.d1, 7: retention.d7, 30: retention.d30}
        for age, share in points.items():
            if Fraction(str(share)) > habit:
                raise TitleError(
                    f"title {self.title.name}: simulation.retention.d{age}: {share} is above"
                    f" {float(habit):.3f}, the share of days on which its archetypes sign on;"
                    " lower it, or give more players the daily archetype"
                )
        # every operation in the exact context: other code may set the thread's own
        with localcontext(_EXACT):
            logs = {age: _ln(Fraction(str(share)) / habit) for age, share in points.items()}
            table = [ONE]
            for age in range(1, length + 1):
                low, high = (1, 7) if age < 7 else (7, 30)
                slope = (logs[high] - logs[low]) / (_ln(high) - _ln(low))
                value = (logs[low] + slope * (_ln(age) - _ln(low))).exp()
                table.append(min(table[-1], int(value * ONE)))
        return table

    # -- who signs on ------------------------------------------------------------------------------

    def active(self, day: date) -> Players:
        """The players who sign on that day: new ones always, others by their archetype's habit."""
        alive = self.alive(day)
        key = stream_key(self.title.seed, "signon", day.toordinal())
        chance = np.array([*self._chances(day), ONE], np.int64)
        newly = alive.signup == self._age(day)
        draw = top_bits(mix(key, alive.number))
        return alive.take(np.flatnonzero(draw < chance[np.where(newly, 3, alive.archetype)]))

    def signed_on(self, players: Players, day: I64) -> npt.NDArray[np.bool_]:
        """Whether each player, alive then, signed on on its own ``day`` (days since launch)."""
        result = np.zeros(len(players), bool)
        for one in np.unique(day):
            which = np.flatnonzero(day == one)
            on = self.title.launch_date + timedelta(days=int(one))
            key = stream_key(self.title.seed, "signon", on.toordinal())
            chance = np.array(self._chances(on), np.int64)[players.archetype[which]]
            draw = top_bits(mix(key, players.number[which]))
            result[which] = (draw < chance) | (players.signup[which] == one)
        return result

    def expected_active(self, day: date) -> int:
        """About how many players sign on that day, from the curves alone (no draw)."""
        age = self._age(day)
        if age < 0:
            return 0
        self.signed_up_by(age)
        by_end = np.array([0, *self._signed_up[: age + 1]], np.int64)
        alive = int(((by_end[1:] - by_end[:-1]) * self.survival(age)[age::-1]).sum()) >> 32
        return (alive * threshold(self.mean_habit)) >> 32

    def _chances(self, day: date) -> list[int]:
        """The chance of a sign-on per archetype on that day, in 1/2^32."""
        factor = Fraction(str(self.simulation.signons.weekly_cycle[day.weekday()]))
        weekday = WEEKDAY if day.weekday() < 5 else WEEKEND
        # a year is 1,461 / 4 days; with 8 * 1,461 steps a turn, a day is a whole number of steps
        turn = 8 * 1461
        step = CYCLES_A_YEAR * 4 * 8 * day.toordinal()
        # the sine is the cosine, a quarter of a turn later
        swing = Fraction(float(cosine(turn)[(step - turn // 4) % turn]))
        cyclical = Fraction(CYCLE_MEAN) + Fraction(str(CYCLE_SWING)) * swing
        habits = (Fraction(str(DAILY)), Fraction(str(weekday)), cyclical)
        return [min(ONE, int(habit * factor * ONE)) for habit in habits]

    @cached_property
    def mean_habit(self) -> Fraction:
        """The share of days on which a living player signs on, over archetypes, week and year."""
        cycle = [Fraction(str(factor)) for factor in self.simulation.signons.weekly_cycle]
        means = (
            Fraction(str(DAILY)),
            # the cycle's mean is 1, but not over the working days alone
            (Fraction(str(WEEKDAY)) * sum(cycle[:5]) + Fraction(str(WEEKEND)) * sum(cycle[5:])) / 7,
            Fraction(CYCLE_MEAN),
        )
        shares = [Fraction(str(self.simulation.archetypes.get(name, 0))) for name in ARCHETYPES]
        return sum((s * m for s, m in zip(shares, means, strict=True)), Fraction(0))

    def _age(self, day: date) -> int:
        return (day - self.title.launch_date).days

    def _ordinal(self, age: int) -> int:
        return self.title.launch_date.toordinal() + age


def _sizes(firsts: list[I64], by_end: I64) -> list[I64]:
    """The sizes of the archetypes of each cohort, from where they start."""
    return [
        (firsts[i + 1] if i + 1 < len(firsts) else by_end[1:]) - first
        for i, first in enumerate(firsts)
    ]


def _join(firsts: object, counts: object, signups: object, archetypes: object) -> Players:
    """Runs of consecutive player numbers, as one Players."""
    first, count = np.asarray(firsts, np.int64), np.asarray(counts, np.int64)
    total = int(count.sum())
    before = np.cumsum(count) - count
    number = np.arange(total, dtype=np.int64) + np.repeat(first - before, count)
    return Players(
        number,
        np.repeat(np.asarray(signups, np.int32), count),
        np.repeat(np.asarray(archetypes, np.uint8), count),
    )


def _ln(value: int | Fraction) -> Decimal:
    if isinstance(value, Fraction):
        return _EXACT.ln(_EXACT.divide(Decimal(value.numerator), Decimal(value.denominator)))
    return _EXACT.ln(Decimal(value))


def _decay(growth: CompoundGrowth, length: int) -> list[int]:
    """(1 - decay)^a in 1/2^32, with 32 more bits carried so that rounding does not add up."""
    staying = 1 - Fraction(str(growth.daily_decay))
    value, table = ONE << 32, []
    for _ in range(length + 1):
        table.append(value >> 32)
        value = value * staying.numerator // staying.denominator
    return table


class _CompoundSignups:
    """Day 0 brings the starting players, each later day ``daily_growth`` of the living ones."""

    def __init__(self, growth: CompoundGrowth) -> None:
        self.growth = growth
        self._rate = Fraction(str(growth.daily_growth))
        self._net = 1 + self._rate - Fraction(str(growth.daily_decay))
        self._living = [growth.starting_players << 64]  # in 1/2^64 players
        self._total = [growth.starting_players << 64]

    def cumulative(self, day: int) -> int:
        """Sign-ups by the end of the day, in 1/2^32 players."""
        while len(self._total) <= day:
            living = self._living[-1]
            new = living * self._rate.numerator // self._rate.denominator
            self._total.append(self._total[-1] + new)
            self._living.append(living * self._net.numerator // self._net.denominator)
        return self._total[day] >> 32


class _TargetSignups:
    """A launch wave that fades as a power of the day, over a steady stream."""

    def __init__(self, growth: TargetGrowth) -> None:
        self.growth = growth
        self._fade = Decimal(str(growth.launch_fade))
        self._wave: list[int] = []  # cumulative (d + 1) ** -fade, in 1/2^32
        for day in range(growth.days):
            self._extend(day)
        self._launch = Fraction(str(growth.launch_share))

    def _extend(self, day: int) -> None:
        with localcontext(_EXACT):
            weight = int((-self._fade * _ln(day + 1)).exp() * ONE)
        self._wave.append((self._wave[-1] if self._wave else 0) + weight)

    def cumulative(self, day: int) -> int:
        """Sign-ups by the end of the day, in 1/2^32 players. Beyond the target's last day both the
        wave and the stream continue."""
        while len(self._wave) <= day:
            self._extend(len(self._wave))
        wave = self._launch * Fraction(self._wave[day], self._wave[self.growth.days - 1])
        steady = (1 - self._launch) * Fraction(day + 1, self.growth.days)
        return int((wave + steady) * self.growth.players * ONE)


def _signups(simulation: Simulation) -> _CompoundSignups | _TargetSignups:
    if isinstance(simulation.growth, CompoundGrowth):
        return _CompoundSignups(simulation.growth)
    return _TargetSignups(simulation.growth)
