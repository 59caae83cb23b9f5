"""How often players buy, and what: purses that differ much, and tastes."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import ONE, mix, stream_key
from sprint_platform.simulation.lifetimes import EXACT, I64
from sprint_platform.simulation.products import Shop

# A purse is the sum of eight even bytes, which is as good as normally distributed.
PURSES = 8 * 255 + 1
# Skins or emotes are liked, and the price is all, much, or nothing.
LIKED_KINDS = ("Skin", "Emote")
THRIFT = (2, 1, 0)
TASTES = len(LIKED_KINDS) * len(THRIFT)
# What is liked sells so many times as often as what is not.
LIKED = 3


def purse(seed: int, number: I64) -> I64:
    """How readily each player pays: 0 … PURSES - 1, bell-shaped."""
    draw = mix(stream_key(seed, "purse"), number).astype("<u8", copy=False)
    return draw.view(np.uint8).reshape(-1, 8).sum(axis=1, dtype=np.int64)


@lru_cache(maxsize=16)
def purses(spread: float) -> list[int]:
    """How many times as often as the mean a player buys, by purse, in 1/2^32: lognormal with
    ``spread`` as the standard deviation of the logarithm, and a mean of 1 over players."""
    ways = [1]
    for _ in range(8):
        # how many of the bytes' combinations add up to each sum
        upto = [0]
        for n in range(len(ways) + 255):
            upto.append(upto[-1] + (ways[n] if n < len(ways) else 0))
        ways = [upto[n + 1] - upto[max(0, n - 255)] for n in range(len(ways) + 255)]
    with localcontext(EXACT):
        deviation = (Decimal(8 * (256**2 - 1)) / 12).sqrt()
        step = Decimal(str(spread)) / deviation
        times = [(step * (n - PURSES // 2)).exp() for n in range(PURSES)]
        mean = sum(Decimal(w) * t for w, t in zip(ways, times, strict=True)) / Decimal(256**8)
        return [int(t / mean * ONE) for t in times]


def tastes(shop: Shop, shelf: npt.NDArray[np.intp]) -> I64:
    """By taste, where the shares of the shelf's products end in 1/2^32: (TASTES, products)."""
    kinds = shop.kind.take(shelf).to_pylist()
    cents = shop.cents[shelf].tolist()
    return np.array(
        [
            cumulative_shares(
                [
                    Fraction(LIKED if kind == liked else 1, max(price, 1) ** thrift)
                    for kind, price in zip(kinds, cents, strict=True)
                ]
            )
            for liked in LIKED_KINDS
            for thrift in THRIFT
        ],
        np.int64,
    )


def cumulative_shares(weights: list[Fraction]) -> list[int]:
    """Where the weights' shares end in 1/2^32, exactly: they may be small."""
    total, running, ends = sum(weights), Fraction(0), []
    for weight in weights:
        running += weight
        ends.append(int(running / total * ONE))
    return ends
