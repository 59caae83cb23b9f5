"""What players buy: on days of play by their spending cluster, and battle passes that renew."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.draws import (
    below,
    mix,
    remix,
    stream_key,
    threshold,
    top_bits,
    uuids,
)
from sprint_platform.profiles import People
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    decimal_column,
    midnight,
    table_of,
    timestamp_column,
    uuid_column,
)
from sprint_platform.simulation.population import I64, Players, Population
from sprint_platform.simulation.products import Shop
from sprint_platform.simulation.signons import DAY_SECONDS, signon_second
from sprint_platform.title import SPENDER_CLUSTERS, Spending, Title, TitleError

# player numbers, shape (n,), to their ids
PlayerIds = Callable[[I64], npt.NDArray[np.void]]


class Purchases:
    """Makes the transactions of one title."""

    def __init__(self, title: Title, population: Population, people: People, shop: Shop) -> None:
        assert title.simulation is not None
        self.title = title
        self.population = population
        self.people = people
        self.shop = shop
        self.spending: Spending = title.simulation.spending
        self._shelves: dict[int, npt.NDArray[np.intp]] = {}
        for name, cluster in self.spending.clusters.items():
            if cluster.chance and cluster.purchases[1]:
                shelf = shop.priced(*cluster.price)
                if shelf.size == 0:
                    raise TitleError(
                        f"title {title.name}: simulation.spending.clusters.{name}.price: no product"
                        f" that does not recur costs {cluster.price[0]:g} to {cluster.price[1]:g};"
                        " widen the range"
                    )
                self._shelves[SPENDER_CLUSTERS.index(name)] = shelf

    def tables(self, day: date, player_ids: PlayerIds, chunk_players: int) -> Iterator[pa.Table]:
        """The day's transactions in chunks of about ``chunk_players`` players each."""
        active = self.population.active(day)
        for start in range(0, len(active), chunk_players):
            number = active.number[start : start + chunk_players]
            yield self._on_days_of_play(number, day, player_ids)
        alive = self.population.alive(day)
        for start in range(0, len(alive), 16 * chunk_players):
            yield self._passes(
                alive.take(slice(start, start + 16 * chunk_players)), day, player_ids
            )

    def _on_days_of_play(self, number: I64, day: date, player_ids: PlayerIds) -> pa.Table:
        seed, ordinal = self.title.seed, day.toordinal()
        cluster = self.people.spender_cluster(number)
        chance = np.zeros(len(SPENDER_CLUSTERS), np.int64)
        fewest, more = np.zeros_like(chance), np.zeros_like(chance)
        for index in self._shelves:
            settings = self.spending.clusters[SPENDER_CLUSTERS[index]]
            chance[index] = threshold(settings.chance)
            fewest[index], more[index] = (
                settings.purchases[0],
                settings.purchases[1] - settings.purchases[0] + 1,
            )
        draw = mix(stream_key(seed, "buys", ordinal), number)
        buyers = np.flatnonzero(top_bits(draw) < chance[cluster])
        number, cluster, draw = number[buyers], cluster[buyers], draw[buyers]
        count = fewest[cluster] + below(remix(draw, stream_key(seed, "how many")), more[cluster])

        row = np.repeat(np.arange(number.size), count)
        nth = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
        entity = number[row] * 32 + nth
        taste = mix(stream_key(seed, "taste", ordinal), entity)
        # the lower of two draws: cheaper products sell more often
        other = remix(taste, stream_key(seed, "taste"))
        product = np.zeros(row.size, np.intp)
        for index, shelf in self._shelves.items():
            which = np.flatnonzero(cluster[row] == index)
            lower = np.minimum(below(taste[which], shelf.size), below(other[which], shelf.size))
            product[which] = shelf[lower]

        country = self.people.country(number)
        since = signon_second(seed, self.people, number, country, day)[row]
        later = below(remix(taste, stream_key(seed, "when")), DAY_SECONDS - since)
        ids = uuids(seed, f"purchase/{ordinal}", entity)
        return self._table(ids, player_ids(number)[row], day, since + later, product)

    def _passes(self, alive: Players, day: date, player_ids: PlayerIds) -> pa.Table:
        """Battle passes that begin or renew on the day: every month or year on the day of the month
        on which they began (on the month's last day where it is shorter), as long as the player
        still plays."""
        seed = self.title.seed
        draw = mix(stream_key(seed, "pass"), alive.number)
        wants = np.flatnonzero(top_bits(draw) < threshold(self.spending.pass_share))
        if self.shop.passes.size == 0:
            wants = wants[:0]
        players, draw = alive.take(wants), draw[wants]
        begin = players.signup + below(
            remix(draw, stream_key(seed, "pass day")), self.spending.pass_within_days
        )
        product = (
            self.shop.passes[
                below(remix(draw, stream_key(seed, "which pass")), max(1, self.shop.passes.size))
            ]
            if wants.size
            else np.zeros(0, np.intp)
        )
        monthly, yearly = self._due(day)
        age = (day - self.title.launch_date).days
        begin_or_never = np.minimum(begin, age + 1)  # the last entry of the tables is "never"
        due = np.where(self.shop.yearly[product], yearly[begin_or_never], monthly[begin_or_never])
        which = np.flatnonzero(due)
        players, draw, product, begin = (
            players.take(which), draw[which], product[which], begin[which]
        )  # fmt: skip
        # a pass is bought while playing: without a sign-on on the chosen day it is never bought
        bought = np.flatnonzero(self.population.signed_on(players, begin))
        players, draw, product, begin = (
            players.take(bought), draw[bought], product[bought], begin[bought]
        )  # fmt: skip
        second = below(remix(draw, stream_key(seed, "pass second")), DAY_SECONDS)
        signed_on = signon_second(
            seed, self.people, players.number, self.people.country(players.number), day
        )
        # a renewal is charged at the same second each time; the first one after the sign-on
        first = signed_on + ((DAY_SECONDS - signed_on) * second) // DAY_SECONDS
        second = np.where(begin == age, first, second)
        ids = uuids(seed, f"pass/{day.toordinal()}", players.number)
        return self._table(ids, player_ids(players.number), day, second, product)

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
