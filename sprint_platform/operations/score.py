"""`sprint score`: what the pipeline made of a dirtied title, compared with the ledger of its
faults.

It reads only the ledger, and the tables of what was landed and accepted. Nothing is simulated or
landed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa

from sprint_platform.core.locks import hold
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.landing.deliveries import (
    DeliveryError,
    delivered_days,
    delivered_files,
    renamed_is_mapped,
)
from sprint_platform.landing.fault_ledger import ledger_table, load_ledger
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import read_manifest
from sprint_platform.telemetry.contracts import DATASETS, Dataset
from sprint_platform.telemetry.dirt import EXPECTED, NEW_COLUMN
from sprint_platform.title import Title

# The reason with which a contract rejects the record with the fault.
REASON = {
    "malformed": ("unparseable",),
    "null_session_end": ("missing_value",),
    "negative_amount": ("out_of_range",),
    # on the launch day a clock may lag behind the launch
    "clock_skew": ("outside_session", "before_launch"),
}
UNSEEN = {
    "dropped": "a record that was never delivered leaves no trace",
    "overlapping_session": "each of the two records is right by itself",
}


@dataclass(frozen=True)
class FaultScore:
    """One fault: how many the ledger has recorded, how many the pipeline found, and how many of
    these are right. ``hidden`` faults are counted apart: they are in files that were rightly
    refused, so that nothing could see them."""

    fault: str
    recorded: int
    found: int
    right: int
    hidden: int = 0
    unseen: str | None = None

    @property
    def precision(self) -> float | None:
        """The share of what was found that is in the ledger; None where nothing was found."""
        return None if self.unseen or not self.found else self.right / self.found

    @property
    def recall(self) -> float | None:
        """The share of the ledger's faults that was found; None where it has none."""
        return None if self.unseen or not self.recorded else self.right / self.recorded


@dataclass(frozen=True)
class Score:
    """The score of some delivery days. ``unexplained`` records were rejected or dropped as
    duplicates without such a fault in the ledger."""

    days: tuple[date, ...]
    faults: tuple[FaultScore, ...]
    unexplained: int


def score(title: Title, first: date | None = None, last: date | None = None) -> Score:
    """Compares the ledger of the deliveries from ``first`` to ``last`` (default: all) with what was
    accepted, rejected and found to be a duplicate.

    Raises DeliveryError, in one line, when nothing was delivered in these days, or when the
    warehouse does not hold what was delivered.
    """
    days = [
        day
        for day in delivered_days(title.name)
        if (first is None or day >= first) and (last is None or day <= last)
    ]
    if not days:
        raise DeliveryError(
            f"nothing of {title.name} was delivered in these days: sprint run --title {title.name}"
            " delivers and lands (a title with faults)"
        )
    with hold(warehouse_lock(), f"sprint score of {title.name}"), connect() as con:
        load_ledger(con, title.name, days)
        _gather(con, title, days)
        faults = [
            *_rejected(con, title.name),
            _duplicates(con, title.name),
            *_accepted(con, title.name),
            *_files(con),
            *_unseen(con),
        ]
        unexplained = _count(
            con,
            f"select count(*) from ("
            f" {_rejects(title.name)} union all by name {_dropped_copies(title.name)}) as found"
            " anti join visible on visible.file = found.file and visible.row = found.row"
            " and visible.expected = found.verdict",
        )
    order = list(EXPECTED)
    scored = [fault for fault in faults if fault.recorded or fault.found or fault.hidden]
    scored.sort(key=lambda fault: order.index(fault.fault))
    return Score(tuple(days), tuple(scored), unexplained)


def _gather(con: duckdb.DuckDBPyConnection, title: Title, days: list[date]) -> None:
    """Creates the temporary tables of the comparison: ``delivered`` (a file, whether it was
    refused, and whether its notes name the new column), and the ledger's ``visible`` rows (what
    could be seen) and ``hidden`` ones (what could not)."""
    files = [file for day in days for file in delivered_files(title.name, day)]
    mapped = [name for name in DATASETS if renamed_is_mapped(title, name)]
    landed = con.execute(
        "select 1 from information_schema.tables where table_schema = ? and table_name = ?",
        [f"{title.name}_raw", "landed_files"],
    ).fetchone()
    known: dict[str, tuple[str | None, ...]] = {}
    if landed:
        rows = con.execute(
            f"select file, content_digest, status, reason, notes from {title.name}_raw.landed_files"
        ).fetchall()
        known = {file: tuple(rest) for file, *rest in rows}
    delivered = []
    for file in files:
        digest, status, reason, notes = known.get(file.name, (None, None, None, None))
        if digest != file.digest:
            what = "the warehouse has not landed"
            if status == "refused":
                what = f"the warehouse refused ({reason}) and holds an older version of"
            raise DeliveryError(
                f"{what} {file.name} as it was delivered: sprint land --title {title.name}"
            )
        delivered.append(
            {
                "file": file.name,
                "refused": status == "refused",
                "wrong_header": reason == "wrong_header",
                "noted": status != "refused" and NEW_COLUMN in (notes or ""),
            }
        )
    schema = pa.schema(
        [("file", pa.string()), *((n, pa.bool_()) for n in ("refused", "wrong_header", "noted"))]
    )
    con.register("delivered_arrow", pa.Table.from_pylist(delivered, schema))
    con.execute("create or replace temp table delivered as from delivered_arrow")
    con.unregister("delivered_arrow")
    con.execute(
        "create or replace temp table ledger as"
        f" select * from {ledger_table(title.name)} where delivered in (select unnest(?::date[]))"
        # a mapping that has both names reads the files: then there is nothing to refuse
        " and not (fault = 'renamed_column' and dataset in (select unnest(?::varchar[])))",
        [days, mapped],
    )
    con.execute(
        "create or replace temp table hidden as select ledger.* from ledger"
        " semi join (from ledger join delivered using (file)"
        " where fault = 'renamed_column' and refused) as refused on refused.file = ledger.file"
        " where fault <> 'renamed_column'"
    )
    con.execute("create or replace temp table visible as from ledger except all from hidden")


def _rejects(title: str) -> str:
    """SQL for the rejected records of the files that are scored."""
    return (
        "select dataset, file, \"row\", reason, 'rejected' as verdict"
        f" from {title}_raw.rejected semi join delivered using (file)"
        ' where "row" is not null'
    )


def _dropped_copies(title: str) -> str:
    """SQL for the records of these files that were dropped as exact duplicates."""
    return (
        'select dataset, file, unnest(range(first_row, last_row + 1)) as "row",'
        " 'duplicate' as verdict"
        f" from {title}_raw.duplicates semi join delivered using (file)"
    )


def _rejected(con: duckdb.DuckDBPyConnection, title: str) -> list[FaultScore]:
    scores = []
    for fault, reasons in REASON.items():
        among = ", ".join(f"'{reason}'" for reason in reasons)
        found = (
            f"select * from ({_rejects(title)}) where reason in ({among}) and dataset in"
            f" (select distinct dataset from ledger where fault = '{fault}')"
        )
        scores.append(_by_row(con, fault, found))
    return scores


def _duplicates(con: duckdb.DuckDBPyConnection, title: str) -> FaultScore:
    return _by_row(con, "duplicate", _dropped_copies(title))


def _by_row(con: duckdb.DuckDBPyConnection, fault: str, found: str) -> FaultScore:
    """The score of a fault that the pipeline names by file and row."""
    right = (
        f"select count(*) from visible semi join ({found}) as found"
        f" on found.file = visible.file and found.row = visible.row where fault = '{fault}'"
    )
    return FaultScore(
        fault,
        recorded=_recorded(con, fault),
        found=_count(con, f"select count(*) from ({found})"),
        right=_count(con, right),
        hidden=_hidden(con, fault),
    )


def _accepted(con: duckdb.DuckDBPyConnection, title: str) -> list[FaultScore]:
    """The scores of what must be accepted all the same: late and out-of-order records. Found are
    the accepted rows with their keys; right are those that are there once, on their own day."""
    scores = []
    for fault in ("late", "out_of_order"):
        datasets = con.execute(
            "select dataset, list(distinct event_date) from visible where fault = ? group by 1",
            [fault],
        ).fetchall()
        found = right = 0
        for dataset, days in datasets:
            _require_loaded(con, title, dataset, days)
            row = con.execute(_accepted_sql(DATASETS[dataset], title), [fault, dataset]).fetchone()
            assert row is not None
            found, right = found + row[0], right + row[1]
        scores.append(FaultScore(fault, _recorded(con, fault), found, right, _hidden(con, fault)))
    return scores


def _accepted_sql(contract: Dataset, title: str) -> str:
    types = {column.name: column.duckdb_type for column in contract.columns}
    keys = ", ".join(
        f"cast(split_part(record, '/', {at}) as {types[name]}) as {name}"
        for at, name in enumerate(contract.key, 1)
    )
    same = " and ".join(f"accepted.{name} = wanted.{name}" for name in contract.key)
    own_day = f"accepted.{contract.partition_column} = wanted.own_day"
    if contract.name == "signons":
        # a player signs on every day: the key is unique within its partition only
        same += f" and {own_day}"
    return (
        "select coalesce(sum(times), 0), count(*) filter (times = 1 and on_own_day = 1) from ("
        " select count(*) as times,"
        f" count(*) filter ({own_day}) as on_own_day"
        f" from (select record, event_date as own_day, {keys} from visible"
        " where fault = ? and dataset = ?) as wanted"
        f" join {contract.relation(title)} as accepted on {same}"
        " group by wanted.record, wanted.own_day)"
    )


def _require_loaded(
    con: duckdb.DuckDBPyConnection, title: str, dataset: str, days: list[date]
) -> None:
    ensure_title_schemas(con, title)
    loaded = title_ledger(title).loaded_digests(con, dataset)
    for day in sorted(days):
        manifest = read_manifest(title, dataset, day)
        if manifest is not None and manifest.pruned:
            raise DeliveryError(
                f"{title}/{dataset} of {day} was pruned: what became of its records is not known"
            )
        if manifest is not None and manifest.digest != loaded.get(day):
            raise DeliveryError(
                f"{title}/{dataset} of {day} was landed, but the warehouse has not loaded it:"
                f" sprint land --title {title}"
            )


def _files(con: duckdb.DuckDBPyConnection) -> list[FaultScore]:
    """The scores of schema drift: files that were refused for their header, or whose notes name the
    new column."""
    scores = []
    for fault, seen in (("new_column", "noted"), ("renamed_column", "refused and wrong_header")):
        found = f"select file from delivered where {seen}"
        scores.append(
            FaultScore(
                fault,
                recorded=_recorded(con, fault),
                found=_count(con, f"select count(*) from ({found})"),
                right=_count(
                    con,
                    f"select count(*) from visible semi join ({found}) as found using (file)"
                    f" where fault = '{fault}'",
                ),
                hidden=_hidden(con, fault),
            )
        )
    return scores


def _unseen(con: duckdb.DuckDBPyConnection) -> list[FaultScore]:
    return [
        FaultScore(fault, _recorded(con, fault), 0, 0, _hidden(con, fault), why)
        for fault, why in UNSEEN.items()
    ]


def _recorded(con: duckdb.DuckDBPyConnection, fault: str) -> int:
    return _count(con, f"select count(*) from visible where fault = '{fault}'")


def _hidden(con: duckdb.DuckDBPyConnection, fault: str) -> int:
    return _count(con, f"select count(*) from hidden where fault = '{fault}'")


def _count(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    assert row is not None
    return int(row[0])
