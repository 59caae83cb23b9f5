"""Any day alone, in any order, process and chunks, on any processor: the same records."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from multiprocessing import get_context

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sprint_platform import draws
from sprint_platform.simulation import heartbeats, population
from sprint_platform.simulation.world import World
from sprint_platform.storage import digest as digest_module
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import SIMULATION_VERSION, Title
from sprint_platform_tests import golden
from sprint_platform_tests.another_machine import digests_elsewhere
from sprint_platform_tests.worlds import (
    LAUNCH,
    SIMULATED,
    codes,
    compound,
    crowd,
    days_from,
    digest,
    digest_alone,
    hundredths,
    ids,
    rows_of,
    table,
    title_like,
)

# a title of each kind: the shipped ones, one of several skill bands, one of several sessions a day
TITLES = {
    "sprint": Title.load("sprint"),
    "leap": Title.load("leap"),
    "bands": crowd(40_000),
    "busy": crowd(500, simulation__sessions={"per_day": 4, "replay_share": 0.8}),
}
WEEK = days_from(LAUNCH, 7)
ALONE: dict[tuple[str, str, date], str] = {}


def alone(name: str, dataset: str, day: date) -> str:
    """The digest of one dataset's day in a world that was never asked for anything else."""
    key = (name, dataset, day)
    if key not in ALONE:
        ALONE[key] = digest_alone((TITLES[name], dataset, day))
    return ALONE[key]


# -- order and range --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sprint", "leap", "busy"])
@given(order=st.permutations([(dataset, day) for dataset in SIMULATED for day in WEEK[::3]]))
@settings(max_examples=4)
def test_a_day_is_the_same_alone_and_in_any_order(name: str, order: list[tuple[str, date]]) -> None:
    world = World(TITLES[name])
    for dataset, day in order:
        assert digest(world, dataset, day) == alone(name, dataset, day)


@pytest.mark.parametrize("name", ["sprint", "leap", "busy"])
@pytest.mark.parametrize("dataset", SIMULATED)
def test_a_range_is_its_days(name: str, dataset: str) -> None:
    records = table(World(TITLES[name]), dataset, WEEK[:3])
    start = 0
    for day in WEEK[:3]:
        rows = table(World(TITLES[name]), dataset, day)
        assert records.slice(start, rows.num_rows).equals(rows)
        start += rows.num_rows
    assert start == records.num_rows


@pytest.mark.parametrize("name", ["sprint", "leap"])
def test_a_longer_horizon_changes_no_old_day(name: str) -> None:
    world = World(TITLES[name])
    for far in (400, 70):
        for dataset in SIMULATED:
            assert digest(world, dataset, LAUNCH + timedelta(days=far)).startswith("v1-")
    for dataset in SIMULATED:
        assert digest(world, dataset, WEEK[3]) == alone(name, dataset, WEEK[3])


def test_a_longer_target_only_scales_the_curve() -> None:
    # days beyond the target's last go on: asked first, they leave the others as they were
    growth = {"kind": "target", "players": 3_000, "days": 5}
    title = title_like("leap", simulation__growth=growth)
    asked_first, fresh = World(title), World(title)
    digest(asked_first, "signons", LAUNCH + timedelta(days=100))
    for day in WEEK:
        assert digest(asked_first, "signons", day) == digest(fresh, "signons", day)


# -- chunks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(TITLES))
@pytest.mark.parametrize("dataset", SIMULATED)
def test_chunks_of_any_size_are_the_same_records(name: str, dataset: str) -> None:
    day = LAUNCH if dataset == "dim_players" else WEEK[1]

    # one player a table is asked of small worlds: a table takes a millisecond
    few = {"bands": 500, "busy": 1}.get(name, 20)

    @given(chunk=st.integers(few, 3_000) | st.integers(few, 100_000))
    @example(chunk=few)
    @settings(max_examples=4)
    def check(chunk: int) -> None:
        world = World(TITLES[name], chunk_players=chunk)
        assert digest(world, dataset, day) == alone(name, dataset, day)

    check()


@given(
    seed=st.integers(0, 2**40),
    players=st.integers(1, 70),
    per_day=st.integers(1, 4),
    longest=st.integers(900, 7200),
    chunk=st.integers(1, 70),
    step=st.integers(1, 70),
    dataset=st.sampled_from(["heartbeats", "sessions", "transactions", "signons"]),
)
@settings(max_examples=50)
def test_small_worlds_are_the_same_in_chunks_and_steps(
    seed: int, players: int, per_day: int, longest: int, chunk: int, step: int, dataset: str
) -> None:
    title = title_like(
        "sprint",
        seed=seed,
        simulation__growth=compound(players),
        simulation__sessions={
            "per_day": per_day,
            "replay_share": 0.9,
            "typical_seconds": 800,
            "longest_seconds": longest,
        },
    )
    expected = digest(World(title), dataset, LAUNCH)
    with pytest.MonkeyPatch.context() as patch:
        # how many rows are worked on at a time is no part of the format either
        patch.setattr(heartbeats, "PLAYERS_PER_STEP", step)
        patch.setattr(draws, "STEP", step)
        patch.setattr(population, "STEP", step)
        patch.setattr(digest_module, "STEP", step + 3)
        assert digest(World(title, chunk_players=chunk), dataset, LAUNCH) == expected


def test_a_large_day_is_the_same_in_steps_of_any_size() -> None:
    for step in (200, 5_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(heartbeats, "PLAYERS_PER_STEP", step)
            assert digest(World(TITLES["bands"]), "heartbeats", WEEK[1]) == alone(
                "bands", "heartbeats", WEEK[1]
            )


# -- processes and processors -----------------------------------------------------------------


def test_four_processes_make_what_one_makes() -> None:
    jobs = [(name, dataset, day) for name in TITLES for dataset in SIMULATED for day in WEEK[:4:3]]
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        made = list(pool.map(digest_alone, [(TITLES[name], *job) for name, *job in jobs]))
    assert made == [alone(*job) for job in jobs]


def test_other_processors_make_the_same_records() -> None:
    assert digests_elsewhere("golden") == golden.digests()


def test_golden_digests() -> None:
    recorded = json.loads(golden.PATH.read_text(encoding="utf-8"))
    assert recorded["simulation_version"] == SIMULATION_VERSION
    assert golden.digests() == recorded["digests"]


# -- what any dataset keeps -------------------------------------------------------------------


@pytest.mark.parametrize("name", list(TITLES))
@pytest.mark.parametrize("dataset", SIMULATED)
def test_every_table_is_the_contracts(name: str, dataset: str) -> None:
    contract = DATASETS[dataset]
    tables = list(getattr(World(TITLES[name]), dataset)(LAUNCH))
    assert sum(part.num_rows for part in tables) > 0
    for part in tables:
        assert part.schema == contract.arrow_schema
        part.validate(full=True)
        for column in contract.columns:
            values = part[column.name]
            if not column.nullable:
                assert values.null_count == 0
            if column.values is not None:
                assert set(values.unique().to_pylist()) <= {*column.values, None}
            if column.low is not None or column.high is not None:
                scale = 100 if column.type in ("position", "money") else 1
                number = hundredths(part, column.name) if scale == 100 else values.to_numpy()
                assert column.low is None or (number >= column.low * scale).all()
                assert column.high is None or (number <= column.high * scale).all()
            if column.type == "text" and not column.nullable:
                assert "" not in values.unique().to_pylist()


@pytest.mark.parametrize("name", list(TITLES))
def test_keys_are_unique_and_lead_to_their_rows(name: str) -> None:
    world = World(TITLES[name])
    days = WEEK[:2] if name == "bands" else WEEK
    records = {dataset: table(world, dataset, days) for dataset in SIMULATED}
    players = ids(records["dim_players"], "player_id")
    assert len(codes(records["dim_players"], "player_id")[0]) == len(players)
    for dataset in ("signons", "sessions", "heartbeats", "transactions"):
        assert (rows_of(ids(records[dataset], "player_id"), players) >= 0).all()
    sessions = codes(records["sessions"], "session_id")[0]
    beats = codes(records["heartbeats"], "session_id")[0]
    assert (sessions == beats).all()
    skus = set(world.dim_products()["product_sku"].to_pylist())
    assert set(records["transactions"]["purchase_item"].to_pylist()) <= skus
    # a player's country is the same wherever it stands
    country = records["dim_players"]["country"]
    for dataset in ("signons", "sessions"):
        home = country.take(pa.array(rows_of(ids(records[dataset], "player_id"), players)))
        assert home.equals(records[dataset]["country"])


def test_another_seed_is_another_world() -> None:
    other = World(title_like("sprint", seed=1))
    for dataset in SIMULATED:
        assert digest(other, dataset, LAUNCH) != alone("sprint", dataset, LAUNCH)
    mine, theirs = (table(w, "signons", LAUNCH) for w in (World(TITLES["sprint"]), other))
    assert (rows_of(ids(mine, "player_id"), ids(theirs, "player_id")) == -1).all()
