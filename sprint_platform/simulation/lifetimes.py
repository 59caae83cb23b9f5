"""How long players stay: survival by age, from a title's retention or its daily decay.

Retention counts sign-ons on a day, and who is about to leave signs on less and less: habit fades
over the last days of a life. So survival is solved backwards, from the oldest age to the youngest,
such that the sign-ons of those who stay and of those who fade add up to the title's retention.
"""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import ONE
from sprint_platform.title import CompoundGrowth, Retention

I64 = npt.NDArray[np.int64]

# Decimal's ln and exp are correctly rounded at any precision on every machine, unlike float's.
EXACT = Context(prec=40)

# Habit fades over so many last days, or over a third of the life where that is less.
FADE_DAYS = 14
# Survival is solved from this age; who reaches it stays. Part of the format: another age would
# change every younger one's bits.
OLDEST = 2_000

FADE_BITS = 16
# shares of a cohort while they are solved
_FINE = 1 << 64


class Unreachable(ValueError):
    """A retention that no survival has, with this habit."""


def ln(value: int | Fraction) -> Decimal:
    """The natural logarithm to 40 digits."""
    if isinstance(value, Fraction):
        return EXACT.ln(EXACT.divide(Decimal(value.numerator), Decimal(value.denominator)))
    return EXACT.ln(Decimal(value))


@lru_cache(maxsize=1)
def fading() -> I64:
    """What is left of the habit in 1/2^16, by (days over which it fades, days that remain): all of
    it while more days remain, half of it on the last day."""
    table = np.full((FADE_DAYS + 1, FADE_DAYS + 1), 1 << FADE_BITS, np.int64)
    for window in range(1, FADE_DAYS + 1):
        for remaining in range(window):
            table[window, remaining] = (1 << (FADE_BITS - 1)) * (window + remaining) // window
    return table


def fade_window(life: int | I64) -> int | I64:
    """Over how many last days the habit of somebody fades whose last age is ``life``."""
    return np.minimum(life // 3, FADE_DAYS)


def decay(growth: CompoundGrowth, length: int) -> I64:
    """(1 - decay)^a in 1/2^32, with 32 more bits carried so that rounding does not add up."""
    staying = 1 - Fraction(str(growth.daily_decay))
    value, table = ONE << 32, []
    for _ in range(length + 1):
        table.append(value >> 32)
        value = value * staying.numerator // staying.denominator
    return np.array(table, np.int64)


@lru_cache(maxsize=64)
def survival(retention: Retention, habit: Fraction) -> I64:
    """S[a] in 1/2^32 for a = 0 … OLDEST: the share of a cohort that still plays at age a.

    ``habit`` is the share of days on which somebody signs on who is not about to leave. Raises
    Unreachable where no survival that falls from 1 has this retention.
    """
    scale = _FINE * habit.denominator
    wanted = [share * scale // (habit.numerator * _FINE) for share in _curve(retention)]
    fade, full = fading().tolist(), 1 << FADE_BITS
    lost = [
        [full - fade[int(fade_window(life))][left] for left in range(FADE_DAYS)]
        for life in range(3 * FADE_DAYS + 1)
    ]
    # the share of a cohort whose last day is at each age; the oldest ones never fade
    ending = [0] * (OLDEST + FADE_DAYS)
    ending[OLDEST] = staying = wanted[OLDEST]
    table = [0] * OLDEST + [staying]
    for age in range(OLDEST - 1, 0, -1):
        missing = sum(
            ending[age + left] * lost[min(age + left, 3 * FADE_DAYS)][left]
            for left in range(1, min(FADE_DAYS, OLDEST - age))
        )
        rest = wanted[age] - staying + (missing >> FADE_BITS)
        if rest < 0:
            raise Unreachable
        ending[age] = rest * full // (full - lost[min(age, 3 * FADE_DAYS)][0])
        staying += ending[age]
        table[age] = staying
    table[0] = _FINE
    if staying > _FINE:
        raise Unreachable
    return np.array([share >> 32 for share in table], np.int64)


def _curve(retention: Retention) -> list[int]:
    """Retention by age in 1/2^64: a power law between its points (a * n^b with a kink after week 1)
    that goes on beyond D30 with the last exponent."""
    # every operation in the exact context: other code may set the thread's own
    with localcontext(EXACT):
        points = {1: retention.d1, 7: retention.d7, 30: retention.d30}
        logs = {age: ln(Fraction(str(share))) for age, share in points.items()}
        table = [_FINE]
        for age in range(1, OLDEST + 1):
            low, high = (1, 7) if age < 7 else (7, 30)
            slope = (logs[high] - logs[low]) / (_ln_age(high) - _ln_age(low))
            value = (logs[low] + slope * (_ln_age(age) - _ln_age(low))).exp()
            table.append(int(value * _FINE))
        return table


@lru_cache(maxsize=OLDEST + 1)
def _ln_age(age: int) -> Decimal:
    return ln(age)


def highest(retention: Retention, habit: Fraction) -> tuple[str, float]:
    """Of a retention that is unreachable, the point to lower (d30, d7 or d1) and the highest share
    there, in thousandths, that can be reached with the others as they are; where lowering one is
    not enough, d1 and the highest that it can be with d7 and d30 in proportion."""

    def reachable(**points: float) -> bool:
        try:
            survival(Retention.model_validate(retention.model_dump() | points), habit)
        except ValueError:
            return False
        return True

    def most(name: str, top: float, others: tuple[str, ...] = ()) -> float:
        low, high = 0, round(top * 1000)
        while low < high:
            middle = (low + high + 1) // 2
            points = {
                part: getattr(retention, part) * middle / (top * 1000) for part in (name, *others)
            }
            low, high = (middle, high) if reachable(**points) else (low, middle - 1)
        return low / 1000

    for name in ("d30", "d7", "d1"):
        found = most(name, getattr(retention, name))
        if found:
            return name, found
    return "d1", most("d1", retention.d1, ("d7", "d30"))


def returning(staying: I64) -> I64:
    """The sign-ons of a cohort by age over those that its habit would bring if all of it stayed, in
    1/2^32: its survival without what fades. ``staying`` is its survival; the result is as long as
    that, less the days of fading."""
    ending = staying[:-1] - staying[1:]
    ages = np.arange(len(staying) - FADE_DAYS)
    result = staying[ages].copy()
    for left in range(FADE_DAYS):
        life = ages + left
        lost = (1 << FADE_BITS) - fading()[fade_window(life), left]
        result -= (ending[life] * lost) >> FADE_BITS
    return result
