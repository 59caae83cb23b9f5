"""Customers' telephone numbers, by hash: numbers that nobody has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import below, mix, stream_key
from sprint_platform.profiles import I64, U8
from sprint_platform.storefront.generation.cities import CITIES, City, city_of
from sprint_platform.title import COUNTRIES

# How many numbers each telephone range has. United States: 555-0100 to 555-0199 are reserved
# for fiction in every area code (ATIS-0300115). France: ranges for audiovisual works, one for each
# zone and one of mobiles (Arcep's numbering plan, decision 2018-0881). Germany: 1,000 numbers in
# each of five cities (ten ranges here) and 100 mobiles (Bundesnetzagentur's list of numbers for
# media, Mitteilung 148/2021). Brazil, Mexico and Spain reserve none that we know; their numbers
# are of ranges that their plans leave unassigned: area 20 in Brazil, area 401 in Mexico, numbers
# beginning with 4 in Spain.
RANGE: dict[str, int] = {
    "US": 100,
    "BR": 100_000_000,
    "MX": 10_000_000,
    "FR": 10_000,
    "ES": 100_000_000,
    "DE": 100,
}


def phones(seed: int, customer: I64, country: U8) -> pa.Array:
    """One telephone number per customer, as E.164 writes it: +12125550123. Nobody has them.

    The ranges that are reserved for fiction are small, so customers share numbers.
    """
    ranges = _ranges()
    city = city_of(seed, customer, country)
    which = below(mix(stream_key(seed, "phone range"), customer), ranges.count[city])
    number = ranges.first[ranges.start[city] + which] + below(
        mix(stream_key(seed, "phone"), customer), ranges.size[country]
    )
    return pc.binary_join_element_wise("+", pc.cast(pa.array(number), pa.string()), "")


@dataclass(frozen=True)
class _Ranges:
    """The first numbers of all cities' ranges, end to end; by city, where they begin and how many
    there are; by country, how many numbers a range has."""

    first: I64
    start: I64
    count: I64
    size: I64


@lru_cache(maxsize=1)
def _ranges() -> _Ranges:
    by_city = [_of_city(country, city) for country in COUNTRIES for city in CITIES[country]]
    count = np.array([len(firsts) for firsts in by_city], np.int64)
    return _Ranges(
        first=np.concatenate(by_city),
        start=np.cumsum(count) - count,
        count=count,
        size=np.array([RANGE[country] for country in COUNTRIES], np.int64),
    )


def _of_city(country: str, city: City) -> list[int]:
    """First numbers of a city's ranges; one that is there twice is drawn twice as often."""
    match country:
        case "BR":
            return [55_20_9_0000_0000]
        case "MX":
            return [52_401_000_0000]
        case "ES":
            return [34_400_000_000]
        case "FR":  # the mobile range twice: most people give their mobile
            return [*city.phones, *[33_6_39_98_0000] * 2]
        case "DE":
            landlines = [first + 100 * n for first in city.phones for n in range(10)]
            return [*landlines, *[49_171_39200_00] * 10]
        case _:
            return [*city.phones]
