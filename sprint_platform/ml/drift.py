"""Whether players are still those that a model learned from: the population stability index (PSI)
of each feature and score, over ten equally large groups of the training rows. 0 is alike; more than
0.1 is worth a look, more than 0.25 is another population (industry rule of thumb)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sprint_platform.ml.features import F64

GROUPS = 10
LARGEST = 0.25
# An empty group counts as so small a share: the index has a logarithm.
_LEAST = 1e-4
# The day of the month, and what grows with a young game: neither is what players are like.
NOT_COMPARED = {"days_to_next_month", "tenure_days"}


@dataclass(frozen=True)
class Reference:
    """Where the groups of a figure end, ascending (without the last, which has no end), and which
    share of the training rows each has; the last share is of what is not known."""

    ends: F64
    shares: F64


def reference_of(values: F64) -> Reference:
    """The groups of these values. Equal values are in one group, so that there may be fewer."""
    known = values[~np.isnan(values)]
    ends = np.empty(0)
    if len(known):
        ends = np.unique(np.quantile(known, np.linspace(0, 1, GROUPS + 1)[1:-1]))
    return Reference(ends, _shares(values, ends))


def psi(of: Reference, values: F64) -> float:
    """How far these values are from the reference."""
    was, now = np.maximum(of.shares, _LEAST), np.maximum(_shares(values, of.ends), _LEAST)
    return float(np.sum((now - was) * np.log(now / was)))


def drifted(indices: Mapping[str, float]) -> dict[str, float]:
    """Those above ``LARGEST``, the largest first."""
    found = {name: index for name, index in indices.items() if index > LARGEST}
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def _shares(values: F64, ends: F64) -> F64:
    known = values[~np.isnan(values)]
    # a value that is an end belongs to the group that it ends
    counts = np.bincount(np.searchsorted(ends, known, side="left"), minlength=len(ends) + 1)
    all_counts = np.append(counts, len(values) - len(known)).astype(np.float64)
    return all_counts / max(len(values), 1)
