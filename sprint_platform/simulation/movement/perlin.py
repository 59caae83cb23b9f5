"""Gradient noise (Perlin 1985) over time, per axis: wandering without a destination.

Two octaves. Between two lattice points the value blends those of their gradients with Perlin's fade
6t^5 - 15t^4 + 10t^3; it is linear in the gradients. A path is the change of the value since beat 0.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sprint_platform.simulation.movement.linear import (
    basis_table,
    linear_paths,
    random_coefficients,
)

# (beats between lattice points, beats from one to the start, amplitude): slow wandering, and a
# quicker one on top. The noise is 0 at every lattice point, so a walk that began at one, or whose
# octaves meet theirs together, would bring everybody back to one spot at the same beat.
OCTAVES = ((11, 5, 3.0), (5, 2, 1.4))


def paths(
    key: npt.NDArray[np.uint64], beats: int, reach: tuple[int, int, int]
) -> npt.NDArray[np.int32]:
    """Displacements in hundredths, shape (3, players, beats); see the package."""
    basis = _basis(beats)
    return linear_paths(random_coefficients(key, "perlin", len(basis)), basis, reach)


@lru_cache(maxsize=512)
def _basis(beats: int) -> npt.NDArray[np.float32]:
    """The weight of each gradient at each beat, in the order in which a path meets them."""
    beat = np.arange(beats)
    rows = []
    for octave, (period, start, amplitude) in enumerate(OCTAVES):
        lattice, t = (beat + start) // period, ((beat + start) % period) / period
        fade = t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
        values = np.zeros((int(lattice[-1]) + 2, beats))
        values[lattice, beat] = amplitude * (1.0 - fade) * t
        values[lattice + 1, beat] = amplitude * fade * (t - 1.0)
        for point, row in enumerate(values):
            rows.append(((point - 1) * period - start, octave, row - row[0]))
    # not octave after octave: a longer path would then read the second one's gradients from other
    # coefficients, and a player's path would depend on the others made in the same step
    return basis_table([row for _, _, row in sorted(rows, key=lambda entry: entry[:2])])
