"""The only entry point of the simulation: the world of one title, which makes a day of a dataset.

Any day, alone, in any order, in any process, in chunks of any size: the records are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.draws import mix, stream_key, uuids
from sprint_platform.profiles import COUNTRY as COUNTRY_PROFILES
from sprint_platform.profiles import People, time_zone_names
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    midnight,
    table_of,
    timestamp_column,
    uuid_column,
    word_column,
)
from sprint_platform.simulation.heartbeats import Paths
from sprint_platform.simulation.matches import Matchmaker, sessions_table
from sprint_platform.simulation.population import I64, Players, Population
from sprint_platform.simulation.products import Shop, catalogue
from sprint_platform.simulation.purchases import Purchases
from sprint_platform.simulation.signons import signons_table
from sprint_platform.simulation.sittings import Sittings
from sprint_platform.simulation.teams import party_column, won_column
from sprint_platform.simulation.truth import CHANCES, Truth
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import (
    COUNTRIES,
    PLATFORMS,
    Title,
    TitleError,
)

# About how many players a table of a day is made for: some 600,000 heartbeats, 40 MB.
CHUNK_PLAYERS = 20_000


class World:
    """One title's players, days and shop.

    ``products`` is the catalogue that purchases choose from (the default one where it is None);
    ``chunk_players`` sets how large the tables of a day are, and nothing else.
    """

    def __init__(
        self,
        title: Title,
        products: pa.Table | None = None,
        chunk_players: int = CHUNK_PLAYERS,
    ) -> None:
        if title.simulation is None:
            raise TitleError(
                f"title {title.name} is landed from files: there is nothing to simulate"
            )
        self.title = title
        self.chunk_players = chunk_players
        self._products = catalogue() if products is None else products
        self._people = People(title.seed, title.simulation, title.launch_date.year)
        self._population = Population(title)
        self._sittings = Sittings(title, self._population, self._people)
        self._matchmaker = Matchmaker(title, self._population, self._people, self._sittings)
        self._paths = Paths(title)
        self._purchases = Purchases(
            title, self._population, self._people, self._sittings, Shop(self._products)
        )
        self._truth = Truth(self._population, self._people, self._purchases)
        # a retention that its archetypes cannot reach raises now, not after an hour of work
        self._population.survival(1)

    @staticmethod
    def load(name: str) -> World:
        """The world of the title of that name, with the default catalogue. Raises TitleError."""
        return World(Title.load(name))

    def source(self, dataset: str) -> str:
        """The source of the dataset's partitions: the title's fingerprint, and where products are
        upstream also the catalogue's digest."""
        if "products" in DATASETS[dataset].upstream:
            sold = repr(self._products.to_pylist()).encode()
            return f"{self.title.fingerprint}+{hashlib.blake2b(sold, digest_size=8).hexdigest()}"
        return self.title.fingerprint

    def dim_products(self) -> pa.Table:
        """The catalogue, as the contract's ``products``."""
        return self._products

    def dim_players(self, day: date) -> Iterator[pa.Table]:
        """The players who signed up on the day. Raises TitleError before the launch date."""
        players = self._population.signups(self._checked(day))
        for part in self._chunks(players):
            yield self._profiles(part, day)

    def signons(self, day: date) -> Iterator[pa.Table]:
        """Who was active on the day, and since when. Raises TitleError before the launch date."""
        players = self._population.active(self._checked(day))
        for part in self._chunks(players):
            second = self._sittings.signon(part, day)
            yield signons_table(self._people, self._ids(part.number), part.number, second, day)

    def sessions(self, day: date) -> Iterator[pa.Table]:
        """Players' parts in the sessions that began on the day. Raises TitleError before launch."""
        for rows in self._matchmaker.day(self._checked(day), self.chunk_players):
            ids, seed = self._matchmaker.session_ids(day, rows.session), self.title.seed
            party, won = party_column(rows, seed, day), won_column(rows, seed, day)
            yield sessions_table(rows, day, ids, self._ids(rows.number), party, won)

    def heartbeats(self, day: date) -> Iterator[pa.Table]:
        """Positions in the sessions that began on the day. Raises TitleError before launch."""
        for rows in self._matchmaker.day(self._checked(day), self.chunk_players):
            ids = self._matchmaker.session_ids(day, rows.session)
            yield self._paths.tables(rows, day, ids, self._ids(rows.number))

    def transactions(self, day: date) -> Iterator[pa.Table]:
        """The day's purchases. Raises TitleError before the launch date."""
        yield from self._purchases.tables(self._checked(day), self._ids, self.chunk_players)

    def truth(self, day: date) -> Iterator[pa.Table]:
        """What is likely for the day's active players, and what they are like (columns: see
        ``simulation/truth.py``). Raises TitleError before the launch date."""
        players = self._truth.active(self._checked(day))
        for part in self._chunks(players):
            yield self._truth.table(part, self._ids(part.number), day)

    def chances(self, day: date) -> Iterator[pa.Table]:
        """The three chances of ``truth`` of everybody who still plays on the day or later, active
        that day or not. Who has left for good is not there. Raises TitleError before the launch
        date."""
        players = self._truth.living(self._checked(day))
        for part in self._chunks(players):
            found = dict(zip(CHANCES, self._truth.chances(part, day), strict=True))
            yield pa.table({"player_id": uuid_column(self._ids(part.number)), **found})

    def expected_active(self, day: date) -> int:
        """About how many players sign on that day, from the title's curves alone."""
        return self._population.expected_active(day)

    def signed_up_by(self, day: date) -> int:
        """How many players have signed up by the end of the day."""
        return self._population.signed_up_by((day - self.title.launch_date).days)

    def _checked(self, day: date) -> date:
        if day < self.title.launch_date:
            raise TitleError(
                f"title {self.title.name} launches on {self.title.launch_date}: there is no {day}"
            )
        return day

    def _chunks(self, players: Players) -> Iterator[Players]:
        for start in range(0, len(players), self.chunk_players):
            yield players.take(slice(start, start + self.chunk_players))

    def _ids(self, number: I64) -> npt.NDArray[np.void]:
        return uuids(self.title.seed, "player", number)

    def _profiles(self, players: Players, day: date) -> pa.Table:
        people, number = self._people, players.number
        country = people.country(number)
        languages = [COUNTRY_PROFILES[code].language for code in COUNTRIES]
        # a player signs up up to ten minutes before the first sign-on, on the same day
        signon = self._sittings.signon(players, day)
        earlier = mix(stream_key(self.title.seed, "sign-up"), number) % np.uint64(600)
        second = np.maximum(signon - earlier.astype(np.int64), 0)
        return table_of(
            "dim_players",
            [
                uuid_column(self._ids(number)),
                people.display_name(number, country),
                word_column(COUNTRIES, country),
                word_column(languages, country),
                word_column(time_zone_names(), people.time_zone(number, country)),
                word_column(PLATFORMS, people.platform(number)),
                pa.array(people.birth_year(number)),
                timestamp_column(midnight(day) + second * MICROSECONDS),
            ],
        )
