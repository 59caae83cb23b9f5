"""The names of countries, from the seed ``dim_countries``."""

from __future__ import annotations

import csv
from functools import cache

from sprint_platform.places import dbt_project_dir


def country_name(code: str) -> str:
    """The country's common English name; the code itself where it is none of ISO 3166-1, such as a
    studio's own word for a country."""
    return _names().get(code, code)


@cache
def _names() -> dict[str, str]:
    path = dbt_project_dir() / "seeds" / "dim_countries.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        return {row["country"]: row["country_name"] for row in csv.DictReader(lines)}
