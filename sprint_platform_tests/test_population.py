"""Who exists, who still plays, who signs on and when: growth, survival, retention, habits."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from decimal import localcontext
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from sprint_platform.profiles import circles
from sprint_platform.simulation.lifetimes import FADE_DAYS, OLDEST
from sprint_platform.simulation.population import Players, Population
from sprint_platform.simulation.world import World
from sprint_platform.title import ARCHETYPES, COUNTRIES, PLATFORMS, Title, TitleError
from sprint_platform_tests.worlds import (
    DAY_SECONDS,
    LAUNCH,
    compound,
    crowd,
    days_from,
    ids,
    second_of,
    seconds,
    table,
    title_like,
)

SHARES = {"daily": 0.8, "weekday": 0.08, "cyclical": 0.12}
# no player is keener than another, and no week is like another player's
ALIKE = {"habit": 0.9, "spread": 0.0, "moods": 0.0, "weekly_cycle": (1.0,) * 7}


def day(age: int) -> date:
    return LAUNCH + timedelta(days=age)


def shares_of(players: Players) -> list[float]:
    counts = np.bincount(players.archetype, minlength=len(ARCHETYPES))
    return (counts / len(players)).tolist()


# -- growth -----------------------------------------------------------------------------------


def test_compound_growth_is_the_recurrence() -> None:
    growth, decay = Fraction("0.013"), Fraction("0.0041")
    title = title_like("sprint", simulation__growth=compound(1000, float(growth), float(decay)))
    population = Population(title)
    living = signed_up = Fraction(1000)
    for age in range(400):
        assert abs(population.signed_up_by(age) - signed_up) <= 1
        if age % 40 == 0:
            alive = len(population.alive(day(age)))
            # some cohorts of a few players each: the sum of their roundings
            assert abs(alive - living) < 3 * math.sqrt(3 * (age + 1) / 4) + 2
        new = living * growth
        signed_up += new
        living += new - living * decay


@pytest.mark.parametrize(("players", "days"), [(1, 1), (7, 30), (20_000, 365), (999_983, 10)])
def test_target_growth_brings_its_players_in_its_days(players: int, days: int) -> None:
    growth = {"kind": "target", "players": players, "days": days}
    population = Population(title_like("leap", simulation__growth=growth))
    assert population.signed_up_by(days - 1) == players
    by_day = [population.signed_up_by(age) for age in range(days)]
    cohorts = np.diff([0, *by_day])
    assert (cohorts >= 0).all()
    if players > 100 * days:
        # the launch wave fades: no later day brings more than the day before it
        assert (np.diff(cohorts) <= 1).all()
        assert cohorts[0] > 2 * cohorts[-1]
    # growth does not stop where the target is reached: the wave fades on, the stream flows on
    wave = np.cumsum(np.arange(1.0, 2 * days + 1) ** -0.58)
    twice = players * (0.5 * wave[-1] / wave[days - 1] + 0.5 * 2)
    assert population.signed_up_by(2 * days - 1) == pytest.approx(twice, rel=1e-6, abs=1)


def test_growth_beyond_what_can_be_counted_is_one_line() -> None:
    title = title_like("sprint", simulation__growth=compound(1000, 1.0, 0.0))
    with pytest.raises(TitleError, match=r"^title sprint: simulation\.growth: [^\n]*$"):
        Population(title).signed_up_by(60)


def test_cohorts_follow_each_other_without_a_gap() -> None:
    population = Population(Title.load("leap"))
    numbers = np.concatenate([population.signups(day(age)).number for age in range(60)])
    assert numbers.tolist() == list(range(population.signed_up_by(59)))


def test_nobody_plays_before_the_launch() -> None:
    world = World(Title.load("sprint"))
    eve = LAUNCH - timedelta(days=1)
    assert len(Population(world.title).alive(eve)) == len(Population(world.title).signups(eve)) == 0
    for dataset in ("dim_players", "signons", "sessions", "heartbeats", "transactions"):
        with pytest.raises(TitleError, match=r"^title sprint launches on 2025-01-01: there is no"):
            list(getattr(world, dataset)(eve))


# -- archetypes and survival ------------------------------------------------------------------


@pytest.mark.parametrize("age", [0, 1, 100, 730])
def test_archetype_shares_of_1_000_players(age: int) -> None:
    population = Population(crowd(1_000))
    joined = [population.signups(day(a)).archetype for a in range(age + 1)]
    counts = np.bincount(np.concatenate(joined))
    for count, share in zip(counts, SHARES.values(), strict=True):
        assert abs(count / counts.sum() - share) < 0.005


@pytest.mark.parametrize("age", [0, 365])
def test_archetype_shares_of_a_million_players(age: int) -> None:
    alive = Population(crowd(1_000_000)).alive(day(age))
    for share, expected in zip(shares_of(alive), SHARES.values(), strict=True):
        assert abs(share - expected) < 0.005


@pytest.mark.parametrize("seed", range(5))
def test_cohorts_of_one_player_have_the_shares_too(seed: int) -> None:
    growth = {"kind": "target", "players": 365, "days": 365, "launch_share": 0.0}
    population = Population(title_like("leap", seed=seed, simulation__growth=growth))
    archetypes = np.concatenate([population.signups(day(a)).archetype for a in range(365)])
    expected = [0.8, 0.05, 0.15]
    for count, share in zip(np.bincount(archetypes, minlength=3), expected, strict=True):
        assert abs(count / 365 - share) < 0.01


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("age", [1, 30, 365, 730])
def test_survival_of_1_000_players(seed: int, age: int) -> None:
    population = Population(crowd(1_000, seed=seed))
    alive = population.alive(day(age))
    keep = 1 - Fraction("0.0007")
    launch = float(keep**age)
    survivors = int((alive.signup == 0).sum())
    assert abs(survivors - 1000 * launch) < 3 * math.sqrt(1000 * launch * (1 - launch)) + 1
    # those who came later, about one a day: each of them lives or not
    expected = variance = 0.0
    for signup in range(1, age + 1):
        share = float(keep ** (age - signup))
        size = len(population.signups(day(signup)))
        expected += size * share
        variance += size * share * (1 - share)
    assert abs(int((alive.signup > 0).sum()) - expected) < 3 * math.sqrt(variance) + 1


def test_survival_of_cohorts_of_one_is_unbiased() -> None:
    # with a ceiling every cohort of one would live for ever
    growth = {"kind": "target", "players": 1200, "days": 1200, "launch_share": 0.0}
    retention = {"d1": 0.2, "d7": 0.1, "d30": 0.05}
    title = title_like("leap", simulation__growth=growth, simulation__retention=retention)
    population = Population(title)
    alive = len(population.alive(day(1199)))
    table = population.survival(1199)[:1200] / 2**32
    assert abs(alive - table.sum()) < 3 * math.sqrt((table * (1 - table)).sum()) + 1


def test_survival_of_a_million_players() -> None:
    population = Population(crowd(1_000_000))
    for age in (1, 30, 365):
        survivors = int((population.alive(day(age)).signup == 0).sum())
        assert survivors == pytest.approx(1_000_000 * float((1 - Fraction("0.0007")) ** age), 0.005)


@pytest.mark.parametrize("name", ["sprint", "leap"])
def test_survival_falls_from_1_and_brings_the_titles_retention(name: str) -> None:
    title = Title.load(name)
    assert title.simulation is not None
    retention = title.simulation.retention
    assert retention is not None
    population = Population(title)
    table = population.survival(OLDEST + 500)
    assert table[0] == 2**32
    assert (np.diff(table) <= 0).all()
    # who reaches the oldest age stays
    assert (table[OLDEST : OLDEST + 500] == table[OLDEST]).all()
    assert table[OLDEST] > 0
    # a power law between the points, with a kink after the first week, and on beyond the last
    returns = population.retention(OLDEST) / 2**32
    for points in ((retention.d1, 1, retention.d7, 7), (retention.d7, 7, retention.d30, 30)):
        share, start, later, end = points
        slope = math.log(later / share) / math.log(end / start)
        for age in (start, start + 1, end - 1, end):
            assert returns[age] == pytest.approx(share * (age / start) ** slope, rel=1e-4)
    for age in (90, 365, OLDEST - 15):
        assert returns[age] == pytest.approx(retention.d30 * (age / 30) ** slope, rel=1e-4)


def test_habit_fades_to_half_before_the_last_day() -> None:
    title = title_like(
        "leap",
        simulation__growth={"kind": "target", "players": 300_000, "days": 1, "launch_share": 0.0},
        simulation__archetypes={"daily": 1.0},
        simulation__signons={"habit": 0.6, "spread": 0.0, "moods": 0.0},
    )
    population = Population(title)
    alive = population.alive(day(60))
    alive = alive.take(alive.signup == 0)
    chance = population.chance(alive, day(60)) / 2**32
    usual = chance[alive.last == 60 + FADE_DAYS][0]
    remaining = alive.last - 60
    assert set(remaining.tolist()) == set(range(FADE_DAYS + 1))
    for left in range(FADE_DAYS):
        faded = chance[remaining == left]
        assert faded == pytest.approx(usual * (0.5 + 0.5 * left / FADE_DAYS), rel=1e-3)
    # a short life fades over its last third
    young = population.alive(day(4))
    young = young.take((young.signup == 0) & (young.last < 4 + 3))
    shares = population.chance(young, day(4)) / population.chance(young, day(4)).max()
    lives = young.last
    assert shares[lives == 4] == pytest.approx(0.5, rel=1e-3)
    assert shares[lives == 5] == pytest.approx(1.0, rel=1e-3)
    assert shares[lives == 6] == pytest.approx(1.0, rel=1e-3)


def test_the_days_that_remain_are_those_that_follow() -> None:
    population = Population(title_like("leap", seed=3))
    today = population.alive(day(80), ahead=30)
    for after in (1, 5, 14, 44):
        later = population.alive(day(80 + after))
        stayed = today.number[today.last >= 80 + after]
        assert stayed.tolist() == later.number[later.signup <= 80].tolist()
    # asking for fewer days says no more than it knows
    near = population.alive(day(80))
    assert near.last.tolist() == np.minimum(today.last, 80 + FADE_DAYS).tolist()


def test_the_dead_stay_dead(leap: World) -> None:
    for title in (leap.title, title_like("sprint", simulation__growth=compound(500, 0.02, 0.03))):
        population = Population(title)
        before = set(population.alive(day(0)).number.tolist())
        for age in range(1, 50):
            alive = population.alive(day(age))
            old = set(alive.number[alive.signup < age].tolist())
            assert old <= before
            before = set(alive.number.tolist())
            assert (np.diff(alive.number) > 0).all()


def test_curves_do_not_depend_on_the_program_around_them() -> None:
    # another library may set the thread's decimal precision
    title = Title.load("leap")
    with localcontext() as context:
        context.prec = 4
        coarse = Population(title)
        coarse_tables = coarse.survival(100), [coarse.signed_up_by(age) for age in range(100)]
    fine = Population(title)
    fine_tables = fine.survival(100), [fine.signed_up_by(age) for age in range(100)]
    assert coarse_tables[0].tolist() == fine_tables[0].tolist()
    assert coarse_tables[1] == fine_tables[1]


# -- who signs on -----------------------------------------------------------------------------


def test_measured_retention_is_the_titles() -> None:
    # a year of even cohorts: what the week and the season add and take evens out
    players, days = 1_000_000, 365
    growth = {"kind": "target", "players": players, "days": days, "launch_share": 0.0}
    population = Population(title_like("leap", simulation__growth=growth))
    returned = dict.fromkeys((0, 1, 7, 30), 0)
    for age in range(days + 30):
        active = population.active(day(age))
        for after in returned:
            if 0 <= age - after < days:
                returned[after] += int((active.signup == age - after).sum())
    assert returned[0] == players  # everybody plays on the day of the sign-up
    for after, retention in ((1, 0.4), (7, 0.2), (30, 0.1)):
        noise = 3 * math.sqrt(retention * (1 - retention) / players)
        assert abs(returned[after] / players - retention) < noise


@pytest.mark.parametrize("archetype", ["daily", "weekday"])
def test_sign_ons_follow_the_week_and_the_season(archetype: str) -> None:
    growth = compound(20_000, 0.0, 0.0)
    title = title_like("sprint", simulation__growth=growth, simulation__archetypes={archetype: 1.0})
    population = Population(title)
    cycle = (0.98, 0.97, 0.965, 0.97, 1.0, 1.055, 1.06)
    for today in (*days_from(day(1), 14), *days_from(day(180), 7)):
        habit = 0.57 if archetype == "daily" or today.weekday() < 5 else 0.285
        season = 1.02 if today.month == 1 else 0.98
        share = len(population.active(today)) / 20_000
        chance = habit * cycle[today.weekday()] * season
        assert abs(share - chance) < 4 * math.sqrt(chance * (1 - chance) / 20_000)


def test_the_cyclical_come_and_go_at_times_of_their_own() -> None:
    title = title_like(
        "sprint",
        simulation__growth=compound(4_000, 0.0, 0.0),
        simulation__archetypes={"cyclical": 1.0},
        simulation__signons=ALIKE,
    )
    population = Population(title)
    ages = np.arange(1, 1 + 1461, 13)
    alive = population.alive(day(0), ahead=1_500)
    days = np.array([population.chance(alive, day(int(a))) for a in ages])
    chance = days / 2**32
    assert chance.max() == pytest.approx(0.9 * 0.9 * 1.02, abs=0.01)
    assert chance.min() == pytest.approx(0.9 * 0.3 * 0.98, abs=0.01)
    # together they are a steady crowd, but for the season
    assert chance.mean(axis=1) == pytest.approx(0.9 * 0.6, rel=0.03)
    # each of them is up and down four times a year
    one = chance[:, 0] > chance[:, 0].mean()
    assert (one[1:] & ~one[:-1]).sum() in (15, 16, 17)


def test_players_differ_and_have_good_weeks_and_bad_ones() -> None:
    title = title_like(
        "sprint",
        simulation__growth=compound(20_000, 0.0, 0.0),
        simulation__archetypes={"daily": 1.0},
        simulation__signons={"habit": 0.5, "spread": 0.4, "moods": 0.2},
    )
    population = Population(title)
    ages = range(7, 7 + 26 * 7, 7)  # Wednesdays
    alive = population.alive(day(7), ahead=26 * 7)
    chance = np.array([population.chance(alive, day(age)) for age in ages]) / 2**32
    own = chance.mean(axis=0) / chance.mean()
    # even from 0.6 to 1.4 of the mean: whose standard deviation is a quarter of it
    assert own.std() == pytest.approx(0.8 / math.sqrt(12), rel=0.05)
    assert 0.5 < own.min() < 0.65
    assert 1.35 < own.max() < 1.5
    # a week's mood is its own, and each day between two weeks is between them
    weeks = chance / chance.mean(axis=0) - 1
    neighbours = np.corrcoef(weeks[:-1].reshape(-1), weeks[1:].reshape(-1))[0, 1]
    assert neighbours < 0.5
    tomorrow = population.chance(alive, day(8)) / population.chance(alive, day(7))
    assert 0.9 < np.quantile(tomorrow, 0.01) < np.quantile(tomorrow, 0.99) < 1.1


def test_friends_share_their_moods_and_their_evenings() -> None:
    world = World(crowd(20_000))
    alive = world._population.alive(day(3))
    circle = circles(world.title.seed, alive.number)
    _, friends = np.unique(circle, return_counts=True)
    assert 0.45 < (circle < 1 << 40).mean() < 0.55
    assert friends.max() == 4
    country = world._people.country(alive.number)
    plan = world._sittings._planned(alive, day(3))
    pair = np.flatnonzero(circle[1:] == circle[:-1])
    assert (country[pair] == country[pair + 1]).all()
    assert (plan.evening[pair] == plan.evening[pair + 1]).all()
    apart = np.abs(plan.signon[pair] - plan.signon[pair + 1])[plan.early[pair] == 0]
    assert (apart < 120).mean() > 0.99
    # and strangers do not
    assert (np.abs(np.diff(plan.evening)) < 45).mean() < 0.6


def test_steady_growth_keeps_its_players_active() -> None:
    population = Population(Title.load("sprint"))
    active = np.array([len(population.active(day(age))) for age in range(365)])
    assert active.min() >= 900
    assert active.max() <= 1100
    assert abs(active.mean() - 1000) < 15
    signups = np.diff([population.signed_up_by(age) for age in range(-1, 365)])
    assert signups[0] == 1000
    assert signups[1] == pytest.approx(500, abs=1)  # half of the first day's come back
    assert signups[-30:].mean() < 40


def test_expected_players_are_about_the_actual_ones(sprint: World, leap: World) -> None:
    for world in (sprint, leap):
        ages = range(1, 366, 5)
        population = Population(world.title)
        expected = sum(world.expected_active(day(age)) for age in ages)
        actual = sum(len(population.active(day(age))) for age in ages)
        assert expected == pytest.approx(actual, rel=0.06)


# -- the people themselves --------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> World:
    return World(crowd(100_000))


def test_countries_and_platforms_have_their_shares(world: World) -> None:
    players = table(world, "dim_players", LAUNCH)
    settings = world.title.simulation
    assert settings is not None
    for column, shares in (("country", settings.countries), ("platform", settings.platforms)):
        values = players[column].to_pylist()
        for name, share in shares.items():
            assert abs(values.count(name) / len(values) - share) < 0.005
    clusters = pa.concat_tables(world.truth(LAUNCH))["spender_cluster"].to_pylist()
    for name, cluster in settings.spending.clusters.items():
        assert abs(clusters.count(name) / len(clusters) - cluster.share) < 0.005
    assert set(players["country"].to_pylist()) == set(COUNTRIES)
    assert set(players["platform"].to_pylist()) == set(PLATFORMS)


def test_language_and_time_zone_are_the_countrys(world: World) -> None:
    players = table(world, "dim_players", LAUNCH)
    found = set(zip(*(players[c].to_pylist() for c in ("country", "language")), strict=True))
    assert found == {
        ("US", "en-US"), ("BR", "pt-BR"), ("MX", "es-MX"),
        ("FR", "fr-FR"), ("ES", "es-ES"), ("DE", "de-DE"),
    }  # fmt: skip
    zones = set(zip(*(players[c].to_pylist() for c in ("country", "time_zone")), strict=True))
    cities = {
        "US": {"New_York", "Chicago", "Denver", "Los_Angeles"},
        "BR": {"Sao_Paulo", "Manaus"},
        "MX": {"Mexico_City", "Tijuana"},
        "FR": {"Paris"},
        "ES": {"Madrid", "Canary"},
        "DE": {"Berlin"},
    }
    assert {(c, z.split("/")[1]) for c, z in zones} == {(c, z) for c in cities for z in cities[c]}


def test_people_are_13_or_older_and_mostly_young(world: World) -> None:
    born = table(world, "dim_players", LAUNCH)["birth_year"].to_numpy()
    age = LAUNCH.year - born
    assert age.min() == 13
    assert age.max() <= 65
    assert 20 <= np.median(age) <= 28


def test_names_are_believable(world: World) -> None:
    players = table(world, "dim_players", LAUNCH)
    names = players["display_name"].to_pylist()
    assert all(len(name.split()) >= 2 and name == name.strip() for name in names)
    assert len(set(names)) > 0.9 * len(names)
    countries = np.array(players["country"].to_pylist())
    german = {name.split()[0] for name in np.array(names)[countries == "DE"]}
    mexican = {name.split()[0] for name in np.array(names)[countries == "MX"]}
    assert {"Jürgen", "Wolfgang"} <= german - mexican
    assert {"Guadalupe", "Jesús"} <= mexican - german


def test_a_player_is_who_signs_on(world: World) -> None:
    players, on = table(world, "dim_players", LAUNCH), table(world, "signons", LAUNCH)
    # on the launch day everybody signs on, after signing up
    by_player = np.argsort(ids(players, "player_id"))
    by_signon = np.argsort(ids(on, "player_id"))
    assert (ids(players, "player_id")[by_player] == ids(on, "player_id")[by_signon]).all()
    for column in ("country", "platform"):
        assert players[column].take(by_player).equals(on[column].take(by_signon))
    waited = seconds(on, "signed_on_at")[by_signon] - seconds(players, "signed_up_at")[by_player]
    assert waited.min() >= 0
    assert waited.max() < 600
    assert seconds(players, "signed_up_at").min() >= second_of(LAUNCH)


def test_sign_ons_are_in_the_local_evening(world: World) -> None:
    today = LAUNCH + timedelta(days=1)
    on, players = table(world, "signons", today), table(world, "dim_players", LAUNCH)
    order = np.argsort(ids(players, "player_id"))
    known = ids(players, "player_id")[order]
    at = np.searchsorted(known, ids(on, "player_id")).clip(0, len(known) - 1)
    found = known[at] == ids(on, "player_id")
    zone = np.array(players["time_zone"].to_pylist())[order[at]]
    # standard time: January has it north of the equator, and Brazil always
    noon = datetime(2025, 1, 2, 12)
    offsets = {name: ZoneInfo(name).utcoffset(noon) for name in set(zone.tolist())}
    offset = np.array([offsets[name].total_seconds() for name in zone.tolist()], np.int64)
    second = seconds(on, "signed_on_at") - second_of(today)
    assert second.min() >= 0
    assert second.max() < DAY_SECONDS
    local = ((second + offset) % DAY_SECONDS)[found] // 3600
    evening = ((local >= 17) & (local < 22)).mean()
    assert abs(evening - 0.42) < 0.01
    assert np.bincount(local, minlength=24).argmin() in (3, 4, 5)
    # and within every country, not only in the mean of all
    for name in ("America/Los_Angeles", "Europe/Berlin"):
        here = local[zone[found] == name]
        assert abs(((here >= 17) & (here < 22)).mean() - 0.42) < 0.03
