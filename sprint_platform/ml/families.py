"""The three families of models: logistic regression, random forest, boosted trees. Each is fitted
in one thread, so that its bits depend on nothing but data, settings and seed, and is stored as
data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xgboost as xgb
from sklearn.linear_model import LogisticRegression

from sprint_platform.ml.features import F32, F64

Settings = Mapping[str, Any]
# Of each family the settings that are tried; the best on later weeks is taken.
TRIED: Mapping[str, tuple[Settings, ...]] = {
    "logistic regression": ({"C": 0.01}, {"C": 1.0}),
    "random forest": ({"max_depth": 8}, {"max_depth": 12}),
    "boosted trees": (
        {"max_depth": 4, "eta": 0.05},
        {"max_depth": 6, "eta": 0.03},
    ),
}
FOREST_TREES = 100
# Boosting ends when so many more trees were of no use to the validation weeks.
MOST_ROUNDS, PATIENCE = 500, 25
_HIST = {"tree_method": "hist", "max_bin": 128, "nthread": 1, "verbosity": 0}


class Model(Protocol):
    """A fitted model. ``score`` has shape (rows,): the higher, the more likely."""

    def score(self, matrix: F32) -> F64: ...

    def stored(self) -> bytes: ...


@dataclass(frozen=True)
class Logistic:
    """Logistic regression of logarithms: ``log(1 + x)``, then standardised by ``mean`` and
    ``scale``. ``unknown`` stands for what is not known: the largest number of the training rows, as
    most of these are days since something that never was. All of shape (columns,) but
    ``intercept``."""

    unknown: F64
    mean: F64
    scale: F64
    weights: F64
    intercept: float

    def score(self, matrix: F32) -> F64:
        # column by column: a matrix product adds up in an order of the machine's own
        total = np.full(len(matrix), self.intercept)
        for n, weight in enumerate(self.weights):
            total += weight * self._standard(matrix[:, n], n)
        return 1 / (1 + np.exp(-total))

    def _standard(self, column: F32, n: int) -> F64:
        known = np.where(np.isnan(column), self.unknown[n], column.astype(np.float64))
        return (np.log1p(known) - self.mean[n]) / self.scale[n]

    def stored(self) -> bytes:
        arrays = {name: np.asarray(value).tolist() for name, value in vars(self).items()}
        return json.dumps(arrays).encode()

    @staticmethod
    def load(content: bytes) -> Logistic:
        arrays = json.loads(content)
        intercept = arrays.pop("intercept")
        return Logistic(**{k: np.array(v) for k, v in arrays.items()}, intercept=intercept)


@dataclass(frozen=True)
class Trees:
    """A forest or boosted trees of XGBoost, stored as UBJSON."""

    booster: xgb.Booster

    def score(self, matrix: F32) -> F64:
        found = self.booster.inplace_predict(matrix, validate_features=False)
        return np.asarray(found, np.float64)

    def stored(self) -> bytes:
        return bytes(self.booster.save_raw("ubj"))

    @staticmethod
    def load(content: bytes) -> Trees:
        booster = xgb.Booster({"nthread": 1})
        booster.load_model(bytearray(content))
        return Trees(booster)


LOADERS: Mapping[str, Callable[[bytes], Model]] = {
    "logistic regression": Logistic.load,
    "random forest": Trees.load,
    "boosted trees": Trees.load,
}


def fit(
    family: str,
    settings: Settings,
    matrix: F32,
    came: F64,
    seed: int,
    later: tuple[F32, F64] | None = None,
) -> tuple[Model, Settings]:
    """The family's model of these rows, and its settings. Boosting is as long as ``settings`` say
    (``rounds``), else as ``later`` rows show to be best, which the settings then say."""
    if family == "logistic regression":
        return _logistic(settings, matrix, came), settings
    if family == "random forest":
        return forest(settings, matrix, came, seed), settings
    return boosted(settings, matrix, came, seed, later)


def _logistic(settings: Settings, matrix: F32, came: F64) -> Logistic:
    unknown = np.nan_to_num(np.nanmax(np.vstack([matrix, np.zeros_like(matrix[:1])]), axis=0))
    known = np.where(np.isnan(matrix), unknown, matrix).astype(np.float64)
    np.log1p(known, out=known)
    mean, scale = known.mean(axis=0), known.std(axis=0)
    scale[scale == 0] = 1.0
    known -= mean
    known /= scale
    fitted = LogisticRegression(C=settings["C"], solver="newton-cholesky", max_iter=50)
    fitted.fit(known, came)
    return Logistic(
        unknown.astype(np.float64), mean, scale, fitted.coef_[0], float(fitted.intercept_[0])
    )


def forest(settings: Settings, matrix: F32, came: F64, seed: int) -> Trees:
    """A random forest (Breiman, 2001): trees of a share of rows and columns each, whose leaves are
    the share of rows that came so; for 0 and 1 the squared error splits as Gini's impurity does."""
    parameters = {
        **_HIST,
        **settings,
        "objective": "reg:squarederror",
        "base_score": 0.0,
        "eta": 1.0,
        "lambda": 0.0,
        "min_child_weight": 20,
        "num_parallel_tree": FOREST_TREES,
        "subsample": 0.4,
        "colsample_bynode": 0.3,
        "seed": seed,
    }
    return Trees(xgb.train(parameters, _quantised(matrix, came), num_boost_round=1))


def boosted(
    settings: Settings,
    matrix: F32,
    came: F64,
    seed: int,
    later: tuple[F32, F64] | None = None,
) -> tuple[Trees, Settings]:
    """Boosted trees (Chen and Guestrin, 2016)."""
    parameters = {
        **_HIST,
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "min_child_weight": 20,
        "subsample": 0.7,
        "colsample_bytree": 0.5,
        **{name: value for name, value in settings.items() if name != "rounds"},
        "seed": seed,
    }
    rows = _quantised(matrix, came)
    if later is None:
        booster = xgb.train(parameters, rows, num_boost_round=settings.get("rounds", MOST_ROUNDS))
        return Trees(booster), settings
    booster = xgb.train(
        parameters,
        rows,
        num_boost_round=MOST_ROUNDS,
        evals=[(xgb.DMatrix(later[0], later[1], nthread=1), "later")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
    )
    rounds = booster.best_iteration + 1
    return Trees(booster[:rounds]), {**settings, "rounds": rounds}


def _quantised(matrix: F32, came: F64) -> xgb.QuantileDMatrix:
    return xgb.QuantileDMatrix(matrix, came, max_bin=_HIST["max_bin"], nthread=1)
