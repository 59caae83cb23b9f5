"""Players of a simulated title who make an account in the store, within a week of signing up."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa

from sprint_platform.draws import mix, pick, picker, stream_key
from sprint_platform.simulation.columns import MICROSECONDS, midnight
from sprint_platform.simulation.world import World
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title

# Days between sign-up and account. A player has one of them, so that nobody is linked twice.
_LAGS = picker([40, 18, 12, 9, 7, 6, 4, 4])
LONGEST_LAG = 7
# Players who sign up later than this have no account on that same day.
LATEST_SECOND = 21 * 3600


class LinkedPlayers:
    """The players of one title who may have an account."""

    def __init__(self, title: Title, seed: int) -> None:
        self.title = title
        self._seed = seed
        self._world = World(title)
        self._cohort = lru_cache(maxsize=2 * LONGEST_LAG)(self._sign_ups)

    def of(self, day: date) -> pa.Table:
        """The players who may make their account on that day: rows of the title's ``dim_players``,
        in the order of a hash."""
        parts, orders = [], []
        for lag in range(LONGEST_LAG + 1):
            signed_up = day - timedelta(days=lag)
            if signed_up < self.title.launch_date:
                break
            cohort = self._cohort(signed_up)
            number = np.arange(cohort.num_rows)
            draw = mix(stream_key(self._seed, "account lag", signed_up.toordinal()), number)
            chosen = pick(_LAGS, draw) == lag
            if lag == 0:
                second = np.asarray(cohort["signed_up_at"].cast(pa.int64())) // MICROSECONDS
                chosen &= second - midnight(day) // MICROSECONDS < LATEST_SECOND
            parts.append(cohort.filter(pa.array(chosen)))
            orders.append(draw[chosen] << np.uint64(16))
        if not parts:
            return self._empty()
        found = pa.concat_tables(parts)
        return found.take(np.argsort(np.concatenate(orders), kind="stable"))

    def _sign_ups(self, day: date) -> pa.Table:
        tables = list(self._world.dim_players(day))
        return pa.concat_tables(tables).combine_chunks() if tables else self._empty()

    def _empty(self) -> pa.Table:
        return DATASETS["dim_players"].arrow_schema.empty_table()
