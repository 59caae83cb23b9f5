"""Which of the store's days are built, and which are missing, with the command that builds them."""

from __future__ import annotations

from datetime import date

from sprint_platform.publish.coverage import Coverage, coverage
from sprint_platform.storefront.duckdb_target import LEDGER


def store_coverage() -> Coverage | None:
    """The store's days from the first that is loaded to the last; None where nothing is
    published."""
    standing = LEDGER.published_standing()
    if standing is None or not (standing.built or standing.unbuilt):
        return None
    loaded = sorted(map(date.fromisoformat, [*standing.built, *standing.unbuilt]))
    found = coverage(standing, loaded[0], loaded[-1], "sprint storefront build")
    if not found.gaps or set(loaded).issuperset(found.gaps):
        return found
    load = f"sprint storefront generate --from {found.gaps[0]} --to {found.gaps[-1]} --load"
    return coverage(standing, loaded[0], loaded[-1], f"{load}, then sprint storefront build")
