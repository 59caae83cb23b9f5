"""What the store sells: categories, subcategories and the words that its products are made of,
from ``words/products.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sprint_platform.storefront.generation.word_files import read_words


@dataclass(frozen=True)
class Subcategory:
    """A shelf of the store.

    A product's name is a first word, one of ``kinds`` and one of ``nouns``. ``dollars`` bound the
    list price (the upper end is not reached), ``grams`` the weight, and ``millimetres`` the longest
    side of its box, both ends included. ``choices`` are three attributes and what they may be.
    """

    name: str
    code: str
    share: int
    dollars: tuple[int, int]
    grams: tuple[int, int]
    millimetres: tuple[int, int]
    kinds: tuple[str, ...]
    nouns: tuple[str, ...]
    choices: Mapping[str, tuple[str | int | bool, ...]]


@dataclass(frozen=True)
class Category:
    """A category: its share of the products, who makes and who delivers them (with the country of
    origin), and the three categories of what is bought with them, the most frequent first."""

    code: str
    share: int
    brands: tuple[str, ...]
    suppliers: tuple[tuple[str, str], ...]
    goes_with: tuple[str, str, str]
    subcategories: tuple[Subcategory, ...]


@dataclass(frozen=True)
class _Words:
    first_words: tuple[str, ...]
    categories: dict[str, Category]


_WORDS = read_words("products", _Words)
FIRST_WORDS, CATEGORIES = _WORDS.first_words, _WORDS.categories
