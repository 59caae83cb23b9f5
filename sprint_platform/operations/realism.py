"""`sprint realism`: a title's figures beside those that are published of real games.

dbt's analyses in ``sprint_dbt/analyses/realism``, rendered for the title and run in the warehouse,
measure them. ``realism.yaml`` has the bands and where they come from. What cannot be measured is
neither green nor red, and says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

from sprint_platform.core.errors import SprintError
from sprint_platform.core.locks import hold
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.places import dbt_project_dir
from sprint_platform.publish.marts import Mart, existing_relations, publish
from sprint_platform.storage.ledger import title_ledger, transaction
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import TargetGrowth, Title
from sprint_platform.transform.questions import relation_of, rendered

BANDS = Path(__file__).with_name("realism.yaml")
REPORT = "realism_report"
# From the first day that is built.
DAYS_MEASURED = 365
# A report as a table for people.
HEADINGS = ("", "figure", "value", "real games", "verdict", "why", "source")
# The mart whose days are those that exist.
DAYS_OF = "kpi_daily"
# What only a game that opens with a wave of players has.
OF_A_LAUNCH = "launch_decay"
COLUMNS = (
    "number smallint, figure varchar, name varchar, value double, unit varchar, low double,"
    " high double, own double, within double, verdict varchar, why varchar, observed bigint,"
    " observed_what varchar, source varchar, confidence varchar, first_day date, last_day date,"
    " missing_days integer"
)


class RealismError(SprintError):
    """A report that cannot be made. The message is one line."""


class Verdict(StrEnum):
    """Whether a figure lies in its band."""

    GREEN = "green"
    RED = "red"
    NOT_MEASURED = "not measured"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Figure:
    """A figure, its band (inclusive) and who published it. ``number`` is its row in the report: a
    row may have two. It takes ``least`` of what ``of`` names to measure it, and rows in the
    datasets that ``needs`` names, each with the word for its rows. ``own`` is the title's retention
    that it should also be near, ``within`` so many points."""

    id: str
    query: str
    needs: dict[str, str]
    number: int
    name: str
    unit: str
    band: tuple[float, float]
    least: int
    of: str
    source: str
    confidence: str
    own: str | None = None
    within: float | None = None


@dataclass(frozen=True)
class Measured:
    """A figure of a title: its value (None where it has none), of how many ``figure.of``, the
    title's own where it states one, and whether it is as published, with the reason."""

    figure: Figure
    value: float | None
    observed: int
    own: float | None
    verdict: Verdict
    why: str


@dataclass(frozen=True)
class Report:
    """The figures of a title from the ``first`` to the ``last`` day, of which ``missing`` do not
    exist."""

    title: str
    first: date
    last: date
    missing: int
    figures: tuple[Measured, ...]

    def counts(self) -> dict[Verdict, int]:
        """How many rows have each verdict."""
        rows = verdicts_by_row(
            [found.figure.number for found in self.figures],
            [found.verdict for found in self.figures],
        )
        return {verdict: rows.count(verdict) for verdict in Verdict}


def verdicts_by_row(numbers: Iterable[int], verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdict of each row: one of two figures is as the worse one is."""
    worst = (Verdict.RED, Verdict.NOT_MEASURED, Verdict.NOT_APPLICABLE, Verdict.GREEN)
    rows: dict[int, Verdict] = {}
    for number, verdict in zip(numbers, verdicts, strict=True):
        rows[number] = min(rows.get(number, verdict), verdict, key=worst.index)
    return list(rows.values())


def cells(found: Measured) -> tuple[str, ...]:
    """The figure's row under ``HEADINGS``."""
    figure = found.figure
    return (
        str(figure.number),
        figure.name,
        value_as_text(found.value, figure.unit),
        band_as_text(*figure.band, figure.unit, found.own, figure.within),
        str(found.verdict),
        found.why,
        source_as_text(figure.source, figure.confidence),
    )


def value_as_text(value: float | None, unit: str) -> str:
    """A figure with its unit, for people."""
    if value is None:
        return "–"
    return f"{value:,.{1 if abs(value) >= 10 else 2}f} {unit}".rstrip()


def band_as_text(
    low: float, high: float, unit: str, own: float | None, within: float | None
) -> str:
    """A figure's band, and what else it should be near, for people."""
    text = f"{low:g} to {high:g} {unit}".rstrip()
    return text if own is None else f"{text}, and {own:g} ± {within:g}"


def source_as_text(source: str, confidence: str) -> str:
    """Where a band is from, for people."""
    return f"{source}; confidence {confidence}"


@cache
def figures() -> tuple[Figure, ...]:
    """Every figure of ``realism.yaml``, by its row in the report."""
    content = yaml.safe_load(BANDS.read_text(encoding="utf-8"))
    found = [
        Figure(id=name, query=query, needs=part["needs"], **values)
        for query, part in content.items()
        for name, values in part["figures"].items()
    ]
    return tuple(sorted(found, key=lambda figure: figure.number))


def realism(title: Title) -> Report:
    """Measures the title, and publishes the report for readers. Raises RealismError where no day of
    it is built."""
    with hold(warehouse_lock(), f"sprint realism of {title.name}"), connect() as con:
        return report(con, title)


def report(con: duckdb.DuckDBPyConnection, title: Title) -> Report:
    """``realism`` for who has the warehouse open, under the lease."""
    ensure_title_schemas(con, title.name)
    found = measure(con, title)
    _store(con, found)
    mart = Mart(report_relation(title.name), f"{title.name}_mart")
    publish(con, title_ledger(title.name), [mart])
    return found


def report_relation(title: str) -> str:
    """The table of a title's last report: a row per figure."""
    return f"{title}_mart.{REPORT}"


def measure(con: duckdb.DuckDBPyConnection, title: Title) -> Report:
    """The title's figures. Raises RealismError where no day of it is built."""
    existing = existing_relations(con)
    first, last, missing = _days(con, title, existing)
    values: dict[str, Any] = {}
    unbuilt: dict[str, str] = {}
    for query in dict.fromkeys(figure.query for figure in figures()):
        sql, models = _query(title, query, first, last)
        absent = [relation for relation in models if relation not in existing]
        if absent:
            unbuilt[query] = f"{absent[0]} is not built"
            continue
        result = con.execute(sql)
        columns = [column[0] for column in result.description]
        values |= dict(zip(columns, result.fetchall()[0], strict=True))
    empty = _empty_datasets(con, title)
    holes = f" (days missing: {missing:,})" if missing else ""
    measured = []
    for figure in figures():
        value, observed = values.get(figure.id), int(values.get(f"{figure.id}_of") or 0)
        own = _own(title, figure)
        lacks = [word for dataset, word in figure.needs.items() if dataset in empty]
        verdict = Verdict.NOT_MEASURED
        if figure.id == OF_A_LAUNCH and not _opens_with_a_wave(title):
            verdict, why = Verdict.NOT_APPLICABLE, "players come without a launch wave"
        elif lacks:
            why = f"no {lacks[0]} {'were landed' if title.lands else 'are loaded'}"
        elif figure.query in unbuilt:
            why = unbuilt[figure.query]
        elif observed < figure.least:
            why = f"it takes {figure.least:,} {figure.of}, and there are {observed:,}{holes}"
        elif value is None:
            why = "what it is a share of is 0"
        else:
            verdict, why = _verdict(figure, value, own)
            why = f"{why}, of {observed:,} {figure.of}"
            if figure.own is not None and own is None and title.simulation is not None:
                why += "; the title states no retention of its own"
        known = value if verdict in (Verdict.GREEN, Verdict.RED) else None
        measured.append(Measured(figure, known, observed, own, verdict, why))
    return Report(title.name, first, last, missing, tuple(measured))


def _days(
    con: duckdb.DuckDBPyConnection, title: Title, existing: set[str]
) -> tuple[date, date, int]:
    """The first and last day that are measured, and how many in between have no players and no
    purchases, as they were not made, not delivered or not built."""
    relation = relation_of(title, DAYS_OF)
    row = None
    if relation in existing:
        row = con.execute(
            f"select first, max(calendar_date), count(distinct calendar_date) from {relation},"
            f" (select min(calendar_date) as first from {relation})"
            f" where calendar_date < first + {DAYS_MEASURED} group by first"
        ).fetchone()
    if row is None:
        mend = f"sprint {'land' if title.lands else 'run'} --title {title.name}"
        raise RealismError(f"no day of {title.name} is built: {mend}")
    first, last, days = row
    return first, last, (last - first).days + 1 - days


def _query(title: Title, name: str, first: date, last: date) -> tuple[str, list[str]]:
    """The analysis for the title and these days, and the relations of the models that it reads."""
    models: list[str] = []
    values = {
        "launch_date": title.launch_date,
        "first_day": first,
        "last_day": last,
        "heartbeat_seconds": title.whole_beat,
        "grid_side": max(high - low for low, high in (title.grid.x, title.grid.y)),
    }

    def relation(model: str) -> str:
        models.append(relation_of(title, model))
        return models[-1]

    sql = rendered(
        dbt_project_dir() / "analyses" / "realism" / f"{name}.sql",
        ref=relation,
        source=lambda schema, table: f"{title.name}_{schema}.{table}",
        var=lambda value, _default: str(values[value]),
    )
    return sql, models


def _empty_datasets(con: duckdb.DuckDBPyConnection, title: Title) -> set[str]:
    wanted = {dataset for figure in figures() for dataset in figure.needs}
    return {
        dataset
        for dataset in wanted
        if con.execute(f"select 1 from {DATASETS[dataset].relation(title.name)} limit 1").fetchone()
        is None
    }


def _own(title: Title, figure: Figure) -> float | None:
    """The title's own retention in per cent, where it states one."""
    if figure.own is None or title.simulation is None or title.simulation.retention is None:
        return None
    return 100 * float(getattr(title.simulation.retention, figure.own))


def _opens_with_a_wave(title: Title) -> bool:
    """Whether the title has a launch wave; of a studio's game it is taken for granted."""
    if title.simulation is None:
        return True
    growth = title.simulation.growth
    return isinstance(growth, TargetGrowth) and growth.launch_share > 0


def _verdict(figure: Figure, value: float, own: float | None) -> tuple[Verdict, str]:
    low, high = figure.band
    if not low <= value <= high:
        return Verdict.RED, f"{'below' if value < low else 'above'} the band"
    if own is not None and figure.within is not None and abs(value - own) > figure.within:
        side = "below" if value < own else "above"
        return Verdict.RED, f"{abs(value - own):.1f} points {side} the title's own {own:g} %"
    return Verdict.GREEN, "in the band"


def _store(con: duckdb.DuckDBPyConnection, found: Report) -> None:
    """Replaces the title's report, and notes it in the ledger as something to publish."""
    rows = [
        [
            each.figure.number,
            each.figure.id,
            each.figure.name,
            each.value,
            each.figure.unit,
            *each.figure.band,
            each.own,
            each.figure.within,
            str(each.verdict),
            each.why,
            each.observed,
            each.figure.of,
            each.figure.source,
            each.figure.confidence,
            found.first,
            found.last,
            found.missing,
        ]
        for each in found.figures
    ]
    relation, ledger = report_relation(found.title), title_ledger(found.title)
    # the same report is published once
    content = hashlib.blake2b(repr(rows).encode(), digest_size=16).hexdigest()
    marks = ", ".join("?" * len(rows[0]))
    with transaction(con):
        con.execute(f"create or replace table {relation} ({COLUMNS})")
        con.executemany(f"insert into {relation} values ({marks})", rows)
        con.execute(f"delete from {ledger.schema}.built_periods where model = ?", [REPORT])
        con.execute(
            f"insert into {ledger.schema}.built_periods values (?, '', ?, ?, true)",
            [REPORT, len(rows), content],
        )
