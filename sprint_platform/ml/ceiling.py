"""What could have been known: the chances with which the simulation drew what came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from sprint_platform.ml.features import F64, Rows, ids_of
from sprint_platform.ml.value import values_of
from sprint_platform.simulation.world import World

# The label, its chance in World.chances, and that of a player who has left for good.
_CHANCES = {
    "left_in_14_days": ("no_signon_in_14_days", 1.0),
    "bought_in_14_days": ("purchase_in_14_days", 0.0),
    "spend_in_30_days": ("expected_spend_in_30_days", 0.0),
}


def ceiling(world: World, rows: Rows, labels: Sequence[str]) -> dict[str, F64]:
    """For each of the labels the exact chance (of spending: the exact mean) of each of the rows, as
    the simulation has it at the end of the row's week. No model can be better, but by luck."""
    found = {label: np.empty(len(rows)) for label in labels}
    for week in np.unique(rows.week):
        which = np.flatnonzero(rows.week == week)
        sunday: date = week.astype(date) + timedelta(days=6)
        player, chances = _living(world, sunday)
        for label in labels:
            column, gone = _CHANCES[label]
            found[label][which] = values_of(rows.player[which], player, chances[column], gone)
    return found


def _living(world: World, day: date) -> tuple[npt.NDArray[np.void], dict[str, F64]]:
    ids, columns = [], {column: [] for column, _ in _CHANCES.values()}  # type: ignore[var-annotated]
    for table in world.chances(day):
        ids.append(ids_of(table))
        for column, parts in columns.items():
            parts.append(table[column].to_numpy())
    player = np.concatenate(ids) if ids else np.empty(0, "V16")
    return player, {c: np.concatenate(p) if p else np.empty(0) for c, p in columns.items()}
