"""What became of each landed file's records."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class Counts:
    """A file's records of one dataset: those read, and what became of them."""

    name: str
    notes: str | None
    rows_read: int
    accepted: int
    rejected: int
    duplicates: int
    waiting: int


def counts_of_files(con: duckdb.DuckDBPyConnection) -> dict[tuple[int, str], Counts]:
    """The counts of each landed file's records, by file number and dataset."""
    found = con.execute(
        "select file_no, dataset, any_value(name), any_value(notes), sum(rows_read)::bigint,"
        " sum(accepted)::bigint, sum(rejected)::bigint, sum(duplicates)::bigint,"
        " sum(waiting)::bigint from ("
        " select file_no, dataset, rows_read, 0 as accepted, rejected, 0 as duplicates,"
        "  0 as waiting from file_records union all"
        " select file_no, dataset, 0, accepted, rejected, duplicates, waiting from verdicts"
        ") join (select file_no, name, notes from files) using (file_no) group by file_no, dataset"
    ).fetchall()
    return {(file_no, dataset): Counts(*of_file) for file_no, dataset, *of_file in found}


def check_sums(counts: dict[tuple[int, str], Counts]) -> None:
    """Raises AssertionError unless every record is accepted, rejected, a duplicate or waiting."""
    for (_, dataset), of_file in counts.items():
        judged = of_file.accepted + of_file.rejected + of_file.duplicates + of_file.waiting
        if of_file.rows_read != judged:
            raise AssertionError(
                f"{of_file.name}: {of_file.rows_read} {dataset} were read, but {judged} have a"
                " verdict: this is a fault of the platform, and nothing was changed"
            )
