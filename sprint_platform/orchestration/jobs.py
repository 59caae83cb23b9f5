"""The jobs: what runs together for a day, a landing or a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dagster as dg


def build_job(
    name: str, tags: Mapping[str, str], assets: Iterable[dg.AssetsDefinition], description: str
) -> dg.UnresolvedAssetJobDefinition:
    """A job of these assets; its runs have the ``tags`` of their title or domain."""
    selection = dg.AssetSelection.assets(*assets)
    return dg.define_asset_job(name, selection, tags=tags, description=description)
