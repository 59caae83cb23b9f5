"""What each player of a week will probably do next, by the models that are served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from sprint_platform.ml.features import F64, read_rows
from sprint_platform.ml.scores import BINS
from sprint_platform.ml.training import CLASSES, Trained


@dataclass(frozen=True)
class Predictions:
    """Of a week's players, shape (n,) each: the chances to leave and to buy within 14 days, to
    spend anything within 30 and the amount then, and the tenth (1: most likely) by the chance to
    buy. What has no model is NaN, and the tenth 0."""

    week: date
    version: str
    player: npt.NDArray[np.void]
    leaves: F64
    buys: F64
    pays: F64
    amount: F64
    decile: npt.NDArray[np.int16]

    @property
    def spend(self) -> F64:
        """What each will spend within 30 days, on average."""
        return self.pays * self.amount


def predict(con: duckdb.DuckDBPyConnection, trained: Trained, week: date) -> Predictions:
    """The predictions for the players of the week (its Monday)."""
    rows = read_rows(con, trained.title, [week])
    with threadpool_limits(1):
        matrix = trained.columns.matrix(rows)
        unknown = np.full(len(rows), np.nan)
        leaves, buys = (
            trained.classifier(label).chance(matrix) if label in trained.served else unknown
            for label in CLASSES
        )
        pays, amount = unknown, unknown
        if trained.value_now is not None:
            pays, amount = trained.value_now.expected(matrix)
    tenths = np.zeros(len(rows), np.int16) if buys is unknown else deciles(buys)
    return Predictions(week, trained.version, rows.player, leaves, buys, pays, amount, tenths)


def deciles(score: F64) -> npt.NDArray[np.int16]:
    """1 for the tenth with the highest scores, to 10; of equal scores those that come first are
    higher."""
    found = np.empty(len(score), np.int16)
    order = np.argsort(-score, kind="stable")
    found[order] = np.arange(len(score)) * BINS // max(len(score), 1) + 1
    return found
