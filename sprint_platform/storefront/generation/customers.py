"""Customers: who registers on a day, what is known of them, and who comes to the store on a day."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import (
    U64,
    below,
    mix,
    pick,
    picker,
    remix,
    stream_key,
    threshold,
    top_bits,
)
from sprint_platform.profiles import COUNTRY, full_names
from sprint_platform.profiles import YOUNGEST as YOUNGEST_PLAYER
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    midnight,
    timestamp_column,
    word_column,
)
from sprint_platform.storefront.contracts import BRONZE_TABLES, GENDERS
from sprint_platform.storefront.generation.addresses import addresses
from sprint_platform.storefront.generation.calendar import Calendar
from sprint_platform.storefront.generation.hours import I64, U8
from sprint_platform.storefront.generation.players import LinkedPlayers
from sprint_platform.storefront.generation.telephones import phones
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import COUNTRIES

# Where a shop of a studio in the United States sells: half at home, and where it ships to.
_COUNTRIES = picker([50, 9, 7, 12, 8, 14])
_GENDERS = picker([36, 56, 3, 5])
_SIGNUP_CHANNELS = ("web", "in_game", "launcher", "support")
_CHANNELS = picker([62, 22, 14, 2])
# Names that are reserved for examples (RFC 2606): no mail reaches anybody.
_DOMAINS = ("example.com", "example.net", "example.org")
_NEWSLETTER = threshold(0.42)

PLAYER_SHARE = threshold(0.35)
YOUNGEST, OLDEST = 16, 70
# Registrations end at 22:00, so that a visit on the same day can follow.
LAST_REGISTRATION = 22 * 3600
WELCOME_DAYS, WELCOME = 14, 3
# Half of the customers have bought for the last time after this many days: the survival is
# 120 / (120 + days).
HALF_GONE = 120


@dataclass(frozen=True)
class Newcomers:
    """A day's registrations: customers' numbers, the second of registration since 1970, and the row
    of ``players`` that each is (-1 for nobody)."""

    customer: I64
    registered_at: I64
    player_row: I64
    players: pa.Table


class Customers:
    """The customers of one store; ``players`` are those of a title who may have an account."""

    def __init__(
        self, settings: StoreSettings, calendar: Calendar, players: LinkedPlayers | None
    ) -> None:
        self._seed = settings.seed
        self._calendar = calendar
        self._players = players
        self._habits: tuple[I64, I64, I64] = _no_habits()
        # cached per store, not per class: a method's cache would hold every store for ever
        self._newcomers = lru_cache(maxsize=4)(self._registered)
        self._crowd = lru_cache(maxsize=4)(self._weights)

    def _draw(self, what: str, customer: I64) -> U64:
        return mix(stream_key(self._seed, what), customer)

    def country(self, customer: I64) -> U8:
        """Indices into COUNTRIES."""
        return pick(_COUNTRIES, self._draw("customer country", customer))

    def choose(self, day: int, draw: U64) -> I64:
        """The customers who come on that day, one per draw: of those who have registered by its end
        and still come; some come far more often than others, most soon after registration."""
        crowd = self._crowd(day)
        return np.searchsorted(crowd, below(draw, int(crowd[-1])), side="right") + 1

    def earliest(self, day: int, customer: I64) -> I64:
        """The second since 1970 from which the customers have an account on that day."""
        start = midnight(self._calendar.date(day)) // MICROSECONDS
        known = self._calendar.customers_by(day - 1)
        new = customer > known
        seconds = np.full(customer.size, start, np.int64)
        seconds[new] = self._newcomers(day).registered_at[customer[new] - known - 1]
        return seconds

    def table(self, day: int) -> pa.Table:
        """The day's ``raw_customers``."""
        new = self._newcomers(day)
        customer, players = new.customer, new.players
        country = self.country(customer)
        first, last = full_names(self._seed, customer, country)
        linked = pa.array(new.player_row, mask=new.player_row < 0)
        given, family = _split(players["display_name"])
        first = pc.coalesce(given.take(linked), first)
        last = pc.coalesce(family.take(linked), last)
        born = self._birth_date(day, customer, linked, players)
        language = word_column([COUNTRY[code].language for code in COUNTRIES], country)
        letter = top_bits(self._draw("newsletter", customer)) < _NEWSLETTER
        channel = pick(_CHANNELS, self._draw("sign-up channel", customer))
        columns = [
            pa.array(customer),
            players["player_id"].combine_chunks().take(linked),
            self._email(customer, first, last),
            first,
            last,
            phones(self._seed, customer, country),
            addresses(self._seed, customer, country),
            word_column(COUNTRIES, country),
            timestamp_column(new.registered_at * MICROSECONDS),
            born,
            word_column(GENDERS, pick(_GENDERS, self._draw("gender", customer))),
            pc.binary_join_element_wise(
                '{"locale": "',
                language,
                '", "newsletter": ',
                word_column(["false", "true"], letter.astype(np.int8)),
                ', "signup_channel": "',
                word_column(_SIGNUP_CHANNELS, channel),
                '"}',
                "",
            ),
        ]
        return pa.Table.from_arrays(columns, schema=BRONZE_TABLES["raw_customers"].arrow_schema)

    def _email(self, customer: I64, first: pa.Array, last: pa.Array) -> pa.Array:
        domain = word_column(_DOMAINS, below(self._draw("mail domain", customer), len(_DOMAINS)))
        number = pa.array(customer).cast(pa.string())
        # the number makes it unique, as the shop's own accounts would
        return pc.binary_join_element_wise(
            _plain(first), ".", _plain(last), number, "@", domain, ""
        )

    def _birth_date(self, day: int, customer: I64, linked: pa.Array, players: pa.Table) -> pa.Array:
        draw = self._draw("birth", customer)
        # the lower of two draws: most customers are young
        age = np.minimum(below(draw, OLDEST - YOUNGEST), below(remix(draw, 1), OLDEST - YOUNGEST))
        year = self._calendar.date(day).year - YOUNGEST - 1 - age
        year = np.asarray(pc.coalesce(players["birth_year"].take(linked).cast(pa.int64()), year))
        first_of_year = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]")
        # a player may reach the least age this year: then the birthday has been
        today = self._calendar.date(day)
        turned = today.year - year <= YOUNGEST_PLAYER
        days = np.where(turned, min(365, today.timetuple().tm_yday), 365)
        return pa.array(first_of_year + below(remix(draw, 2), days).astype("timedelta64[D]"))

    def _registered(self, day: int) -> Newcomers:
        before, after = self._calendar.customers_by(day - 1), self._calendar.customers_by(day)
        customer = np.arange(before + 1, after + 1)
        when = self._calendar.date(day)
        second = midnight(when) // MICROSECONDS + below(
            self._draw("registration", customer), LAST_REGISTRATION
        )
        row = np.full(customer.size, -1, np.int64)
        if self._players is None:
            return Newcomers(customer, second, row, _nobody())
        players = self._players.of(when)
        wanted = top_bits(self._draw("is player", customer)) < PLAYER_SHARE
        country = self.country(customer)
        lives_in = np.asarray(pc.index_in(players["country"], pa.array(COUNTRIES)).fill_null(255))
        for index in range(len(COUNTRIES)):
            who = np.flatnonzero(wanted & (country == index))
            found = np.flatnonzero(lives_in == index)[: who.size]
            row[who[: found.size]] = found
        linked = np.flatnonzero(row >= 0)
        signed_up = (
            np.asarray(players["signed_up_at"].cast(pa.int64()))[row[linked]] // MICROSECONDS
        )
        second[linked] = np.maximum(second[linked], signed_up + 300)
        return Newcomers(customer, second, row, players)

    def _weights(self, day: int) -> I64:
        """Running sums of the weights with which customers 1, 2, … come on that day."""
        count = self._calendar.customers_by(day)
        affinity, last_day, first_day = (habit[:count] for habit in self._known(day))
        weight = np.where(last_day >= day, affinity, 0)
        weight = np.where(first_day > day - WELCOME_DAYS, WELCOME * weight, weight)
        if not weight.any():  # a store of very few customers, none of whom comes any more
            weight = np.ones(count, np.int64)
        return np.cumsum(weight)

    def _known(self, day: int) -> tuple[I64, I64, I64]:
        """How often customers 1, 2, … come, the last day on which they may, and the day of
        registration; for those up to that day's at least."""
        have, count = self._habits[0].size, self._calendar.customers_by(day)
        if have < count:
            customer = np.arange(have + 1, count + 1)
            by_day = [self._calendar.customers_by(d) for d in range(day + 1)]
            first_day = np.searchsorted(by_day, customer, side="left")
            affinity = (8 << 16) // (top_bits(self._draw("affinity", customer), 16) + 5000)
            draw = top_bits(self._draw("lifetime", customer), 16)
            last_day = first_day + HALF_GONE * 65_536 // (draw + 1) - HALF_GONE
            new = (affinity, last_day, first_day)
            self._habits = tuple(  # type: ignore[assignment]
                np.concatenate([old, more]) for old, more in zip(self._habits, new, strict=True)
            )
        return self._habits


def _no_habits() -> tuple[I64, I64, I64]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)


def _nobody() -> pa.Table:
    return DATASETS["dim_players"].arrow_schema.empty_table()


def _split(names: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Given names and family names of players; what follows the first space is the family's."""
    parts = [name.partition(" ") for name in names.to_pylist()]
    given = pa.array([first for first, _, _ in parts], pa.string())
    return given, pa.array([last or first for first, _, last in parts], pa.string())


def _plain(names: pa.Array) -> pa.Array:
    """The names as they stand in an address: lower-case ASCII letters."""
    encoded = pc.dictionary_encode(names)
    words: Iterable[str] = encoded.dictionary.to_pylist()
    plain = [_letters(word) or "customer" for word in words]
    return pa.array(plain, pa.string()).take(encoded.indices)


@lru_cache(maxsize=100_000)
def _letters(word: str) -> str:
    bare = unicodedata.normalize("NFKD", word.replace("ß", "ss")).lower()
    return "".join(letter for letter in bare if "a" <= letter <= "z")
