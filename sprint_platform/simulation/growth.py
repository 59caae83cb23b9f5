"""How many players sign up by when: cumulative curves in fixed-point numbers."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Protocol

from sprint_platform.draws import ONE
from sprint_platform.simulation.lifetimes import EXACT, I64, ln
from sprint_platform.title import CompoundGrowth, SteadyGrowth, TargetGrowth


class SignUps(Protocol):
    """Sign-ups by the end of a day (days since launch), in 1/2^32 players."""

    def cumulative(self, day: int) -> int: ...


class CompoundSignUps:
    """Day 0 brings the starting players, each later day ``daily_growth`` of the living ones."""

    def __init__(self, growth: CompoundGrowth) -> None:
        self._rate = Fraction(str(growth.daily_growth))
        self._net = 1 + self._rate - Fraction(str(growth.daily_decay))
        self._living = [growth.starting_players << 64]  # in 1/2^64 players
        self._total = [growth.starting_players << 64]

    def cumulative(self, day: int) -> int:
        while len(self._total) <= day:
            living = self._living[-1]
            new = living * self._rate.numerator // self._rate.denominator
            self._total.append(self._total[-1] + new)
            self._living.append(living * self._net.numerator // self._net.denominator)
        return self._total[day] >> 32


class TargetSignUps:
    """A launch wave that fades as a power of the day, over a steady stream. Beyond the target's
    last day both continue."""

    def __init__(self, growth: TargetGrowth) -> None:
        self.growth = growth
        self._fade = Decimal(str(growth.launch_fade))
        self._wave: list[int] = []  # cumulative (d + 1) ** -fade, in 1/2^32
        for day in range(growth.days):
            self._extend(day)
        self._launch = Fraction(str(growth.launch_share))

    def _extend(self, day: int) -> None:
        with localcontext(EXACT):
            weight = int((-self._fade * ln(day + 1)).exp() * ONE)
        self._wave.append((self._wave[-1] if self._wave else 0) + weight)

    def cumulative(self, day: int) -> int:
        while len(self._wave) <= day:
            self._extend(len(self._wave))
        wave = self._launch * Fraction(self._wave[day], self._wave[self.growth.days - 1])
        steady = (1 - self._launch) * Fraction(day + 1, self.growth.days)
        return int((wave + steady) * self.growth.players * ONE)


class SteadySignUps:
    """Each day brings those who are missing of the active players: everybody plays on the day of
    the sign-up, and ``returns`` (shares in 1/2^32 by age) says how many of each earlier day do."""

    def __init__(self, growth: SteadyGrowth, returns: I64) -> None:
        self._active = growth.active_players << 32
        self._returns = returns.tolist()
        self._new: list[int] = []
        self._total = [0]

    def cumulative(self, day: int) -> int:
        while len(self._new) <= day:
            age = len(self._new)
            # who is older than the table returns as often as its last entry says
            older = sum(self._new[: max(0, age + 1 - len(self._returns))])
            recent = self._new[max(0, age + 1 - len(self._returns)) :]
            back = older * self._returns[-1] + sum(
                new * share
                for new, share in zip(recent, self._returns[len(recent) : 0 : -1], strict=True)
            )
            self._new.append(max(0, self._active - (back >> 32)))
            self._total.append(self._total[-1] + self._new[-1])
        return self._total[day + 1]
