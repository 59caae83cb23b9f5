"""A title's weekly dbt models as assets: what models of players learn from. A step of their own,
which no run of a day has."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import dagster as dg

from sprint_platform.orchestration.dbt_step import build_models_step
from sprint_platform.orchestration.title_models import WEEKLY_TAG, TitleTranslator, prepare_title
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import Node, domain_of

# The schedule runs on Mondays; a week and a half without data is a missed run.
WEEKLY_FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(days=10), warn_window=timedelta(days=8)
)


def ml_group(title: Title) -> str:
    """The group, and the first part of the keys, of what a title's models learn from and say. Not
    beneath the title's own name, so that a run of its days leaves it out."""
    return f"{title.name}_ml"


class WeeklyTranslator(TitleTranslator):
    """Names of the weekly models; what they read is named as everywhere."""

    @property
    def tag(self) -> str:
        return WEEKLY_TAG

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        if _is_weekly(dbt_resource_props):
            return dg.AssetKey([ml_group(self.title), self.table(dbt_resource_props)])
        return super().get_asset_key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Node) -> str:
        if _is_weekly(dbt_resource_props):
            return ml_group(self.title)
        return super().get_group_name(dbt_resource_props)

    def relation(self, node: Node) -> str:
        if _is_weekly(node):
            return f"{self.title.name}_mart.{self.table(node)}"
        return super().relation(node)

    def attributes(self, manifest: Node, node: Node, spec: dg.AssetSpec) -> dict[str, Any]:
        return {"freshness_policy": WEEKLY_FRESHNESS} if _is_weekly(node) else {}


def _is_weekly(node: Node) -> bool:
    return node["resource_type"] == "model" and domain_of(node) == WEEKLY_TAG


def build_weekly_models(
    title: Title, manifest: Node, partitions: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    """``player_features_weekly`` and ``player_labels_weekly`` of the title, with their tests."""
    translator = WeeklyTranslator(title)
    prepare = partial(prepare_title, manifest, translator)
    return build_models_step(
        translator, manifest, partitions, prepare, name=f"{ml_group(title)}_dbt"
    )
