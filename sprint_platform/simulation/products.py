"""The shop's catalogue: one for all simulated titles, so a product means the same everywhere."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import numpy as np
import pyarrow as pa

from sprint_platform.draws import below, mix, pick, picker, remix, stream_key, uuids
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    decimal_column,
    midnight,
    table_of,
    timestamp_column,
    uuid_column,
    word_column,
)
from sprint_platform.telemetry.contracts import CYCLES, TIERS, TRANSACTION_TYPES

FEWEST, MOST, DEFAULT = 30, 50, 40
# The catalogue has a seed of its own: a title's seed must not rename what another title sells.
CATALOGUE_SEED = 1000
# Every product is older than the first shipped launch date.
CATALOGUE_DATE = date(2024, 1, 1)

STANDARD_PRICES = (149, 199, 299, 399, 499, 599, 799, 999)  # cents
PREMIUM_PRICES = (1199, 1499, 1799, 1999, 2499, 2999, 3999, 4999)

ADJECTIVES = (
    "Amber", "Arctic", "Ashen", "Brass", "Cobalt", "Crimson", "Distant", "Electric", "Feral",
    "Gilded", "Hollow", "Iron", "Jade", "Lunar", "Midnight", "Neon", "Obsidian", "Quiet", "Radiant",
    "Scarlet", "Solar", "Tidal", "Velvet", "Wild",
)  # fmt: skip
SKINS = (
    "Drifter", "Falcon", "Ranger", "Courier", "Vanguard", "Nomad", "Sentinel", "Corsair", "Pilot",
    "Warden", "Jackal", "Oracle",
)  # fmt: skip
EMOTES = (
    "Bow", "Cheer", "Dance", "Salute", "Shrug", "Spin", "Stomp", "Taunt", "Victory Lap", "Wave",
    "Facepalm", "High Five",
)  # fmt: skip


def catalogue(count: int = DEFAULT) -> pa.Table:
    """The first ``count`` products, 30 to 50, as the contract's ``products``.

    A product does not depend on ``count``: a longer catalogue begins with the shorter one. Of ten
    products one is a monthly and one a yearly battle pass; skins and emotes never recur. Raises
    ValueError outside 30 to 50.
    """
    if not FEWEST <= count <= MOST:
        raise ValueError(f"the catalogue has {FEWEST} to {MOST} products, not {count}")
    index = np.arange(count)
    key = mix(stream_key(CATALOGUE_SEED, "product"), index)
    kind = np.where(
        index % 5 == 0, 0, pick(picker([0.0, 0.6, 0.4]), remix(key, stream_key(1, "kind")))
    )
    recurring = kind == 0
    yearly = recurring & (index % 10 == 5)
    # a yearly pass is Premium and a monthly one Standard; of the rest four in ten are Premium
    premium = np.where(recurring, yearly, below(remix(key, stream_key(1, "tier")), 10) < 4)
    which = below(remix(key, stream_key(1, "price")), len(STANDARD_PRICES))
    which = np.where(recurring, which // 2 + len(STANDARD_PRICES) // 2, which)
    cents = np.where(premium, np.array(PREMIUM_PRICES)[which], np.array(STANDARD_PRICES)[which])
    created = midnight(CATALOGUE_DATE) + MICROSECONDS * below(
        remix(key, stream_key(1, "created")), 180 * 86_400
    )
    modified = created + MICROSECONDS * below(remix(key, stream_key(1, "modified")), 180 * 86_400)
    return table_of(
        "products",
        [
            uuid_column(uuids(CATALOGUE_SEED, "product", index)),
            pa.array([f"SKU-{1000 + i}" for i in index]),
            pa.array(_names(count, kind, yearly)),
            word_column(TIERS, np.where(premium, 0, 1)),
            decimal_column(cents.astype(np.int32), 9),
            word_column(TRANSACTION_TYPES, kind),
            pa.array(recurring),
            pa.array(
                [CYCLES[int(y)] if r else None for r, y in zip(recurring, yearly, strict=True)],
                pa.string(),
            ),
            timestamp_column(created),
            timestamp_column(modified),
        ],
    )


def _names(count: int, kind: np.ndarray, yearly: np.ndarray) -> list[str]:
    """Names, no two alike: adjectives in turn, each with a noun of the product's kind."""
    order = np.argsort(mix(stream_key(CATALOGUE_SEED, "adjective"), np.arange(len(ADJECTIVES))))
    names = []
    for i in range(count):
        adjective = ADJECTIVES[int(order[i % len(ADJECTIVES)])]
        turn = i // len(ADJECTIVES)
        if kind[i] == 0:
            noun = "Year Pass" if yearly[i] else "Season Pass"
        else:
            nouns = SKINS if kind[i] == 1 else EMOTES
            noun = nouns[(5 * i + turn) % len(nouns)]
        names.append(f"{adjective} {noun}")
    return names


class Shop:
    """A catalogue as arrays, for purchases. ``cents`` are prices in hundredths."""

    def __init__(self, products: pa.Table) -> None:
        self.sku = products["product_sku"].combine_chunks()
        self.cents = np.array(
            [int(Fraction(price) * 100) for price in products["purchase_price"].to_pylist()],
            np.int32,
        )
        self.kind = products["transaction_type"].combine_chunks()
        self.recurring = np.array(products["is_recurring"].to_pylist(), bool)
        self.cycle = products["cycle"].combine_chunks()
        cycles = products["cycle"].to_pylist()
        self.passes = np.flatnonzero(self.recurring)
        self.yearly = np.array([cycle == "Y" for cycle in cycles], bool)

    def priced(self, low: float, high: float) -> np.ndarray:
        """The products that do not recur and cost ``low`` to ``high``, cheapest first."""
        low_cents, high_cents = round(low * 100), round(high * 100)
        fits = ~self.recurring & (self.cents >= low_cents) & (self.cents <= high_cents)
        which = np.flatnonzero(fits)
        return which[np.argsort(self.cents[which], kind="stable")]
