"""Smooth paths through hashed way-points: cubic Bezier segments whose ends join smoothly.

The control points are those of a Catmull-Rom spline (each way-point's tangent is half of the way
between its neighbours), so a position is linear in the way-points.
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

# A way-point every 6 beats: three minutes of walking in one direction.
BEATS_PER_WAYPOINT = 3


def paths(
    key: npt.NDArray[np.uint64], beats: int, reach: tuple[int, int, int]
) -> npt.NDArray[np.int32]:
    """Displacements in hundredths, shape (3, players, beats); see the package."""
    basis = _basis(beats)
    return linear_paths(random_coefficients(key, "bezier", len(basis)), basis, reach)


@lru_cache(maxsize=512)
def _basis(beats: int) -> npt.NDArray[np.float32]:
    """The weight of each way-point but the first (which is the spawn point, 0) at each beat."""
    beat = np.arange(beats)
    segment, t = beat // BEATS_PER_WAYPOINT, (beat % BEATS_PER_WAYPOINT) / BEATS_PER_WAYPOINT
    # the Catmull-Rom basis in a segment, for the way-points before, at, after and beyond it
    weights = (
        ((-t + 2.0) * t - 1.0) * t * 0.5,
        ((3.0 * t - 5.0) * t * t + 2.0) * 0.5,
        ((-3.0 * t + 4.0) * t + 1.0) * t * 0.5,
        (t - 1.0) * t * t * 0.5,
    )
    waypoints = -(-beats // BEATS_PER_WAYPOINT) + 2
    values = np.zeros((waypoints, beats))
    for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
        # there is nothing before the spawn point: the path starts as if it had stood there
        at = np.maximum(segment + offset, 0)
        np.add.at(values, (at, beat), weight)
    return basis_table(list(values[1:]))
