"""Counter-based randomness: every decision is a hash of what it is about, compared with integers.

A draw is ``mix(seed, stream, entity, day)``: no generator is carried from one row to the next, so a
row is the same whether its day is made alone, in a range, in chunks or in another process. All
arithmetic is on 64-bit integers that wrap; where a curve needs a real function, it becomes an
integer table, made with operations that IEEE 754 (or Python's integers) define to the last bit.
Floats never decide a row: numpy's exp, log and sums differ between processors.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]

# Steps of 16,384 rows: a few temporaries of 128 KiB stay in the processor's second-level cache.
STEP = 16_384

ONE = 1 << 32  # probability 1 in the thresholds and tables below
_MASK = (1 << 64) - 1
# constants of splitmix64 (Steele, Lea, Flood 2014; finalizer variant 13 of Stafford)
_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLY_1 = 0xBF58476D1CE4E5B9
_MULTIPLY_2 = 0x94D049BB133111EB
# as numpy has them: to make one takes as long as to use it on a small array
_GOLDEN_STEP = np.uint64(_GOLDEN)
_FINALIZER = (
    (np.uint64(30), np.uint64(_MULTIPLY_1)),
    (np.uint64(27), np.uint64(_MULTIPLY_2)),
)
_LAST_SHIFT = np.uint64(31)


def mix_scalar(*words: int) -> int:
    """A 64-bit hash of a few integers: the key of a stream. Plain Python integers in and out."""
    state = 0
    for word in words:
        state = (state + _GOLDEN + (word & _MASK)) & _MASK
        state = ((state ^ (state >> 30)) * _MULTIPLY_1) & _MASK
        state = ((state ^ (state >> 27)) * _MULTIPLY_2) & _MASK
        state ^= state >> 31
    return state


@lru_cache(maxsize=4_096)
def stream_key(seed: int, stream: str, day: int = 0) -> int:
    """The key of one kind of decision (``stream``) of one world (``seed``) on one day.

    ``day`` is the day's ordinal (``date.toordinal``), never an offset from a horizon: a longer
    range must not change an old day. What has no days may give another number that never changes,
    as the event log gives its batch's.
    """
    encoded = stream.encode()
    if len(encoded) > 24:  # longer names would share the stream of their beginning
        raise ValueError(f"a stream's name has at most 24 bytes, and '{stream}' has {len(encoded)}")
    name = int.from_bytes(encoded, "little")
    return mix_scalar(seed, name & _MASK, (name >> 64) & _MASK, name >> 128, day)


def mix(key: int, entity: npt.NDArray[np.integer]) -> U64:
    """One 64-bit draw per entity, uniform and independent between keys.

    ``entity`` holds integers of any type, for example player numbers; the result has its shape.
    """
    out = np.array(entity, np.uint64, order="C")
    flat = out.reshape(-1)
    spare = np.empty(min(STEP, flat.size), np.uint64)
    for start in range(0, flat.size, STEP):
        x = flat[start : start + STEP]
        x *= _GOLDEN_STEP
        x += np.uint64(key)
        _finalize(x, spare[: x.size])
    return out


def remix(draw: U64, key: int) -> U64:
    """A further draw from a draw, for example one per (player-session, beat block)."""
    return mix(key, draw)


def _finalize(x: U64, t: U64) -> None:
    """splitmix64's finalizer, in place; ``t`` is scratch of the same size."""
    for shift, factor in _FINALIZER:
        np.right_shift(x, shift, out=t)
        x ^= t
        x *= factor
    np.right_shift(x, _LAST_SHIFT, out=t)
    x ^= t


def top_bits(draw: U64, bits: int = 32) -> npt.NDArray[np.int64]:
    """The draw's upper ``bits`` (at most 62) as a signed integer in [0, 2^bits)."""
    return (draw >> np.uint64(64 - bits)).astype(np.int64)


def below(draw: U64, n: int | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A uniform integer in [0, n), n up to 2^31 (a scalar or one n per draw)."""
    return (top_bits(draw) * n) >> 32


@lru_cache(maxsize=1_024)
def threshold(probability: float | Fraction) -> int:
    """The probability in 1/2^32: a draw succeeds where ``top_bits(draw) < threshold(p)``."""
    return int(Fraction(probability).limit_denominator(10**9) * ONE)


def cumulative(weights: Sequence[float]) -> list[int]:
    """Cumulative shares of the weights in 1/2^32, ending at exactly 2^32."""
    exact = [Fraction(w).limit_denominator(10**9) for w in weights]
    total = sum(exact)
    if total <= 0:
        raise ValueError("weights must not all be zero")
    bounds, running = [], Fraction(0)
    for weight in exact:
        running += weight
        bounds.append(int(running / total * ONE))
    return bounds


def picker(weights: Sequence[float]) -> npt.NDArray[np.uint8]:
    """A table of 65,536 choices: ``picker(w)[draw >> 48]`` picks i with probability w[i]/sum(w).

    The share of each choice is exact to 1/65,536.
    """
    ends = [bound >> 16 for bound in cumulative(weights)]
    table = np.zeros(65_536, np.uint8)
    start = 0
    for choice, end in enumerate(ends):
        table[start:end] = choice
        start = end
    return table


def pick(table: npt.NDArray, draw: U64) -> npt.NDArray:
    """The entries of a 65,536-entry table at the draws' upper 16 bits."""
    return table.take((draw >> np.uint64(48)).view(np.int64))


@lru_cache(maxsize=64)
def cosine(turns: int) -> npt.NDArray[np.float64]:
    """cos(2 pi i / turns) for i in 0 … turns-1, the same bits on every processor.

    The Taylor series around 0, with one multiplication or addition per numpy call (each correctly
    rounded by IEEE 754, none of them fused); ``np.cos`` may differ in the last bit between
    processors and would move a rounded position. ``turns`` is divisible by 8; error < 1e-15.
    """
    if turns % 8:
        raise ValueError(f"turns must be divisible by 8, not {turns}")
    eighth = turns // 8
    angle = np.arange(eighth + 1, dtype=np.float64) * (2.0 * 3.141592653589793 / turns)
    square = angle * angle
    cos = np.ones_like(angle)
    sin = angle.copy()
    cos_term, sin_term = np.ones_like(angle), angle.copy()
    for n in range(1, 11):
        cos_term = cos_term * square / -(2.0 * n * (2.0 * n - 1.0))
        sin_term = sin_term * square / -(2.0 * n * (2.0 * n + 1.0))
        cos = cos + cos_term
        sin = sin + sin_term
    # cos on [0, pi/4] as computed, on (pi/4, pi/2] from sin, then mirrored into a full turn
    quarter = np.concatenate([cos, sin[eighth - 1 :: -1]])
    half = np.concatenate([quarter, -quarter[-2::-1]])
    return np.concatenate([half, half[-2:0:-1]])


def uuids(seed: int, kind: str, index: npt.NDArray[np.integer]) -> npt.NDArray[np.void]:
    """UUIDs (version 8, RFC 9562 variant) that are a pure function of (seed, kind, index).

    Returns shape (n,) of 16-byte values in the order of the UUID's text.
    """
    words = np.empty((index.size, 2), np.uint64)
    words[:, 0] = mix(stream_key(seed, kind + "/high"), index)
    words[:, 1] = mix(stream_key(seed, kind + "/low"), index)
    words[:, 0] &= np.uint64(0xFFFF_FFFF_FFFF_0FFF)
    words[:, 0] |= np.uint64(0x0000_0000_0000_8000)
    words[:, 1] &= np.uint64(0x3FFF_FFFF_FFFF_FFFF)
    words[:, 1] |= np.uint64(0x8000_0000_0000_0000)
    return words.astype(">u8").view("V16").reshape(-1)
