"""Models of what players do next: half a year of 50,000 players, from the weekly marts to
scores."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass

from sprint_platform.engines.duckdb_file import connect
from sprint_platform.ml.ceiling import ceiling
from sprint_platform.ml.evaluation import Evaluation, evaluate
from sprint_platform.ml.features import read_rows, weeks_of
from sprint_platform.ml.training import CLASSES, train
from sprint_platform.operations.practice import (
    build_weeks,
    days_of_weeks,
    load_days,
    practice_title,
)
from sprint_platform.simulation.world import World
from sprint_platform_tests.bench import graph_runs

# So many active players a day make some 50,000 in half a year.
ACTIVE_PLAYERS = 3_400


@dataclass(frozen=True)
class HalfAYear:
    """What it took, in seconds of wall clock, and how good the models are."""

    players: int
    rows: int
    features: float
    training: float
    scored_a_minute: float
    peak_bytes: int
    evaluation: Evaluation


def half_a_year() -> HalfAYear:
    """Simulates and loads the game, which is not measured, then builds, trains and scores."""
    title = practice_title(ACTIVE_PLAYERS)
    world = World(title)
    with graph_runs.fresh_folders():
        with connect() as con:
            load_days(con, world, days_of_weeks(26))
        # dbt parses the project the first time, for every model of it
        build_weeks(title, tests=False)
        with connect() as con:
            con.execute("drop table sprint_mart.player_labels_weekly")
            con.execute("drop table sprint_mart.player_features_weekly")
        began = time.perf_counter()
        build_weeks(title, tests=False)
        features = time.perf_counter() - began
        with connect() as con:
            began = time.perf_counter()
            trained = train(con, title.name)
            training = time.perf_counter() - began
            rows = read_rows(con, title.name, weeks_of(con, title.name))
            began = time.perf_counter()
            matrix = trained.columns.matrix(rows)
            for label in CLASSES:
                trained.classifier(label).chance(matrix)
            trained.value_now.spend(matrix)
            scored = len(rows) / (time.perf_counter() - began) * 60
            found = evaluate(con, trained, lambda of, labels: ceiling(world, of, labels))
            players = len({bytes(player) for player in rows.player})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return HalfAYear(players, len(rows), features, training, scored, peak, found)
