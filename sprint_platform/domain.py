"""A domain from outside: what is made, loaded, built and published together, as data.

A package names its domains as entry points of the group ``sprint_platform.domains``; each brings a
small dbt project, whose ``macro-paths`` name ours (``SPRINT_DBT_MACROS``). Nothing of this project
is edited for it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sprint_platform.core.errors import SprintError
from sprint_platform.dataset import BATCH_COLUMN, TYPES, Dataset
from sprint_platform.storage.ledger import Ledger
from sprint_platform.storage.partitions import Period
from sprint_platform.title import RESERVED_NAMES, title_names

if TYPE_CHECKING:
    import pyarrow as pa

ENTRY_POINTS = "sprint_platform.domains"
_NAME = re.compile("[a-z][a-z0-9_]*")


class DomainError(SprintError):
    """A domain that is not valid. The message is one line."""


@dataclass(frozen=True)
class Days:
    """A domain whose partitions are UTC days, from the ``first`` to today."""

    first: date


@dataclass(frozen=True)
class Batches:
    """A domain whose partitions are numbered batches, 1 to ``last``, without a schedule."""

    last: int


@dataclass(frozen=True)
class Domain:
    """What Dagster, the command line and the dashboard know of a domain.

    ``make`` has a function for each dataset: it takes a partition's day or batch and yields Arrow
    tables of the contract's schema, the same on every call. Raise ``version`` when it makes other
    records than before: partitions of another version are made again. ``seconds_a_period`` is about
    how long making and building one takes, for ``sprint plan`` and the nightly catch-up. Raises
    DomainError where these do not go together.
    """

    name: str
    periods: Days | Batches
    datasets: tuple[Dataset, ...]
    make: Mapping[str, Callable[[Any], Iterable[pa.Table]]]
    version: str
    dbt_project: Path
    seconds_a_period: float = 1.0

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z][a-z0-9_]{0,30}", self.name):
            raise DomainError(
                f"a domain's name is lower-case letters, digits and _, not '{self.name}'"
            )
        if self.name in RESERVED_NAMES:
            raise DomainError(f"'{self.name}' is a name of the platform's own")
        by_batch = isinstance(self.periods, Batches)
        names = [name for d in self.datasets for name in {d.name, d.table}]
        for dataset in self.datasets:
            where = f"{self.name}/{dataset.name}"
            if names.count(dataset.name) > 1 or not _NAME.fullmatch(dataset.name):
                raise DomainError(f"{where} is no name of its own in lower-case letters")
            # as it is, these stand in SQL
            for name in (dataset.table, *dataset.column_names):
                if not _NAME.fullmatch(name):
                    raise DomainError(f"{where}: '{name}' is no name in lower-case letters")
            if dataset.partition_column is None:
                raise DomainError(f"{where} has no partition_column")
            for column in dataset.columns:
                if column.type not in TYPES:
                    known = ", ".join(TYPES)
                    raise DomainError(
                        f"{where}.{column.name} is a '{column.type}', none of: {known}"
                    )
            if (dataset.partition_column == BATCH_COLUMN) != by_batch:
                wanted = BATCH_COLUMN if by_batch else "a day's column"
                raise DomainError(
                    f"{where} is partitioned by {dataset.partition_column}, not {wanted}"
                )
            if dataset.name not in self.make:
                raise DomainError(f"{where} has no function in make")
        if not (self.dbt_project / "dbt_project.yml").exists():
            raise DomainError(f"{self.name}: there is no dbt_project.yml in {self.dbt_project}")

    @cached_property
    def ledger(self) -> Ledger:
        """Its tables lie in ``<name>_raw``, its models in ``<name>_stage`` and ``<name>_mart``."""
        schemas = (f"{self.name}_stage", f"{self.name}_mart")
        return Ledger(self.name, f"{self.name}_raw", schemas, isinstance(self.periods, Batches))

    @property
    def source(self) -> str:
        """What makes the partitions, as their manifests have it."""
        contract = max(dataset.version for dataset in self.datasets)
        return f"{self.name} {self.version} contract {contract}"

    def tables(self, dataset: str, period: Period) -> Iterable[pa.Table]:
        """The records of the dataset's day or batch, made now."""
        return self.make[dataset](period)


def outside_domains() -> list[Domain]:
    """The domains of installed packages, by name. A broken one is reported in one line and left
    out: it does not stop the others' schedules."""
    found: dict[str, Domain] = {}
    log = logging.getLogger(__name__)
    for point in entry_points(group=ENTRY_POINTS):
        where = f"the domain {point.name} ({point.value})"
        try:
            domain = point.load()
        # code of somebody else, which may raise anything
        except Exception as error:  # noqa: BLE001
            log.error("%s is left out: %s: %s", where, type(error).__name__, error)
            continue
        if not isinstance(domain, Domain):
            log.error("%s is left out: it is a %s, not a Domain", where, type(domain).__name__)
        elif domain.name in title_names():
            log.error("%s is left out: a title has that name", where)
        elif domain.name in found:
            log.error("%s is left out: another package has a domain of that name", where)
        else:
            found[domain.name] = domain
    return [found[name] for name in sorted(found)]


def outside_domain(name: str) -> Domain:
    """The installed domain of this name. Raises DomainError, naming those that there are."""
    domains = {domain.name: domain for domain in outside_domains()}
    if name not in domains:
        known = ", ".join(domains) or "none is installed"
        raise DomainError(f"there is no domain {name} from outside (there are: {known})")
    return domains[name]
