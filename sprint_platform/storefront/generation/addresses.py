"""Where customers live and how they are called: addresses and telephone numbers, by hash.

An address is put together from pieces that are written as JSON once: a street's kind and number,
a family name of the country, the city with its region, a postal code of that city. Nobody lives
there but by chance, and nobody has the numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import below, mix, pick, picker, stream_key
from sprint_platform.profiles import COUNTRY, I64, U8
from sprint_platform.storefront.generation.word_lists import WordLists
from sprint_platform.title import COUNTRIES


@dataclass(frozen=True)
class City:
    """A city: its region as addresses there name it, thousands of inhabitants (the censuses of 2020
    to 2022), its postal codes (in Brazil their first five digits), and the first numbers of its
    telephone ranges, with the country code."""

    name: str
    region: str
    thousands: int
    postal_codes: range
    phones: tuple[int, ...]


# How many numbers each telephone range has. United States: 555-0100 to 555-0199 are kept for
# fiction in every area code (ATIS-0300115). France: ranges for audiovisual works, one for each
# zone and one of mobiles (Arcep's numbering plan, decision 2018-0881). Germany: 1,000 numbers in
# each of five cities (ten ranges here) and 100 mobiles (Bundesnetzagentur's list of numbers for
# media, Mitteilung 148/2021). Brazil, Mexico and Spain keep none that we know of; their numbers
# are of ranges that their plans leave unassigned: area 20 in Brazil, area 401 in Mexico, numbers
# beginning with 4 in Spain.
PHONES: dict[str, int] = {
    "US": 100,
    "BR": 100_000_000,
    "MX": 10_000_000,
    "FR": 10_000,
    "ES": 100_000_000,
    "DE": 100,
}


def _us(*area_codes: int) -> tuple[int, ...]:
    return tuple(1_000_555_0100 + area * 10_000_000 for area in area_codes)


def _fr(zone: int) -> tuple[int, ...]:
    # the mobile range twice: most people give their mobile
    return zone, 33_6_39_98_0000, 33_6_39_98_0000


def _de(first: int) -> tuple[int, ...]:
    return tuple(first + 100 * n for n in range(10)) + _DE_MOBILE * 10


_BR = (55_20_9_0000_0000,)
_MX = (52_401_000_0000,)
_ES = (34_400_000_000,)
_FR1, _FR2, _FR3, _FR4, _FR5 = (
    _fr(33_1_99_00_0000), _fr(33_2_61_91_0000), _fr(33_3_53_01_0000), _fr(33_4_65_71_0000),
    _fr(33_5_36_49_0000),
)  # fmt: skip
_DE_MOBILE = (49_171_39200_00,)

CITIES: dict[str, tuple[City, ...]] = {
    "US": (
        City("New York", "NY", 8804, range(10001, 10041), _us(212, 646, 718, 917)),
        City("Los Angeles", "CA", 3899, range(90001, 90090), _us(213, 310, 323, 818)),
        City("Chicago", "IL", 2746, range(60601, 60662), _us(312, 773, 872)),
        City("Houston", "TX", 2305, range(77002, 77100), _us(281, 713, 832)),
        City("Phoenix", "AZ", 1608, range(85003, 85055), _us(480, 602, 623)),
        City("Philadelphia", "PA", 1604, range(19102, 19155), _us(215, 267)),
        City("San Antonio", "TX", 1435, range(78201, 78262), _us(210, 726)),
        City("San Diego", "CA", 1387, range(92101, 92132), _us(619, 858)),
        City("Dallas", "TX", 1304, range(75201, 75255), _us(214, 469, 972)),
        City("Seattle", "WA", 737, range(98101, 98200), _us(206)),
        City("Denver", "CO", 716, range(80202, 80240), _us(303, 720)),
        City("Boston", "MA", 676, range(2108, 2137), _us(617, 857)),
    ),
    "BR": (
        City("São Paulo", "SP", 11452, range(1001, 5900), _BR),
        City("Rio de Janeiro", "RJ", 6211, range(20010, 23799), _BR),
        City("Brasília", "DF", 2817, range(70002, 72800), _BR),
        City("Fortaleza", "CE", 2429, range(60010, 61600), _BR),
        City("Salvador", "BA", 2418, range(40010, 42500), _BR),
        City("Belo Horizonte", "MG", 2316, range(30110, 32000), _BR),
        City("Manaus", "AM", 2064, range(69005, 69100), _BR),
        City("Curitiba", "PR", 1774, range(80010, 83000), _BR),
        City("Recife", "PE", 1489, range(50010, 53000), _BR),
        City("Goiânia", "GO", 1437, range(74000, 74900), _BR),
        City("Porto Alegre", "RS", 1333, range(90010, 92000), _BR),
        City("Belém", "PA", 1303, range(66010, 67000), _BR),
    ),
    "MX": (
        City("Ciudad de México", "Ciudad de México", 9209, range(1000, 17000, 10), _MX),
        City("Tijuana", "Baja California", 1811, range(22000, 22700, 10), _MX),
        City("Ecatepec", "Estado de México", 1644, range(55000, 55550, 10), _MX),
        City("León", "Guanajuato", 1579, range(37000, 37700, 10), _MX),
        City("Puebla", "Puebla", 1542, range(72000, 72600, 10), _MX),
        City("Ciudad Juárez", "Chihuahua", 1502, range(32000, 32700, 10), _MX),
        City("Guadalajara", "Jalisco", 1385, range(44100, 45000, 10), _MX),
        City("Monterrey", "Nuevo León", 1142, range(64000, 65000, 10), _MX),
        City("Mérida", "Yucatán", 922, range(97000, 97310, 10), _MX),
        City("Cancún", "Quintana Roo", 888, range(77500, 77580, 5), _MX),
        City("Querétaro", "Querétaro", 794, range(76000, 76250, 10), _MX),
    ),
    "FR": (
        City("Paris", "Île-de-France", 2133, range(75001, 75021), _FR1),
        City("Marseille", "Provence-Alpes-Côte d'Azur", 873, range(13001, 13017), _FR4),
        City("Lyon", "Auvergne-Rhône-Alpes", 522, range(69001, 69010), _FR4),
        City("Toulouse", "Occitanie", 504, range(31000, 31501, 100), _FR5),
        City("Nice", "Provence-Alpes-Côte d'Azur", 349, range(6000, 6301, 100), _FR4),
        City("Nantes", "Pays de la Loire", 323, range(44000, 44301, 100), _FR2),
        City("Montpellier", "Occitanie", 302, range(34070, 34091, 10), _FR4),
        City("Strasbourg", "Grand Est", 291, range(67000, 67201, 100), _FR3),
        City("Bordeaux", "Nouvelle-Aquitaine", 261, range(33000, 33301, 100), _FR5),
        City("Lille", "Hauts-de-France", 237, range(59000, 59801, 800), _FR3),
        City("Rennes", "Bretagne", 225, range(35000, 35201, 200), _FR2),
        City("Toulon", "Provence-Alpes-Côte d'Azur", 180, range(83000, 83201, 100), _FR4),
    ),
    "ES": (
        City("Madrid", "Madrid", 3332, range(28001, 28056), _ES),
        City("Barcelona", "Barcelona", 1660, range(8001, 8043), _ES),
        City("Valencia", "Valencia", 807, range(46001, 46027), _ES),
        City("Sevilla", "Sevilla", 684, range(41001, 41021), _ES),
        City("Zaragoza", "Zaragoza", 682, range(50001, 50023), _ES),
        City("Málaga", "Málaga", 586, range(29001, 29019), _ES),
        City("Murcia", "Murcia", 469, range(30001, 30013), _ES),
        City("Palma", "Illes Balears", 430, range(7001, 7016), _ES),
        City("Las Palmas de Gran Canaria", "Las Palmas", 378, range(35001, 35021), _ES),
        City("Alicante", "Alicante", 349, range(3001, 3017), _ES),
        City("Bilbao", "Bizkaia", 346, range(48001, 48016), _ES),
        City("Valladolid", "Valladolid", 297, range(47001, 47018), _ES),
    ),
    "DE": (
        City("Berlin", "Berlin", 3755, range(10115, 14200), _de(49_30_23125_000)),
        City("Hamburg", "Hamburg", 1892, range(20095, 22770), _de(49_40_66969_000)),
        City("München", "Bayern", 1512, range(80331, 81930), _de(49_89_99998_000)),
        City("Köln", "Nordrhein-Westfalen", 1084, range(50667, 51150), _de(49_221_4710_000)),
        City("Frankfurt am Main", "Hessen", 773, range(60308, 60600), _de(49_69_90009_000)),
        City("Stuttgart", "Baden-Württemberg", 632, range(70173, 70620), _DE_MOBILE),
        City("Düsseldorf", "Nordrhein-Westfalen", 629, range(40210, 40630), _DE_MOBILE),
        City("Leipzig", "Sachsen", 616, range(4103, 4358), _DE_MOBILE),
        City("Dortmund", "Nordrhein-Westfalen", 593, range(44135, 44389), _DE_MOBILE),
        City("Bremen", "Bremen", 569, range(28195, 28780), _DE_MOBILE),
        City("Hannover", "Niedersachsen", 545, range(30159, 30660), _DE_MOBILE),
        City("Nürnberg", "Bayern", 523, range(90402, 90492), _DE_MOBILE),
    ),
}

# Kinds of streets, the common ones of those that Faker's providers know (their whole lists hold
# airports, slums and motorways, too); those that are told more often are drawn more often.
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
    city = _city(seed, customer, country)
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


def phones(seed: int, customer: I64, country: U8) -> pa.Array:
    """One telephone number per customer, as E.164 writes it: +12125550123. Nobody has them.

    The ranges that are kept for fiction are small, so customers share numbers.
    """
    pieces = _pieces()
    city = _city(seed, customer, country)
    which = below(mix(stream_key(seed, "phone range"), customer), pieces.range_count[city])
    number = pieces.ranges[pieces.range_start[city] + which] + below(
        mix(stream_key(seed, "phone"), customer), pieces.phone_count[country]
    )
    return pc.binary_join_element_wise("+", pc.cast(pa.array(number), pa.string()), "")


def _city(seed: int, customer: I64, country: U8) -> I64:
    """Indices into all cities, end to end in the order of COUNTRIES."""
    pieces = _pieces()
    draw = mix(stream_key(seed, "address city"), customer)
    city = np.empty(customer.size, np.int64)
    for index, table in enumerate(pieces.cities):
        which = np.flatnonzero(country == index)
        city[which] = pieces.city_start[index] + pick(table, draw[which])
    return city


@dataclass(frozen=True)
class _Pieces:
    """What addresses and numbers are made from. An address is before + family + after + place +
    code + end; what stands before a street's name and what after it depends on the country."""

    before: WordLists
    family: WordLists
    after: WordLists
    end: WordLists
    code: pa.Array
    # by country
    cities: list[U8]
    city_start: I64
    phone_count: I64
    # by city
    place: pa.Array
    code_first: I64
    code_step: I64
    code_count: I64
    range_start: I64
    range_count: I64
    ranges: I64


@lru_cache(maxsize=1)
def _pieces() -> _Pieces:
    cities = [city for country in COUNTRIES for city in CITIES[country]]
    counts = [len(CITIES[country]) for country in COUNTRIES]
    range_count = np.array([len(city.phones) for city in cities], np.int64)
    return _Pieces(
        before=WordLists.of(_before(country) for country in COUNTRIES),
        family=WordLists.of(_family(country) for country in COUNTRIES),
        after=WordLists.of(_after(country) for country in COUNTRIES),
        end=WordLists.of(_end(country) for country in COUNTRIES),
        code=pa.array([f"{code:05}" for code in range(100_000)]),
        cities=[picker([city.thousands for city in CITIES[country]]) for country in COUNTRIES],
        city_start=np.cumsum([0, *counts[:-1]]),
        phone_count=np.array([PHONES[country] for country in COUNTRIES], np.int64),
        place=pa.array(
            f'","city":{_json(city.name)},"region":{_json(city.region)},"postal_code":"'
            for city in cities
        ),
        code_first=np.array([city.postal_codes.start for city in cities], np.int64),
        code_step=np.array([city.postal_codes.step for city in cities], np.int64),
        code_count=np.array([len(city.postal_codes) for city in cities], np.int64),
        range_start=np.cumsum(range_count) - range_count,
        range_count=range_count,
        ranges=np.array([first for city in cities for first in city.phones], np.int64),
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
