"""Who plays: country, language, difficulty and platform, by the player's number in the batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sprint_platform.draws import mix, pick, picker, stream_key
from sprint_platform.eventlog.contracts import COUNTRY_LANGUAGES, DIFFICULTIES, PLATFORMS
from sprint_platform.eventlog.settings import BatchSettings

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

COUNTRIES = tuple(COUNTRY_LANGUAGES)
COUNTRY_SHARES = (0.30, 0.18, 0.16, 0.14, 0.12, 0.10)
DIFFICULTY_SHARES = dict(zip(DIFFICULTIES, (0.15, 0.55, 0.20, 0.10), strict=True))
PLATFORM_SHARES = dict(zip(PLATFORMS, (0.50, 0.35, 0.15), strict=True))
# clients send codes as they please: most in upper case, some in lower, some as a word
CASES = (str.upper, str.lower, str.title)
CASE_SHARES = (0.60, 0.25, 0.15)


@dataclass(frozen=True)
class Players:
    """Players of a batch, by number from 0: indices into the constants above, shape (n,).

    ``spelling`` and ``language_spelling`` index CASES.
    """

    number: I64
    country: U8
    spelling: U8
    language_spelling: U8
    difficulty: U8
    platform: U8


def make_players(settings: BatchSettings, first: int, stop: int) -> Players:
    """The players first … stop-1 (numbers from 0). A player is the same whatever the number of
    players in the batch."""
    number = np.arange(first, stop, dtype=np.int64)

    def picked(what: str, shares: tuple[float, ...]) -> U8:
        key = stream_key(settings.seed, f"log {what}", settings.batch)
        return pick(picker(shares), mix(key, number))

    return Players(
        number=number,
        country=picked("country", COUNTRY_SHARES),
        spelling=picked("country case", CASE_SHARES),
        language_spelling=picked("language case", CASE_SHARES),
        difficulty=picked("difficulty", tuple(DIFFICULTY_SHARES.values())),
        platform=picked("platform", tuple(PLATFORM_SHARES.values())),
    )
