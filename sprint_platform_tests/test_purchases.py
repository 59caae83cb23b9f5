"""Transactions: what the catalogue sells, to whom, and passes that renew on their day."""

from __future__ import annotations

import calendar
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
from sprint_platform.simulation.population import Population
from sprint_platform.simulation.products import catalogue
from sprint_platform.simulation.world import World
from sprint_platform.title import Title
from sprint_platform_tests.worlds import (
    DAY_SECONDS,
    LAUNCH,
    codes,
    crowd,
    days_from,
    ids,
    second_of,
    seconds,
    table,
    title_like,
)

TOMORROW = LAUNCH + timedelta(days=1)
NOBODY_BUYS = {"none": {"share": 1.0}}


@pytest.fixture(scope="module")
def world() -> World:
    return World(crowd(40_000))


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


def test_other_products_are_sold_where_there_are_others() -> None:
    title = crowd(2_000)
    short = table(World(title, catalogue(30)), "transactions", TOMORROW)
    assert set(short["purchase_item"].to_pylist()) <= {f"SKU-{1000 + i}" for i in range(30)}
    # a person may edit the seed: what is paid follows it
    dearer = catalogue()
    price = pc.add(dearer["purchase_price"].cast(pa.decimal128(9, 2)), Decimal("0.01"))
    at = dearer.schema.get_field_index("purchase_price")
    dearer = dearer.set_column(at, dearer.schema.field(at), price.cast(pa.decimal32(9, 2)))
    world = World(title, dearer)
    paid = table(world, "transactions", TOMORROW)
    assert set(paid["purchase_price"].to_pylist()) <= set(dearer["purchase_price"].to_pylist())
    assert world.source("transactions") != World(title).source("transactions")
    assert world.source("sessions") == World(title).source("sessions")


def by_player(world: World, bought: pa.Table, day: date) -> dict[str, list[int]]:
    """How many things that do not recur each active player bought, by spending cluster."""
    active = ids(table(world, "signons", day), "player_id")
    players = table(world, "dim_players", days_from(LAUNCH, (day - LAUNCH).days + 1))
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
    players = table(world, "dim_players", days_from(LAUNCH, 2))
    order = np.argsort(ids(players, "player_id"))
    at = np.searchsorted(ids(players, "player_id")[order], ids(bought, "player_id"))
    cluster = np.array(players["spender_cluster"].to_pylist())[order][at]
    recurs = bought["is_recurring"].to_numpy()
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


def test_a_chance_below_one_is_kept() -> None:
    growth = {"kind": "target", "players": 400_000, "days": 365}
    world = World(title_like("leap", simulation__growth=growth))
    found: dict[str, list[int]] = defaultdict(list)
    for counts in (
        by_player(world, table(world, "transactions", day), day) for day in days_from(TOMORROW, 3)
    ):
        for cluster, values in counts.items():
            found[cluster] += values
    for cluster, chance in (("minnow", 0.04), ("dolphin", 0.06), ("whale", 0.12)):
        values = np.array(found[cluster])
        noise = 4 * (chance * (1 - chance) / len(values)) ** 0.5
        assert (values > 0).mean() == pytest.approx(chance, abs=noise)


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


def test_transaction_ids_are_unique_across_days(sprint: World) -> None:
    week = table(sprint, "transactions", days_from(LAUNCH, 7))
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
    simulation__spending={"clusters": NOBODY_BUYS, "pass_share": 0.8, "pass_within_days": 3},
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
    world = World(title_like("sprint", simulation__spending__pass_share=1.0), goods)
    bought = table(world, "transactions", LAUNCH)
    assert bought.num_rows > 100
    assert not any(bought["is_recurring"].to_pylist())


def test_a_player_who_buys_nothing_leaves_an_empty_day() -> None:
    title = title_like("sprint", simulation__spending={"clusters": NOBODY_BUYS, "pass_share": 0.0})
    assert table(World(title), "transactions", TOMORROW).num_rows == 0


def test_the_first_pass_is_bought_after_the_sign_on() -> None:
    title: Title = crowd(
        5_000,
        simulation__spending={"clusters": NOBODY_BUYS, "pass_share": 1.0, "pass_within_days": 1},
    )
    world = World(title)
    bought, on = table(world, "transactions", LAUNCH), table(world, "signons", LAUNCH)
    assert bought.num_rows == on.num_rows == 5_000
    order, by_signon = np.argsort(ids(bought, "player_id")), np.argsort(ids(on, "player_id"))
    waited = seconds(bought, "event_datetime")[order] - seconds(on, "signed_on_at")[by_signon]
    assert waited.min() >= 0
