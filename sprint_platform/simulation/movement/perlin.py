"""Gradient noise (Perlin 1985) over time, per axis: wandering without a destination.

Two octaves. Between two lattice points the value blends what their gradients say with Perlin's
fade 6t^5 - 15t^4 + 10t^3; it is linear in the gradients, and 0 at the first lattice point.
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

# (beats between lattice points, amplitude): slow wandering, and a quicker one on top
OCTAVES = ((15, 2.5), (5, 0.6))


def paths(
    key: npt.NDArray[np.uint64], beats: int, reach: tuple[int, int, int]
) -> npt.NDArray[np.int32]:
    """Displacements in hundredths, shape (3, players, beats); see the package's page."""
    basis = _basis(beats)
    return linear_paths(random_coefficients(key, "perlin", len(basis)), basis, reach)


@lru_cache(maxsize=512)
def _basis(beats: int) -> npt.NDArray[np.float32]:
    """The weight of each gradient at each beat, in the order in which a path meets them."""
    beat = np.arange(beats)
    rows = []
    for octave, (period, amplitude) in enumerate(OCTAVES):
        lattice, t = beat // period, (beat % period) / period
        fade = t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
        values = np.zeros((-(-beats // period) + 1, beats))
        values[lattice, beat] = amplitude * (1.0 - fade) * t
        values[lattice + 1, beat] = amplitude * fade * (t - 1.0)
        rows += [((point - 1) * period, octave, row) for point, row in enumerate(values)]
    # not octave after octave: a longer path would then read the second one's gradients from other
    # coefficients, and a player's path would depend on who else is made in the same step
    return basis_table([row for _, _, row in sorted(rows, key=lambda entry: entry[:2])])
