"""What models say, as marts of the title: stored in the warehouse, noted in its ledger,
published."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from sprint_platform.ml.names import CALIBRATION, IMPORTANCE, PREDICTIONS, SCORES, SEGMENTS
from sprint_platform.publish.marts import Mart, publish
from sprint_platform.storage.ledger import title_ledger, transaction

if TYPE_CHECKING:
    from sprint_platform.ml.evaluation import Evaluation
    from sprint_platform.ml.predictions import Predictions
    from sprint_platform.ml.segments import Segment

COLUMNS = {
    PREDICTIONS: "player_id uuid, year_week date, model_version varchar, chance_to_leave double,"
    " chance_to_buy double, expected_spend double, decile smallint",
    SEGMENTS: "year_week date, model_version varchar, segment smallint, who varchar,"
    " item_type varchar, price_level varchar, price_from double, price_to double, players integer,"
    " expected_buyers double, buyers_low double, buyers_high double, expected_revenue double,"
    " revenue_low double, revenue_high double",
    SCORES: "model_version varchar, label varchar, period varchar, model varchar, served boolean,"
    " metric varchar, value double",
    CALIBRATION: "model_version varchar, label varchar, period varchar, bin smallint,"
    " players integer, predicted double, came double",
    IMPORTANCE: "model_version varchar, label varchar, feature varchar, auc_lost double",
}
_OF_WEEKS = (PREDICTIONS, SEGMENTS)


def ensure_tables(con: duckdb.DuckDBPyConnection, title: str) -> None:
    """Creates the title's tables where they are missing."""
    for mart, columns in COLUMNS.items():
        con.execute(f"create table if not exists {title}_mart.{mart} ({columns})")


def store_predictions(con: duckdb.DuckDBPyConnection, title: str, of: Predictions) -> int:
    """Replaces the week's predictions, publishes them, and returns how many there are."""
    ids = pa.array([bytes(p) for p in of.player], pa.binary(16))
    rows = pa.table(
        {
            "player_id": pa.ExtensionArray.from_storage(pa.uuid(), ids),
            "year_week": pa.array([of.week] * len(ids), pa.date32()),
            "model_version": [of.version] * len(ids),
            # what has no model is null
            "chance_to_leave": pa.array(of.leaves, from_pandas=True),
            "chance_to_buy": pa.array(of.buys, from_pandas=True),
            "expected_spend": pa.array(of.spend, from_pandas=True),
            "decile": pa.array(of.decile, mask=of.decile == 0),
        }
    )
    _replace(con, title, PREDICTIONS, rows, of.week)
    return len(ids)


def store_segments(
    con: duckdb.DuckDBPyConnection, title: str, of: Predictions, found: Sequence[Segment]
) -> None:
    """Replaces the week's segments, and publishes them."""
    rows = [(of.week, of.version, n, *astuple(s)) for n, s in enumerate(found, 1)]
    _replace(con, title, SEGMENTS, _table(SEGMENTS, rows), of.week)


def store_evaluation(con: duckdb.DuckDBPyConnection, title: str, found: Evaluation) -> None:
    """Replaces the scores, the calibration and the features' importance, and publishes them."""
    version = found.version
    scores = [(version, *astuple(score)) for score in found.scores]
    bins = [(version, *astuple(one)) for one in found.bins]
    importance = [
        (version, label, feature, lost)
        for label, features in found.importance.items()
        for feature, lost in features.items()
    ]
    for mart, rows in ((SCORES, scores), (CALIBRATION, bins), (IMPORTANCE, importance)):
        _replace(con, title, mart, _table(mart, rows), None)


def _table(mart: str, rows: Sequence[tuple]) -> pa.Table:
    names = [column.split()[0] for column in COLUMNS[mart].split(", ")]
    return pa.table({name: [row[n] for row in rows] for n, name in enumerate(names)})


def _replace(
    con: duckdb.DuckDBPyConnection, title: str, mart: str, rows: pa.Table, week: date | None
) -> None:
    """Makes the mart hold these rows of the week (of a mart without weeks: these rows alone), notes
    it in the ledger and publishes it."""
    ledger, relation = title_ledger(title), f"{title}_mart.{mart}"
    digest = hashlib.blake2b(digest_size=16)
    for column in rows.columns:
        digest.update(repr(column.to_pylist()).encode())
    content = digest.hexdigest()
    con.register("rows_of_mart", rows)
    try:
        with transaction(con):
            ensure_tables(con, title)
            where = "where year_week = ?" if week else ""
            con.execute(f"delete from {relation} {where}", [week] if week else [])
            con.execute(f"insert into {relation} by name select * from rows_of_mart")
            period = str(week) if week else ""
            con.execute(
                f"delete from {ledger.schema}.built_periods where model = ? and period = ?",
                [mart, period],
            )
            con.execute(
                f"insert into {ledger.schema}.built_periods values (?, ?, ?, ?, true)",
                [mart, period, len(rows), content],
            )
    finally:
        con.unregister("rows_of_mart")
    publish(con, ledger, [mart_of(title, mart)])


def mart_of(title: str, mart: str) -> Mart:
    """How the mart is published."""
    relation, schema = f"{title}_mart.{mart}", f"{title}_mart"
    if mart in _OF_WEEKS:
        return Mart(relation, schema, "year_week", "week", "week")
    return Mart(relation, schema)


def foresight_marts(title: str) -> list[Mart]:
    """All of them."""
    return [mart_of(title, mart) for mart in COLUMNS]
