"""The truth beside the records: what is likely for each player on a day, as the simulator draws it.

A player's remaining days, moods and tastes are functions of the player's number, so the chances of
the days to come are known before they are drawn. What a model learns from the records can be held
against them. Nothing here is an event: no record and no mart is made from it.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.draws import ONE
from sprint_platform.profiles import People, circles
from sprint_platform.simulation.columns import uuid_column, word_column
from sprint_platform.simulation.population import KEEN_BITS, Players, Population
from sprint_platform.simulation.purchases import Purchases
from sprint_platform.simulation.purses import LIKED_KINDS, THRIFT
from sprint_platform.title import ARCHETYPES, SPENDER_CLUSTERS

F64 = npt.NDArray[np.float64]

# Chances are of the days after the player's: so many of no sign-on and of a purchase, and so many
# of what is spent.
CHANCE_DAYS, SPEND_DAYS = 14, 30
CHANCES = ("no_signon_in_14_days", "purchase_in_14_days", "expected_spend_in_30_days")
THRIFT_NAMES = ("thrifty", "middling", "generous")

SCHEMA = pa.schema(
    [
        pa.field("player_id", pa.uuid(), nullable=False),
        pa.field("archetype", pa.string(), nullable=False),
        pa.field("spender_cluster", pa.string(), nullable=False),
        pa.field("skill", pa.float64(), nullable=False),
        pa.field("habit", pa.float64(), nullable=False),
        pa.field("keenness", pa.float64(), nullable=False),
        pa.field("purse", pa.float64(), nullable=False),
        pa.field("liked_kind", pa.string(), nullable=False),
        pa.field("thrift", pa.string(), nullable=False),
        pa.field("sociable", pa.bool_(), nullable=False),
        *(pa.field(chance, pa.float64(), nullable=False) for chance in CHANCES),
    ]
)


class Truth:
    """The chances and traits of a title's players."""

    def __init__(self, population: Population, people: People, purchases: Purchases) -> None:
        self.population = population
        self.people = people
        self.purchases = purchases

    def active(self, day: date) -> Players:
        """The day's active players, whose last days are known as far as chances are asked for."""
        alive = self.population.alive(day, SPEND_DAYS)
        return alive.take(np.flatnonzero(self.population.signed_on(alive, day)))

    def living(self, day: date) -> Players:
        """Who still plays on the day or later, active that day or not."""
        return self.population.alive(day, SPEND_DAYS)

    def table(self, players: Players, ids: npt.NDArray[np.void], day: date) -> pa.Table:
        """The truth about these players, from ``active``, on the day."""
        number, seed = players.number, self.population.title.seed
        taste = self.purchases.taste(number)
        leaves, buys, spends = self.chances(players, day)
        return pa.Table.from_arrays(
            [
                uuid_column(ids),
                word_column(ARCHETYPES, players.archetype),
                word_column(SPENDER_CLUSTERS, self.people.spender_cluster(number)),
                pa.array(self.people.skill(number) / 65_536),
                pa.array(self.population.habit(number) / (1 << KEEN_BITS)),
                pa.array(self.population.keenness(players, day) / (1 << KEEN_BITS)),
                pa.array(self.purchases.readiness(number)),
                word_column(LIKED_KINDS, taste // len(THRIFT)),
                word_column(THRIFT_NAMES, taste % len(THRIFT)),
                pa.array(circles(seed, number) < 1 << 40),
                pa.array(leaves),
                pa.array(buys),
                pa.array(spends),
            ],
            schema=SCHEMA,
        )

    def chances(self, players: Players, day: date) -> tuple[F64, F64, F64]:
        """P(no sign-on in the next 14 days), P(at least one purchase in them) and the expected
        spending in the next 30 days, in the title's currency, of players from ``active`` or
        ``living``."""
        today = (day - self.population.title.launch_date).days
        absent, unsold, spent = np.ones(len(players)), np.ones(len(players)), np.zeros(len(players))
        price = self.purchases.mean_spend(players.number)
        passes = self.purchases.passes(players)
        # the chance that the pass of each player has begun: a fact for days gone by
        begun = np.zeros(len(players))
        past = np.flatnonzero(passes.begin <= today)
        begun[past] = self.purchases.signed_on(players.take(past), passes.begin[past])
        for ahead in range(1, SPEND_DAYS + 1):
            then = day + timedelta(days=ahead)
            which = np.flatnonzero(players.last >= today + ahead)
            some = players.take(which)
            plays = self.population.chance(some, then) / ONE
            buys = self.purchases.chance(some, then) / ONE
            nothing = 1.0 - plays * buys
            begins = passes.begin[which] == today + ahead
            begun[which] = np.where(begins, plays, begun[which])
            # who plays on the day on which the pass begins buys it, and a renewal needs no play
            charged = np.where(self.purchases.due(passes.take(which), then), begun[which], 0.0)
            spent[which] += plays * buys * price[which] + charged * passes.price[which]
            if ahead <= CHANCE_DAYS:
                absent[which] *= 1.0 - plays
                unsold[which] *= np.where(begins, 1.0 - plays, nothing * (1.0 - charged))
        return absent, 1.0 - unsold, spent
