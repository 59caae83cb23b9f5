"""`sprint domain`: the domains that installed packages bring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal as bytes_as_text
from rich.markup import escape
from rich.table import Table

from sprint_platform.cli.options import read_day
from sprint_platform.cli.progress import working
from sprint_platform.cli.run_report import built_table, print_failures
from sprint_platform.cli.terminal import Stop, out, problems
from sprint_platform.core.signals import what_is_left
from sprint_platform.domain import Batches, Days, Domain, outside_domain, outside_domains
from sprint_platform.publish.coverage import yesterday

if TYPE_CHECKING:
    import duckdb

    from sprint_platform.storage.ledger import Model, Standing
    from sprint_platform.storage.partitions import Period

app = typer.Typer(no_args_is_help=True, help="Domains that installed packages bring.")

NameArgument = Annotated[str, typer.Argument(help="Which domain (see `sprint domain list`).")]
FromOption = Annotated[
    str | None, typer.Option("--from", help="First day, YYYY-MM-DD, or first batch \\[the first].")
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Last day, YYYY-MM-DD, or last batch \\[that of --from].")
]


@app.command("list")
def list_domains() -> None:
    """Say which domains are installed, and how far each is built."""
    table = Table()
    for heading in ("domain", "partitions", "datasets", "built", "missing"):
        table.add_column(heading)
    for domain in outside_domains():
        standing = domain.ledger.published_standing()
        built = len(standing.built) if standing else 0
        if isinstance(domain.periods, Days):
            kind = f"days from {domain.periods.first}"
            missing = str(len(_missing(domain, standing)))
        else:
            kind, missing = f"batches 1 to {domain.periods.last}", ""
        datasets = ", ".join(dataset.name for dataset in domain.datasets)
        table.add_row(domain.name, kind, datasets, str(built), missing)
    if not table.row_count:
        raise Stop(
            "no domain is installed: a package names its domains as entry points of the group"
            " sprint_platform.domains"
        )
    out.print(table)


@app.command()
def run(
    name: NameArgument,
    first: FromOption = None,
    last: ToOption = None,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="Only the days up to yesterday that are not built yet."),
    ] = False,
    stale: Annotated[
        bool,
        typer.Option(
            "--stale",
            help="Only build the models of what was built by another definition than today's.",
        ),
    ] = False,
    reuse: Annotated[
        bool | None,
        typer.Option("--reuse/--regenerate", help="Keep partitions that exist, or make them anew."),
    ] = None,
) -> None:
    """Make a domain's days or batches, load them, and build and test every model below."""
    from sprint_platform.orchestration.runs import run_domain

    domain = outside_domain(name)
    if missing and stale:
        raise Stop("--missing builds other days than --stale: run the one, then the other")
    if missing or stale:
        if reuse is not None:
            option, why = (
                ("--missing", "keeps partitions") if missing else ("--stale", "makes none")
            )
            raise Stop(f"{option} {why}: leave --reuse and --regenerate out")
        with _ledger(domain) as (con, models):
            standing = domain.ledger.standing(con, models)
        periods = _missing(domain, standing) if missing else _read(domain, standing.stale)
        if first or last:
            asked = set(_asked(domain, first, last))
            periods = [period for period in periods if period in asked]
        if not periods:
            what = "missing up to yesterday" if missing else "built by another definition"
            out.print(f"{domain.name}: nothing is {what}.", highlight=False)
            return
        reuse = True
    else:
        periods = _asked(domain, first, last)
    left = f"sprint domain run {domain.name} --missing builds the rest"
    if isinstance(domain.periods, Batches):
        left = "the same command with --reuse builds the rest"
    with what_is_left(left), working(f"running {len(periods)} partitions of {domain.name}"):
        for report in run_domain(domain, periods, models_only=stale, reuse=bool(reuse)):
            print_failures(report)
            if not report.success:
                raise Stop(f"the run {report.run_id} failed; its log is in the UI: sprint ui")
    out.print(built_table(domain.name, domain.datasets, report.seconds, report.seconds_of))


@app.command()
def plan(name: NameArgument, first: FromOption = None, last: ToOption = None) -> None:
    """Say how many rows, bytes and seconds a run will take, by the partitions that are there."""
    from sprint_platform.operations.domain_periods import made_periods, run_seconds
    from sprint_platform.storage.partitions import read_manifest

    domain = outside_domain(name)
    periods = _asked(domain, first, last)
    made = made_periods(domain)
    table = Table(title=f"{name}, {len(periods)} from {periods[0]}: about")
    for heading in ("dataset", "rows", "files", "made already"):
        table.add_column(heading, justify="left" if heading == "dataset" else "right")
    for dataset in domain.datasets:
        read = (read_manifest(domain.name, dataset.name, period, dataset) for period in made)
        manifests = [manifest for manifest in read if manifest]
        there = sum(period in made for period in periods)
        rows, size = "not known", "not known"
        if manifests:
            share = len(periods) / len(manifests)
            rows = f"{round(sum(m.rows for m in manifests) * share):,}"
            size = bytes_as_text(round(sum(m.bytes for m in manifests) * share))
        table.add_row(dataset.name, rows, size, f"{there} of {len(periods)}")
    out.print(table)
    out.print(f"All in one run: about {run_seconds(domain, len(periods)):,.0f} s.")


@app.command()
def verify(name: NameArgument, first: FromOption = None, last: ToOption = None) -> None:
    """Make again and compare: files, and what is loaded, built and published."""
    from sprint_platform.core.locks import hold
    from sprint_platform.core.window import described
    from sprint_platform.engines.duckdb_file import connect, warehouse_lock
    from sprint_platform.engines.load import ensure_tables
    from sprint_platform.operations.domain_periods import made_periods, stretches
    from sprint_platform.operations.verify import (
        Finding,
        loaded_digests,
        stale_finding,
        unlike_made,
    )
    from sprint_platform.orchestration.domain_definitions import OutsideTranslator
    from sprint_platform.publish.marts import unlike_published
    from sprint_platform.transform.dbt_manifest import graph_manifest

    domain = outside_domain(name)
    periods = made_periods(domain)
    if first or last:
        asked = set(_asked(domain, first, last))
        periods = [period for period in periods if period in asked]
    again = f"sprint domain run {name}"
    if not periods:
        raise Stop(f"there are no partitions of {name} for these: {again}")
    marts = OutsideTranslator(domain).marts(graph_manifest(domain.dbt_project))
    # marts are compared over everything, whatever days are asked for
    made = made_periods(domain)
    whole = f"{again} --from {made[0]} --to {made[-1]}"
    findings: list[Finding] = []
    wrong = {}
    for period in periods:
        with hold(warehouse_lock(), f"sprint domain on {name}"), connect() as con:
            ensure_tables(con, domain.ledger, domain.datasets)
            loaded = loaded_digests(con, domain.ledger, domain.datasets, period)
        # without the lease: to make a year again takes a while
        wrong[period] = unlike_made(name, domain.datasets, loaded, domain.tables, period)
    for begin, end in stretches(domain, [period for period in periods if wrong[period]]):
        mend = f"{again} --from {begin} --to {end}"
        of_these = [period for period in periods if begin <= period <= end]  # type: ignore[operator]
        findings += [Finding(line, mend) for period in of_these for line in wrong[period]]
    with _ledger(domain) as (con, models):
        standing = domain.ledger.standing(con, models)
        if unbuilt := _read(domain, standing.unbuilt):
            line = f"{name}: not built from what is loaded now: {described(unbuilt)}"
            mend = f"{again} --from {unbuilt[0]} --to {unbuilt[-1]} --reuse"
            findings.append(Finding(line, mend))
        if standing.stale:
            words = described(standing.stale)
            findings.append(stale_finding(name, standing, words, f"{again} --stale"))
        for line, _, _ in unlike_published(con, domain.ledger, marts):
            findings.append(Finding(line, f"{whole} --reuse"))
    for finding in findings:
        line = f"[red]differs[/] {escape(finding.line)}"
        problems.print(line, highlight=False, soft_wrap=True)
    if findings:
        mend = ", then ".join(dict.fromkeys(finding.mend for finding in findings))
        raise Stop(f"{name} is not as it should be; this mends it: {mend}")
    out.print(
        f"{name}: {len(periods)} partitions are what their version makes, in files and in what was"
        " loaded, built and published."
    )


@contextmanager
def _ledger(domain: Domain) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[Model]]]:
    """A connection to the warehouse and the domain's models; the lease is held."""
    from sprint_platform.core.locks import hold
    from sprint_platform.engines.duckdb_file import connect, warehouse_lock
    from sprint_platform.engines.load import ensure_tables
    from sprint_platform.orchestration.domain_definitions import OutsideTranslator
    from sprint_platform.transform.dbt_manifest import graph_manifest

    models = OutsideTranslator(domain).models(graph_manifest(domain.dbt_project))
    with hold(warehouse_lock(), f"sprint domain on {domain.name}"), connect() as con:
        ensure_tables(con, domain.ledger, domain.datasets)
        yield con, models


def _missing(domain: Domain, standing: Standing | None) -> list[Period]:
    from sprint_platform.operations.domain_periods import missing_days

    if isinstance(domain.periods, Batches):
        raise Stop(f"{domain.name} has batches, which come when they come: name them (--from)")
    return [*missing_days(domain, standing, yesterday())]


def _read(domain: Domain, periods: tuple[str, ...]) -> list[Period]:
    """The ledger's periods as days, or as numbers of batches."""
    if isinstance(domain.periods, Batches):
        return [int(period) for period in periods]
    return [date.fromisoformat(period) for period in periods]


def _asked(domain: Domain, first: str | None, last: str | None) -> list[Period]:
    """The days or batches of a range. Raises Stop where the domain does not have them."""
    from sprint_platform.core.window import Window

    if isinstance(domain.periods, Batches):
        begin = _number("--from", first) if first else 1
        end = _number("--to", last) if last else begin
        if not 1 <= begin <= end <= domain.periods.last:
            raise Stop(f"{domain.name} has the batches 1 to {domain.periods.last}")
        return [*range(begin, end + 1)]
    opens = domain.periods.first
    since = read_day("--from", first) if first else opens
    until = read_day("--to", last) if last else since
    if until < since:
        raise Stop(f"--to {until} lies before --from {since}")
    if since < opens or until > yesterday():
        raise Stop(f"{domain.name} has the days {opens} to {yesterday()}")
    return [*Window.of(since, until).days]


def _number(option: str, value: str) -> int:
    if not value.isdecimal():
        raise Stop(f"{option} is the number of a batch, not '{value}'")
    return int(value)
