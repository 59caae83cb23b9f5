"""An engine: a warehouse that is open, with the dialect in which a load speaks to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager

from sprint_platform.core.errors import SprintError
from sprint_platform.dataset import Dataset
from sprint_platform.storage.ledger import Ledger
from sprint_platform.storage.partitions import P, Period


class LoadError(SprintError):
    """A load that could not be done, and changed nothing."""


class Engine(ABC):
    """The tables of a title or a domain in a warehouse, and the ledger of what they hold."""

    def __init__(self, ledger: Ledger, tables: Collection[Dataset]) -> None:
        self.ledger = ledger
        self.tables = tuple(tables)

    @property
    @abstractmethod
    def described(self) -> str:
        """Where it is, for people, without credentials."""

    @abstractmethod
    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Runs a statement; returns how many rows it changed."""

    @abstractmethod
    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple]:
        """A query's rows."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[object]:
        """Commits at the end of the block, or undoes everything where it raises."""

    @abstractmethod
    def _found(self) -> dict[str, dict[str, str]]:
        """Table -> its columns in order, with their types, of those of ``tables`` that are there;
        and whatever else a contract decides."""

    @abstractmethod
    def _wanted(self, table: Dataset) -> dict[str, str]:
        """The same of the table's contract."""

    def relation(self, table: Dataset) -> str:
        """The table's qualified name."""
        return table.relation(self.ledger.name)

    def existing(self) -> dict[str, bool]:
        """Which of the tables are there, and whether with their contract's columns."""
        found = self._found()
        return {
            table.name: list(found[table.table].items()) == list(self._wanted(table).items())
            for table in self.tables
            if table.table in found
        }

    def remove(self, table: Dataset, periods: Collection[Period] | None) -> int:
        """Deletes these periods' rows (None: all); returns how many that were."""
        where = "" if periods is None else f" where {_among(table.partition_column, periods)}"
        return self.execute(f"delete from {self.relation(table)}{where}")

    def insert(self, table: Dataset, staged: str, missing_only: bool = False) -> int:
        """Inserts the rows of ``staged``, or those whose key is not in the table; returns how many
        that were."""
        relation, columns = self.relation(table), ", ".join(table.column_names)
        where = ""
        if missing_only:
            same = " and ".join(f"present.{key} = {staged}.{key}" for key in table.key)
            where = f" where not exists (select 1 from {relation} as present where {same})"
        return self.execute(
            f"insert into {relation} ({columns}) select {columns} from {staged}{where}"
        )

    def held(self, table: Dataset, periods: Collection[Period]) -> dict[Period, int]:
        """How many rows the table has of each of these periods; none are left out."""
        column = table.partition_column
        counted: dict[Period, int] = dict.fromkeys(periods, 0)
        if periods:
            # the bounds let DuckDB skip what lies outside of them
            first, last = _text(min(periods)), _text(max(periods))
            found = self.rows(
                f"select {column}, count(*) from {self.relation(table)} where {column} between"
                f" {first} and {last} and {_among(column, periods)} group by {column}"
            )
            counted |= {period: int(rows) for period, rows in found}
        return counted

    def loaded(self, table: Dataset) -> dict[Period, str]:
        """The digest of each day or batch that the table holds."""
        found = self.rows(
            f"select {self.ledger.period_column}, digest from {self.ledger.loaded_table}"
            f" where dataset = '{table.name}'"
        )
        return {period: str(digest) for period, digest in found}

    def note_batches(
        self, table: Dataset, digests: Mapping[P, str], gone: Collection[Period] = ()
    ) -> None:
        """Notes what these batches of the table were loaded from, and forgets those that are
        ``gone``, in the caller's transaction."""
        ledger = self.ledger.loaded_table
        if old := {*digests, *gone}:
            of_table = f"dataset = '{table.name}'"
            among = _among(self.ledger.period_column, old)
            self.execute(f"delete from {ledger} where {of_table} and {among}")
        if digests:
            values = (f"('{table.name}', {batch}, '{digests[batch]}')" for batch in digests)
            self.execute(f"insert into {ledger} values {', '.join(values)}")


def _among(column: str | None, periods: Collection[Period]) -> str:
    return f"{column} in ({', '.join(_text(period) for period in periods)})"


def _text(period: Period) -> str:
    return str(period) if isinstance(period, int) else f"date '{period}'"
