"""The report of a run that ended: what failed, and what is in the warehouse now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from sprint_platform.cli.terminal import Stop, out, problems
from sprint_platform.telemetry.contracts import Dataset

if TYPE_CHECKING:
    from sprint_platform.orchestration.domain_build import Built
    from sprint_platform.orchestration.runs import GraphRun

# Tables about other tables: left out of the report.
BOOKKEEPING = {
    "loaded_partitions", "landed_partitions", "built_from", "built_periods", "built_partitions",
    "loaded_batches",
}  # fmt: skip


def print_failures(report: GraphRun) -> None:
    """Prints the failed steps and checks; failed checks of a successful run are warnings."""
    for line in report.failures:
        problems.print(f"[red]failed[/] {escape(line)}", highlight=False, soft_wrap=True)
    colour = "yellow" if report.success else "red"
    for check in report.failed_checks:
        line = f"[{colour}]check failed[/] {escape(check)}"
        problems.print(line, highlight=False, soft_wrap=True)


def built_table(
    name: str, contracts: Iterable[Dataset], seconds: float, seconds_of: Mapping[str, float]
) -> Table:
    """The tables of a title or domain in the warehouse: rows per table, and the seconds that its
    asset took."""
    from sprint_platform.core.locks import hold
    from sprint_platform.engines.duckdb_file import connect, warehouse_lock

    # the catalogue's table has no days: the dbt seed of that name makes it
    asset_of: dict[tuple[str, str], str] = {
        (contract.schema, contract.table): contract.name
        for contract in contracts
        if contract.partition_column
    }
    table = Table(title=f"{name}: built in {seconds:.1f} s")
    table.add_column("table")
    table.add_column("rows", justify="right")
    table.add_column("seconds", justify="right")
    with hold(warehouse_lock(), "sprint run's summary"), connect() as con:
        found = con.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema in (?, ?, ?, ?) order by all",
            [f"{name}_{part}" for part in ("dim", "raw", "stage", "mart")],
        ).fetchall()
        for part in ("dim", "raw", "stage", "mart"):
            for schema, built in found:
                if schema == f"{name}_{part}" and built not in BOOKKEEPING:
                    rows = con.execute(f"select count(*) from {schema}.{built}").fetchone()
                    took = seconds_of.get(f"{name}/{asset_of.get((part, built), built)}")
                    table.add_row(
                        f"{schema}.{built}",
                        f"{rows[0]:,}" if rows else "",
                        f"{took:.2f}" if took is not None else "",
                    )
    return table


def print_build(built: Built) -> None:
    """Prints the result of a domain's dbt run. Raises Stop where it failed."""
    for line in built.warnings:
        problems.print(f"[yellow]warning[/] {escape(line)}", highlight=False, soft_wrap=True)
    if built.failure:
        raise Stop(built.failure)
    out.print(
        f"{built.models} models built and {built.tests} tests passed in {built.seconds:.1f} s",
        highlight=False,
    )
