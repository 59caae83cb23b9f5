"""Several lists of words, one of which is drawn from: by country, by shelf, by mood."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.draws import U64, below

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WordLists:
    """The lists end to end: list i begins at first[i] and has count[i] words."""

    words: pa.Array
    first: I64
    count: I64

    @staticmethod
    def of(lists: Iterable[Sequence[str]]) -> WordLists:
        all_lists = list(lists)
        count = np.array([len(words) for words in all_lists], np.int64)
        flat = pa.array([word for words in all_lists for word in words], pa.string())
        return WordLists(flat, np.cumsum(count) - count, count)

    def place(self, draw: U64, which: npt.NDArray[np.integer]) -> I64:
        """The place in ``words`` of a word of list ``which``, for each draw; all words alike."""
        return self.first[which] + below(draw, self.count[which])

    def pick(
        self,
        draw: U64,
        which: npt.NDArray[np.integer],
        there: npt.NDArray[np.bool_] | None = None,
    ) -> pa.Array:
        """A word of list ``which`` for each draw; null where it is not ``there``."""
        return self.words.take(
            pa.array(self.place(draw, which), mask=None if there is None else ~there)
        )
