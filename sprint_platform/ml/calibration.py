"""A score made a chance: the share of later weeks in which a score of that height came true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from sprint_platform.ml.features import F64

# What nobody of the calibration weeks did is not impossible.
LEAST_CHANCE = 1e-4


@dataclass(frozen=True)
class Calibration:
    """A rising curve of straight lines from scores to chances. Both are of the same length."""

    score: F64
    chance: F64

    def __call__(self, score: F64) -> F64:
        return np.interp(score, self.score, self.chance)


def calibrated(score: F64, came: F64) -> Calibration:
    """The curve of these rows by centred isotonic regression (Oron and Flournoy, 2017): isotonic
    regression (Zadrozny and Elkan, 2002) says one chance of each of many blocks of scores; from the
    middle of one block to the next the curve is a line. So it rises everywhere, and players are in
    the same order as by their scores."""
    level = IsotonicRegression().fit(score, came).predict(score)
    chance, block, rows = np.unique(level, return_inverse=True, return_counts=True)
    middle = np.bincount(block, score) / rows
    if len(middle) > 1:
        # on beyond the first and the last middle as between those two and their neighbours
        first = _on(middle[1], middle[0], chance[1], chance[0], float(score.min()))
        last = _on(middle[-2], middle[-1], chance[-2], chance[-1], float(score.max()))
        middle = np.concatenate([[score.min()], middle, [score.max()]])
        chance = np.concatenate([[first], chance, [last]])
    return Calibration(middle, np.clip(chance, LEAST_CHANCE, 1 - LEAST_CHANCE))


def _on(x1: float, x0: float, y1: float, y0: float, x: float) -> float:
    """Where the line from (x1, y1) over (x0, y0) is at x."""
    return y0 + (y0 - y1) * (x - x0) / (x0 - x1)
