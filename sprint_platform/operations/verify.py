"""`sprint verify`: whether files and warehouse hold what the generator makes, built and published
as it is defined now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from sprint_platform.storage.digest import Digest, digest_table
from sprint_platform.storage.ledger import Ledger, Standing
from sprint_platform.storage.partitions import (
    PartitionError,
    Period,
    read_manifest,
    read_partition,
)
from sprint_platform.telemetry.contracts import Dataset

# Makes the records of a dataset's period.
Make = Callable[[str, Period], Iterable[pa.Table]]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, in one line, and the command that mends it."""

    line: str
    mend: str


# Arrow columns of the contract's own types: ids as 16 bytes, prices in 32 bits.
LOSSLESS = ("set arrow_lossless_conversion = true", "set arrow_output_version = '1.5'")
ROWS_AT_A_TIME = 500_000


def loaded_digests(
    con: duckdb.DuckDBPyConnection, ledger: Ledger, contracts: Iterable[Dataset], period: Period
) -> dict[str, str | None]:
    """The digest of the rows of the period that each dataset's table holds; None where it holds
    none and none were loaded. A dataset whose rows of the period were pruned is left out. Where the
    ledger says another digest, it is corrected, so that the next load replaces the rows: a table
    may have been written by hand, or be an older copy."""
    pruned = {} if ledger.batches else ledger.pruned(con)
    for setting in LOSSLESS:
        con.execute(setting)
    found: dict[str, str | None] = {}
    for contract in contracts:
        if period in pruned.get(contract.name, ()):
            continue
        columns = ", ".join(column.name for column in contract.columns)
        rows = con.execute(
            f"select {columns} from {contract.relation(ledger.name)}"
            f" where {contract.partition_column} = ?",
            [period],
        ).to_arrow_reader(ROWS_AT_A_TIME)
        # booleans come as bytes, and JSON as a type of its own
        tables = (pa.table(batch).cast(contract.arrow_schema) for batch in rows)
        digest = sum((digest_table(table) for table in tables), Digest())
        noted = ledger.loaded_digest(con, contract.name, period)
        found[contract.name] = None if noted is None and not digest.rows else str(digest)
        if found[contract.name] != noted:
            ledger.correct_loaded(con, contract.name, period, str(digest), digest.rows)
    return found


def unlike_made(
    name: str,
    contracts: Iterable[Dataset],
    loaded: Mapping[str, str | None],
    make: Make | None,
    period: Period,
    version: str = "",
) -> list[str]:
    """One line per partition of the period that differs from what is made now, or from what is
    ``loaded`` (``loaded_digests`` of the period).

    A partition is made again, read back from its files, and compared. Partitions that were never
    made, or were pruned, are skipped. Without ``make`` (landed files), or where another version
    made the partition (its source does not begin with ``version``), the files are compared with
    their manifest.
    """
    lines: list[str] = []
    for contract in contracts:
        if contract.name not in loaded:
            continue
        try:
            lines += _differences(name, contract, period, loaded[contract.name], make, version)
        except PartitionError as error:
            lines.append(str(error))
    return lines


def _differences(
    name: str,
    contract: Dataset,
    period: Period,
    loaded: str | None,
    make: Make | None,
    version: str,
) -> Iterator[str]:
    manifest = read_manifest(name, contract.name, period, contract)
    if manifest is None or manifest.pruned:
        return
    where = f"{name}/{contract.name} {period}"
    # the warehouse first: a damaged file ends the comparison
    if loaded != manifest.digest:
        yield f"{where}: its table holds {loaded or 'nothing'}, its manifest says {manifest.digest}"
    filed = _digest(read_partition(name, contract.name, period, contract))
    today = make if manifest.source.startswith(version) else None
    made = _digest(today(contract.name, period)) if today else filed
    if filed != made:
        yield f"{where}: its files hold {filed}, simulated again it is {made}"
    elif manifest.digest != filed:
        yield f"{where}: its manifest says {manifest.digest}, its files {filed}"


def _digest(tables: Iterable[pa.Table]) -> str:
    return str(sum((digest_table(table) for table in tables), Digest()))


def stale_finding(name: str, standing: Standing, periods: str, mend: str) -> Finding:
    """The finding that ``periods`` (in words) were built by another definition than today's."""
    models = sorted(standing.stale_models)
    more = f" and {len(models) - 3} more" if len(models) > 3 else ""
    return Finding(
        f"{name}: built by another definition than today's: {periods}"
        f" ({', '.join(models[:3])}{more})",
        mend,
    )
