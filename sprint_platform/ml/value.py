"""What a player will spend in 30 days: a hurdle (whether at all) and an amount (how much then), and
beside it what the dates and amounts of purchases say alone (``bgnbd.py``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import numpy.typing as npt
import xgboost as xgb

from sprint_platform.ml.bgnbd import BgNbd, Customers, GammaGamma, fit_bgnbd, fit_gamma_gamma
from sprint_platform.ml.calibration import Calibration, calibrated
from sprint_platform.ml.families import Trees, boosted
from sprint_platform.ml.features import F32, F64, id_bytes, ids_of

HORIZON_DAYS = 30
# Of fewer buyers no amounts are learned: all are expected to spend what those did on average.
LEAST_BUYERS = 100
# So many customers are enough for the few parameters of BG/NBD.
MOST_CUSTOMERS = 5_000
_BUYERS = {"max_depth": 4, "eta": 0.1, "rounds": 80}
_AMOUNTS = {
    "tree_method": "hist",
    "nthread": 1,
    "verbosity": 0,
    "objective": "reg:gamma",
    "max_depth": 3,
    "eta": 0.1,
    "min_child_weight": 20,
    "subsample": 0.8,
}
_AMOUNT_ROUNDS = 60


@dataclass(frozen=True)
class Value:
    """``buyers`` says whether, ``amounts`` how much (None: ``mean_amount``, as too few bought);
    ``scale`` makes the expected sum that of the calibration weeks, and ``variation`` is the
    amounts' standard deviation as a share of what was expected of them."""

    buyers: Trees
    calibration: Calibration
    amounts: Trees | None
    mean_amount: float
    scale: float
    variation: float

    def expected(self, matrix: F32) -> tuple[F64, F64]:
        """Each player's chance to spend anything in 30 days, and what then."""
        chance = self.calibration(self.buyers.score(matrix))
        return chance, self.scale * self._amount(matrix)

    def spend(self, matrix: F32) -> F64:
        """What each player will spend, on average."""
        chance, amount = self.expected(matrix)
        return chance * amount

    def _amount(self, matrix: F32) -> F64:
        if self.amounts is None:
            return np.full(len(matrix), self.mean_amount)
        return self.amounts.score(matrix)

    def stored(self, name: str) -> dict[str, bytes]:
        """The files of the model, whose names begin with this one."""
        numbers = {
            "score": self.calibration.score.tolist(),
            "chance": self.calibration.chance.tolist(),
            "mean_amount": self.mean_amount,
            "scale": self.scale,
            "variation": self.variation,
        }
        files = {
            f"{name}_buyers.ubj": self.buyers.stored(),
            f"{name}.json": json.dumps(numbers).encode(),
        }
        if self.amounts is not None:
            files[f"{name}_amounts.ubj"] = self.amounts.stored()
        return files

    @staticmethod
    def load(files: Mapping[str, bytes], name: str) -> Value:
        numbers = json.loads(files[f"{name}.json"])
        curve = Calibration(np.array(numbers.pop("score")), np.array(numbers.pop("chance")))
        amounts = files.get(f"{name}_amounts.ubj")
        return Value(
            Trees.load(files[f"{name}_buyers.ubj"]),
            curve,
            Trees.load(amounts) if amounts else None,
            **numbers,
        )


def fit_value(train: tuple[F32, F64], calibrate: tuple[F32, F64], seed: int) -> Value:
    """The model of what was spent (``train``), put right by later weeks (``calibrate``)."""
    matrix, spent = train
    bought = spent > 0
    buyers, _ = boosted(_BUYERS, matrix, bought.astype(np.float64), seed)
    amounts, mean = None, float(spent[bought].mean()) if bought.any() else 0.0
    if bought.sum() >= LEAST_BUYERS:
        rows = xgb.DMatrix(matrix[bought], spent[bought], nthread=1)
        amounts = Trees(xgb.train({**_AMOUNTS, "seed": seed}, rows, num_boost_round=_AMOUNT_ROUNDS))
    later, later_spent = calibrate
    curve = calibrated(buyers.score(later), (later_spent > 0).astype(np.float64))
    plain = Value(buyers, curve, amounts, mean, 1.0, 0.0)
    chance, amount = plain.expected(later)
    expected = float((chance * amount).sum())
    scale = float(later_spent.sum()) / expected if expected and later_spent.any() else 1.0
    paid = later_spent > 0
    ratio = later_spent[paid] / np.maximum(scale * amount[paid], 1e-9)
    variation = float(ratio.std()) if paid.sum() > 1 else 0.0
    return Value(buyers, curve, amounts, mean, scale, variation)


def customers(
    con: duckdb.DuckDBPyConnection, title: str, week: date
) -> tuple[npt.NDArray[np.void], Customers]:
    """Everybody who bought by the end of the week: the ids' 16 bytes, and their purchases in weeks
    of time (a day with purchases counts as one)."""
    last = week + timedelta(days=6)
    found = con.execute(
        "with days as (select player_id, event_date as day, sum(purchase_price)::double as paid"
        f" from {title}_raw.event_transaction where event_date <= $last group by all),"
        " firsts as (select *, min(day) over (partition by player_id) as first from days)"
        f" select {id_bytes('player_id')} as player_id, count(*) - 1 as repeats,"
        " (max(day) - min(day)) / 7.0 as recency,"
        " ($last::date - min(day)) / 7.0 as age,"
        " coalesce(avg(paid) filter (day > first), 0) as amount"
        " from firsts group by player_id order by player_id",
        {"last": last},
    ).to_arrow_table()
    columns = (
        found[c].to_numpy().astype(np.float64) for c in ("repeats", "recency", "age", "amount")
    )
    return ids_of(found), Customers(*columns)


def fit_purchases(of: Customers) -> tuple[BgNbd, GammaGamma] | None:
    """BG/NBD and Gamma-Gamma of at most ``MOST_CUSTOMERS``; None where too few bought again."""
    some = Customers(*(values[:MOST_CUSTOMERS] for values in vars(of).values()))
    # an amount of nothing has no scale
    paid = (some.repeats > 0) & (some.amount > 0)
    if paid.sum() < LEAST_BUYERS:
        return None
    return fit_bgnbd(some), fit_gamma_gamma(Customers(*(v[paid] for v in vars(some).values())))


def expected_purchases(
    models: tuple[BgNbd, GammaGamma],
    known: tuple[npt.NDArray[np.void], Customers],
    player: npt.NDArray[np.void],
) -> F64:
    """What each player will spend in 30 days by dates and amounts alone; 0 of who never bought."""
    ids, of = known
    spend = models[0].expected(of, HORIZON_DAYS / 7) * models[1].expected(of)
    return values_of(player, ids, np.maximum(np.nan_to_num(spend), 0.0), 0.0)


def values_of(
    player: npt.NDArray[np.void], known: npt.NDArray[np.void], values: F64, otherwise: float
) -> F64:
    """For each player the value beside its id among the ``known``, else ``otherwise``."""
    order = np.argsort(known.view("S16"), kind="stable")
    names = known.view("S16")[order]
    at = np.searchsorted(names, player.view("S16")).clip(0, max(len(names) - 1, 0))
    if not len(names):
        return np.full(len(player), otherwise)
    return np.where(names[at] == player.view("S16"), values[order][at], otherwise)
