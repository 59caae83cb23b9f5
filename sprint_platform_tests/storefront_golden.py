"""Golden digests: what a small store's records are, to the last bit.

``python -m sprint_platform_tests.storefront_golden`` writes ``storefront_golden.json`` anew. Do so
only when the records are meant to change, together with ``GENERATION_VERSION`` once a version is
released.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from sprint_platform.storage.digest import Digest, digest_table
from sprint_platform.storefront.contracts import BRONZE_TABLES
from sprint_platform.storefront.generation.store import Store
from sprint_platform.storefront.settings import GENERATION_VERSION, PRESETS, StoreSettings

PATH = Path(__file__).parent / "storefront_golden.json"
SETTINGS = StoreSettings.model_validate(PRESETS["small"])
# the opening, a day with every kind of record, a day after the preset's thirty
DAYS = (date(2025, 1, 1), date(2025, 1, 22), date(2025, 2, 5))

Digests = dict[str, dict[str, str]]


def digest(store: Store, name: str, day: date) -> str:
    """The logical digest of a table's day."""
    return str(sum((digest_table(part) for part in store.table(name, day)), Digest()))


def digests() -> Digests:
    """The digests of every table by day, in a fresh store."""
    store = Store(SETTINGS)
    return {
        day.isoformat(): {name: digest(store, name, day) for name in BRONZE_TABLES} for day in DAYS
    }


def main() -> None:
    content = {"generation_version": GENERATION_VERSION, "digests": digests()}
    PATH.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {PATH}")


if __name__ == "__main__":
    main()
