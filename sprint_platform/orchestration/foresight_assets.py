"""A title's models of what players do next as assets: what they learn from, the models, how good
they are, what they say of each player, and whom to make an offer. Made weekly, of whole weeks."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb

from sprint_platform.ml.errors import TooShort
from sprint_platform.ml.marts import COLUMNS
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.orchestration.code_references import code_references
from sprint_platform.orchestration.failures import failures_in_one_line
from sprint_platform.orchestration.policies import OWNERS
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.table_metadata import columns_in_sql, table_metadata
from sprint_platform.orchestration.weekly_models import WEEKLY_FRESHNESS, ml_group
from sprint_platform.title import Title

if TYPE_CHECKING:
    from sprint_platform.ml.evaluation import Ceiling
    from sprint_platform.ml.training import Trained

# What an asset's step does with the warehouse open; it yields the asset's metadata, and the results
# of its checks: (name, what is wrong).
Make = Callable[[duckdb.DuckDBPyConnection], Iterator[dict[str, Any] | tuple[str, str]]]
DRIFT_CHECKS = {
    "features_have_not_drifted": "Players are like those that the models learned from: no feature's"
    " stability index (PSI) is above 0.25.",
    "scores_have_not_drifted": "So are the chances that the models say.",
}


def build_foresight_assets(title: Title) -> list[dg.AssetsDefinition]:
    """The assets of the group ``<title>_ml`` that Python makes, below the weekly dbt models."""
    group = ml_group(title)

    def key(name: str) -> dg.AssetKey:
        return dg.AssetKey([group, name])

    learned_from = [key("player_features_weekly"), key("player_labels_weekly")]
    transactions = dg.AssetKey([title.name, "transactions"])
    return [
        _asset(
            title,
            "training_set",
            learned_from,
            "Which weeks of {title} a model is trained on, calibrated on and tested on, in the"
            " order of time, and how many players' weeks they have.",
            lambda con: _training_set(con, title),
        ),
        _asset(
            title,
            "models",
            [key("training_set"), *learned_from],
            "Logistic regression, random forest and boosted trees of who will leave and who will"
            " buy in {title}, and a hurdle model of what they will spend; the best is served.",
            lambda con: _models(con, title),
        ),
        _asset(
            title,
            "evaluation",
            [key("models"), *learned_from, transactions],
            "How good the models of {title} are on later weeks, beside what is known without a"
            " model and, for a simulated title, beside what could have been known at all.",
            lambda con: _evaluation(con, title),
        ),
        _asset(
            title,
            "player_predictions",
            [key("models"), key("player_features_weekly")],
            "One row is a player of a week of {title}: the chances to leave and to buy within 14"
            " days, and what the player will spend within 30.",
            lambda con: _predictions(con, title),
            DRIFT_CHECKS,
        ),
        _asset(
            title,
            "sales_segments",
            [key("models"), key("player_predictions"), key("player_features_weekly"), transactions],
            "One row is a group of players of a week of {title} to whom an offer of a type and"
            " price can be made: how many, the buyers and the revenue to expect.",
            lambda con: _segments(con, title),
        ),
    ]


def _asset(
    title: Title,
    name: str,
    deps: list[dg.AssetKey],
    description: str,
    make: Make,
    checks: dict[str, str] | None = None,
) -> dg.AssetsDefinition:
    group = ml_group(title)
    spec = dg.AssetSpec(
        dg.AssetKey([group, name]),
        deps=deps,
        group_name=group,
        kinds={"python", "duckdb"},
        owners=OWNERS,
        freshness_policy=WEEKLY_FRESHNESS,
        description=description.format(title=title.name),
        metadata={**code_references(make), **_table_metadata(title, name)},
    )
    checks = checks or {}

    @dg.multi_asset(
        name=f"{group}_{name}",
        specs=[spec],
        check_specs=[
            dg.AssetCheckSpec(check, asset=spec.key, description=asked)
            for check, asked in checks.items()
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def step(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        holder = f"{group}/{name} of run {context.run.run_id}"
        metadata: dict[str, Any] = {}
        wrong = dict.fromkeys(checks, "")
        with failures_in_one_line(), warehouse.get_connection(holder) as con:
            try:
                for found in make(con):
                    if isinstance(found, tuple):
                        wrong[found[0]] = found[1]
                    else:
                        metadata |= found
            except TooShort as short:
                # no failure: a young game is a game
                context.log.warning(str(short))
                metadata = {"missing": str(short)}
        if line := metadata.get("left_out"):
            context.log.warning(line)
        results = [
            dg.AssetCheckResult(
                asset_key=spec.key,
                check_name=check,
                passed=not line,
                severity=dg.AssetCheckSeverity.WARN,
                description=line or None,
            )
            for check, line in wrong.items()
        ]
        return dg.MaterializeResult(asset_key=spec.key, metadata=metadata, check_results=results)

    return step


def _table_metadata(title: Title, name: str) -> dict[str, Any]:
    """The mart of that name and its columns; nothing for what is no mart."""
    if name not in COLUMNS:
        return {}
    return table_metadata(f"{title.name}_mart.{name}", columns_in_sql(COLUMNS[name]))


def _training_set(con: duckdb.DuckDBPyConnection, title: Title) -> Iterator[dict[str, Any]]:
    from sprint_platform.ml.training import period_counts

    rows = period_counts(con, title.name)
    yield {
        "dagster/row_count": sum(row[3] for row in rows),
        "periods": _table(("label", "period", "weeks", "players' weeks", "mean label"), rows),
    }


def _models(con: duckdb.DuckDBPyConnection, title: Title) -> Iterator[dict[str, Any]]:
    from sprint_platform.ml.store import save
    from sprint_platform.ml.training import train

    trained = train(con, title.name)
    folder = save(trained)
    tried = [
        (label, t.family, str(dict(t.settings)), t.pr_auc, t.family == trained.served[label])
        for label, trials in trained.tried.items()
        for t in trials
    ]
    yield {
        "version": trained.version,
        "data": trained.data,
        "folder": dg.MetadataValue.path(str(folder)),
        **{f"served {label}": family for label, family in trained.served.items()},
        "tried": _table(("label", "family", "settings", "PR-AUC", "served"), tried),
        **_left_out(trained),
    }


def _left_out(trained: "Trained") -> dict[str, Any]:
    """Which labels have no model, and why, in one line; empty where each has."""
    return {"left_out": "; ".join(trained.left_out.values())} if trained.left_out else {}


def _evaluation(con: duckdb.DuckDBPyConnection, title: Title) -> Iterator[dict[str, Any]]:
    from sprint_platform.ml.evaluation import evaluate
    from sprint_platform.ml.marts import store_evaluation
    from sprint_platform.ml.store import load

    _require_history(con, title)
    found = evaluate(con, load(title.name), _ceiling(title))
    store_evaluation(con, title.name, found)
    rows = [(s.label, s.period, s.model, s.metric, s.value) for s in found.scores if s.served]
    yield {
        "version": found.version,
        "scores": _table(("label", "test", "model", "metric", "value"), rows),
    }


def _predictions(
    con: duckdb.DuckDBPyConnection, title: Title
) -> Iterator[dict[str, Any] | tuple[str, str]]:
    from sprint_platform.ml.drift import drifted
    from sprint_platform.ml.features import read_rows
    from sprint_platform.ml.marts import store_predictions
    from sprint_platform.ml.predictions import predict
    from sprint_platform.ml.store import load
    from sprint_platform.ml.training import drift_of

    week = _require_history(con, title)[-1]
    trained = load(title.name)
    count = store_predictions(con, title.name, predict(con, trained, week))
    indices = drift_of(trained, read_rows(con, title.name, [week]))
    for check, scores in (("features_have_not_drifted", False), ("scores_have_not_drifted", True)):
        far = drifted({n: v for n, v in indices.items() if n.startswith("score:") == scores})
        yield check, ", ".join(f"{name} {index:.2f}" for name, index in far.items())
    yield {
        "dagster/row_count": count,
        "week": str(week),
        "version": trained.version,
        "weeks_behind": (week - trained.last_week).days // 7,
        "drift": _table(("figure", "PSI"), sorted(indices.items(), key=lambda e: -e[1])),
    }


def _segments(con: duckdb.DuckDBPyConnection, title: Title) -> Iterator[dict[str, Any]]:
    from sprint_platform.ml.marts import store_segments
    from sprint_platform.ml.predictions import predict
    from sprint_platform.ml.segments import segments
    from sprint_platform.ml.store import load

    week = _require_history(con, title)[-1]
    trained = load(title.name)
    of = predict(con, trained, week)
    found = []
    # an offer is for those who buy: without both there is no group
    if trained.value_now is not None and "bought_in_14_days" in trained.served:
        found = segments(con, title.name, of, trained.value_now.variation)
    store_segments(con, title.name, of, found)
    headings = ("who", "item", "price", "players", "buyers", "revenue")
    rows = [(s.who, s.item_type, s.price_level, s.players, s.buyers, s.revenue) for s in found]
    yield {
        "dagster/row_count": len(found),
        "week": str(week),
        "offer until": str(week + timedelta(days=20)),
        "segments": _table(headings, rows),
        **_left_out(trained),
    }


def _require_history(con: duckdb.DuckDBPyConnection, title: Title) -> list[Any]:
    """The Mondays of the title's weeks. Raises TooShort where nothing can be learned of them, and
    so no model is there."""
    from sprint_platform.ml.training import periods_of, require_history

    periods_of(con, title.name)
    return require_history(con, title.name)


def _ceiling(title: Title) -> "Ceiling | None":
    """The exact chances of a simulated title; nobody knows those of a landed one."""
    if title.source != "simulated":
        return None
    from sprint_platform.ml.ceiling import ceiling
    from sprint_platform.simulation.world import World

    world = World(title, read_catalogue())
    return lambda rows, labels: ceiling(world, rows, labels)


def _table(headings: tuple[str, ...], rows: list[tuple[Any, ...]]) -> dg.MarkdownMetadataValue:
    def cell(value: Any) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    lines = [headings, ("---",) * len(headings), *(tuple(map(cell, row)) for row in rows)]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))
