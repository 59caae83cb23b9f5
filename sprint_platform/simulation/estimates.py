"""Estimates of rows, bytes and seconds for a range of days, from the curves: nothing is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from sprint_platform.draws import ONE
from sprint_platform.simulation.population import Population
from sprint_platform.simulation.purchases import FIRST_DAYS, FIRST_WEEK, LATER, occasion
from sprint_platform.telemetry.contracts import DAILY, DATASETS
from sprint_platform.title import Title

# What Dagster and dbt take on top.
SECONDS_A_RUN = 14
SECONDS_A_DAY = 0.6
SECONDS_A_MILLION_HEARTBEATS = 1
# Of the further matches that are planned some find nobody, or would begin on the next day.
PLAYED_AGAIN = 0.88


@dataclass(frozen=True)
class Estimate:
    """About how much one dataset will be. ``seconds`` are for making and loading it."""

    dataset: str
    rows: int
    file_bytes: int
    database_bytes: int
    seconds: float


def estimate(title: Title, days: Iterable[date]) -> list[Estimate]:
    """About how many rows, bytes and seconds each dataset of a simulated title takes for the days.

    Expected values from growth, retention, habits and settings; no draw is made.
    """
    assert title.simulation is not None
    population = Population(title)
    sessions, spending = title.simulation.sessions, title.simulation.spending
    again = sessions.replay_share * PLAYED_AGAIN
    rounds = sum(again**n for n in range(sessions.per_day))
    # a triangle's mean; who leaves early stays half of what is beyond the shortest, on average
    full = (sessions.shortest_seconds + sessions.typical_seconds + sessions.longest_seconds) / 3
    left = (sessions.shortest_seconds + full) / 2
    seconds = sessions.stay_share * full + (1 - sessions.stay_share) * left
    beats = seconds / title.whole_beat - 0.5
    bought = sum(
        cluster.share * cluster.chance * sum(cluster.purchases) / 2
        for cluster in spending.clusters.values()
    )
    # a pass is bought by those who still play on the chosen day, and renews monthly or yearly
    subscribers = spending.pass_share * float(population.mean_habit)
    waited = spending.pass_within_days // 2
    reach_it = int(population.survival(waited)[waited]) / ONE
    renewals = subscribers * (12 + 1) / 2 / 365.25
    rows = dict.fromkeys(DAILY, 0.0)
    for day in days:
        age = (day - title.launch_date).days
        signups = population.signed_up_by(age) - population.signed_up_by(age - 1)
        by_age = population.expected_by_age(day) / ONE
        active, new = float(by_age.sum()), float(by_age[:FIRST_DAYS].sum())
        # players' purchases, as those of so many on usual days
        buying = float(occasion(day)) * (new * float(FIRST_WEEK) + (active - new) * float(LATER))
        buying = active + spending.causes * (buying - active)
        played = active * sessions.play_share * rounds
        rows["dim_players"] += signups
        rows["signons"] += active
        rows["sessions"] += played
        rows["heartbeats"] += played * beats
        # everybody signs on on the day of the sign-up, the others by their habit
        living = signups + (active - signups) / float(population.mean_habit)
        rows["transactions"] += (
            buying * bought + signups * subscribers * reach_it + living * renewals
        )
    return [
        Estimate(
            dataset=dataset,
            rows=round(count),
            file_bytes=round(count * size.file_bytes),
            database_bytes=round(count * size.database_bytes),
            seconds=count / size.rows_per_second,
        )
        for dataset, count in rows.items()
        if (size := DATASETS[dataset].size)
    ]


def run_seconds(estimates: Iterable[Estimate], days: int, runs: int = 1) -> float:
    """About how many seconds ``runs`` runs over ``days`` days in all take, by the estimates."""
    made = list(estimates)
    beats = sum(e.rows for e in made if e.dataset == "heartbeats")
    return (
        sum(e.seconds for e in made)
        + SECONDS_A_RUN * runs
        + SECONDS_A_DAY * days
        + SECONDS_A_MILLION_HEARTBEATS * beats / 1e6
    )
