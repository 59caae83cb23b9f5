"""What models say of a title's players, and how good they are."""

from __future__ import annotations

import duckdb

from sprint_platform.dashboard.published import Columns, PublishedTitle, read_columns
from sprint_platform.ml.names import CALIBRATION, FEATURES, IMPORTANCE, SCORES, SEGMENTS
from sprint_platform.ml.periods import in_a_row, weeks_over


def segments(con: duckdb.DuckDBPyConnection, title: PublishedTitle) -> Columns:
    """One row per group of the last week that there is, those that bring most first."""
    relation = f"{title.schema}.{SEGMENTS}"
    return read_columns(
        con,
        f"select * from {relation} where year_week = (select max(year_week) from {relation})"
        " order by segment limit 12",
    )


def scores(con: duckdb.DuckDBPyConnection, title: PublishedTitle) -> Columns:
    """One row per label, test and model, with its metrics."""
    return read_columns(
        con,
        "select label, period, model, served, model = 'ceiling' as is_ceiling,"
        " max(value) filter (metric = 'roc_auc') as roc_auc,"
        " max(value) filter (metric = 'pr_auc') as pr_auc,"
        " max(value) filter (metric = 'top_decile_lift') as lift,"
        " max(value) filter (metric = 'ece') as ece,"
        " max(value) filter (metric = 'gini') as gini,"
        " max(value) filter (metric = 'decile_mape') as decile_mape,"
        " max(value) filter (metric = 'share_of_attainable') as attainable"
        f" from {title.schema}.{SCORES} group by all"
        " order by label, period desc, is_ceiling desc, coalesce(roc_auc, gini) desc, model",
    )


def calibration(con: duckdb.DuckDBPyConnection, title: PublishedTitle, label: str) -> Columns:
    """One row per tenth of the near test: what was said, and what came."""
    return read_columns(
        con,
        f"select * from {title.schema}.{CALIBRATION} where period = 'near' and label = $label"
        " order by bin",
        {"label": label},
    )


def importance(con: duckdb.DuckDBPyConnection, title: PublishedTitle) -> Columns:
    """The five features of each label of which most depends."""
    return read_columns(
        con,
        f"select label, feature, auc_lost from {title.schema}.{IMPORTANCE}"
        " qualify row_number() over"
        " (partition by label order by auc_lost desc, feature) <= 5 order by label, auc_lost desc",
    )


def weeks(con: duckdb.DuckDBPyConnection, title: PublishedTitle) -> int:
    """How many whole weeks of the title there are in a row up to the last; before any was built,
    how many are over of its days."""
    if FEATURES in title.marts:
        found = con.execute(
            f"select distinct year_week from {title.schema}.{FEATURES} order by 1"
        ).fetchall()
        return len(in_a_row([week for (week,) in found]))
    if title.first is None or title.last is None:
        return 0
    return len(weeks_over(title.first, title.last))
