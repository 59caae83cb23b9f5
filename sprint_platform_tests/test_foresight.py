"""Models of what players do next: that they are honest, as good as they say, and the same again."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pytest

from sprint_platform.engines.duckdb_file import connect
from sprint_platform.ml import drift, scores, store
from sprint_platform.ml.bgnbd import Customers, fit_bgnbd, fit_gamma_gamma
from sprint_platform.ml.calibration import calibrated
from sprint_platform.ml.ceiling import ceiling
from sprint_platform.ml.errors import ForesightError, TooShort
from sprint_platform.ml.evaluation import CEILING, Evaluation, evaluate
from sprint_platform.ml.families import TRIED
from sprint_platform.ml.features import (
    FORBIDDEN,
    HORIZONS,
    NUMBERS,
    WORDS,
    Columns,
    Rows,
    read_rows,
    require_allowed,
    weeks_of,
)
from sprint_platform.ml.periods import WEEKS_NEEDED, split, weeks_missing
from sprint_platform.ml.predictions import Predictions, predict
from sprint_platform.ml.segments import segments
from sprint_platform.ml.training import CLASSES, SPEND, Trained, drift_of, require_history, train
from sprint_platform.operations.practice import (
    LAUNCH,
    build_weeks,
    days_of_weeks,
    load_days,
)
from sprint_platform.operations.practice import (
    practice_title as game,
)
from sprint_platform.simulation.truth import SCHEMA
from sprint_platform.simulation.world import World
from sprint_platform.title import Title

WEEKS = [LAUNCH + timedelta(weeks=n) for n in range(WEEKS_NEEDED)]


@pytest.fixture(scope="module")
def title() -> Title:
    return game(300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, title: Title) -> Iterator[Path]:
    """A data folder with 26 weeks of some 5,000 players, and their weekly marts."""
    folder = tmp_path_factory.mktemp("half_a_year")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        with connect() as con:
            load_days(con, World(title), days_of_weeks(WEEKS_NEEDED))
        build_weeks(title, tests=False)
        yield folder


@pytest.fixture(scope="module")
def con(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(folder / "sprint.duckdb"), read_only=True) as con:
        yield con


@pytest.fixture(scope="module")
def trained(con: duckdb.DuckDBPyConnection, title: Title) -> Trained:
    return train(con, title.name, threads=2)


@pytest.fixture(scope="module")
def evaluation(con: duckdb.DuckDBPyConnection, title: Title, trained: Trained) -> Evaluation:
    world = World(title)
    return evaluate(con, trained, lambda rows, labels: ceiling(world, rows, labels))


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [14, 30])
@pytest.mark.parametrize("count", [19, 24, 60, 110])
def test_periods_follow_each_other_with_gaps_of_the_horizon(horizon: int, count: int) -> None:
    weeks = [LAUNCH + timedelta(weeks=n) for n in range(count)]
    of = split(weeks, horizon)
    assert of.far[-1] == weeks[-1]
    parts = [of.train, of.calibrate, of.near, of.far]
    if of.fit:
        parts = [of.fit, of.validate, *parts[1:]]
        assert {*of.fit, *of.validate} < {*of.train}
    for before, after in pairwise(parts):
        last_day, first_day = before[-1] + timedelta(days=6), after[0]
        assert (first_day - last_day).days - 1 >= horizon


def test_a_history_that_is_too_short_says_how_many_weeks_are_missing(
    con: duckdb.DuckDBPyConnection,
) -> None:
    with pytest.raises(TooShort, match="it takes 19"):
        split(WEEKS[:5], 30)
    assert weeks_missing(WEEKS_NEEDED) == ""
    assert weeks_missing(2).endswith("of which 2 weeks are there: 24 weeks are missing")
    assert weeks_missing(25).endswith("of which 25 weeks are there: 1 week is missing")
    assert require_history(con, "sprint") == WEEKS
    with pytest.raises(TooShort, match="0 weeks are there: 26 weeks are missing"):
        require_history(con, "leap")


# --- what must not be learned from ----------------------------------------------------------------


def test_nothing_of_the_truth_nobody_and_no_label_is_a_feature(
    con: duckdb.DuckDBPyConnection, trained: Trained
) -> None:
    assert {*SCHEMA.names, *HORIZONS} <= FORBIDDEN
    require_allowed((*NUMBERS, *WORDS))
    for name in ("purse", "spend_in_30_days", "display_name"):
        with pytest.raises(ForesightError, match=name):
            require_allowed((*NUMBERS, name))
    described = con.execute("describe sprint_mart.player_features_weekly").fetchall()
    mart = {name for name, *_ in described}
    # every column is learned from, or says whose and which week's it is
    assert mart == {*NUMBERS, *WORDS, "player_id", "year_week"}
    assert not {name.partition("=")[0] for name in trained.columns.names} & FORBIDDEN


def test_shuffled_labels_teach_nothing(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sprint_platform.ml import choice, training

    # of each family one setting is enough
    monkeypatch.setattr(choice, "TRIED", {family: tried[:1] for family, tried in TRIED.items()})

    def shuffled(*arguments: object) -> Rows:
        rows = read_rows(*arguments)  # type: ignore[arg-type]
        order = np.random.default_rng(7).permutation(len(rows))
        return dataclasses.replace(
            rows, labels={name: values[order] for name, values in rows.labels.items()}
        )

    monkeypatch.setattr(training, "read_rows", shuffled)
    learned = train(con, "sprint")
    rows = shuffled(con, "sprint", WEEKS[12:24])
    for label in CLASSES:
        came = rows.labels[label]
        for classifier in learned.classifiers[label].values():
            score = classifier.model.score(learned.columns.matrix(rows))
            assert abs(scores.roc_auc(came, score) - 0.5) <= 0.02, label


def test_what_came_later_changes_no_model_that_is_tested(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sprint_platform.ml import choice, training

    # one family and setting is enough
    few = {"logistic regression": TRIED["logistic regression"][:1]}
    monkeypatch.setattr(choice, "TRIED", few)

    def with_another_future(*arguments: object) -> Rows:
        rows = read_rows(*arguments)  # type: ignore[arg-type]
        labels = dict(rows.labels)
        for label, of in honest.periods.items():
            later = rows.week > np.datetime64(of.calibrate[-1])
            assert later.any()
            labels[label] = np.where(later, labels[label] == 0, labels[label])
        return dataclasses.replace(rows, labels=labels)

    honest = train(con, "sprint")
    monkeypatch.setattr(training, "read_rows", with_another_future)
    other = train(con, "sprint")
    assert other.data != honest.data
    matrix = honest.columns.matrix(read_rows(con, "sprint", WEEKS[-1:]))
    for label in CLASSES:
        [one], [two] = (of.classifiers[label].values() for of in (honest, other))
        assert (one.chance(matrix) == two.chance(matrix)).all()
    assert (honest.value.spend(matrix) == other.value.spend(matrix)).all()
    # the one that is used is of the last weeks
    assert (honest.value_now.spend(matrix) != other.value_now.spend(matrix)).any()


def test_a_feature_that_knows_the_answer_is_refused(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sprint_platform.ml import training

    def with_a_canary(*arguments: object) -> Rows:
        rows = read_rows(*arguments)  # type: ignore[arg-type]
        numbers = rows.numbers.copy()
        numbers[:, NUMBERS.index("wins_4w")] = rows.labels["left_in_14_days"]
        return dataclasses.replace(rows, numbers=numbers)

    monkeypatch.setattr(training, "read_rows", with_a_canary)
    with pytest.raises(ForesightError, match="wins_4w alone ranks left_in_14_days"):
        train(con, "sprint")


# --- how good they are ----------------------------------------------------------------------------


@pytest.mark.parametrize("label", CLASSES)
@pytest.mark.parametrize("period", ["near", "far"])
def test_no_model_is_better_than_the_truth_and_the_served_one_beats_what_is_known(
    evaluation: Evaluation, label: str, period: str
) -> None:
    loss = {
        s.model: s.value
        for s in evaluation.scores
        if (s.label, s.period, s.metric) == (label, period, "log_loss")
    }
    assert {*TRIED, "prevalence", CEILING} == loss.keys()
    assert min(loss, key=loss.__getitem__) == CEILING
    assert evaluation.value(label, period, "served", "log_loss") < loss["prevalence"]
    share = evaluation.value(label, period, "served", "share_of_attainable")
    # with a tenth of the players of the bench, and a sampling error as large as half of it
    assert 0 < share < 1
    assert evaluation.value(label, period, "served", "top_decile_lift") > 2


def test_every_score_stands_beside_four_baselines(evaluation: Evaluation) -> None:
    known = {"prevalence", "days since last active", "days active in twelve weeks"}
    of = {label: {*known, "has bought before"} for label in CLASSES}
    of[SPEND] = {*known, "spent in twelve weeks"}
    for label, expected in of.items():
        for period in ("near", "far"):
            metric = "gini" if label == SPEND else "roc_auc"
            found = {
                s.model: s.value
                for s in evaluation.scores
                if (s.label, s.period, s.metric) == (label, period, metric)
            }
            assert expected <= found.keys()
            baselines = [found[name] for name in expected]
            served = next(s.model for s in evaluation.scores if s.label == label and s.served)
            best = max(baselines)
            assert max(best, found[served]) < found[CEILING], (label, period)
            # spending is learned from the first weeks of a young game alone
            if label != SPEND:
                assert best < found[served]
                share = evaluation.value(label, period, "served", "share_of_attainable")
                assert share == (found[served] - best) / (found[CEILING] - best)


def test_chances_are_shares_of_players(evaluation: Evaluation) -> None:
    # some 1,500 players a test: an error of chance alone is 0.01 to 0.02
    for label in CLASSES:
        assert evaluation.value(label, "near", "served", "ece") <= 0.03
        assert evaluation.value(label, "far", "served", "ece") <= 0.05


def test_the_ceiling_is_the_truth_of_these_very_labels(
    con: duckdb.DuckDBPyConnection, title: Title
) -> None:
    # every second week: no player's fortnight counts twice
    rows = read_rows(con, title.name, WEEKS[1:23:2])
    exact = ceiling(World(title), rows, [*HORIZONS])
    for label in CLASSES:
        came, chance = rows.labels[label], exact[label]
        # each bin within what chance allows, and the mean error as small as that makes it
        for n, said, was in scores.calibration_bins(came, chance):
            assert abs(said - was) <= 4 * np.sqrt(max(said * (1 - said), 1 / n) / n), label
        assert scores.calibration_error(came, chance) <= 0.005
    spent = rows.labels[SPEND]
    known = ~np.isnan(spent)
    assert exact[SPEND][known].sum() == pytest.approx(spent[known].sum(), rel=0.06)


def test_a_wrong_ceiling_is_seen(con: duckdb.DuckDBPyConnection, title: Title) -> None:
    """A truth that is a week late is no truth: the test above would fail on it."""
    rows = read_rows(con, title.name, WEEKS[1:23:2])
    late = dataclasses.replace(rows, week=rows.week + np.timedelta64(7, "D"))
    chance = ceiling(World(title), late, ["left_in_14_days"])["left_in_14_days"]
    assert scores.calibration_error(rows.labels["left_in_14_days"], chance) > 0.02


def test_the_choice_is_by_later_weeks_and_is_shown(trained: Trained) -> None:
    for label in CLASSES:
        tried = trained.tried[label]
        assert {t.family for t in tried} == TRIED.keys()
        assert len(tried) == sum(map(len, TRIED.values()))
        best = max(tried, key=lambda t: t.pr_auc)
        assert trained.served[label] == best.family


def test_scores_are_the_textbooks() -> None:
    came = np.array([0.0, 0, 1, 1, 0, 1, 0, 0, 0, 1])
    chance = np.array([0.1, 0.2, 0.9, 0.7, 0.3, 0.8, 0.4, 0.2, 0.1, 0.3])
    found = scores.classification_scores(came, chance)
    assert found["roc_auc"] == pytest.approx(22.5 / 24)
    assert found["brier"] == pytest.approx(np.mean((came - chance) ** 2))
    assert found["top_decile_lift"] == pytest.approx(1 / 0.4)
    assert scores.normalised_gini(came, came) == 1
    assert scores.normalised_gini(came, -came) == pytest.approx(-1)
    assert scores.attainable(0.9, 0.8, 1.0) == pytest.approx(0.5)


def test_a_calibration_rises_and_keeps_the_order() -> None:
    rng = np.random.default_rng(1)
    score = rng.random(5_000)
    came = (rng.random(5_000) < score**2).astype(float)
    curve = calibrated(score, came)
    assert (np.diff(curve.score) > 0).all()
    # but where it ends at what is never or always
    assert (np.diff(curve.chance[1:-1]) > 0).all()
    later = rng.random(5_000)
    assert scores.calibration_error((rng.random(5_000) < later**2) * 1.0, curve(later)) < 0.03


# --- the same again -------------------------------------------------------------------------------


def test_one_and_two_threads_and_a_stored_model_predict_the_same_bits(
    con: duckdb.DuckDBPyConnection, folder: Path, trained: Trained
) -> None:
    again = train(con, "sprint", threads=1)
    assert again.version == trained.version
    where = store.save(trained)
    loaded = store.load("sprint")
    rows = read_rows(con, "sprint", WEEKS[-1:])
    matrix = trained.columns.matrix(rows)
    for other in (again, loaded):
        for label in CLASSES:
            for family, classifier in trained.classifiers[label].items():
                assert (
                    other.classifiers[label][family].chance(matrix) == classifier.chance(matrix)
                ).all()
        assert (other.value.spend(matrix) == trained.value.spend(matrix)).all()
        assert (other.value_now.spend(matrix) == trained.value_now.spend(matrix)).all()
    assert loaded.columns == trained.columns
    assert loaded.periods == trained.periods
    # data only: nothing that a reader would have to run
    assert {path.suffix for path in where.iterdir()} == {".json", ".ubj"}
    said = json.loads((where / "model.json").read_text())
    assert {"data", "seed", "packages", "tried", "files"} <= said.keys()


def test_a_changed_file_of_a_model_is_not_read(
    con: duckdb.DuckDBPyConnection, folder: Path, trained: Trained
) -> None:
    where = store.save(trained)
    name = next(where.glob("left_in_14_days_random_forest.ubj"))
    name.write_bytes(name.read_bytes()[:-1] + b" ")
    with pytest.raises(ForesightError, match="is not the file that was trained"):
        store.load("sprint")
    store.save(trained)
    with pytest.raises(ForesightError, match="leap has no trained models"):
        store.load("leap")


def test_deciles_are_the_same_without_the_processors_features(
    con: duckdb.DuckDBPyConnection, folder: Path, trained: Trained
) -> None:
    store.save(trained)
    script = (
        "import duckdb, sys; from sprint_platform.ml import predictions, store;"
        f"con = duckdb.connect({str(folder / 'sprint.duckdb')!r}, read_only=True);"
        "from datetime import date;"
        f"of = predictions.predict(con, store.load('sprint'), date.fromisoformat('{WEEKS[-1]}'));"
        "print(','.join(map(str, of.decile)))"
    )
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX"}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    other = np.array(ran.stdout.strip().split(","), int)
    assert (other == predict(con, trained, WEEKS[-1]).decile).mean() >= 0.999


# --- value ----------------------------------------------------------------------------------------


def made_customers(r: float, alpha: float, a: float, b: float, count: int) -> Customers:
    """Customers as BG/NBD and Gamma-Gamma (p 6, q 4, v 15) have them, watched for 40 weeks."""
    rng = np.random.default_rng(3)
    rate, leave = rng.gamma(r, 1 / alpha, count), rng.beta(a, b, count)
    scale = rng.gamma(4, 1 / 15, count)
    repeats, recency = np.zeros(count), np.zeros(count)
    for n in range(count):
        now = 0.0
        while True:
            now += rng.exponential(1 / rate[n])
            if now > 40:
                break
            repeats[n], recency[n] = repeats[n] + 1, now
            if rng.random() < leave[n]:
                break
    paid = rng.gamma(6 * np.maximum(repeats, 1)) / scale / np.maximum(repeats, 1)
    return Customers(repeats, recency, np.full(count, 40.0), np.where(repeats > 0, paid, 0))


def test_the_parameters_of_made_customers_are_found() -> None:
    of = made_customers(0.5, 4.0, 1.0, 3.0, 6_000)
    fitted, amounts = fit_bgnbd(of), fit_gamma_gamma(of)
    assert (fitted.r, fitted.alpha) == pytest.approx((0.5, 4.0), rel=0.12)
    # of the beta distribution the mean is well known
    assert fitted.a / (fitted.a + fitted.b) == pytest.approx(0.25, rel=0.12)
    assert amounts.p * amounts.v / (amounts.q - 1) == pytest.approx(6 * 15 / 3, rel=0.05)


def cdnow() -> Path | None:
    """The published sample of 2,357 customers, which the package `lifetimes` brings."""
    spec = importlib.util.find_spec("lifetimes")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "datasets/cdnow_customers_summary_with_transactions.csv"
    return path if path.exists() else None


@pytest.mark.skipif(cdnow() is None, reason="CDNOW's sample is not here (make setup-all)")
def test_cdnow_gives_the_published_parameters() -> None:
    path = cdnow()
    assert path is not None
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    columns = (np.array([float(row[name]) for row in rows]) for name in ("x", "t_x", "T", "zbar"))
    of = Customers(*columns)
    fitted, amounts = fit_bgnbd(of), fit_gamma_gamma(of)
    published = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    assert vars(fitted) == pytest.approx(published, abs=6e-4)
    assert vars(amounts) == pytest.approx({"p": 6.25, "q": 3.74, "v": 15.44}, rel=2e-3)
    # the customer of their example: 2 repeats, the last in week 30.43 of 38.86, 39 weeks ahead
    one = Customers(*(np.array([value]) for value in (2.0, 30.43, 38.86, 0.0)))
    assert fitted.expected(one, 39)[0] == pytest.approx(1.226, abs=1e-3)


# --- drift and segments ---------------------------------------------------------------------------


def test_drift_is_seen_where_players_are_others(
    con: duckdb.DuckDBPyConnection, trained: Trained
) -> None:
    rows = read_rows(con, "sprint", [trained.periods[CLASSES[0]].train[-1]])
    alike = drift_of(trained, rows)
    assert drift.drifted(alike) == {}
    numbers = rows.numbers.copy()
    numbers[:, NUMBERS.index("sessions_1w")] *= 3
    others = drift_of(trained, dataclasses.replace(rows, numbers=numbers))
    assert "sessions_1w" in drift.drifted(others)
    assert others["wins_4w"] == alike["wins_4w"]


def test_segments_are_all_players_and_their_revenue_is_the_predictions(
    con: duckdb.DuckDBPyConnection, trained: Trained
) -> None:
    of = predict(con, trained, WEEKS[-1])
    found = segments(con, "sprint", of, trained.value_now.variation)
    assert sum(s.players for s in found) == len(of.player)
    assert sum(s.buyers for s in found) == pytest.approx(of.buys.sum())
    assert sum(s.revenue for s in found) == pytest.approx(of.spend.sum())
    assert [s.revenue for s in found] == sorted((s.revenue for s in found), reverse=True)
    assert all(s.buyers_low <= s.buyers <= s.buyers_high <= s.players for s in found)
    likely = [s for s in found if s.who.startswith("likely buyers")]
    others = [s for s in found if s not in likely]
    rates = [sum(s.buyers for s in of) / sum(s.players for s in of) for of in (likely, others)]
    assert rates[0] > 3 * rates[1]


def test_as_many_buy_as_the_segments_say(con: duckdb.DuckDBPyConnection, trained: Trained) -> None:
    """In the far test, of which the models know nothing."""
    inside = total = 0
    for week in trained.periods["bought_in_14_days"].far:
        of = predict(con, trained, week)
        rows = read_rows(con, "sprint", [week])
        assert (rows.player == of.player).all()
        low, high = expected_range(of)
        bought = rows.labels["bought_in_14_days"].sum()
        inside, total = inside + (low <= bought <= high), total + 1
    assert inside == total


def expected_range(of: Predictions) -> tuple[float, float]:
    """Five standard deviations around the expected number of buyers, and a tenth for the model."""
    mean, deviation = of.buys.sum(), np.sqrt((of.buys * (1 - of.buys)).sum())
    return mean * 0.9 - 5 * deviation, mean * 1.1 + 5 * deviation


def test_of_a_large_title_the_same_share_of_players_is_read_every_week(
    con: duckdb.DuckDBPyConnection,
) -> None:
    weeks = weeks_of(con, "sprint")[-6:]
    whole = read_rows(con, "sprint", weeks)
    some = read_rows(con, "sprint", weeks, len(whole) // 3)
    assert 0.25 < len(some) / len(whole) < 0.42
    chosen = {bytes(p) for p in some.player}
    assert sum(bytes(p) in chosen for p in whole.player) == len(some)


def test_words_that_are_rare_are_no_columns(con: duckdb.DuckDBPyConnection) -> None:
    rows = read_rows(con, "sprint", [WEEKS[3]])
    columns = Columns.of(rows)
    assert "platform=pc" in columns.names
    rare = {**rows.words, "platform": np.where(np.arange(len(rows)) == 0, "abacus", "pc")}
    assert "platform=abacus" not in Columns.of(dataclasses.replace(rows, words=rare)).names
