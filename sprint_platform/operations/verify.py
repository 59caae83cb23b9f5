"""`sprint verify`: whether files and warehouse hold what the generator makes, built and published
as it is defined now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from sprint_platform.storage.digest import Digest, digest_table
from sprint_platform.storage.ledger import Standing
from sprint_platform.storage.partitions import (
    P,
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


def unlike_made(
    name: str,
    contracts: Iterable[Dataset],
    loaded: Mapping[str, Mapping[P, str]],
    make: Make | None,
    period: P,
) -> list[str]:
    """One line per partition of the period that differs from what is made now, or from what is
    loaded.

    A partition is made again, read back from its files, and compared with the digest that the
    warehouse says it has ``loaded`` (by dataset and period). Partitions that were never made are
    skipped. Without ``make`` (landed files) the files are compared with their manifest alone.
    """
    lines: list[str] = []
    for contract in contracts:
        try:
            held = loaded[contract.name].get(period)
            lines += _differences(name, contract, period, held, make)
        except PartitionError as error:
            lines.append(str(error))
    return lines


def _differences(
    name: str, contract: Dataset, period: Period, loaded: str | None, make: Make | None
) -> Iterator[str]:
    manifest = read_manifest(name, contract.name, period)
    if manifest is None:
        return
    where = f"{name}/{contract.name} {period}"
    # the warehouse first: a damaged file ends the comparison
    if loaded != manifest.digest:
        yield f"{where}: the warehouse has {loaded or 'nothing'}, its manifest {manifest.digest}"
    filed = _digest(read_partition(name, contract.name, period, contract))
    made = _digest(make(contract.name, period)) if make else filed
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
