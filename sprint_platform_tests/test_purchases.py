"""Transactions: what the catalogue sells, to whom, and passes that renew on their day."""

from __future__ import annotations

import calendar
import math
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sprint_platform.draws import uuids
from sprint_platform.places import project_root
from sprint_platform.simulation.population import Players, Population
from sprint_platform.simulation.products import catalogue
from sprint_platform.simulation.purses import purse, purses
from sprint_platform.simulation.world import World
from sprint_platform.title import CompoundGrowth, Title, read_title
from sprint_platform_tests.worlds import (
    DAY_SECONDS,
    LAUNCH,
    as_pairs,
    codes,
    compound,
    crowd,
    days_from,
    ids,
    rows_of,
    second_of,
    seconds,
    table,
    title_like,
)

TOMORROW = LAUNCH + timedelta(days=1)
NOBODY_BUYS = {"none": {"share": 1.0}}
CLASSIC = read_title(project_root() / "examples" / "titles" / "classic.yaml")


@pytest.fixture(scope="module")
def world() -> World:
    """The rules that the project began with, which say who buys what to the day."""
    growth = CompoundGrowth.model_validate(compound(40_000))
    simulation = CLASSIC.simulation
    assert simulation is not None
    spending = simulation.spending.model_copy(update={"pass_share": 0.05})
    update = {"growth": growth, "spending": spending}
    return World(CLASSIC.model_copy(update={"simulation": simulation.model_copy(update=update)}))


@pytest.fixture(scope="module")
def bought(world: World) -> pa.Table:
    return table(world, "transactions", TOMORROW)


def test_a_purchase_is_of_a_product_at_its_price(world: World, bought: pa.Table) -> None:
    products = {row["product_sku"]: row for row in world.dim_products().to_pylist()}
    columns = ("purchase_item", "purchase_price", "transaction_type", "is_recurring", "cycle")
    kinds = set(zip(*(bought[column].to_pylist() for column in columns), strict=True))
    for item, price, kind, recurs, cycle in kinds:
        product = products[item]
        assert (price, kind, recurs, cycle) == tuple(
            product[c] for c in ("purchase_price", "transaction_type", "is_recurring", "cycle")
        )
    assert set(bought["currency"].to_pylist()) == {"USD"}
    # nothing that somebody may pay for lies on the shelf for ever
    wanted = {
        item
        for item, product in products.items()
        if product["is_recurring"] or 1 <= product["purchase_price"] <= 50
    }
    assert {item for item, *_ in kinds} == wanted


def test_other_products_are_sold_where_there_are_others(world: World) -> None:
    title = world.title
    short = table(World(title, catalogue(30)), "transactions", TOMORROW)
    assert set(short["purchase_item"].to_pylist()) <= {f"SKU-{1000 + i}" for i in range(30)}
    # a person may edit the seed: what is paid follows it
    dearer = catalogue()
    price = pc.add(dearer["purchase_price"].cast(pa.decimal128(9, 2)), Decimal("0.01"))
    at = dearer.schema.get_field_index("purchase_price")
    dearer = dearer.set_column(at, dearer.schema.field(at), price.cast(pa.decimal32(9, 2)))
    other = World(title, dearer)
    paid = table(other, "transactions", TOMORROW)
    assert set(paid["purchase_price"].to_pylist()) <= set(dearer["purchase_price"].to_pylist())
    assert other.source("transactions") != world.source("transactions")
    assert other.source("sessions") == world.source("sessions")


def by_player(world: World, bought: pa.Table, day: date) -> dict[str, list[int]]:
    """How many things that do not recur each active player bought, by spending cluster."""
    active = ids(table(world, "signons", day), "player_id")
    players = pa.concat_tables(world.truth(day))
    cluster = dict(
        zip(
            map(tuple, ids(players, "player_id").tolist()),
            players["spender_cluster"].to_pylist(),
            strict=True,
        )
    )
    counts = dict.fromkeys(map(tuple, active.tolist()), 0)
    for buyer in ids(bought.filter(pc.invert(bought["is_recurring"])), "player_id").tolist():
        counts[tuple(buyer)] += 1  # a KeyError here: somebody bought without signing on
    found: dict[str, list[int]] = defaultdict(list)
    for player, count in counts.items():
        found[cluster[player]].append(count)
    return found


def test_classic_is_the_rules_that_the_project_began_with() -> None:
    world = World(CLASSIC)
    population = world._population
    signed_up = [population.signed_up_by(age) for age in range(100)]
    # a thousand to begin with, and a thousandth of the living each day; 7 in 10,000 leave
    living = 1000.0
    for age in range(1, 100):
        assert abs(signed_up[age] - signed_up[age - 1] - living * 0.001) <= 1
        living *= 1 + 0.001 - 0.0007
    assert abs(len(population.alive(LAUNCH + timedelta(days=99))) - living) < 30
    for day in days_from(LAUNCH, 3):
        player = codes(table(world, "sessions", day), "player_id")[1]
        assert np.bincount(player).max() == 1


def test_player_days_split_as_the_seed_says(world: World, bought: pa.Table) -> None:
    found = by_player(world, bought, TOMORROW)
    days = sum(len(counts) for counts in found.values())
    # 65 % buy nothing and so does a rest of 5 %, 25 % are minnows' and 5 % whales'
    assert len(found["none"]) / days == pytest.approx(0.70, abs=0.01)
    assert len(found["minnow"]) / days == pytest.approx(0.25, abs=0.01)
    assert len(found["whale"]) / days == pytest.approx(0.05, abs=0.01)
    assert set(found["none"]) == {0}
    assert set(found["minnow"]) == {1, 2}
    assert set(found["whale"]) == {2, 3, 4, 5}
    assert np.mean(found["minnow"]) == pytest.approx(1.5, abs=0.03)
    assert np.mean(found["whale"]) == pytest.approx(3.5, abs=0.15)


def test_a_cluster_pays_within_its_range(world: World, bought: pa.Table) -> None:
    players = pa.concat_tables(world.truth(TOMORROW))
    recurs = bought["is_recurring"].to_numpy()
    # who buys is active; a pass renews by itself
    at = rows_of(ids(bought, "player_id"), ids(players, "player_id"))
    assert (at[~recurs] >= 0).all()
    cluster = np.array(players["spender_cluster"].to_pylist())[at]
    price = np.array(bought["purchase_price"].to_pylist()).astype(float)
    products = world.dim_products()
    goods = products.filter(pc.invert(products["is_recurring"]))
    shelf = [float(listed) for listed in goods["purchase_price"].to_pylist()]
    for name, low, high in (("minnow", 1, 10), ("whale", 10, 50)):
        paid = price[(cluster == name) & ~recurs]
        assert paid.min() >= low
        assert paid.max() <= high
        assert paid.max() - paid.min() > 0.8 * (high - low)
        # cheaper products sell more
        assert paid.mean() < 0.9 * np.mean([p for p in shelf if low <= p <= high])


def test_cheap_products_sell_more_to_the_thrifty_and_tastes_differ(world: World) -> None:
    (number,) = (world._population.alive(TOMORROW).number,)
    bought = table(world, "transactions", days_from(TOMORROW, 3))
    bought = bought.filter(pc.invert(bought["is_recurring"]))
    known = uuids(world.title.seed, "player", number)
    row = rows_of(ids(bought, "player_id"), as_pairs(known))
    taste = world._purchases.taste(number[row])
    price = np.array(bought["purchase_price"].to_pylist()).astype(float)
    skin = np.array(bought["transaction_type"].to_pylist()) == "Skin"
    thrifty, middling, generous = (price[taste % 3 == thrift].mean() for thrift in range(3))
    assert thrifty < 0.85 * middling < 0.85 * generous
    assert skin[taste < 3].mean() > 0.2 + skin[taste >= 3].mean()


def rates(world: World, players: Players, day: date) -> np.ndarray:
    """The chance of a purchase on a day of play, of those who ever buy."""
    chance = world._purchases.chance(players, day)
    return chance[chance > 0] / 2**32


EAGER = {
    "clusters": {
        "none": {"share": 0.5},
        "minnow": {"share": 0.5, "chance": 0.02, "purchases": [1, 1], "price": [0, 50]},
    },
    "pass_share": 0.0,
}


def test_purchases_have_causes() -> None:
    growth = {"kind": "target", "players": 60_000, "days": 60, "launch_share": 0.0}
    world = World(
        title_like("leap", simulation__growth=growth, simulation__spending=EAGER | {"spread": 0.0})
    )
    friday, wednesday = LAUNCH + timedelta(days=51), LAUNCH + timedelta(days=49)
    pay_day = LAUNCH + timedelta(days=58)
    assert (friday.weekday(), wednesday.weekday(), pay_day.weekday()) == (4, 2, 4)
    assert pay_day.day == 28
    alive = world._population.alive(friday)
    buyers = alive.take(np.flatnonzero(world._purchases.chance(alive, friday)))
    chance = rates(world, buyers, friday)
    # who is keen buys more, and so does who is new, at the week's end and when there is pay
    keen = world._population.keenness(buyers, friday)
    old = buyers.signup < 40
    assert np.corrcoef(keen[old], chance[old])[0, 1] > 0.99
    new = buyers.signup > 51 - 7
    at_usual = np.abs(keen - 4096) < 400
    assert chance[new & at_usual].mean() > 1.7 * chance[old & at_usual].mean()
    assert chance.mean() > 1.3 * rates(world, buyers.take(buyers.signup < 49), wednesday).mean()
    first = rates(world, buyers.take(old), LAUNCH + timedelta(days=31)).mean()  # a Saturday
    assert first > 1.3 * rates(world, buyers.take(old), LAUNCH + timedelta(days=38)).mean()
    # the records are drawn from these chances
    days = days_from(LAUNCH + timedelta(days=50), 5)
    bought = sum(table(world, "transactions", day).num_rows for day in days)
    active = [world._population.active(day) for day in days]
    expected = sum(
        float(world._purchases.chance(players, day).sum()) / 2**32
        for players, day in zip(active, days, strict=True)
    )
    assert bought == pytest.approx(expected, abs=4 * expected**0.5)


@pytest.mark.parametrize("spread", [0.0, 1.2])
def test_purses_are_lognormal_about_a_mean_of_one(spread: float) -> None:
    number = np.arange(400_000)
    times = np.array(purses(spread), float)[purse(3, number)] / 2**32
    assert np.log(times).std() == pytest.approx(spread, abs=0.01)
    assert np.median(times) == pytest.approx(math.exp(-(spread**2) / 2), rel=0.02)
    assert times.mean() == pytest.approx(1, rel=0.02)


def test_causes_can_be_switched_off() -> None:
    spending = EAGER | {"spread": 0.0, "causes": 0.0}
    world = World(title_like("sprint", simulation__spending=spending))
    for day in days_from(LAUNCH, 8):
        chance = rates(world, world._population.alive(day), day)
        assert chance == pytest.approx(0.02, rel=1e-6)


def test_purchases_come_after_the_sign_on_and_on_the_day(world: World, bought: pa.Table) -> None:
    on = table(world, "signons", TOMORROW)
    order = np.argsort(ids(on, "player_id"))
    known, since = ids(on, "player_id")[order], seconds(on, "signed_on_at")[order]
    moment = seconds(bought, "event_datetime")
    at = np.searchsorted(known, ids(bought, "player_id")).clip(0, len(known) - 1)
    today = known[at] == ids(bought, "player_id")
    assert today.mean() > 0.99  # a renewal is charged whether its player is there or not
    new = today & ~bought["is_recurring"].to_numpy()
    assert (moment[new] >= since[at][new]).all()
    assert moment.min() >= second_of(TOMORROW)
    assert moment.max() < second_of(TOMORROW) + DAY_SECONDS


def test_transaction_ids_are_unique_across_days() -> None:
    week = table(World(CLASSIC), "transactions", days_from(LAUNCH, 7))
    assert len(codes(week, "transaction_id")[0]) == week.num_rows > 1000


# -- passes that renew ------------------------------------------------------------------------

# launched on a 30 January of a leap year: passes begin on the 30th, the 31st and on 29 February
FIRST, LAST = date(2024, 1, 30), date(2025, 3, 31)
PASSES = title_like(
    "leap",
    launch_date=FIRST,
    # ten players a day, of whom half still play after a year
    simulation__growth={"kind": "target", "players": 300, "days": 30, "launch_share": 0.0},
    simulation__retention={"d1": 0.7, "d7": 0.6, "d30": 0.5},
    simulation__signons={"habit": 0.8, "spread": 0.1, "moods": 0.05},
    simulation__archetypes={"daily": 1.0},
    simulation__spending={
        "clusters": NOBODY_BUYS,
        "spread": 0,
        "pass_share": 0.8,
        "pass_within_days": 3,
    },
)
DAYS = days_from(FIRST, (LAST - FIRST).days + 1)


@pytest.fixture(scope="module")
def charges() -> dict[UUID, list[dict[str, Any]]]:
    """Every player's charges, in the order of time."""
    rows = table(World(PASSES), "transactions", DAYS).to_pylist()
    found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["event_datetime"]):
        found[row["player_id"]].append(row)
    return found


@pytest.fixture(scope="module")
def lives() -> dict[UUID, tuple[date, date, set[date]]]:
    """Every player's sign-up day, last day of life within the range, and first days of play."""
    population = Population(PASSES)
    signed_up: dict[int, date] = {}
    last: dict[int, date] = {}
    early: dict[int, set[date]] = defaultdict(set)
    for day in DAYS:
        signed_up |= dict.fromkeys(population.signups(day).number.tolist(), day)
        last |= dict.fromkeys(population.alive(day).number.tolist(), day)
        for number in population.active(day).number.tolist():
            if day < signed_up[number] + timedelta(days=3):
                early[number].add(day)
    made = uuids(PASSES.seed, "player", np.arange(len(signed_up)))
    return {
        UUID(bytes=bytes(made[number])): (day, last[number], early[number])
        for number, day in signed_up.items()
    }


def due(first: date, cycle: str, until: date) -> list[date]:
    """The days on which a pass that was bought on ``first`` is charged, up to ``until``."""
    days = []
    for month in range(first.month - 1, first.month + 24, 1 if cycle == "M" else 12):
        year, month_of_year = first.year + month // 12, month % 12 + 1
        length = calendar.monthrange(year, month_of_year)[1]
        day = date(year, month_of_year, min(first.day, length))
        if day <= until:
            days.append(day)
    return days


def test_a_pass_is_charged_on_its_day_while_the_player_plays(
    charges: dict[UUID, list[dict[str, Any]]], lives: dict[UUID, tuple[date, date, set[date]]]
) -> None:
    firsts = set()
    for player, rows in charges.items():
        signed_up, last, early = lives[player]
        first = rows[0]["event_datetime"].date()
        # bought in the first days, on a day of play: no renewal without a first purchase
        assert signed_up <= first < signed_up + timedelta(days=3)
        assert first in early
        assert len({row["purchase_item"] for row in rows}) == 1
        assert all(row["is_recurring"] for row in rows)
        charged = [row["event_datetime"].date() for row in rows]
        assert charged == due(first, rows[0]["cycle"], last)
        # renewals at one time of the day
        assert len({row["event_datetime"].time() for row in rows[1:]}) <= 1
        firsts.add((first.day, first.month, rows[0]["cycle"]))
    assert {(31, 1, "M"), (29, 2, "M"), (29, 2, "Y")} <= firsts


def test_passes_of_the_31st_and_of_29_february_renew_at_the_months_end(
    charges: dict[UUID, list[dict[str, Any]]],
) -> None:
    by_day: dict[tuple[date, str], set[date]] = defaultdict(set)
    for rows in charges.values():
        first = rows[0]["event_datetime"].date()
        by_day[first, rows[0]["cycle"]] |= {row["event_datetime"].date() for row in rows}
    assert {date(2024, 2, 29), date(2024, 3, 31), date(2024, 4, 30), date(2025, 2, 28)} <= by_day[
        date(2024, 1, 31), "M"
    ]
    assert by_day[date(2024, 2, 29), "Y"] == {date(2024, 2, 29), date(2025, 2, 28)}


def test_the_share_of_subscribers_is_the_titles(
    charges: dict[UUID, list[dict[str, Any]]], lives: dict[UUID, tuple[date, date, set[date]]]
) -> None:
    # who chose a day of the first three on which they did not play never bought: at most 80 %
    assert 0.8 * 0.75 < len(charges) / len(lives) < 0.8
    cycles = [rows[0]["cycle"] for rows in charges.values()]
    assert cycles.count("M") / len(cycles) == pytest.approx(0.5, abs=0.06)


def test_a_shop_without_passes_sells_none() -> None:
    products = catalogue()
    goods = products.filter(pc.invert(products["is_recurring"])).combine_chunks()
    spending = CLASSIC.simulation.spending.model_dump() | {"pass_share": 1.0}
    world = World(title_like("sprint", simulation__spending=spending), goods)
    bought = table(world, "transactions", LAUNCH)
    assert bought.num_rows > 100
    assert not any(bought["is_recurring"].to_pylist())


def test_a_player_who_buys_nothing_leaves_an_empty_day() -> None:
    title = title_like("sprint", simulation__spending={"clusters": NOBODY_BUYS, "pass_share": 0.0})
    assert table(World(title), "transactions", TOMORROW).num_rows == 0


def test_the_first_pass_is_bought_after_the_sign_on() -> None:
    title: Title = crowd(
        5_000,
        simulation__spending={
            "clusters": NOBODY_BUYS,
            "spread": 0,
            "pass_share": 1.0,
            "pass_within_days": 1,
        },
    )
    world = World(title)
    bought, on = table(world, "transactions", LAUNCH), table(world, "signons", LAUNCH)
    assert bought.num_rows == on.num_rows == 5_000
    order, by_signon = np.argsort(ids(bought, "player_id")), np.argsort(ids(on, "player_id"))
    waited = seconds(bought, "event_datetime")[order] - seconds(on, "signed_on_at")[by_signon]
    assert waited.min() >= 0
