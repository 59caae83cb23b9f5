"""The cities of ``words/cities.yaml``, and which of them customers live in, by hash."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import PlainValidator

from sprint_platform.draws import mix, pick, picker, stream_key
from sprint_platform.profiles import I64, U8
from sprint_platform.storefront.generation.word_files import read_words
from sprint_platform.title import COUNTRIES


@dataclass(frozen=True)
class City:
    """A city: its region as addresses there name it, thousands of inhabitants, its postal codes (in
    Brazil their first five digits), and the first numbers of its own telephone ranges, with the
    country code."""

    name: str
    region: str
    thousands: int
    postal_codes: Annotated[range, PlainValidator(lambda bounds: range(*bounds))]
    phones: tuple[int, ...] = ()


CITIES = read_words("cities", dict[str, tuple[City, ...]])


def city_of(seed: int, customer: I64, country: U8) -> I64:
    """The customers' cities: indices into all cities, end to end in the order of COUNTRIES.
    ``country`` holds indices into COUNTRIES."""
    draw = mix(stream_key(seed, "address city"), customer)
    city = np.empty(customer.size, np.int64)
    start = 0
    for index, table in enumerate(_inhabitants()):
        which = np.flatnonzero(country == index)
        city[which] = start + pick(table, draw[which])
        start += len(CITIES[COUNTRIES[index]])
    return city


@lru_cache(maxsize=1)
def _inhabitants() -> list[U8]:
    return [picker([city.thousands for city in CITIES[country]]) for country in COUNTRIES]
