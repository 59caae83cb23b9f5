"""Paths that are linear in a few small integers per player: coefficients times a basis table.

The product is a float32 matrix product (the fastest thing a processor does), and exact: every
partial sum is an integer below 2^24, whatever the order in which a library adds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import remix, stream_key

# Coefficients are signed bytes, eight from each draw.
LARGEST_COEFFICIENT = 128
# Basis values are fixed-point numbers with 13 bits: 1.0 is 8,192.
BASIS_BITS = 13
# A coefficient of 128 at a basis of 1.0 leads as far as the reach.
FULL_BITS = BASIS_BITS + 7


def basis_table(values: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float32]:
    """Basis functions, each of shape (beats,), as fixed-point integers in float32: (K, beats).

    Raises ValueError where a sum could leave the integers that float32 holds exactly.
    """
    table = np.rint(np.stack(values) * (1 << BASIS_BITS))
    worst = float(np.abs(table).sum(axis=0).max()) * LARGEST_COEFFICIENT
    if worst >= 1 << 24:
        raise ValueError(f"a path's partial sums reach {worst:g}, which float32 does not hold")
    return table.astype(np.float32)


def random_coefficients(
    key: npt.NDArray[np.uint64], model: str, count: int
) -> npt.NDArray[np.float32]:
    """Uniform integers from -128 to 127 in float32, shape (3, players, count)."""
    blocks = -(-count // 8)
    out = np.empty((3, key.size, blocks * 8), np.float32)
    for axis in range(3):
        for block in range(blocks):
            draw = remix(key, stream_key(axis, model, block)).astype("<u8", copy=False)
            out[axis, :, 8 * block : 8 * block + 8] = draw.view(np.int8).reshape(-1, 8)
    return out[:, :, :count]


def linear_paths(
    coefficients: npt.NDArray[np.float32],
    basis: npt.NDArray[np.float32],
    reach: tuple[int, int, int],
) -> npt.NDArray[np.int32]:
    """Displacements in hundredths, shape (3, players, beats)."""
    out = np.empty((3, coefficients.shape[1], basis.shape[1]), np.int32)
    for axis in range(3):
        np.copyto(out[axis], np.matmul(coefficients[axis], basis), casting="unsafe")
        # the sums have up to 24 bits: drop what would not fit beside the reach in 31
        drop = min(FULL_BITS, max(0, 24 + int(reach[axis]).bit_length() - 31))
        np.right_shift(out[axis], drop, out=out[axis])
        np.multiply(out[axis], np.int32(reach[axis]), out=out[axis])
        np.right_shift(out[axis], FULL_BITS - drop, out=out[axis])
    return out
