"""`sprint realism`: a title's figures beside those that are published of real games."""

from __future__ import annotations

from rich.table import Table

from sprint_platform.cli.options import TitleOption
from sprint_platform.cli.progress import working
from sprint_platform.cli.terminal import out
from sprint_platform.title import Title

COLOURS = {"green": "green", "red": "bold red"}
# In a narrower terminal the sources would take ten lines a row.
WIDTH_WITH_SOURCES = 160


def realism(title: TitleOption = "sprint") -> None:
    """Measure a title's first year beside what is published of real games."""
    from sprint_platform.operations.realism import HEADINGS, Verdict, cells
    from sprint_platform.operations.realism import realism as realism_of

    game = Title.load(title)
    with working("measuring"):
        report = realism_of(game)
    missing = f", of which {report.missing:,} are missing" if report.missing else ""
    table = Table(title=f"{title}: {report.first} to {report.last}{missing}")
    headings = HEADINGS if out.width >= WIDTH_WITH_SOURCES else HEADINGS[:-1]
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("", "value") else "left")
    for found in report.figures:
        row = dict(zip(HEADINGS, cells(found), strict=True))
        colour = COLOURS.get(row["verdict"], "default")
        row["verdict"] = f"[{colour}]{row['verdict']}[/]"
        table.add_row(*(row[heading] for heading in headings))
    out.print(table)
    counts = report.counts()
    rest = ", ".join(f"{counts[v]} {v}" for v in Verdict if v is not Verdict.GREEN and counts[v])
    rows = sum(counts.values())
    out.print(f"{counts[Verdict.GREEN]} of {rows} rows as in real games{rest and f'; {rest}'}")
    if headings != HEADINGS:
        out.print("where the bands are from: docs/realism.md, or a wider terminal")
