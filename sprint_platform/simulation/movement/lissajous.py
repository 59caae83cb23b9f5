"""Lissajous curves: a patrol that swings on each axis with a frequency and a phase of its own.

On an axis the way from the start is A (cos(wt + p) - cos p): with p fixed per player-session it is
linear in A cos p and A sin p.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import cosine, remix, stream_key
from sprint_platform.simulation.movement.linear import basis_table, linear_paths

# Swings in 60 beats; an axis takes one of them.
FREQUENCIES = (1, 2, 3, 4)
TURN = 480  # table steps a turn: a beat at frequency f is 8 f of them
PHASES = 256


def paths(
    key: npt.NDArray[np.uint64], beats: int, reach: tuple[int, int, int]
) -> npt.NDArray[np.int32]:
    """Displacements in hundredths, shape (3, players, beats); see the package."""
    basis = _basis(beats)
    coefficients = np.zeros((3, key.size, 2 * len(FREQUENCIES)), np.float32)
    wave = np.rint(cosine(PHASES) * 100.0).astype(np.float32)
    row = np.arange(key.size)
    for axis in range(3):
        draw = remix(key, stream_key(axis, "lissajous"))
        phase = (draw >> np.uint64(56)).astype(np.intp)
        frequency = ((draw >> np.uint64(40)) % np.uint64(len(FREQUENCIES))).astype(np.intp)
        coefficients[axis, row, 2 * frequency] = wave[phase]
        coefficients[axis, row, 2 * frequency + 1] = -wave[(phase - PHASES // 4) % PHASES]
    return linear_paths(coefficients, basis, reach)


@lru_cache(maxsize=512)
def _basis(beats: int) -> npt.NDArray[np.float32]:
    """cos(wt) - 1 and sin(wt) for each frequency at each beat."""
    turn = cosine(TURN)
    rows = []
    for frequency in FREQUENCIES:
        step = (np.arange(beats) * (TURN // 60) * frequency) % TURN
        rows += [turn[step] - 1.0, turn[(step - TURN // 4) % TURN]]
    return basis_table(rows)
