"""What the store sells, by number: what a product is and costs, and which ones are in demand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import U64, below, mix, pick, picker, stream_key, top_bits
from sprint_platform.simulation.columns import (
    decimal_column,
    midnight,
    timestamp_column,
    word_column,
)
from sprint_platform.storefront.contracts import BRONZE_TABLES, CURRENCY
from sprint_platform.storefront.contracts import CATEGORIES as CATEGORY_NAMES
from sprint_platform.storefront.generation.calendar import Calendar
from sprint_platform.storefront.generation.product_words import CATEGORIES, FIRST_WORDS
from sprint_platform.storefront.generation.word_lists import WordLists
from sprint_platform.storefront.settings import StoreSettings

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

# A product's weight is DEMAND // (TAIL + a uniform 16-bit number): Zipf's law over places that a
# hash gives out. The best tenth of the products sells about half of the pieces; a smaller TAIL
# would give it more. A million products weigh less than 2^31, which ``below`` allows.
DEMAND, TAIL = 1 << 22, 512

# What is left of the last dollar, in cents, and how often.
ENDINGS, ENDING_SHARES = (99, 49, 0), (70, 18, 12)
# What the store pays, in thousandths of the list price, both ends included.
COST = (350, 750)
# How often each of a product's companions is the one that is bought with it.
COMPANION_SHARES = (5, 3, 2)

# GS1 reserves the prefixes 20 to 29 for numbers inside a company: no such barcode is anybody's.
BARCODE_PREFIX = 20


class Products:
    """The products of one store. Product numbers count from 1 in the order in which they are added.

    Every method that takes product numbers, shape (n,), returns shape (n,).
    """

    def __init__(self, settings: StoreSettings, calendar: Calendar) -> None:
        self.settings = settings
        self.calendar = calendar
        self._opening = calendar.products_by(0)
        self._on_sale_by = np.array([self._opening], np.int64)
        self._demand = np.zeros(0, np.int64)

    def _draw(self, what: str, product: I64) -> U64:
        return mix(stream_key(self.settings.seed, f"product {what}"), product)

    def choose(self, day: int, draw: U64) -> I64:
        """A product that is on sale by the end of the day for each draw: few sell much, most sell
        little. Their numbers do not show which."""
        on_sale = self.calendar.products_by(day)
        if self._demand.size < on_sale:
            # a weight depends on no other product: fewer products have the first of the same sums
            product = np.arange(1, on_sale + on_sale // 8 + 1)
            place = top_bits(self._draw("demand", product), 16)
            self._demand = np.cumsum(DEMAND // (TAIL + place))
        sums = self._demand[:on_sale]
        return np.searchsorted(sums, below(draw, int(sums[-1])), side="right") + 1

    def companion(self, product: I64, draw: U64) -> I64:
        """One of the three products that go with each product: it is of a category that goes with
        the product's own, and was there when the store opened. A store that opened with one product
        has no other companion, even for that one."""
        nth = pick(picker(COMPANION_SHARES), draw)
        pair = self._draw("companion", product * 4 + nth)
        category = _catalogue().goes_with[self.category(product), nth]
        shelf, first, place = self._shelves
        size = first[category + 1] - first[category]
        # the product itself is left out of its shelf: the others move up
        known = np.minimum(product, self._opening) - 1
        on_shelf = (product <= self._opening) & (self.category(product) == category)
        bare = size - on_shelf < 1
        start = np.where(bare, 0, first[category])
        size = np.where(bare, self._opening, size)
        on_shelf = np.where(bare, product <= self._opening, on_shelf)
        chosen = start + below(pair, np.maximum(size - on_shelf, 1))
        own = place[known]
        chosen += on_shelf & (chosen >= own) & (size > 1)
        return shelf[chosen]

    @cached_property
    def _shelves(self) -> tuple[I64, I64, I64]:
        """The opening's products by category, where each category's begin (and the last one's end),
        and the place of product p at index p - 1."""
        product = np.arange(1, self._opening + 1)
        category = self.category(product)
        order = np.argsort(category, kind="stable")
        counts = np.bincount(category, minlength=len(CATEGORY_NAMES))
        place = np.empty_like(order)
        place[order] = np.arange(order.size)
        return product[order], np.concatenate([[0], np.cumsum(counts)]), place

    def price(self, product: I64) -> I64:
        """List prices in cents."""
        return self._price(product, self._subcategory(product))

    def _price(self, product: I64, subcategory: U8) -> I64:
        catalogue = _catalogue()
        low, span = catalogue.dollars[subcategory].T
        # the lower of two draws: most things on a shelf are cheap ones
        draws = self._draw("price", product), self._draw("other price", product)
        dollars = low + np.minimum(below(draws[0], span), below(draws[1], span))
        return (
            dollars * 100
            + np.array(ENDINGS)[pick(picker(ENDING_SHARES), self._draw("ending", product))]
        )

    def cost(self, product: I64) -> I64:
        """What the store pays for one, in cents: less than its price."""
        return self._cost(product, self.price(product))

    def _cost(self, product: I64, price: I64) -> I64:
        share = COST[0] + below(self._draw("cost", product), COST[1] - COST[0] + 1)
        return price * share // 1000

    def category(self, product: I64) -> U8:
        """Indices into contracts.CATEGORIES."""
        return _catalogue().category[self._subcategory(product)]

    def _subcategory(self, product: I64) -> U8:
        return pick(_catalogue().shares, self._draw("shelf", product))

    def added_day(self, product: I64) -> I64:
        """The days on which the products went on sale, at midnight; 0 is the opening. The store
        must add all of them some day."""
        highest = int(product.max(initial=1))
        if self._on_sale_by[-1] < highest:
            counts = self._on_sale_by.tolist()
            while counts[-1] < highest:
                counts.append(self.calendar.products_by(len(counts)))
            self._on_sale_by = np.array(counts, np.int64)
        return np.searchsorted(self._on_sale_by, product)

    def table(self, day: int) -> pa.Table:
        """The products that are added on the day, as ``raw_products``."""
        before = self.calendar.products_by(day - 1)
        product = np.arange(before + 1, self.calendar.products_by(day) + 1)
        catalogue = _catalogue()
        subcategory = self._subcategory(product)
        category = catalogue.category[subcategory]
        price = self._price(product, subcategory)
        added_at = midnight(self.calendar.date(day))
        brand = catalogue.brands.pick(self._draw("brand", product), category)
        supplier = catalogue.suppliers.place(self._draw("supplier", product), category)
        number = pa.array(product).cast(pa.string())
        return pa.Table.from_arrays(
            [
                pa.array(product),
                pc.binary_join_element_wise(
                    word_column(catalogue.codes, subcategory),
                    pc.utf8_lpad(number, 6, "0"),
                    "-",
                ),
                self._name(product, subcategory),
                word_column(CATEGORY_NAMES, category),
                word_column(catalogue.names, subcategory),
                brand,
                decimal_column(price.astype(np.int32), 9),
                decimal_column(self._cost(product, price).astype(np.int32), 9),
                word_column((CURRENCY,), np.zeros(product.size, np.int8)),
                self._attributes(product, subcategory),
                timestamp_column(np.full(product.size, added_at, np.int64)),
                _joined(
                    catalogue.suppliers.words.take(pa.array(supplier)),
                    ',"barcode":"',
                    pa.array(barcodes(product, supplier)).cast(pa.string()),
                    '"}',
                ),
            ],
            schema=BRONZE_TABLES["raw_products"].arrow_schema,
        )

    def _name(self, product: I64, subcategory: U8) -> pa.Array:
        catalogue = _catalogue()
        return pc.binary_join_element_wise(
            word_column(FIRST_WORDS, below(self._draw("first word", product), len(FIRST_WORDS))),
            catalogue.kinds.pick(self._draw("kind", product), subcategory),
            catalogue.nouns.pick(self._draw("noun", product), subcategory),
            " ",
        )

    def _attributes(self, product: I64, subcategory: U8) -> pa.Array:
        """JSON objects: the shelf's three choices, the weight, and the box's sides."""
        catalogue = _catalogue()
        parts: list[pa.Array | str] = ["{"]
        for nth, choices in enumerate(catalogue.choices):
            parts += [choices.pick(self._draw(f"choice {nth}", product), subcategory), ","]
        lightest, span = catalogue.grams[subcategory].T
        grams = lightest + below(self._draw("weight", product), span)
        shortest, span = catalogue.millimetres[subcategory].T
        length = shortest + below(self._draw("length", product), span)
        # each other side is three to eight tenths of the one before
        width = length * (3 + below(self._draw("width", product), 6)) // 10
        height = width * (3 + below(self._draw("height", product), 6)) // 10
        parts += ['"weight_g":', _digits(grams), ',"dimensions_mm":[', _digits(length), ","]
        return _joined(*parts, _digits(width), ",", _digits(height), "]}")


def barcodes(product: I64, supplier: I64) -> I64:
    """EAN-13 barcodes: the prefix, two digits of the supplier, eight of the product, and the check
    digit (GS1: the digits from the right, without it, weigh 3, 1, 3, 1 …)."""
    code = (BARCODE_PREFIX * 100 + supplier) * 10**8 + product
    total = np.zeros_like(code)
    for place in range(12):
        total += code // 10**place % 10 * (1 if place % 2 else 3)
    return code * 10 + -total % 10


def _digits(number: I64) -> pa.Array:
    return pa.array(number).cast(pa.string())


def _joined(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


@dataclass(frozen=True)
class _Catalogue:
    """The word tables as arrays, by subcategory: all categories' subcategories end to end.

    ``category`` indexes contracts.CATEGORIES. ``dollars``, ``grams`` and ``millimetres`` hold the
    lowest value and how many values there are. ``brands``, ``suppliers`` (the beginning of the
    JSON of ``raw_data``) and ``goes_with`` (shape (categories, 3)) are by category.
    """

    category: U8
    shares: U8
    codes: list[str]
    names: list[str]
    dollars: I64
    grams: I64
    millimetres: I64
    kinds: WordLists
    nouns: WordLists
    choices: list[WordLists]
    brands: WordLists
    suppliers: WordLists
    goes_with: U8


@lru_cache(maxsize=1)
def _catalogue() -> _Catalogue:
    categories = [CATEGORIES[name] for name in CATEGORY_NAMES]
    rows = [(n, c, s) for n, c in enumerate(categories) for s in c.subcategories]
    shelves = [shelf for _, _, shelf in rows]
    choices = [
        [[f'"{key}":{json.dumps(word)}' for word in words] for key, words in shelf.choices.items()]
        for shelf in shelves
    ]
    return _Catalogue(
        category=np.array([n for n, _, _ in rows], np.uint8),
        shares=picker([c.share * s.share for _, c, s in rows]),
        codes=[f"{c.code}-{s.code}" for _, c, s in rows],
        names=[shelf.name for shelf in shelves],
        dollars=np.array([(s.dollars[0], s.dollars[1] - s.dollars[0]) for s in shelves]),
        grams=np.array([(s.grams[0], s.grams[1] - s.grams[0] + 1) for s in shelves]),
        millimetres=np.array(
            [(s.millimetres[0], s.millimetres[1] - s.millimetres[0] + 1) for s in shelves]
        ),
        kinds=WordLists.of([shelf.kinds for shelf in shelves]),
        nouns=WordLists.of([shelf.nouns for shelf in shelves]),
        choices=[WordLists.of(words) for words in zip(*choices, strict=True)],
        brands=WordLists.of([c.brands for c in categories]),
        suppliers=WordLists.of(
            [
                [
                    f'{{"supplier":{json.dumps(s)},"country_of_origin":"{at}"'
                    for s, at in c.suppliers
                ]
                for c in categories
            ]
        ),
        goes_with=np.array(
            [[CATEGORY_NAMES.index(name) for name in c.goes_with] for c in categories], np.uint8
        ),
    )
