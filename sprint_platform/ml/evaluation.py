"""How good the models are on weeks after those that they learned from: beside what is known without
a model, and beside what could have been known at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
from threadpoolctl import threadpool_limits

from sprint_platform.ml.features import F32, F64, NUMBERS, Rows, read_rows
from sprint_platform.ml.scores import (
    attainable,
    calibration_bins,
    classification_scores,
    normalised_gini,
    roc_auc,
    top_decile_lift,
    value_scores,
)
from sprint_platform.ml.training import MOST_ROWS, SPEND, Trained
from sprint_platform.ml.value import customers, expected_purchases, fit_purchases

# Given rows of a test and labels, the exact chance of each (ceiling.py); None where nobody knows.
Ceiling = Callable[[Rows, list[str]], dict[str, F64]]
CEILING = "ceiling"
TESTS = ("near", "far")
# How many rows of the near test say which features matter.
_ROWS_EXPLAINED = 20_000
# Without a model: of each label, what is known of a player, and in which direction it points.
BASELINES: dict[str, dict[str, tuple[str, int]]] = {
    "left_in_14_days": {
        "days since last active": ("days_since_active", 1),
        "days active in twelve weeks": ("days_active_12w", -1),
        "has bought before": ("purchases_12w", -1),
    },
    "bought_in_14_days": {
        "days since last active": ("days_since_active", -1),
        "days active in twelve weeks": ("days_active_12w", 1),
        "has bought before": ("purchases_12w", 1),
    },
    "spend_in_30_days": {
        "days since last active": ("days_since_active", -1),
        "days active in twelve weeks": ("days_active_12w", 1),
        "spent in twelve weeks": ("spend_12w", 1),
    },
}


@dataclass(frozen=True)
class Score:
    """A figure of a test: of which label, in which period (``near`` or ``far``), of which model (a
    family, a baseline, ``prevalence`` or ``ceiling``), and whether that is the one that is
    served."""

    label: str
    period: str
    model: str
    served: bool
    metric: str
    value: float


@dataclass(frozen=True)
class Bin:
    """A tenth of a test's players by the chance that was predicted: its mean, and the share that
    came so."""

    label: str
    period: str
    number: int
    players: int
    predicted: float
    came: float


@dataclass(frozen=True)
class Evaluation:
    """All figures of a training; ``importance`` is by how much ROC-AUC falls on the near test when
    a feature is shuffled, by label."""

    version: str
    scores: tuple[Score, ...]
    bins: tuple[Bin, ...]
    importance: dict[str, dict[str, float]]

    def value(self, label: str, period: str, model: str, metric: str) -> float:
        """The figure, NaN where there is none; ``served`` stands for the model that is served."""
        for s in self.scores:
            if (s.label, s.period, s.metric) == (label, period, metric) and (
                s.model == model or (model == "served" and s.served)
            ):
                return s.value
        return float("nan")


def evaluate(
    con: duckdb.DuckDBPyConnection, trained: Trained, ceiling: Ceiling | None = None
) -> Evaluation:
    """Scores every model on the near and the far test, which none of them has seen."""
    scores: list[Score] = []
    bins: list[Bin] = []
    importance: dict[str, dict[str, float]] = {}
    with threadpool_limits(1):
        for label in trained.classifiers:
            for period in TESTS:
                rows = test_rows(con, trained, label, period)
                matrix, came = trained.columns.matrix(rows), rows.labels[label]
                found = _classes(trained, label, rows, matrix, ceiling)
                for model, (score, is_chance) in found.items():
                    served = model == trained.served[label]
                    figures = (
                        classification_scores(came, score) if is_chance else _ranking(came, score)
                    )
                    scores += [Score(label, period, model, served, *f) for f in figures.items()]
                scores += _share_of_attainable(scores, label, period, "roc_auc")
                chance = found[trained.served[label]][0]
                for n, each in enumerate(calibration_bins(came, chance), 1):
                    bins.append(Bin(label, period, n, *each))
                if period == "near":
                    importance[label] = _importance(trained, label, matrix, came)
        if trained.value is not None:
            scores += _of_value(con, trained, ceiling)
    return Evaluation(trained.version, tuple(scores), tuple(bins), importance)


def test_rows(con: duckdb.DuckDBPyConnection, trained: Trained, label: str, period: str) -> Rows:
    """The rows of a test whose label is known."""
    weeks = getattr(trained.periods[label], period)
    rows = read_rows(con, trained.title, weeks, MOST_ROWS)
    return rows.take(np.flatnonzero(~np.isnan(rows.labels[label])))


def _ranking(came: F64, score: F64) -> dict[str, float]:
    """What can be said of a figure that ranks players and is no chance."""
    return {"roc_auc": roc_auc(came, score), "top_decile_lift": top_decile_lift(came, score)}


def _classes(
    trained: Trained, label: str, rows: Rows, matrix: F32, ceiling: Ceiling | None
) -> dict[str, tuple[F64, bool]]:
    """By model: a number for each row, and whether it is a chance."""
    found = {
        family: (classifier.chance(matrix), True)
        for family, classifier in trained.classifiers[label].items()
    }
    found["prevalence"] = (np.full(len(rows), trained.prevalence[label]), True)
    for name, (column, sign) in BASELINES[label].items():
        found[name] = (sign * rows.numbers[:, NUMBERS.index(column)].astype(np.float64), False)
    if ceiling is not None:
        found[CEILING] = (ceiling(rows, [label])[label], True)
    return found


def _share_of_attainable(
    scores: list[Score], label: str, period: str, metric: str
) -> Iterator[Score]:
    """Of the served model: of the way from the best baseline to the ceiling."""
    of = [s for s in scores if (s.label, s.period, s.metric) == (label, period, metric)]
    top = [s.value for s in of if s.model == CEILING]
    known = [s.value for s in of if s.model in BASELINES[label]]
    for s in list(of):
        if s.served and top:
            share = attainable(s.value, max(known), top[0])
            yield Score(label, period, s.model, True, "share_of_attainable", share)


def _importance(trained: Trained, label: str, matrix: F32, came: F64) -> dict[str, float]:
    some, known = matrix[:_ROWS_EXPLAINED].copy(), came[:_ROWS_EXPLAINED]
    classifier = trained.classifier(label)
    whole = roc_auc(known, classifier.model.score(some))
    order = np.random.default_rng(trained.seed).permutation(len(some))
    found = {}
    for n, name in enumerate(trained.columns.names):
        column = some[:, n].copy()
        some[:, n] = column[order]
        found[name] = whole - roc_auc(known, classifier.model.score(some))
        some[:, n] = column
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def _of_value(
    con: duckdb.DuckDBPyConnection, trained: Trained, ceiling: Ceiling | None
) -> Iterator[Score]:
    assert trained.value is not None
    learned = customers(con, trained.title, trained.periods[SPEND].calibrate[-1])
    purchases = fit_purchases(learned[1])
    for period in TESTS:
        rows = test_rows(con, trained, SPEND, period)
        spent, matrix = rows.labels[SPEND], trained.columns.matrix(rows)
        found = {
            "hurdle": trained.value.spend(matrix),
            "prevalence": np.full(len(rows), trained.prevalence[SPEND]),
        }
        if purchases:
            # the parameters of before, the purchases up to the test
            known = customers(con, trained.title, getattr(trained.periods[SPEND], period)[-1])
            found["BG/NBD with Gamma-Gamma"] = expected_purchases(purchases, known, rows.player)
        if ceiling is not None:
            found[CEILING] = ceiling(rows, [SPEND])[SPEND]
        for model, expected in found.items():
            for metric, value in value_scores(spent, expected).items():
                yield Score(SPEND, period, model, model == "hurdle", metric, value)
        for name, (column, sign) in BASELINES[SPEND].items():
            ranked = sign * rows.numbers[:, NUMBERS.index(column)].astype(np.float64)
            yield Score(SPEND, period, name, False, "gini", normalised_gini(spent, ranked))
