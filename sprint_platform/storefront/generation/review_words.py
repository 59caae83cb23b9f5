"""What reviews say: titles and sentences by language and mood, from ``words/reviews.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from sprint_platform.storefront.generation.word_files import read_words

# the moods of 4 and 5 stars, of 3, and of 1 and 2
MOODS = ("positive", "mixed", "negative")


@dataclass(frozen=True)
class Bank:
    """The words of one language and mood: a review's body is an opener, perhaps a detail, perhaps a
    closer. All banks have as many of each kind; ``by_category`` holds one detail for each of the
    contract's CATEGORIES, in their order."""

    titles: tuple[str, ...]
    openers: tuple[str, ...]
    details: tuple[str, ...]
    by_category: tuple[str, ...]
    closers: tuple[str, ...]


# language -> its banks, in the order of MOODS
BANKS: dict[str, tuple[Bank, ...]] = {
    language: tuple(banks[mood] for mood in MOODS)
    for language, banks in read_words("reviews", dict[str, dict[str, Bank]]).items()
}
