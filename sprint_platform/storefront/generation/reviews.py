"""What customers say of the products that they received: stars, and words that agree with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import U64, below, mix, pick, picker, stream_key, threshold, top_bits
from sprint_platform.profiles import COUNTRY
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    midnight,
    timestamp_column,
    word_column,
)
from sprint_platform.storefront.contracts import BRONZE_TABLES, CATEGORIES, IDS_A_DAY
from sprint_platform.storefront.generation.calendar import Calendar
from sprint_platform.storefront.generation.customers import Customers
from sprint_platform.storefront.generation.hours import DAY, I64, U8
from sprint_platform.storefront.generation.orders import DELIVERED_WITHIN, NEVER, Orders
from sprint_platform.storefront.generation.products import Products
from sprint_platform.storefront.generation.review_words import BANKS, MOODS
from sprint_platform.storefront.generation.word_lists import WordLists
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform.title import COUNTRIES

# A review comes so many days after the delivery, to the second.
EARLIEST, LATEST = 1, 14

_REVIEWED, _VERIFIED = threshold(0.12), threshold(0.92)

# Shares in percent of 1 to 5 stars. Most products please nearly everybody, and whoever is not
# pleased says so loudly: few reviews have 2 or 3 stars.
_QUALITIES = picker([12, 28, 40, 20])
_RATINGS = np.stack(
    [
        picker([22, 10, 15, 18, 35]),
        picker([10, 5, 10, 21, 54]),
        picker([6, 3, 6, 19, 66]),
        picker([3, 2, 4, 16, 75]),
        picker([52, 22, 14, 7, 5]),  # what is returned
    ]
)
_RETURNED = len(_RATINGS) - 1
_MOOD = np.array([2, 2, 1, 0, 0])  # of 1 to 5 stars: indices into MOODS

# An opener alone; with a detail; with a closer; with both.
_SENTENCES = picker([22, 36, 10, 32])
_WITH_DETAIL, _WITH_CLOSER = np.array([0, 1, 0, 1], bool), np.array([0, 0, 1, 1], bool)
# A bank's detail for the product's category is so many times among its general ones.
_CATEGORY_TIMES = 2

# 60 % helped nobody; 40 % / k^2 helped k readers or more, so that a few helped a hundred.
_HELPFUL = np.array([isqrt(26_214 // rank) for rank in range(1, 65_537)], np.int32)

_SOURCES, _SOURCE_WEIGHTS = ("web", "email", "in_game"), (42, 40, 18)
_PHOTO_WEIGHTS = (80, 11, 6, 3)
_RAW_DATA = [
    f'{{"source":"{source}","photos":{photos}}}'
    for source in _SOURCES
    for photos in range(len(_PHOTO_WEIGHTS))
]
_RAW_DATA_TABLE = picker([s * p for s in _SOURCE_WEIGHTS for p in _PHOTO_WEIGHTS])

_LANGUAGES = list(BANKS)
# the language of each country, as an index
_LANGUAGE = np.array(
    [_LANGUAGES.index(COUNTRY[code].language.split("-")[0]) for code in COUNTRIES], np.int64
)


class Reviews:
    """The reviews of one store."""

    def __init__(
        self,
        settings: StoreSettings,
        calendar: Calendar,
        customers: Customers,
        products: Products,
        orders: Orders,
    ) -> None:
        self._seed = settings.seed
        self._calendar = calendar
        self._customers = customers
        self._products = products
        self._orders = orders

    def table(self, day: int) -> pa.Table:
        """The day's ``raw_reviews``, in the order of time."""
        start = midnight(self._calendar.date(day)) // MICROSECONDS
        placed = self._orders.placed(day - DELIVERED_WITHIN - LATEST - 1, day)
        delivered = placed.delivered_at[placed.line_of]
        # an order has fewer than 16 lines
        entity = placed.order_id[placed.line_of] * 16 + placed.line_number
        wait = below(self._draw("review time", entity), (LATEST - EARLIEST) * DAY + 1)
        at = delivered + EARLIEST * DAY + wait
        reviewed = top_bits(self._draw("reviewed", entity)) < _REVIEWED
        reviewed &= (delivered != NEVER) & (at >= start) & (at < start + DAY)
        line = np.flatnonzero(reviewed)
        line = line[np.lexsort((entity[line], at[line]))]
        at, entity, order = at[line], entity[line], placed.line_of[line]

        product, customer = placed.product[line], placed.customer[order]
        rating = self._rating(product, placed.returned_at[order] != NEVER, entity)
        language = _LANGUAGE[self._customers.country(customer)]
        bank = language * len(MOODS) + _MOOD[rating - 1]
        verified = top_bits(self._draw("verified review", entity)) < _VERIFIED
        columns = [
            pa.array(day * IDS_A_DAY + 1 + np.arange(line.size)),
            pa.array(product),
            pa.array(customer),
            pa.array(placed.order_id[order], mask=~verified),
            pa.array(rating.astype(np.int16)),
            _phrases().titles.pick(self._draw("review title", entity), bank),
            self._body(entity, bank, self._products.category(product)),
            word_column(_LANGUAGES, language),
            pa.array(pick(_HELPFUL, self._draw("helpful", entity))),
            pa.array(verified),
            timestamp_column(at * MICROSECONDS),
            word_column(_RAW_DATA, pick(_RAW_DATA_TABLE, self._draw("review source", entity))),
        ]
        return pa.Table.from_arrays(columns, schema=BRONZE_TABLES["raw_reviews"].arrow_schema)

    def _draw(self, what: str, entity: I64) -> U64:
        return mix(stream_key(self._seed, what), entity)

    def _rating(self, product: I64, returned: npt.NDArray[np.bool_], entity: I64) -> I64:
        """Stars, 1 to 5: by how good the product is, and low where the order went back."""
        quality = pick(_QUALITIES, self._draw("product quality", product))
        kind = np.where(returned, _RETURNED, quality)
        draw = top_bits(self._draw("rating", entity), 16)
        return 1 + _RATINGS[kind, draw].astype(np.int64)

    def _body(self, entity: I64, bank: I64, category: U8) -> pa.Array:
        """One to three sentences."""
        phrases = _phrases()
        sentences = pick(_SENTENCES, self._draw("review sentences", entity))
        return pc.binary_join_element_wise(
            phrases.openers.pick(self._draw("review opener", entity), bank),
            phrases.details.pick(
                self._draw("review detail", entity),
                bank * len(CATEGORIES) + category,
                _WITH_DETAIL[sentences],
            ),
            phrases.closers.pick(
                self._draw("review closer", entity), bank, _WITH_CLOSER[sentences]
            ),
            " ",
            null_handling="skip",
        )


@dataclass(frozen=True)
class _Phrases:
    """By bank: language, then mood; the details by bank, then category."""

    titles: WordLists
    openers: WordLists
    details: WordLists
    closers: WordLists


@lru_cache(maxsize=1)
def _phrases() -> _Phrases:
    banks = [bank for language in _LANGUAGES for bank in BANKS[language]]
    return _Phrases(
        titles=WordLists.of([bank.titles for bank in banks]),
        openers=WordLists.of([bank.openers for bank in banks]),
        details=WordLists.of(
            [
                (*bank.details, *[own] * _CATEGORY_TIMES)
                for bank in banks
                for own in bank.by_category
            ]
        ),
        closers=WordLists.of([bank.closers for bank in banks]),
    )
