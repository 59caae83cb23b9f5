"""What the contracts say of the datasets goes together, and a title's YAML may speak of each."""

from __future__ import annotations

import pytest

from sprint_platform.storefront.contracts import BRONZE_TABLES
from sprint_platform.telemetry.contracts import DAILY, DATASETS, Dataset
from sprint_platform.title import LANDABLE, Faults


def test_a_titles_yaml_may_speak_of_every_dataset() -> None:
    assert sorted(LANDABLE) == sorted(DATASETS)


@pytest.mark.parametrize("datasets", [DATASETS, BRONZE_TABLES], ids=["title", "storefront"])
def test_a_dataset_is_made_from_others_that_there_are(datasets: dict[str, Dataset]) -> None:
    for name, dataset in datasets.items():
        assert name not in dataset.upstream
        assert set(dataset.upstream) <= set(datasets)


def test_datasets_stand_in_the_order_in_which_they_are_made() -> None:
    names = list(DATASETS)
    for name, dataset in DATASETS.items():
        assert all(names.index(parent) < names.index(name) for parent in dataset.upstream)


def test_landing_finds_the_columns_that_it_orders_records_by() -> None:
    for dataset in DATASETS.values():
        columns = {column.name: column.type for column in dataset.columns}
        assert dataset.entity is None or columns[dataset.entity] == "uuid"
        assert dataset.time_column is None or columns[dataset.time_column] == "timestamp"
        assert (dataset.time_column is None) == (dataset.partition_column is None)


def test_a_plan_and_faults_cover_every_day() -> None:
    for name in DAILY:
        assert DATASETS[name].size is not None
        assert set(DATASETS[name].faults) <= set(Faults.model_fields)
