"""`sprint export`: days as files for other tools."""

from __future__ import annotations

import time
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.filesize import decimal as bytes_as_text
from rich.markup import escape

from sprint_platform.cli.options import FromOption, TitleOption, ToOption, read_days
from sprint_platform.cli.progress import Bars
from sprint_platform.cli.terminal import Stop, out, problems
from sprint_platform.places import data_dir
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title

if TYPE_CHECKING:
    from sprint_platform.operations.export import Exported


class DatasetName(StrEnum):
    """What can be exported."""

    vars().update({name: name for name in DATASETS})


def export(
    dataset: Annotated[
        DatasetName, typer.Option("--dataset", help="What to export. Products have no days.")
    ],
    file_format: Annotated[
        Literal["json", "ndjson", "csv", "parquet"],
        typer.Option("--format", help="Sessions as json: one file a session, with heartbeats."),
    ],
    title: TitleOption = "sprint",
    first: FromOption = None,
    last: ToOption = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="The folder; data/export/<title> without it.")
    ] = None,
) -> None:
    """Write days as files for other tools, in the layout that landing reads."""
    from sprint_platform.landing.products import landed_products
    from sprint_platform.operations.catalogue import read_catalogue
    from sprint_platform.operations.export import export_products

    game = Title.load(title)
    target = folder or data_dir() / "export" / title
    began = time.perf_counter()
    if dataset == "products":
        products = read_catalogue() if game.source == "simulated" else landed_products(game)
        done = [export_products(products, file_format, target)]
    else:
        done = _export_days(game, dataset, read_days(game, first, last), file_format, target)
    for note in [note for exported in done for note in exported.notes]:
        problems.print(f"[yellow]note[/] {escape(note)}", highlight=False, soft_wrap=True)
    files, rows, size = (sum(getattr(e, of) for e in done) for of in ("files", "rows", "bytes"))
    took = time.perf_counter() - began
    out.print(
        f"{title}/{dataset}: {files:,} files, {rows:,} rows, {bytes_as_text(size)} in {took:.1f} s:"
        f" [bold]{escape(str(target / dataset))}[/]",
        highlight=False,
        soft_wrap=True,
    )


def _export_days(
    game: Title, dataset: str, days: list[date], file_format: str, target: Path
) -> list[Exported]:
    """Exports the days that have a partition, and prints which have none. Raises Stop where none
    has one."""
    from sprint_platform.operations.export import export_day
    from sprint_platform.storage.partitions import read_manifest

    manifests = {day: read_manifest(game.name, dataset, day) for day in days}
    rows = {day: m.rows for day, m in manifests.items() if m is not None and not m.pruned}
    missing = [str(day) for day in days if day not in rows]
    if not rows:
        made_by = "land" if game.source == "landing" else "run"
        raise Stop(
            f"there are no partitions of {game.name}/{dataset} from {days[0]} to {days[-1]}:"
            f" sprint {made_by} --title {game.name}"
        )
    with Bars(*Bars.get_default_columns()) as bars:
        task = bars.add_task(f"{dataset} as {file_format}", total=sum(rows.values()))
        done = [
            export_day(
                game.name, dataset, day, file_format, target, lambda n: bars.advance(task, n)
            )
            for day in rows
        ]
    if missing:
        named = ", ".join(missing[:7]) + (" …" if len(missing) > 7 else "")
        problems.print(
            f"[yellow]left out[/] {len(missing)} of {len(days)} days have no partition: {named}",
            highlight=False,
            soft_wrap=True,
        )
    return done
