"""The truth beside the records: exact chances, held against redraws and against what came to be."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sprint_platform.draws import mix, stream_key, top_bits
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.orchestration.policies import daily_partitions
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_tags import range_tags
from sprint_platform.orchestration.truth_asset import build_truth_asset
from sprint_platform.places import project_root
from sprint_platform.simulation.world import World
from sprint_platform.title import Title, TitleError
from sprint_platform_tests.worlds import (
    LAUNCH,
    hundredths,
    ids,
    rows_of,
    table,
    title_like,
)

TODAY = LAUNCH + timedelta(days=45)
PAYING = {
    "clusters": {
        "none": {"share": 0.3},
        "minnow": {"share": 0.7, "chance": 0.1, "purchases": [1, 3], "price": [0, 50]},
    },
    "spread": 1.0,
    "pass_share": 0.2,
    "pass_within_days": 60,
}


def small(players: int) -> World:
    """A world in which many pay, and some buy their passes after the day that is looked at."""
    growth = {"kind": "steady", "active_players": players}
    return World(
        title_like("sprint", simulation__growth=growth, simulation__spending=PAYING, seed=11)
    )


def truth(world: World) -> pa.Table:
    return pa.concat_tables(world.truth(TODAY))


def test_a_days_truth_is_of_its_active_players(sprint: World) -> None:
    known = truth(sprint)
    active = table(sprint, "signons", TODAY)
    assert (np.sort(ids(known, "player_id")) == np.sort(ids(active, "player_id"))).all()
    for column in ("no_signon_in_14_days", "purchase_in_14_days"):
        chance = known[column].to_numpy()
        assert 0 <= chance.min() <= chance.max() <= 1
    with pytest.raises(TitleError, match="launches on"):
        list(sprint.truth(LAUNCH - timedelta(days=1)))


def test_the_truth_is_the_same_in_chunks_and_alone(sprint: World) -> None:
    cut = World(Title.load("sprint"), chunk_players=97)
    for _ in cut.signons(TODAY + timedelta(days=200)):
        pass
    assert truth(cut).equals(truth(sprint))


def test_chances_are_those_of_a_thousand_redraws() -> None:
    world = small(40)
    players = world._truth.active(TODAY)
    leaves, buys, _ = world._truth.chances(players, TODAY)
    # the same players with the same traits and days to live, and other luck a thousand times
    redraws = 1_000
    absent, bought = np.ones((redraws, len(players)), bool), np.zeros((redraws, len(players)), bool)
    for ahead in range(1, 15):
        day = TODAY + timedelta(days=ahead)
        which = np.flatnonzero(players.last >= (day - LAUNCH).days)
        some = players.take(which)
        plays, pays = world._population.chance(some, day), world._purchases.chance(some, day)
        on, paid = (luck(stream, day, redraws, some.number) for stream in ("signon", "buys"))
        absent[:, which] &= on >= plays
        bought[:, which] |= (on < plays) & (paid < pays)
    # a pass is one more purchase: of those who have none, and want none in these days
    begin = world._purchases.passes(players).begin
    without = begin > (TODAY - LAUNCH).days + 14
    assert without.mean() > 0.5
    for chance, came in ((leaves, absent), (buys[without], bought[:, without])):
        noise = np.sqrt(chance * (1 - chance) * redraws) + 0.5
        assert (np.abs(came.sum(axis=0) - chance * redraws) < 4.5 * noise).all()


def luck(stream: str, day: date, redraws: int, number: npt.NDArray[np.int64]) -> npt.NDArray:
    """Other draws of a day, one row a redraw."""
    keys = [stream_key(10**6 + redraw, stream, day.toordinal()) for redraw in range(redraws)]
    return np.stack([top_bits(mix(key, number)) for key in keys])


def outcomes(world: World, known: pa.Table) -> tuple[npt.NDArray[np.float64], ...]:
    """Whether each player signed on and bought in 14 days, and what was spent in 30."""
    players = ids(known, "player_id")
    here, paid, spent = (np.zeros(len(players)) for _ in range(3))
    for n in range(1, 31):
        day = TODAY + timedelta(days=n)
        bought = table(world, "transactions", day)
        row = rows_of(ids(bought, "player_id"), players)
        cents = hundredths(bought, "purchase_price")
        np.add.at(spent, row[row >= 0], cents[row >= 0] / 100)
        if n <= 14:
            paid[row[row >= 0]] = 1
            row = rows_of(ids(table(world, "signons", day), "player_id"), players)
            here[row[row >= 0]] = 1
    return here, paid, spent


def test_what_comes_to_be_is_what_was_likely() -> None:
    world = small(6_000)
    known = truth(world)
    here, paid, spent = outcomes(world, known)
    pairs = (("no_signon_in_14_days", 1 - here), ("purchase_in_14_days", paid))
    for column, came in pairs:
        chance = known[column].to_numpy()
        # in all, and among those of whom it was likely or unlikely
        for low, high in ((0, 1), (0, 0.05), (0.05, 0.3), (0.3, 0.7), (0.7, 1)):
            some = (chance >= low) & (chance <= high)
            noise = np.sqrt((chance * (1 - chance))[some].sum())
            assert abs(came[some].sum() - chance[some].sum()) < 4 * noise + 1, (column, low)
        assert 0.02 < came.mean() < 0.9
    # purchases of a day come together and prices differ: a mean of 6,000 players is good to 5 %
    assert spent.sum() == pytest.approx(known["expected_spend_in_30_days"].to_numpy().sum(), 0.05)
    # and the traits tell players apart who will pay from those who will not
    purse = known["purse"].to_numpy()
    assert spent[purse > 1].mean() > 2 * spent[purse <= 1].mean()


def test_the_truth_is_a_table_of_the_days_that_somebody_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    world = small(40)
    title, days = world.title, (TODAY, TODAY + timedelta(days=1))
    asset = build_truth_asset(title, daily_partitions(title.launch_date))
    for asked in (days[:1], days, days[:1]):
        tags = range_tags(asked[0], asked[-1])
        assert dg.materialize([asset], resources={"warehouse": Warehouse()}, tags=tags).success
    with connect() as con:
        found = con.execute(
            "select * from sprint_truth.player_day_chances order by event_date, player_id"
        ).to_arrow_table()
    assert found.column_names == [*truth(world).column_names, "event_date"]
    assert set(found["event_date"].to_pylist()) == set(days)
    for day in days:
        made = pa.concat_tables(world.truth(day))
        held = found.filter(pc.equal(found["event_date"], day))
        # a day that was asked for twice is there once
        assert held.num_rows == made.num_rows
        spent = sorted(made["expected_spend_in_30_days"].to_pylist())
        assert sorted(held["expected_spend_in_30_days"].to_pylist()) == spent


def test_the_docs_name_every_column_of_the_truth(sprint: World) -> None:
    page = (project_root() / "docs" / "simulation.md").read_text(encoding="utf-8")
    assert [c for c in truth(sprint).column_names if f"| `{c}` |" not in page] == []
