"""Publishing: the files that readers (notebooks, BI tools, dashboards) open while runs write.

``data/published/<name>/<mart>/<period>.parquet`` holds a mart by its period; ``publish.views``
writes the views over those files. A reader therefore never waits for the lease, and never holds it.

The ledger says what is to be published: every period that was built, passed its tests, and differs
from what its file was written from. So nothing is left out after a run that was killed before it
published, or in which another model failed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from sprint_platform.core.duckdb_paths import glob_of, quoted
from sprint_platform.core.whole_file import temporary_beside, whole_file
from sprint_platform.engines.database_identity import count_publication
from sprint_platform.places import published_dir
from sprint_platform.publish.views import NO_ROWS, publish_views
from sprint_platform.storage.ledger import Ledger, PublishedMart
from sprint_platform.storage.partitions import Manifest, P
from sprint_platform.storage.published_views import named_parts


@dataclass(frozen=True)
class Mart:
    """A mart to be published, as its model's meta says. ``column`` holds a row's period, of the
    kind ``period`` (day, week, month, batch); a mart without is one file. ``file`` is the span of a
    file: a month where days have few rows, as a reader opens every file. ``schema`` is its
    view's."""

    relation: str
    schema: str
    column: str | None = None
    period: str | None = None
    file: str | None = None

    @property
    def name(self) -> str:
        return self.relation.split(".")[1]

    def file_of(self, period: str) -> str:
        """SQL: the name (without suffix) of the file that holds ``period``, an SQL expression."""
        if self.column is None:
            return "'all'"
        if self.period == "batch":
            return f"cast({period} as varchar)"
        return f"cast(cast(date_trunc('{self.file}', cast({period} as date)) as date) as varchar)"


@dataclass
class Publication:
    """What a publication did: how many files it wrote, and for each mart the files that it left as
    they were because some of their rows did not pass their tests."""

    written: int = 0
    withheld: dict[str, list[str]] = field(default_factory=dict)


def publish(con: duckdb.DuckDBPyConnection, ledger: Ledger, marts: Iterable[Mart]) -> Publication:
    """Publishes what the ledger says is not published yet of these marts; others of the title or
    domain stay as they are. ``con`` is the warehouse, opened under the lease.

    Each file is replaced in one step; the file of a period without rows is removed.
    """
    count_publication(con)
    before, now, done = ledger.published_marts(con), {}, Publication()
    existing = existing_relations(con)
    for mart in marts:
        if mart.relation in existing:
            now[mart.name] = _publish_mart(con, ledger, mart, before.get(mart.name), done)
    ledger.publish(con, {**before, **now}, ["heartbeats"])
    publish_views()
    return done


def _publish_mart(
    con: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    mart: Mart,
    before: PublishedMart | None,
    done: Publication,
) -> PublishedMart:
    folder = _folder(ledger, mart.name)
    columns = _columns(con, mart.relation)
    same_columns = before is not None and before.columns == columns
    if not (same_columns and (folder / NO_ROWS).exists()):
        _write(con, f"select * from {mart.relation} limit 0", folder / NO_ROWS)
    built = con.execute(
        f"select {mart.file_of('period')} as file,"
        " md5(string_agg(period || ' ' || invocation, ',' order by period)),"
        f" coalesce(bool_and(passed), false) from {ledger.schema}.built_periods"
        " where model = ? and (period <> '') = ? group by file order by file",
        [mart.name, mart.column is not None],
    ).fetchall()
    stamps: dict[str, str] = {}
    to_write = []
    for file, stamp, passed in built:
        path, published = folder / f"{file}.parquet", before.files.get(file) if before else None
        if same_columns and published == stamp and path.exists():
            stamps[file] = stamp
        elif passed:
            to_write.append(file)
            stamps[file] = stamp
        else:
            done.withheld.setdefault(mart.name, []).append(file)
            if published is not None:
                stamps[file] = published
    _write_files(con, mart, folder, to_write)
    done.written += len(to_write)
    held = {NO_ROWS, *(f"{file}.parquet" for file, _, _ in built)}
    gone = [path for path in folder.glob("*.parquet") if path.name not in held]
    if gone and _is_unsettled(con, ledger, mart):
        # a build that failed, or was stopped, may have left a period empty
        for path in gone:
            done.withheld.setdefault(mart.name, []).append(path.stem)
            if before is not None and path.stem in before.files:
                stamps[path.stem] = before.files[path.stem]
    else:
        for path in gone:
            path.unlink(missing_ok=True)
    withheld = mart.name in done.withheld
    mixed = withheld and (not same_columns or (before is not None and before.mixed))
    return PublishedMart(mart.schema, mart.column, mart.period, columns, stamps, mixed)


def _is_unsettled(con: duckdb.DuckDBPyConnection, ledger: Ledger, mart: Mart) -> bool:
    """Whether some period of the mart was built without passing its tests."""
    found = con.execute(
        f"select 1 from {ledger.schema}.built_from where model = ? and passed is distinct from true"
        " limit 1",
        [mart.name],
    ).fetchone()
    return found is not None


def unlike_published(
    con: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    marts: Iterable[Mart],
    first: date | None = None,
    last: date | None = None,
) -> Iterator[tuple[str, str, str]]:
    """Compares published rows with the warehouse's by their hashes, and yields for each mart that
    differs a line, and the first and last period that do (empty where it has none). With ``first``
    and ``last`` only periods of these days, and marts without periods. Marts that were never built
    are left out."""
    existing = existing_relations(con)
    for mart in marts:
        if mart.relation not in existing:
            continue
        folder = published_dir() / ledger.name / mart.name
        if not (folder / NO_ROWS).exists():
            if con.execute(f"select 1 from {mart.relation} limit 1").fetchone():
                yield f"{mart.relation} is not published", "", ""
            continue
        empty = quoted(glob_of(folder / NO_ROWS))
        described = con.execute(f"describe select * from read_parquet('{empty}')").fetchall()
        # as the file's type, which may differ from the table's
        row = ", ".join(
            f"coalesce(cast(cast(\"{name}\" as {kind}) as varchar), '\\N')"
            for name, kind, *_ in described
        )
        held = [name for name, *_ in con.execute(f"describe {mart.relation}").fetchall()]
        if held != [name for name, *_ in described]:
            line = f"{mart.relation} is published with other columns than the warehouse has"
            yield line, "", ""
            continue
        period = f"cast({mart.column} as varchar)" if mart.column else "''"
        where = ""
        if mart.column and mart.period != "batch" and first and last:
            where = (
                f" where {mart.column} >= date_trunc('{mart.period}', date '{first}')"
                f" and {mart.column} <= date '{last}'"
            )
        files = quoted(glob_of(folder))
        published = f"read_parquet('{files}/*.parquet', union_by_name = true)"
        counted = (
            f"select {period} as period, count(*) as row_count,"
            f" sum(hash(concat_ws(chr(31), {row}))) as content"
        )
        unlike = con.execute(
            f"select period from ({counted} from {mart.relation}{where} group by 1) as built"
            f" full join ({counted} from {published}{where} group by 1) as published"
            " using (period) where built.row_count is distinct from published.row_count"
            " or built.content is distinct from published.content order by period"
        ).fetchall()
        if unlike:
            which = "" if mart.column is None else f" in {len(unlike)} periods from {unlike[0][0]}"
            line = f"{mart.relation} is published with other rows than the warehouse has{which}"
            yield line, unlike[0][0], unlike[-1][0]


def publish_loaded(con: duckdb.DuckDBPyConnection, ledger: Ledger, *, views: bool) -> None:
    """Publishes a copy of what is loaded now; with ``views`` also the views of heartbeats, which
    name the files of their time: these stay until their day is written again."""
    count_publication(con)
    ledger.publish(con, ledger.published_marts(con), ["heartbeats"])
    if views:
        publish_views()


def loaded_is_published(
    con: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    dataset: str,
    loaded: Mapping[P, Manifest],
    *,
    views: bool,
) -> bool:
    """Whether ``publish_loaded`` came after the load of these periods: a run may have been killed
    in between."""
    digests = ledger.published_digests(con, dataset)
    for period, manifest in loaded.items():
        names = {part.name for part in manifest.parts}
        if digests.get(str(period)) != manifest.digest:
            return False
        if views and names and named_parts(manifest.folder, names) != names:
            return False
    return True


def published_weeks(name: str, mart: str) -> list[date]:
    """The Mondays of which a weekly mart of the title is published, ascending."""
    files = (published_dir() / name / mart).glob("*.parquet")
    return sorted(date.fromisoformat(file.stem) for file in files if file.name != NO_ROWS)


def existing_relations(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Every table and view of the database, by its qualified name."""
    found = con.execute("select table_schema, table_name from information_schema.tables")
    return {f"{schema}.{table}" for schema, table in found.fetchall()}


def _columns(con: duckdb.DuckDBPyConnection, relation: str) -> str:
    described = con.execute(f"describe {relation}").fetchall()
    return ", ".join(f"{name} {kind}" for name, kind, *_ in described)


def _folder(ledger: Ledger, mart: str) -> Path:
    folder = published_dir() / ledger.name / mart
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_files(
    con: duckdb.DuckDBPyConnection, mart: Mart, folder: Path, files: Sequence[str]
) -> None:
    """Writes these files of the mart, ascending."""
    if mart.column is None or mart.period == "batch":
        for file in files:
            where = f" where {mart.file_of(mart.column)} = '{file}'" if mart.column else ""
            _write(con, f"select * from {mart.relation}{where}", folder / f"{file}.parquet")
        return
    if not files:
        return
    # by its bounds: DuckDB skips what lies outside of them
    within = (
        f"select *{{file}} from {mart.relation} where {mart.column} >= date '{{first}}'"
        f" and {mart.column} < date '{{last}}' + interval 1 {mart.file}"
    )
    if len(files) == 1:
        [file] = files
        query = within.format(file="", first=file, last=file)
        _write(con, query, folder / f"{file}.parquet")
        return
    # a year of days in one query: each by itself would read its neighbours' rows, too
    column = f", {mart.file_of(mart.column)} as published_file"
    query = within.format(file=column, first=files[0], last=files[-1])
    with temporary_beside(folder / "files") as parts:
        con.execute(
            # in order, so that nearly every file is written by one thread, in one part
            f"copy (from ({query}) where published_file in (select unnest(?))"
            f" order by published_file) to '{quoted(parts)}'"
            " (format parquet, compression zstd, partition_by (published_file))",
            [list(files)],
        )
        for file in files:
            written = list((parts / f"published_file={file}").glob("*.parquet"))
            if len(written) == 1:
                os.replace(written[0], folder / f"{file}.parquet")
                continue
            query = within.format(file="", first=file, last=file)
            if written:
                names = ", ".join(f"'{quoted(glob_of(part))}'" for part in written)
                query = f"from read_parquet([{names}], hive_partitioning = false)"
            _write(con, query, folder / f"{file}.parquet")


def _write(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    with whole_file(path) as temporary:
        con.execute(f"copy ({query}) to '{quoted(temporary)}' (format parquet, compression zstd)")
