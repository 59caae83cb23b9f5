"""The event log: a batch generated, written and loaded into DuckDB, and its models built."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from sprint_platform_tests.bench import graph_runs

LARGE = 200_000


@dataclass(frozen=True)
class LargeBatch:
    """A batch of 200,000 players: made and loaded, then modelled; and its events."""

    generated: graph_runs.Process
    built: graph_runs.Process
    events: int


def default_batch_seconds(runs: int = 3) -> float:
    """Seconds of wall clock for ``sprint eventlog generate`` with its 2,000 players: the median."""
    with graph_runs.fresh_folders() as environment:
        return median(
            graph_runs.run(["sprint", "eventlog", "generate"], environment).wall
            for _ in range(runs)
        )


def large_batch() -> LargeBatch:
    """The large batch, in fresh folders."""
    with graph_runs.fresh_folders() as environment:
        command = ["sprint", "eventlog", "generate", "--players", str(LARGE)]
        generated = graph_runs.run(command, environment, watch_memory=True)
        build = ["sprint", "eventlog", "build", "--batch", "1"]
        built = graph_runs.run(build, environment, watch_memory=True)
        events = graph_runs.rows_by_table("eventlog")["eventlog_raw.raw_game_events"]
        return LargeBatch(generated, built, events)
