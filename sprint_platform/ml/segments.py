"""Whom to make an offer this week: players who are alike in what they will probably do and in what
they like, with how many of them will buy and what that brings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import duckdb
import numpy as np
import numpy.typing as npt

from sprint_platform.ml.features import id_bytes, ids_of
from sprint_platform.ml.predictions import Predictions

# A player is likely to buy who is among the two tenths most likely to, and at risk who more
# probably leaves than stays.
LIKELY_DECILES, RISK = 2, 0.5
# An interval that holds in nine cases of ten.
Z90 = 1.6449
# A third of all purchases each.
LEVELS = ("low", "middle", "high")
_WEEKS = 12


@dataclass(frozen=True)
class Segment:
    """Players of a week: who they are (``likely buyers`` or ``others``, who ``stay`` or are ``at
    risk``), the type of item and the level of price that they bought (of who did not: that most
    people begin with), how many, and what is expected of them: buyers within 14 days, revenue
    within 30, each with the ends of a 90 % interval."""

    who: str
    item_type: str
    price_level: str
    price_from: float
    price_to: float
    players: int
    buyers: float
    buyers_low: float
    buyers_high: float
    revenue: float
    revenue_low: float
    revenue_high: float


def segments(
    con: duckdb.DuckDBPyConnection, title: str, predictions: Predictions, variation: float
) -> list[Segment]:
    """The segments, those that bring most first. ``variation`` is how far an amount is from what
    was expected of it, as a share (``Value.variation``)."""
    liked = _liked(con, title, predictions)
    likely = predictions.decile <= LIKELY_DECILES
    risk = predictions.leaves > RISK
    who = np.where(likely, "likely buyers", "others").astype(object)
    who += np.where(risk, " at risk", " who stay").astype(object)
    found = list(_summed(who, liked, predictions, variation))
    return sorted(found, key=lambda s: (-s.revenue, s.who, s.item_type, s.price_level))


def interval(mean: float, variance: float, most: float = np.inf) -> tuple[float, float]:
    """The ends of a 90 % interval: chance alone, not what the model gets wrong."""
    half = Z90 * float(np.sqrt(max(variance, 0.0)))
    return max(mean - half, 0.0), min(mean + half, most)


@dataclass(frozen=True)
class _Liked:
    item: npt.NDArray[np.object_]
    level: npt.NDArray[np.int64]
    # the lowest and highest price of each level
    prices: tuple[tuple[float, float], ...]


def _summed(
    who: npt.NDArray[np.object_], liked: _Liked, of: Predictions, variation: float
) -> Iterator[Segment]:
    names = [f"{w}|{i}|{n}" for w, i, n in zip(who, liked.item, liked.level, strict=True)]
    for name in sorted(set(names)):
        which = np.flatnonzero(np.array(names, object) == name)
        group, item, level = name.split("|")
        buys, pays, amount = of.buys[which], of.pays[which], of.amount[which]
        buyers, revenue = float(buys.sum()), float((pays * amount).sum())
        low, high = interval(buyers, float((buys * (1 - buys)).sum()), len(which))
        # of an amount that comes with a chance: the mean of its square less the square of its mean
        spread = float((pays * amount**2 * (1 + variation**2) - (pays * amount) ** 2).sum())
        paid_low, paid_high = interval(revenue, spread)
        prices = liked.prices[int(level)]
        yield Segment(
            group, item, LEVELS[int(level)], *prices, len(which),
            buyers, low, high, revenue, paid_low, paid_high,
        )  # fmt: skip


def _liked(con: duckdb.DuckDBPyConnection, title: str, of: Predictions) -> _Liked:
    """What each player bought most often in twelve weeks, and at what level of price; of who bought
    nothing, what most players bought first."""
    last = of.week + timedelta(days=6)
    first = last - timedelta(days=7 * _WEEKS - 1)
    bought = (
        f"(select player_id, transaction_type as item, purchase_price::double as price,"
        f" event_datetime, transaction_id from {title}_raw.event_transaction"
        f" where event_date between date '{first}' and date '{last}')"
    )
    cuts = con.execute(
        f"select quantile_disc(price, 1 / 3.0), quantile_disc(price, 2 / 3.0), min(price),"
        f" max(price) from {bought}"
    ).fetchone()
    n = len(of.player)
    if cuts is None or cuts[0] is None:
        return _Liked(np.full(n, "any", object), np.zeros(n, np.int64), ((0.0, 0.0),) * 3)
    low, high, least, most = cuts
    level = f"case when price <= {low} then 0 when price <= {high} then 1 else 2 end"
    [(usual_item, usual_level)] = con.execute(
        f"select mode(item order by item), mode(level order by level) from (select item, {level} as"
        f" level from {bought} qualify row_number() over (partition by player_id order by"
        " event_datetime, transaction_id) = 1)"
    ).fetchall()
    found = con.execute(
        f"select {id_bytes('player_id')} as player_id, mode(item order by item) as item,"
        f" mode(level order by level) as level from (select player_id, item, {level} as level from"
        f" {bought}) group by 1 order by 1"
    ).to_arrow_table()
    known = {bytes(p): n for n, p in enumerate(ids_of(found))}
    items, levels = found["item"].to_pylist(), found["level"].to_pylist()
    at = [known.get(bytes(p), -1) for p in of.player]
    return _Liked(
        np.array([usual_item if n < 0 else items[n] for n in at], object),
        np.array([usual_level if n < 0 else levels[n] for n in at], np.int64),
        ((least, low), (low, high), (high, most)),
    )
