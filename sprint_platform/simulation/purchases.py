"""What players buy: on days of play by who they are and how they feel, and passes that renew."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.draws import ONE, below, mix, remix, stream_key, threshold, top_bits, uuids
from sprint_platform.profiles import People
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    decimal_column,
    midnight,
    table_of,
    timestamp_column,
    uuid_column,
)
from sprint_platform.simulation.population import I64, KEEN_BITS, Players, Population
from sprint_platform.simulation.products import Shop
from sprint_platform.simulation.purses import PURSES, TASTES, purse, purses, tastes
from sprint_platform.simulation.sittings import DAY_SECONDS, Sittings
from sprint_platform.title import SPENDER_CLUSTERS, Spending, Title, TitleError

# player numbers, shape (n,), to their ids
PlayerIds = Callable[[I64], npt.NDArray[np.void]]

# What a day of play is to a purchase: who is new buys more, and so do all on Friday to Sunday and
# when the month's pay is there.
FIRST_WEEK, LATER = Fraction(7, 4), Fraction(9, 10)
FIRST_DAYS = 7
WEEKEND, WORKING_DAY = Fraction(6, 5), Fraction(17, 20)
PAY_DAYS, PAY, NO_PAY = 3, Fraction(3, 2), Fraction(19, 20)


# The day on which a pass begins that nobody wants.
NEVER = 1 << 30


def occasion(day: date) -> Fraction:
    """How many times as often as on a usual day players buy on this one, by the calendar."""
    week = WEEKEND if day.weekday() >= 4 else WORKING_DAY
    return week * (PAY if day.day <= PAY_DAYS else NO_PAY)


@dataclass(frozen=True)
class Passes:
    """Players' passes: parallel arrays. ``begin`` is in days since launch (NEVER without a pass),
    ``product`` a row of the catalogue, ``second`` when on its day a renewal is charged."""

    begin: I64
    product: npt.NDArray[np.intp]
    price: npt.NDArray[np.float64]
    second: I64

    def take(self, which: npt.NDArray) -> Passes:
        return Passes(self.begin[which], self.product[which], self.price[which], self.second[which])


class Purchases:
    """Makes the transactions of one title."""

    def __init__(
        self,
        title: Title,
        population: Population,
        people: People,
        sittings: Sittings,
        shop: Shop,
    ) -> None:
        assert title.simulation is not None
        self.title = title
        self.population = population
        self.people = people
        self.sittings = sittings
        self.shop = shop
        self.spending: Spending = title.simulation.spending
        purse_chances = purses(self.spending.spread)
        # by cluster: the chance of a purchase on an ordinary day of play by purse, in 1/2^32; how
        # many purchases there then are; and by taste the products and where their shares end
        self._chances = np.zeros((len(SPENDER_CLUSTERS), PURSES), np.int64)
        self._fewest, self._most = (np.zeros(len(SPENDER_CLUSTERS), np.int64) for _ in range(2))
        self._shelves: dict[int, npt.NDArray[np.intp]] = {}
        self._shares: dict[int, I64] = {}
        for name, cluster in self.spending.clusters.items():
            if cluster.chance and cluster.purchases[1]:
                shelf = shop.priced(*cluster.price)
                if shelf.size == 0:
                    raise TitleError(
                        f"title {title.name}: simulation.spending.clusters.{name}.price: no product"
                        f" that does not recur costs {cluster.price[0]:g} to {cluster.price[1]:g};"
                        " widen the range"
                    )
                index = SPENDER_CLUSTERS.index(name)
                share = threshold(cluster.chance)
                self._chances[index] = [min(ONE, share * times >> 32) for times in purse_chances]
                self._fewest[index], self._most[index] = cluster.purchases
                self._shelves[index] = shelf
                self._shares[index] = tastes(shop, shelf)
        share = threshold(self.spending.pass_share)
        self._pass_chances = np.array([min(ONE, share * times >> 32) for times in purse_chances])

    def tables(self, day: date, player_ids: PlayerIds, chunk_players: int) -> Iterator[pa.Table]:
        """The day's transactions in chunks of about ``chunk_players`` players each."""
        active = self.population.active(day)
        for start in range(0, len(active), chunk_players):
            players = active.take(slice(start, start + chunk_players))
            yield self._on_days_of_play(players, day, player_ids)
        alive = self.population.alive(day)
        for start in range(0, len(alive), 16 * chunk_players):
            yield self._charges(
                alive.take(slice(start, start + 16 * chunk_players)), day, player_ids
            )

    def chance(self, players: Players, day: date) -> I64:
        """Each player's chance to buy something that does not recur on a day of play, in 1/2^32."""
        number = players.number
        chance = self._chances[self.people.spender_cluster(number), purse(self.title.seed, number)]
        which = np.flatnonzero(chance)
        some = players.take(which)
        factor = int(occasion(day) * 256) * np.where(
            (day - self.title.launch_date).days - some.signup < FIRST_DAYS,
            int(FIRST_WEEK * 256),
            int(LATER * 256),
        )
        factor = (factor * self.population.keenness(some, day)) >> 16
        causes = int(Fraction(str(self.spending.causes)) * 256)
        usual = 1 << KEEN_BITS
        factor = usual + (((factor - usual) * causes) >> 8)
        chance[which] = np.minimum((chance[which] * factor) >> KEEN_BITS, ONE)
        return chance

    def _on_days_of_play(self, players: Players, day: date, player_ids: PlayerIds) -> pa.Table:
        seed, ordinal = self.title.seed, day.toordinal()
        draw = mix(stream_key(seed, "buys", ordinal), players.number)
        buyers = np.flatnonzero(top_bits(draw) < self.chance(players, day))
        players, draw = players.take(buyers), draw[buyers]
        number = players.number
        cluster = self.people.spender_cluster(number)
        more = self._most[cluster] - self._fewest[cluster] + 1
        count = self._fewest[cluster] + below(remix(draw, stream_key(seed, "how many")), more)

        row = np.repeat(np.arange(number.size), count)
        nth = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
        entity = number[row] * 32 + nth
        which = mix(stream_key(seed, "product", ordinal), entity)
        taste = self.taste(number)[row]
        product = np.zeros(row.size, np.intp)
        for index, shelf in self._shelves.items():
            for liked, ends in enumerate(self._shares[index]):
                mine = np.flatnonzero((cluster[row] == index) & (taste == liked))
                at = np.searchsorted(ends, top_bits(which[mine]), side="right")
                product[mine] = shelf[at]

        since = self.sittings.signon(players, day)[row]
        later = below(remix(which, stream_key(seed, "when")), DAY_SECONDS - since)
        ids = uuids(seed, f"purchase/{ordinal}", entity)
        return self._table(ids, player_ids(number)[row], day, since + later, product)

    def taste(self, number: I64) -> I64:
        """What each player likes, and how much the price matters: 0 … TASTES - 1."""
        return below(mix(stream_key(self.title.seed, "taste"), number), TASTES)

    def mean_spend(self, number: I64) -> npt.NDArray[np.float64]:
        """What each player spends on average on a day with purchases, passes apart."""
        mean = np.zeros((len(SPENDER_CLUSTERS), TASTES))
        for index, shelf in self._shelves.items():
            shares = np.diff(self._shares[index], axis=1, prepend=0) / ONE
            count = (self._fewest[index] + self._most[index]) / 2
            for taste in range(TASTES):
                mean[index, taste] = sum((shares[taste] * self.shop.cents[shelf]).tolist())
            mean[index] *= count / 100
        return mean[self.people.spender_cluster(number), self.taste(number)]

    def readiness(self, number: I64) -> npt.NDArray[np.float64]:
        """How many times as often as the mean of the cluster each player buys."""
        return np.array(purses(self.spending.spread), np.float64)[
            purse(self.title.seed, number)
        ] / float(ONE)

    def passes(self, players: Players) -> Passes:
        """Each player's pass: which one and from when, where the player wants one."""
        seed = self.title.seed
        draw = mix(stream_key(seed, "pass"), players.number)
        wants = top_bits(draw) < self._pass_chances[purse(seed, players.number)]
        wants &= self.shop.passes.size > 0
        begin = players.signup + below(
            remix(draw, stream_key(seed, "pass day")), self.spending.pass_within_days
        )
        which = below(remix(draw, stream_key(seed, "which pass")), max(1, self.shop.passes.size))
        product = np.zeros(len(players), np.intp)
        if self.shop.passes.size:
            product = self.shop.passes[which]
        return Passes(
            begin=np.where(wants, begin, NEVER),
            product=product,
            price=self.shop.cents[product] / 100,
            second=below(remix(draw, stream_key(seed, "pass second")), DAY_SECONDS),
        )

    def due(self, passes: Passes, day: date) -> npt.NDArray[np.bool_]:
        """Whether each pass is charged on the day, where it began as planned."""
        monthly, yearly = self._due(day)
        # the last entry of the tables is "never"
        begin = np.minimum(passes.begin, len(monthly) - 1)
        result: npt.NDArray[np.bool_] = np.where(
            self.shop.yearly[passes.product], yearly[begin], monthly[begin]
        )
        return result

    def _charges(self, alive: Players, day: date, player_ids: PlayerIds) -> pa.Table:
        """Battle passes that begin or renew on the day: every month or year on the day of the month
        on which they began (on the month's last day where it is shorter), as long as the player
        still plays."""
        age = (day - self.title.launch_date).days
        passes = self.passes(alive)
        which = np.flatnonzero(self.due(passes, day))
        players, passes = alive.take(which), passes.take(which)
        # a pass is bought while playing: without a sign-on on the chosen day it is never bought
        bought = np.flatnonzero(self.signed_on(players, passes.begin))
        players, passes = players.take(bought), passes.take(bought)
        # a renewal is charged at the same second each time; the first one after the sign-on
        second = passes.second
        new = np.flatnonzero(passes.begin == age)
        since = self.sittings.signon(players.take(new), day)
        second[new] = since + ((DAY_SECONDS - since) * second[new]) // DAY_SECONDS
        ids = uuids(self.title.seed, f"pass/{day.toordinal()}", players.number)
        return self._table(ids, player_ids(players.number), day, second, passes.product)

    def signed_on(self, players: Players, day: I64) -> npt.NDArray[np.bool_]:
        """Whether each player signed on on its own ``day`` (days since launch)."""
        result = np.zeros(len(players), bool)
        for one in np.unique(day):
            which = np.flatnonzero(day == one)
            on = self.title.launch_date + timedelta(days=int(one))
            result[which] = self.population.signed_on(players.take(which), on)
        return result

    def _due(self, day: date) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Whether a monthly, and a yearly, pass that began on day 0 … today (days since launch) is
        charged on the day. One more entry at the end, False, for passes that have not begun."""
        age = (day - self.title.launch_date).days
        month_days = calendar.monthrange(day.year, day.month)[1]
        monthly, yearly = np.zeros(age + 2, bool), np.zeros(age + 2, bool)
        for begin in range(age + 1):
            began = self.title.launch_date + timedelta(days=begin)
            monthly[begin] = min(began.day, month_days) == day.day
            yearly[begin] = monthly[begin] and began.month == day.month
        monthly[age] = yearly[age] = True
        return monthly, yearly

    def _table(
        self,
        ids: npt.NDArray[np.void],
        players: npt.NDArray[np.void],
        day: date,
        second: I64,
        product: npt.NDArray[np.intp],
    ) -> pa.Table:
        which = pa.array(product)
        return table_of(
            "transactions",
            [
                uuid_column(ids),
                uuid_column(players),
                timestamp_column(midnight(day) + second * MICROSECONDS),
                self.shop.sku.take(which),
                decimal_column(self.shop.cents[product], 9),
                pa.array([self.spending.currency], pa.string()).take(
                    pa.array(np.zeros(product.size, np.int8))
                ),
                pa.array(self.shop.recurring[product]),
                self.shop.cycle.take(which),
                self.shop.kind.take(which),
            ],
        )
