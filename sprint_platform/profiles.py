"""People: where they come from, what they are called, when they are awake, all by hash.

Names are put together from Faker's word lists for the country's locale, picked by hash, whole
columns at a time. Faker itself makes about 50,000 names a second, from a generator whose state no
single day could know. The word lists are part of the data: with another release of Faker (it is
pinned) the golden digests change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import below, mix, pick, picker, remix, stream_key, top_bits
from sprint_platform.title import COUNTRIES, PLATFORMS, SPENDER_CLUSTERS, Simulation

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

REGIONS = ("north america", "latin america", "europe")


@dataclass(frozen=True)
class Country:
    """What people of a country have in common. ``time_zones`` holds (IANA name, standard offset
    from UTC in minutes, share of the people)."""

    region: str
    language: str
    faker_locale: str
    time_zones: tuple[tuple[str, int, float], ...]


# Shares of time zones follow where people live. Offsets are those of standard time all year: a
# government's change of summer time must not move an old day's sign-ons.
COUNTRY: dict[str, Country] = {
    "US": Country(
        "north america",
        "en-US",
        "en_US",
        (
            ("America/New_York", -300, 0.48),
            ("America/Chicago", -360, 0.29),
            ("America/Denver", -420, 0.07),
            ("America/Los_Angeles", -480, 0.16),
        ),
    ),
    "BR": Country(
        "latin america",
        "pt-BR",
        "pt_BR",
        (("America/Sao_Paulo", -180, 0.93), ("America/Manaus", -240, 0.07)),
    ),
    "MX": Country(
        "latin america",
        "es-MX",
        "es_MX",
        (("America/Mexico_City", -360, 0.92), ("America/Tijuana", -480, 0.08)),
    ),
    "FR": Country("europe", "fr-FR", "fr_FR", (("Europe/Paris", 60, 1.0),)),
    "ES": Country(
        "europe", "es-ES", "es_ES", (("Europe/Madrid", 60, 0.95), ("Atlantic/Canary", 0, 0.05))
    ),
    "DE": Country("europe", "de-DE", "de_DE", (("Europe/Berlin", 60, 1.0),)),
}

# Friends are at most so many: a circle is a player number without its last two bits.
LARGEST_CIRCLE = 4

# Ages at launch: nobody under 13 (the platforms' rule), most in their twenties.
YOUNGEST, OLDEST = 13, 65


def traits(seed: int, number: I64) -> npt.NDArray[np.uint64]:
    """A draw per player, whose bits are what the player is like: the uppermost says whether the
    player has friends, the others stand where they are read."""
    return mix(stream_key(seed, "traits"), number)


def circles(seed: int, number: I64) -> I64:
    """Whom each player plays with: players who have the same value here are friends.

    Half of the players are sociable; friends have numbers next to each other, so they signed up
    together and stay about as long. They share a country, a time of day and their moods.
    """
    return circles_of(traits(seed, number), number)


def circles_of(draw: npt.NDArray[np.uint64], number: I64) -> I64:
    """The circles of players whose traits are at hand."""
    # the others' values lie above every circle of four
    return np.where(draw >> np.uint64(63), number + (1 << 40), number >> 2)


class People:
    """The fixed attributes of a title's players, as functions of their numbers.

    Every method takes player numbers, shape (n,), and returns shape (n,).
    """

    def __init__(self, seed: int, simulation: Simulation, launch_year: int) -> None:
        self.seed = seed
        self.launch_year = launch_year
        self._countries = picker([simulation.countries.get(c, 0.0) for c in COUNTRIES])
        self._platforms = picker([simulation.platforms.get(p, 0.0) for p in PLATFORMS])
        clusters = simulation.spending.clusters
        self._clusters = picker(
            [clusters[name].share if name in clusters else 0.0 for name in SPENDER_CLUSTERS]
        )

    def _draw(self, what: str, number: I64) -> npt.NDArray[np.uint64]:
        return mix(stream_key(self.seed, what), number)

    def country(self, number: I64) -> U8:
        """Indices into COUNTRIES."""
        return pick(self._countries, self._draw("country", circles(self.seed, number)))

    def platform(self, number: I64) -> U8:
        """Indices into PLATFORMS."""
        return pick(self._platforms, self._draw("platform", number))

    def spender_cluster(self, number: I64) -> U8:
        """Indices into SPENDER_CLUSTERS."""
        return pick(self._clusters, self._draw("cluster", number))

    def rating(self, number: I64) -> I64:
        """What the matchmaker goes by, a 16-bit percentile: 0 … 65,535, uniform. Friends have one
        in common, so that they can play together."""
        return top_bits(self._draw("rating", circles(self.seed, number)), 16)

    def skill(self, number: I64) -> I64:
        """Skill in 16 bits, 0 … 65,535: three quarters of it are the rating."""
        return (3 * self.rating(number) + top_bits(self._draw("skill", number), 16)) >> 2

    def birth_year(self, number: I64) -> npt.NDArray[np.int16]:
        """Years of birth; ages at launch are the lowest of three uniform draws (young people)."""
        draw = self._draw("birth", number)
        span = OLDEST - YOUNGEST
        ages = [((draw >> np.uint64(shift)) & np.uint64(0xFFFF)) for shift in (0, 16, 32)]
        lowest = np.minimum(np.minimum(ages[0], ages[1]), ages[2]).astype(np.int64)
        return (self.launch_year - YOUNGEST - ((lowest * span) >> 16)).astype(np.int16)

    def time_zone(self, number: I64, country: U8) -> npt.NDArray[np.int64]:
        """Indices into ``time_zone_names()`` and ``time_zone_offsets()``."""
        draw = self._draw("time zone", circles(self.seed, number))
        return _zone_tables()[country, (draw >> np.uint64(52)).astype(np.intp)]

    def display_name(self, number: I64, country: U8) -> pa.Array:
        """Names such as people of the country have, as an Arrow string array."""
        return pc.binary_join_element_wise(*full_names(self.seed, number, country), " ")


def full_names(seed: int, number: I64, country: U8) -> tuple[pa.Array, pa.Array]:
    """Given and family names, such as people of the country have, as two Arrow string arrays.

    ``number`` says who it is, ``country`` is an index into COUNTRIES; both of shape (n,).
    """
    names = _names()
    draw = mix(stream_key(seed, "name"), number)
    first = names.first_start[country] + below(draw, names.first_count[country])
    again = remix(draw, stream_key(seed, "family name"))
    last = names.last_start[country] + below(again, names.last_count[country])
    return names.first.take(first), names.last.take(last)


def time_zone_names() -> list[str]:
    """Every time zone's IANA name, in the order of the indices."""
    return [zone[0] for code in COUNTRIES for zone in COUNTRY[code].time_zones]


def time_zone_offsets() -> I64:
    """Standard offsets from UTC in seconds, in the order of the indices."""
    return np.array(
        [zone[1] * 60 for code in COUNTRIES for zone in COUNTRY[code].time_zones], np.int64
    )


@lru_cache(maxsize=1)
def _zone_tables() -> npt.NDArray[np.int64]:
    """Time-zone indices by country and a 12-bit draw: shape (countries, 4096)."""
    tables, start = [], 0
    for code in COUNTRIES:
        zones = COUNTRY[code].time_zones
        tables.append(picker([zone[2] for zone in zones])[::16].astype(np.int64) + start)
        start += len(zones)
    return np.stack(tables)


def regions() -> U8:
    """The region of each country: indices into REGIONS, in the order of COUNTRIES."""
    return np.array([REGIONS.index(COUNTRY[code].region) for code in COUNTRIES], np.uint8)


@dataclass(frozen=True)
class _Names:
    """All locales' name lists end to end, and where each country's begin."""

    first: pa.Array
    last: pa.Array
    first_start: I64
    first_count: I64
    last_start: I64
    last_count: I64


@lru_cache(maxsize=1)
def _names() -> _Names:
    first: list[str] = []
    last: list[str] = []
    spans = []
    for code in COUNTRIES:
        provider = import_module(f"faker.providers.person.{COUNTRY[code].faker_locale}").Provider
        # in the order of Faker's lists (some are weighted dicts): sets have no stable order
        firsts = list(dict.fromkeys(provider.first_names))
        lasts = list(dict.fromkeys(provider.last_names))
        spans.append((len(first), len(firsts), len(last), len(lasts)))
        first += firsts
        last += lasts
    columns = np.array(spans, np.int64).T
    return _Names(pa.array(first), pa.array(last), *columns)
