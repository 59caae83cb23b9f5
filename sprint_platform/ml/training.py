"""Training: a title's rows, cut by time, to models that are ready to predict."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version

import duckdb
import numpy as np
from threadpoolctl import threadpool_limits

from sprint_platform.core.cores import cores
from sprint_platform.ml import drift
from sprint_platform.ml.calibration import Calibration, calibrated
from sprint_platform.ml.choice import Trial, best_of_each, fit_all, served, trials
from sprint_platform.ml.errors import ForesightError, TooShort
from sprint_platform.ml.families import Model
from sprint_platform.ml.features import (
    F32,
    F64,
    HORIZONS,
    Columns,
    Rows,
    digest_of,
    read_rows,
    weeks_of,
)
from sprint_platform.ml.names import LABELS
from sprint_platform.ml.periods import Periods, in_a_row, latest, split, weeks_missing
from sprint_platform.ml.scores import roc_auc
from sprint_platform.ml.value import Value, fit_value

SEED = 20_250_101
# The labels that are chances, and the one that is money.
CLASSES = ("left_in_14_days", "bought_in_14_days")
SPEND = "spend_in_30_days"
# More rows teach little more: of a larger title a share of the players, the same in every week.
MOST_ROWS = 250_000
# A single feature that ranks this well knows the answer, not the player.
TOO_GOOD = 0.98
_PACKAGES = ("numpy", "scikit-learn", "scipy", "xgboost-cpu")


@dataclass(frozen=True)
class Classifier:
    """A family's model of a label, and the curve that makes its scores chances."""

    model: Model
    calibration: Calibration

    def chance(self, matrix: F32) -> F64:
        return self.calibration(self.model.score(matrix))


@dataclass(frozen=True)
class Trained:
    """What a training gives. ``version`` is the last week and a digest of the data, the settings
    and the packages: the same three give the same models to the bit. ``served`` is the family that
    is used, by label, and ``tried`` why; ``reference`` what drift is measured against, by
    figure. ``prevalence`` is the mean label of the calibration weeks. ``value`` is scored on its
    tests; ``value_now``, the same of the last weeks, is used: a month's gaps leave it the first
    weeks of a young game alone."""

    title: str
    version: str
    last_week: date
    seed: int
    data: str
    packages: Mapping[str, str]
    columns: Columns
    periods: Mapping[str, Periods]
    tried: Mapping[str, tuple[Trial, ...]]
    served: Mapping[str, str]
    classifiers: Mapping[str, Mapping[str, Classifier]]
    prevalence: Mapping[str, float]
    value: Value | None
    value_now: Value | None
    # of each label without a model why, in one line
    left_out: Mapping[str, str]
    reference: Mapping[str, drift.Reference]

    def classifier(self, label: str) -> Classifier:
        """The one that is served."""
        return self.classifiers[label][self.served[label]]


def require_history(con: duckdb.DuckDBPyConnection, title: str) -> list[date]:
    """The Mondays of the title's weeks. Raises TooShort, which says in one line how many are
    missing."""
    weeks = in_a_row(weeks_of(con, title))
    if line := weeks_missing(len(weeks)):
        raise TooShort(line)
    return weeks


def periods_of(
    con: duckdb.DuckDBPyConnection, title: str
) -> tuple[dict[str, Periods], dict[str, str]]:
    """The periods of each label that can be learned, and why another cannot, in one line, by label:
    it is known of too few weeks (a studio may deliver no purchases, or late), or it came out the
    same for everybody. Raises TooShort, also where none is left."""
    weeks = set(require_history(con, title))
    found: dict[str, Periods] = {}
    left_out: dict[str, str] = {}
    for label, horizon in HORIZONS.items():
        try:
            of = split([w for w in weeks_of(con, title, label) if w in weeks], horizon)
        except TooShort as short:
            left_out[label] = f"{label} is left out: {short}"
            continue
        # a chance has two outcomes; an amount needs somebody who paid
        outcomes = con.execute(
            f"select min({label}::double), max({label}::double) from {title}_mart.{LABELS}"
            " where year_week in (select unnest(?))",
            [list(of.train)],
        ).fetchone()
        assert outcomes is not None
        if outcomes[1] > 0 and (label == SPEND or outcomes[0] < 1):
            found[label] = of
        else:
            left_out[label] = f"{label} is left out: the training weeks have one outcome only"
    if not set(found).intersection(CLASSES):
        raise TooShort("; ".join(left_out.values()))
    return found, left_out


def period_counts(
    con: duckdb.DuckDBPyConnection, title: str
) -> list[tuple[str, str, str, int, float]]:
    """For each label and period its weeks in words, how many rows they have and the mean label.
    Raises TooShort."""
    found = []
    for label, of in periods_of(con, title)[0].items():
        for name in ("train", "calibrate", "near", "far"):
            weeks = getattr(of, name)
            row = con.execute(
                f"select count({label}), coalesce(avg({label}::double), 0)"
                f" from {title}_mart.{LABELS} where year_week in (select unnest(?))",
                [list(weeks)],
            ).fetchone()
            assert row is not None
            found.append((label, name, f"{weeks[0]} to {weeks[-1]}", *row))
    return found


def train(con: duckdb.DuckDBPyConnection, title: str, threads: int | None = None) -> Trained:
    """Trains every model of the title. ``threads`` says how many fits run at once, by default one
    on each core, and changes no bit. Raises TooShort, and ForesightError where a feature knows the
    answer."""
    weeks = require_history(con, title)
    periods, left_out = periods_of(con, title)
    first = min(p.train[0] for p in periods.values())
    labelled = [week for week in weeks_of(con, title, SPEND) if week in weeks]
    now = latest(labelled, HORIZONS[SPEND])
    last = max([*now[1][-1:], *(p.calibrate[-1] for p in periods.values())])
    rows = read_rows(con, title, [w for w in weeks if first <= w <= last], MOST_ROWS)
    with threadpool_limits(1):
        return _trained(title, weeks[-1], rows, periods, left_out, now, threads or cores())


def _trained(
    title: str,
    last_week: date,
    rows: Rows,
    periods: Mapping[str, Periods],
    left_out: Mapping[str, str],
    now: tuple[tuple[date, ...], tuple[date, ...]],
    threads: int,
) -> Trained:
    trained_on = sorted({week for of in periods.values() for week in of.train})
    columns = Columns.of(rows.of_weeks(trained_on))
    matrix = columns.matrix(rows)
    packages = {name: version(name) for name in _PACKAGES}
    data = digest_of(rows, matrix)

    def part(label: str, weeks: tuple[date, ...]) -> tuple[F32, F64]:
        """The rows of these weeks whose label is known."""
        came = rows.labels[label]
        which = np.isin(rows.week, np.array(weeks, "datetime64[D]")) & ~np.isnan(came)
        return matrix[which], came[which]

    classifiers: dict[str, dict[str, Classifier]] = {}
    tried: dict[str, tuple[Trial, ...]] = {}
    prevalence: dict[str, float] = {}
    classes = [label for label in CLASSES if label in periods]
    for label in classes:
        of = periods[label]
        whole = part(label, of.train)
        _refuse_answers(columns, *whole, label)
        validate = part(label, of.validate) if of.validate else None
        tried[label] = tuple(trials(part(label, of.fit), validate, SEED, threads))
        models = fit_all(best_of_each(tried[label]), whole, SEED, threads)
        later = part(label, of.calibrate)
        prevalence[label] = float(later[1].mean())
        classifiers[label] = {
            family: Classifier(model, calibrated(model.score(later[0]), later[1]))
            for family, model in models.items()
        }
    value: Value | None = None
    value_now: Value | None = None
    if SPEND in periods:
        of = periods[SPEND]
        later = part(SPEND, of.calibrate)
        prevalence[SPEND] = float(later[1].mean())
        value = fit_value(part(SPEND, of.train), later, SEED)
        value_now = fit_value(part(SPEND, now[0]), part(SPEND, now[1]), SEED)
    chosen = {label: served(tried[label]) for label in classes}
    # the last training weeks: a young game's first weeks are another population
    recent = np.isin(rows.week, np.array(periods[classes[0]].train[-4:], "datetime64[D]"))
    reference = {
        name: drift.reference_of(matrix[recent, n].astype(np.float64))
        for n, name in enumerate(columns.names)
    }
    for label in classes:
        chance = classifiers[label][chosen[label]].chance(matrix[recent])
        reference[f"score:{label}"] = drift.reference_of(chance)
    stamp = hashlib.blake2b(
        repr((data, SEED, sorted(packages.items()), tried)).encode(), digest_size=4
    ).hexdigest()
    return Trained(
        title=title,
        version=f"{last_week}-{stamp}",
        last_week=last_week,
        seed=SEED,
        data=data,
        packages=packages,
        columns=columns,
        periods=periods,
        tried=tried,
        served=chosen,
        classifiers=classifiers,
        prevalence=prevalence,
        value=value,
        value_now=value_now,
        left_out=left_out,
        reference=reference,
    )


def _refuse_answers(columns: Columns, matrix: F32, came: F64, label: str) -> None:
    """Raises ForesightError where one feature alone ranks the rows all but perfectly."""
    # a sample is enough to see it
    some = slice(None, None, max(1, len(came) // 50_000))
    for n, name in enumerate(columns.names):
        values = np.nan_to_num(matrix[some, n].astype(np.float64), nan=-1.0)
        area = roc_auc(came[some], values)
        if max(area, 1 - area) > TOO_GOOD:
            raise ForesightError(
                f"{name} alone ranks {label} with an AUC of {area:.3f}: it knows it"
            )


def drift_of(trained: Trained, rows: Rows) -> dict[str, float]:
    """The stability index of every feature and score of these rows (of one week)."""
    if not len(rows):
        raise ForesightError("there are no rows to compare")
    matrix = trained.columns.matrix(rows)
    found = {
        name: drift.psi(trained.reference[name], matrix[:, n].astype(np.float64))
        for n, name in enumerate(trained.columns.names)
        if name not in drift.NOT_COMPARED
    }
    for label in trained.classifiers:
        score = trained.classifier(label).chance(matrix)
        found[f"score:{label}"] = drift.psi(trained.reference[f"score:{label}"], score)
    return found
