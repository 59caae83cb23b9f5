"""The choice of a model: every family is tried with several settings on weeks before, and judged on
weeks after, a gap apart."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from sprint_platform.ml.families import TRIED, Model, Settings, fit
from sprint_platform.ml.features import F32, F64


@dataclass(frozen=True)
class Trial:
    """A family with settings, and its PR-AUC on the validation weeks (NaN where there were
    none)."""

    family: str
    settings: Settings
    pr_auc: float


def trials(
    before: tuple[F32, F64], after: tuple[F32, F64] | None, seed: int, threads: int
) -> list[Trial]:
    """Every family with each of its settings. Where there are no weeks after, or the weeks before
    or after have one outcome only, nothing is tried: each family has its first settings."""
    if after is None or not all(0 < came.mean() < 1 for _, came in (before, after)):
        return [Trial(family, tried[0], float("nan")) for family, tried in TRIED.items()]
    asked = [(family, settings) for family, tried in TRIED.items() for settings in tried]

    def one(family: str, settings: Settings) -> Trial:
        model, found = fit(family, settings, *before, seed, after)
        score = average_precision_score(after[1], model.score(after[0]))
        return Trial(family, found, float(score))

    # each fit has one thread: how many run at once changes no bit of any
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda each: one(*each), asked))


def best_of_each(tried: Sequence[Trial]) -> list[Trial]:
    """The best trial of each family, in the order of ``TRIED``."""
    return [
        max((t for t in tried if t.family == family), key=lambda t: np.nan_to_num(t.pr_auc))
        for family in TRIED
    ]


def served(tried: Sequence[Trial]) -> str:
    """The family of the best trial; without any validation the last one, boosted trees."""
    best = best_of_each(tried)
    if all(np.isnan(trial.pr_auc) for trial in best):
        return best[-1].family
    return max(best, key=lambda trial: trial.pr_auc).family


def fit_all(
    best: Sequence[Trial], rows: tuple[F32, F64], seed: int, threads: int
) -> dict[str, Model]:
    """Each family, with the settings of its best trial, fitted on all training rows."""
    with ThreadPoolExecutor(threads) as pool:
        fitted = pool.map(lambda trial: fit(trial.family, trial.settings, *rows, seed)[0], best)
        return dict(zip((trial.family for trial in best), fitted, strict=True))
