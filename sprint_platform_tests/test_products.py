"""The catalogue: 30 to 50 products, the same whatever their number, and the seed that holds it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.simulation.products import catalogue
from sprint_platform.telemetry.contracts import DATASETS


@pytest.mark.parametrize("count", [30, 31, 40, 50])
def test_a_longer_catalogue_begins_with_the_shorter_one(count: int) -> None:
    products = catalogue(count)
    assert products.num_rows == count
    assert products.schema == DATASETS["products"].arrow_schema
    assert products.equals(catalogue(50).slice(0, count))


@pytest.mark.parametrize("count", [29, 51, 0])
def test_there_are_30_to_50_products(count: int) -> None:
    with pytest.raises(ValueError, match=f"30 to 50 products, not {count}"):
        catalogue(count)


def test_the_default_is_40_products() -> None:
    assert catalogue().equals(catalogue(40))


@pytest.mark.parametrize("count", [30, 40, 50])
def test_passes_recur_by_month_or_year_and_nothing_else_does(count: int) -> None:
    rows = catalogue(count).to_pylist()
    assert {row["product_sku"] for row in rows} == {f"SKU-{1000 + i}" for i in range(count)}
    assert len({row["product_name"] for row in rows}) == count
    assert len({row["product_id"] for row in rows}) == count
    for row in rows:
        recurs = row["transaction_type"] == "BattlePass"
        assert row["is_recurring"] is recurs
        assert row["cycle"] in (("M", "Y") if recurs else (None,))
        assert (row["purchase_price"] >= 10) == (row["tier"] == "Premium")
        assert row["created_at"] <= row["last_modified_at"]
    kinds = Counter((row["transaction_type"], row["cycle"]) for row in rows)
    assert kinds["BattlePass", "M"] == kinds["BattlePass", "Y"] == count // 10
    assert min(kinds["Skin", None], kinds["Emote", None]) >= 5


def test_the_committed_seed_is_the_default_catalogue(data_folder: Path) -> None:
    assert read_catalogue().equals(catalogue())
