"""`sprint plan`: estimates of days before they are made."""

from __future__ import annotations

from rich.filesize import decimal as bytes_as_text
from rich.table import Table

from sprint_platform.cli.options import FromOption, TitleOption, ToOption, read_days
from sprint_platform.cli.terminal import Stop, out
from sprint_platform.title import Title


def plan(title: TitleOption = "sprint", first: FromOption = None, last: ToOption = None) -> None:
    """Say how many rows, bytes and seconds a run will take, before anything runs."""
    from sprint_platform.simulation.estimates import (
        SECONDS_A_DAY,
        SECONDS_A_MILLION_HEARTBEATS,
        SECONDS_A_RUN,
        estimate,
        run_seconds,
    )
    from sprint_platform.storage.partitions import read_manifest

    game = Title.load(title)
    days = read_days(game, first, last)
    if game.source != "simulated":
        raise Stop(f"title {title} is landed from files: its size is that of the files")
    table = Table(title=f"{title}, {len(days)} days from {days[0]}: about")
    for heading in ("dataset", "rows", "files", "database", "seconds", "days made already"):
        table.add_column(heading, justify="left" if heading == "dataset" else "right")
    estimates = estimate(game, days)
    for e in estimates:
        made = sum(read_manifest(title, e.dataset, day) is not None for day in days)
        table.add_row(
            e.dataset,
            f"{e.rows:,}",
            bytes_as_text(e.file_bytes),
            bytes_as_text(e.database_bytes),
            f"{e.seconds:.1f}",
            f"{made} of {len(days)}",
        )
    table.add_section()
    table.add_row(
        "all",
        f"{sum(e.rows for e in estimates):,}",
        bytes_as_text(sum(e.file_bytes for e in estimates)),
        bytes_as_text(sum(e.database_bytes for e in estimates)),
        f"{sum(e.seconds for e in estimates):.1f}",
        "",
    )
    out.print(table)
    whole = run_seconds(estimates, len(days))
    out.print(
        f"Dagster and dbt come on top: about {SECONDS_A_RUN} s a run, {SECONDS_A_DAY} s a day, and"
        f" {SECONDS_A_MILLION_HEARTBEATS} s a million heartbeats. All in one run:"
        f" {whole:,.0f} s."
    )
