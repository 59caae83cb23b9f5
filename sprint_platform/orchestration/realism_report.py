"""A title's realism report as an asset: measured when somebody asks for it, parent of nothing."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from typing import TYPE_CHECKING, Any

import dagster as dg

from sprint_platform.operations.realism import COLUMNS
from sprint_platform.orchestration.code_references import PACKAGE, code_references
from sprint_platform.orchestration.failures import failures_in_one_line
from sprint_platform.orchestration.policies import OWNERS
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.table_metadata import columns_in_sql, table_metadata
from sprint_platform.orchestration.title_models import TitleTranslator
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import Node

if TYPE_CHECKING:
    from sprint_platform.operations.realism import Report

# The analyses that measure it are in this folder of the dbt project.
_ANALYSES = "analyses/realism/"


def realism_key(title: Title) -> dg.AssetKey:
    """The report's asset. It is not one of ``<title>/*``, which people select to run a day: it
    reads a year."""
    return dg.AssetKey([f"{title.name}_mart", "realism_report"])


def build_realism_report(title: Title, manifest: Node) -> dg.AssetsDefinition:
    """The title's unpartitioned asset ``<title>_mart/realism_report``, below all that its analyses
    read."""
    spec = dg.AssetSpec(
        realism_key(title),
        deps=_read_by_analyses(title, manifest),
        # not the marts' group, of which a run builds everything
        group_name=f"{title.name}_realism",
        kinds={"python", "duckdb"},
        owners=OWNERS,
        description=(
            "One row is a figure of the title's first year (retention, sittings, spending, movement"
            " ...) beside the band that is published of real games. No job has it: materialize it"
            f" by hand, or run `sprint realism --title {title.name}`."
        ),
        metadata={
            **code_references(PACKAGE / "operations/realism.py", build_realism_report),
            **table_metadata(f"{title.name}_mart.realism_report", columns_in_sql(COLUMNS)),
        },
    )

    @dg.multi_asset(
        name=f"{title.name}_realism_report",
        specs=[spec],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def realism_report(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from sprint_platform.operations.realism import report

        holder = f"{title.name}/realism_report of run {context.run.run_id}"
        with failures_in_one_line(), warehouse.get_connection(holder) as con:
            found = report(con, title)
        return dg.MaterializeResult(asset_key=spec.key, metadata=_metadata(found))

    return realism_report


def _read_by_analyses(title: Title, manifest: Node) -> list[dg.AssetKey]:
    translator = TitleTranslator(title)
    parents = {
        parent
        for node in manifest["nodes"].values()
        if node["original_file_path"].startswith(_ANALYSES)
        for parent in node["depends_on"]["nodes"]
    }
    known = {**manifest["nodes"], **manifest["sources"]}
    return sorted({translator.get_asset_key(known[parent]) for parent in parents})


def _metadata(found: "Report") -> dict[str, Any]:
    from sprint_platform.operations.realism import HEADINGS, cells

    rows = [HEADINGS, ("---",) * len(HEADINGS), *(cells(each) for each in found.figures)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return {
        "dagster/row_count": len(found.figures),
        "first_day": str(found.first),
        "last_day": str(found.last),
        "days_missing": found.missing,
        **{f"rows {verdict}": count for verdict, count in found.counts().items()},
        "report": dg.MetadataValue.md(table),
    }
