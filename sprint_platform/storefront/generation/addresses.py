"""Customers' addresses, by hash.

An address is put together from pieces that are written as JSON once: a street's kind and number,
a family name of the country, the city with its region, a postal code of that city. Somebody lives
there only by chance.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import below, mix, stream_key
from sprint_platform.profiles import COUNTRY, I64, U8
from sprint_platform.storefront.generation.cities import CITIES, city_of
from sprint_platform.storefront.generation.word_lists import WordLists
from sprint_platform.title import COUNTRIES

# Kinds of streets, the common ones of those that Faker's providers know (their whole lists hold
# airports, slums and motorways, too); those that are listed more often are drawn more often.
STREETS: dict[str, tuple[str, ...]] = {
    "US": (*["Street"] * 5, *["Avenue"] * 3, *["Road", "Drive"] * 2, "Lane", "Court", "Place"),
    "BR": (*["Rua"] * 8, *["Avenida"] * 3, "Travessa", "Alameda", "Praça"),
    "MX": (*["Calle"] * 7, *["Avenida"] * 3, "Calzada", "Privada", "Boulevard", "Cerrada"),
    "FR": (*["rue"] * 7, *["avenue"] * 2, "boulevard", "chemin"),
    "ES": (*["Calle"] * 8, *["Avenida"] * 3, "Plaza", "Paseo", "Ronda", "Camino"),
    "DE": (*["straße"] * 8, *["weg"] * 3, "platz", "allee", "ring", "gasse"),
}
HOUSES: dict[str, range] = {
    "US": range(10, 5000),
    "BR": range(1, 2400),
    "MX": range(1, 1200),
    "FR": range(1, 160),
    "ES": range(1, 160),
    "DE": range(1, 160),
}


def addresses(seed: int, customer: I64, country: U8) -> pa.Array:
    """One JSON object per customer: street, city, region, postal_code, country.

    ``country`` holds indices into COUNTRIES. Streets and numbers are written as people of the
    country do. A customer's address is the same whoever else is asked for.
    """
    pieces = _pieces()
    city = city_of(seed, customer, country)
    code_draw = mix(stream_key(seed, "postal code"), customer)
    code = pieces.code_first[city] + pieces.code_step[city] * below(
        code_draw, pieces.code_count[city]
    )
    return pc.binary_join_element_wise(
        pieces.before.pick(mix(stream_key(seed, "street"), customer), country),
        pieces.family.pick(mix(stream_key(seed, "street name"), customer), country),
        pieces.after.pick(mix(stream_key(seed, "house"), customer), country),
        pieces.place.take(pa.array(city)),
        pieces.code.take(pa.array(code)),
        pieces.end.pick(mix(stream_key(seed, "postal code's end"), customer), country),
        "",
    )


@dataclass(frozen=True)
class _Pieces:
    """What addresses and numbers are made from. An address is before + family + after + place +
    code + end; the parts before and after a street's name depend on the country."""

    before: WordLists
    family: WordLists
    after: WordLists
    end: WordLists
    code: pa.Array
    # by city
    place: pa.Array
    code_first: I64
    code_step: I64
    code_count: I64


@lru_cache(maxsize=1)
def _pieces() -> _Pieces:
    cities = [city for country in COUNTRIES for city in CITIES[country]]
    return _Pieces(
        before=WordLists.of(_before(country) for country in COUNTRIES),
        family=WordLists.of(_family(country) for country in COUNTRIES),
        after=WordLists.of(_after(country) for country in COUNTRIES),
        end=WordLists.of(_end(country) for country in COUNTRIES),
        code=pa.array([f"{code:05}" for code in range(100_000)]),
        place=pa.array(
            f'","city":{_json(city.name)},"region":{_json(city.region)},"postal_code":"'
            for city in cities
        ),
        code_first=np.array([city.postal_codes.start for city in cities], np.int64),
        code_step=np.array([city.postal_codes.step for city in cities], np.int64),
        code_count=np.array([len(city.postal_codes) for city in cities], np.int64),
    )


def _before(country: str) -> list[str]:
    """From the object's beginning to the street's name."""
    opening = '{"street":"'
    if country == "US":
        return [f"{opening}{house} " for house in HOUSES[country]]
    if country == "FR":
        return [f"{opening}{house} {k} " for house in HOUSES[country] for k in STREETS[country]]
    if country == "DE":
        return [opening]
    return [f"{opening}{kind} " for kind in STREETS[country]]


def _family(country: str) -> list[str]:
    provider = import_module(f"faker.providers.person.{COUNTRY[country].faker_locale}").Provider
    names = list(dict.fromkeys(provider.last_names))
    if country == "DE":  # a street's kind is part of the word: Ackermannstraße
        names = [name for name in names if " " not in name]
    return [_json(name)[1:-1] for name in names]


def _after(country: str) -> list[str]:
    """From the street's name to the street's end."""
    if country == "US":
        return [f" {kind}" for kind in STREETS[country]]
    if country == "FR":
        return [""]
    if country == "DE":
        return [f"{kind} {house}" for house in HOUSES[country] for kind in STREETS[country]]
    comma = "" if country == "MX" else ","
    return [f"{comma} {house}" for house in HOUSES[country]]


def _end(country: str) -> list[str]:
    """From the postal code's first five digits to the object's end."""
    end = f'","country":"{country}"}}'
    if country == "BR":  # eight digits
        return [f"-{number:03}{end}" for number in range(1000)]
    return [end]


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
