"""How good predictions are. ``came`` is 1 where it came so, else 0; ``chance`` what was
predicted."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from sprint_platform.ml.features import F64

BINS = 10
# No log loss is infinite for one player of whom the model was sure.
LEAST_CHANCE = 1e-7


def classification_scores(came: F64, chance: F64) -> dict[str, float]:
    """ROC-AUC, PR-AUC (average precision), lift of the top decile, Brier score, expected
    calibration error and log loss."""
    return {
        "roc_auc": roc_auc(came, chance),
        "pr_auc": float(average_precision_score(came, chance)) if came.any() else float("nan"),
        "top_decile_lift": top_decile_lift(came, chance),
        "brier": float(np.mean((chance - came) ** 2)),
        "ece": calibration_error(came, chance),
        "log_loss": log_loss(came, chance),
    }


def roc_auc(came: F64, score: F64) -> float:
    """NaN where all are alike."""
    return float(roc_auc_score(came, score)) if 0 < came.mean() < 1 else float("nan")


def top_decile_lift(came: F64, score: F64) -> float:
    """How many times as often it came so among the tenth with the highest score as among all."""
    if not came.any():
        return float("nan")
    return float(came[top(score, len(score) // 10 or 1)].mean() / came.mean())


def top(score: F64, count: int) -> np.ndarray:
    """The places of the highest scores; of equal ones those that come first."""
    return np.argsort(-score, kind="stable")[:count]


def log_loss(came: F64, chance: F64) -> float:
    sure = np.clip(chance, LEAST_CHANCE, 1 - LEAST_CHANCE)
    return float(-np.mean(np.where(came == 1, np.log(sure), np.log1p(-sure))))


def calibration_bins(came: F64, chance: F64) -> list[tuple[int, float, float]]:
    """Ten equally large groups by chance: how many, the mean chance, and the share that came so."""
    groups = np.array_split(np.argsort(chance, kind="stable"), BINS)
    return [(len(g), float(chance[g].mean()), float(came[g].mean())) for g in groups if len(g)]


def calibration_error(came: F64, chance: F64) -> float:
    """ECE: how far chance and share lie apart in the bins, on average over players."""
    bins = calibration_bins(came, chance)
    return sum(n * abs(said - was) for n, said, was in bins) / sum(n for n, _, _ in bins)


def value_scores(spent: F64, expected: F64) -> dict[str, float]:
    """Normalised Gini (1: players are ranked as they spent, 0: at random), and by how much the
    deciles' sums are off, on average, as a share of the mean decile's."""
    return {"gini": normalised_gini(spent, expected), "decile_mape": decile_error(spent, expected)}


def normalised_gini(spent: F64, score: F64) -> float:
    best = _gini(spent, spent)
    return _gini(spent, score) / best if best else float("nan")


def _gini(spent: F64, score: F64) -> float:
    if not spent.sum():
        return 0.0
    ranked = spent[np.argsort(-score, kind="stable")]
    lorenz = np.cumsum(ranked) / ranked.sum()
    return float(lorenz.sum() / len(ranked) - (len(ranked) + 1) / (2 * len(ranked)))


def decile_error(spent: F64, expected: F64) -> float:
    if not spent.sum():
        return float("nan")
    groups = np.array_split(np.argsort(expected, kind="stable"), BINS)
    off = [abs(expected[group].sum() - spent[group].sum()) for group in groups]
    return float(np.mean(off) / (spent.sum() / BINS))


def attainable(model: float, baseline: float, ceiling: float) -> float:
    """How much of the way from the best baseline to the ceiling the model has gone."""
    return (model - baseline) / (ceiling - baseline) if ceiling > baseline else float("nan")
