"""`sprint realism`: a title's figures beside those that are published of real games."""

from __future__ import annotations

from rich.table import Table

from sprint_platform.cli.options import TitleOption
from sprint_platform.cli.progress import working
from sprint_platform.cli.terminal import out
from sprint_platform.title import Title

COLOURS = {"green": "green", "red": "bold red"}


def realism(title: TitleOption = "sprint") -> None:
    """Measure a title's first year beside what is published of real games."""
    from sprint_platform.operations.realism import HEADINGS, Verdict, cells
    from sprint_platform.operations.realism import realism as realism_of

    game = Title.load(title)
    with working("measuring"):
        report = realism_of(game)
    missing = f", of which {report.missing:,} are missing" if report.missing else ""
    table = Table(title=f"{title}: {report.first} to {report.last}{missing}")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in ("", "value") else "left")
    for found in report.figures:
        number, name, value, band, verdict, why, source = cells(found)
        colour = COLOURS.get(verdict, "default")
        table.add_row(number, name, value, band, f"[{colour}]{verdict}[/]", why, source)
    out.print(table)
    counts = report.counts()
    rest = ", ".join(f"{counts[v]} {v}" for v in Verdict if v is not Verdict.GREEN and counts[v])
    rows = sum(counts.values())
    out.print(f"{counts[Verdict.GREEN]} of {rows} rows as in real games{rest and f'; {rest}'}")
