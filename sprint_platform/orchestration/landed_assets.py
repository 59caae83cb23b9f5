"""The assets through which a landed title's records come in: its files, and its products, which
have no days."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from sprint_platform.core.locks import hold
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.orchestration.catalogue import PRODUCTS_KEY
from sprint_platform.orchestration.code_references import PACKAGE, code_references
from sprint_platform.orchestration.failures import failures_in_one_line
from sprint_platform.orchestration.policies import FRESHNESS, OWNERS
from sprint_platform.orchestration.raw_assets import code_of_records, landed_files_key
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_window import Watch, run_window
from sprint_platform.orchestration.table_metadata import columns_of, table_metadata
from sprint_platform.publish.marts import publish
from sprint_platform.storage.ledger import title_ledger, transaction
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title, title_file

if TYPE_CHECKING:
    from sprint_platform.landing.land import FileReport, LandReport
    from sprint_platform.landing.past_landings import PartitionChange

# Called with what a landing did.
OnLanded = Callable[["LandReport"], None]
# Only the worst are shown; the tables in the warehouse have all.
LINES_SHOWN = 50


def build_landed_assets(
    title: Title,
    partitions: dg.PartitionsDefinition,
    watch: Watch | None = None,
    on_landed: OnLanded | None = None,
) -> list[dg.AssetsDefinition]:
    """``<title>/landed_files``; for files of a studio also ``<title>/dim_products``, for files that
    are dirtied on purpose ``<title>/deliveries``. ``on_landed`` is called with each landing's
    report."""
    files = _landed_files(title, watch, on_landed)
    if title.faults is not None:
        return [_deliveries(title, partitions), files]
    return [files, _landed_products(title)]


def deliveries_key(title: Title) -> dg.AssetKey:
    """The asset that writes a dirtied title's files."""
    return dg.AssetKey([title.name, "deliveries"])


def _landed_files(
    title: Title, watch: Watch | None, on_landed: OnLanded | None
) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        landed_files_key(title),
        deps=[deliveries_key(title)] if title.faults is not None else [],
        group_name=f"{title.name}_raw",
        kinds={"python", "parquet", "duckdb"},
        owners=OWNERS,
        code_version=title.landing_fingerprint,
        description=(
            f"One row is a file of `data/landing/{title.name}/`. New and changed ones are read by"
            " the title's mapping, checked against the contract, and admitted to the partitions of"
            " the days on which their sessions started. What was not admitted:"
            f" `{title.name}_raw.rejected`, `{title.name}_raw.pending_session`,"
            f" `{title.name}_raw.duplicates`."
        ),
        metadata={
            **code_references(*code_of_records(title), _landed_files),
            "dagster/table_name": f"{title.name}_raw.landed_files",
        },
    )

    @dg.multi_asset(
        name=f"{title.name}_landed_files",
        specs=[spec],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def landed_files(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        # numpy, polars and what else reading needs: only when something is landed
        from sprint_platform.landing.land import land
        from sprint_platform.landing.register import landing_lock
        from sprint_platform.operations.landed import landed_marts, load_landed

        def progress(_: str, rows: int) -> None:
            if watch:
                watch(f"{title.name}/landed_files", title.launch_date, rows)

        with failures_in_one_line():
            report = land(title, watch=progress)
            if on_landed:
                on_landed(report)
            holder = f"{title.name}/landed_files of run {context.run.run_id}"
            # also when nothing is new: an earlier run may have been killed before it got here. The
            # landing's lock first: a process that waits for it must not hold the warehouse
            with (
                hold(landing_lock(title.name), holder),
                warehouse.get_connection(holder) as con,
            ):
                ensure_title_schemas(con, title.name)
                load_landed(con, title)
                publish(con, title_ledger(title.name), landed_marts(title.name))
        return dg.MaterializeResult(asset_key=spec.key, metadata=_landing_metadata(report))

    return landed_files


def _landing_metadata(report: "LandReport") -> dict[str, Any]:
    """A landing as metadata: rows read are the sum of those accepted, rejected, waiting, and
    dropped as exact duplicates; then the files, the worst first, and the partitions that
    changed."""
    metadata: dict[str, Any] = {
        "landing": report.number,
        "files_read": sum(file.status in ("new", "changed") for file in report.files),
        "files_refused": sum(file.status == "refused" for file in report.files),
    }
    for count in ("rows_read", "accepted", "rejected", "waiting", "duplicates"):
        metadata[count] = sum(getattr(file, count) for file in report.files)
    metadata["partitions_changed"] = len(report.changes)
    metadata["seconds"] = round(report.seconds, 3)
    if report.files:
        metadata["files"] = dg.MetadataValue.md(_file_table(report.files))
    if report.changes:
        metadata["changes"] = dg.MetadataValue.md(_change_table(report.changes))
    return metadata


def worst_first(files: Iterable["FileReport"]) -> list["FileReport"]:
    """The files, refused ones first, then by most rejected and most waiting rows."""
    return sorted(
        files, key=lambda f: (f.status != "refused", -f.rejected, -f.waiting, f.dataset, f.file)
    )


def _file_table(files: Iterable["FileReport"]) -> str:
    return _markdown(
        ("file", "status", "rows read", "accepted", "rejected", "waiting", "duplicates", "why"),
        (
            (
                f.file,
                f.status,
                f"{f.rows_read:,}",
                f"{f.accepted:,}",
                f"{f.rejected:,}",
                f"{f.waiting:,}",
                f"{f.duplicates:,}",
                why_of(f),
            )
            for f in worst_first(files)
        ),
    )


def why_of(file: "FileReport") -> str:
    """Why a file was refused or records of it were rejected, and what was noted about it."""
    wrong = ": ".join(text for text in (file.reason, file.detail) if text)
    return "; ".join(text for text in (wrong, file.notes) if text)


def _change_table(changes: Iterable["PartitionChange"]) -> str:
    return _markdown(
        ("dataset", "day", "rows before", "rows now", "why"),
        (
            (
                c.dataset,
                str(c.day),
                "-" if c.rows_before is None else f"{c.rows_before:,}",
                "-" if c.rows_after is None else f"{c.rows_after:,}",
                c.why,
            )
            for c in changes
        ),
    )


def _markdown(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    escaped = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    lines = [heading, ("---",) * len(heading), *escaped[:LINES_SHOWN]]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    left = len(escaped) - LINES_SHOWN
    return f"{table}\n\nand {left:,} more" if left > 0 else table


def _deliveries(title: Title, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        deliveries_key(title),
        deps=[PRODUCTS_KEY],
        group_name=f"{title.name}_raw",
        kinds={"python"},
        owners=OWNERS,
        freshness_policy=FRESHNESS,
        code_version=title.fingerprint,
        description=(
            "One row is a record as a studio would deliver it: the day's simulated records as files"
            f" in `data/landing/{title.name}/`, with faults that `{title.name}_truth.fault_ledger`"
            " names. Late records come with a later day."
        ),
        metadata=code_references(
            title_file(title.name), PACKAGE / "operations/deliver.py", _deliveries
        ),
    )

    @dg.multi_asset(
        name=f"{title.name}_deliveries",
        specs=[spec],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def deliveries(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult]:
        # the simulation: only when something is simulated
        from sprint_platform.landing.fault_ledger import load_ledger
        from sprint_platform.operations.deliver import deliver

        window = run_window(context)
        days = window.days if window else []
        with failures_in_one_line():
            for day in days:
                delivery = deliver(title, day)
                metadata = {
                    "files": len(delivery.files),
                    "rows": delivery.rows,
                    "bytes": delivery.bytes,
                    **{f"fault {fault}": count for fault, count in delivery.faults.items()},
                }
                context.add_asset_metadata(metadata, spec.key, partition_key=day.isoformat())
            holder = f"{title.name}/deliveries of run {context.run.run_id}"
            with warehouse.get_connection(holder) as con:
                load_ledger(con, title.name, days)
        yield dg.MaterializeResult(asset_key=spec.key)

    return deliveries


def _landed_products(title: Title) -> dg.AssetsDefinition:
    contract = DATASETS["products"]
    relation = contract.relation(title.name)
    spec = dg.AssetSpec(
        dg.AssetKey([title.name, contract.table]),
        deps=[landed_files_key(title)],
        group_name=contract.schema_name(title.name),
        kinds={"python", "duckdb"},
        owners=OWNERS,
        code_version=title.landing_fingerprint,
        description="One row is a product of the shop, as landed; none where none are delivered.",
        metadata={
            **code_references(*code_of_records(title), _landed_products),
            **table_metadata(relation, columns_of(contract)),
        },
    )

    @dg.multi_asset(
        name=f"{title.name}_dim_products",
        specs=[spec],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def dim_products(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from sprint_platform.landing.products import landed_products

        columns = ", ".join(column.name for column in contract.columns)
        holder = f"{title.name}/dim_products of run {context.run.run_id}"
        with failures_in_one_line():
            products = landed_products(title)
            with warehouse.get_connection(holder) as con:
                ensure_title_schemas(con, title.name)
                with transaction(con):
                    con.execute(contract.create_table_sql(title.name))
                    con.execute(f"delete from {relation}")
                    con.register("landed_products", products)
                    con.execute(
                        f"insert into {relation} ({columns}) select {columns} from landed_products"
                    )
        return dg.MaterializeResult(
            asset_key=spec.key, metadata={"dagster/row_count": products.num_rows}
        )

    return dim_products
