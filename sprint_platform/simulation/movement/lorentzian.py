"""Random walks with Lorentzian (Cauchy) step lengths: mostly small moves, now and then a dash.

The density of a step of length r is proportional to 1 / (1 + (r / w)^2): a sharp peak and a long
tail, cut off at the reach. Directions are even over the sphere. This is the one model that is a
running sum: 16 bits of a draw per beat pick one of 65,536 prepared steps.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import cosine, remix, stream_key

LENGTHS, DIRECTIONS = 256, 256
# The reach is tan 80 degrees = 5.67 widths: w is 10.6 units on the default grid. Half the steps are
# below 8.9 and 95 % below 42 units, where real players of an arena of this size have a median of
# 18.7 and a 95 % quantile of 34.7 in 30 s.
CUT_DEGREES = 80


def paths(
    key: npt.NDArray[np.uint64], beats: int, reach: tuple[int, int, int]
) -> npt.NDArray[np.int32]:
    """Displacements in hundredths, shape (3, players, beats); see the package."""
    blocks = -(-(beats - 1) // 4)
    noise = np.empty((blocks, key.size), "<u8")
    for block in range(blocks):
        noise[block] = remix(key, stream_key(0, "lorentzian", block))
    # beat after beat, all players' steps: sums along a player's are four times as slow
    pick = noise.view("<u2").reshape(blocks, key.size, 4).transpose(0, 2, 1)
    pick = pick.reshape(4 * blocks, key.size)[: beats - 1].astype(np.int64)
    out = np.zeros((3, key.size, beats), np.int32)
    for axis, steps in enumerate(_steps(reach)):
        step = steps.take(pick)
        out[axis, :, 1:] = np.add.accumulate(step, axis=0, out=step).T
    return out


@lru_cache(maxsize=16)
def _steps(reach: tuple[int, int, int]) -> npt.NDArray[np.int32]:
    """The prepared steps in hundredths, shape (3, 65,536): every length in every direction."""
    # tan of evenly spaced angles is the half-Cauchy's quantile, w tan(pi u / 2); the angles end at
    # the cut, so a step beyond the reach is never drawn (clipped, a tenth would be one length)
    turns = 2 * LENGTHS * 360 // CUT_DEGREES
    angle = 2 * np.arange(LENGTHS) + 1
    cos, cut = cosine(turns), 2 * LENGTHS
    sin = np.roll(cos, turns // 4)
    length = (sin[angle] / cos[angle]) * (cos[cut] / sin[cut])
    # a spiral over the sphere (Fibonacci lattice): even heights, golden-angle turns
    height = (2.0 * np.arange(DIRECTIONS) + 1.0) / DIRECTIONS - 1.0
    flat = np.sqrt(1.0 - height * height)
    golden = (np.arange(DIRECTIONS) * 40_503) % 65_536
    circle = cosine(65_536)
    direction = (flat * circle[golden], flat * circle[(golden - 16_384) % 65_536], height)
    return np.stack(
        [
            np.rint(np.outer(length, along) * float(far)).astype(np.int32).reshape(-1)
            for along, far in zip(direction, reach, strict=True)
        ]
    )
