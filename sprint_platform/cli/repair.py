"""`sprint repair`: the database and what is published, made whole from the partition files."""

from __future__ import annotations

from typing import Annotated

import typer

from sprint_platform.cli.progress import working
from sprint_platform.cli.terminal import out
from sprint_platform.places import database_path


def repair(
    anew: Annotated[
        bool,
        typer.Option("--anew", help="Make the database anew, also where it can be used as it is."),
    ] = False,
) -> None:
    """Make a lost, broken or older database anew from the partition files, and publish it.

    Where the database is whole, only what is missing of the published files is written. What an
    older version of this platform wrote gets the columns of this one first.
    """
    from sprint_platform.engines.spark_session import require_duckdb
    from sprint_platform.orchestration.repair import (
        migrate_titles,
        publish_all,
        rebuild,
        what_is_wrong,
    )

    def say(line: str) -> None:
        out.print(line, highlight=False, soft_wrap=True, markup=False)

    wrong = what_is_wrong()
    if wrong is None:
        with working("looking for what an older version wrote"):
            migrate_titles(say, tables=True)
    if wrong is None and not anew:
        with working("publishing what is missing"):
            written = publish_all()
        say(f"{database_path()} is whole; {written:,} published files were written")
        return
    if wrong:
        say(wrong)
    require_duckdb("making the database anew")
    with working("making the database anew"):
        old = rebuild(say)
    say(f"{database_path()} holds what the partition files say, and is published")
    if old:
        say(f"the old file is {old}: remove it when you do not need it")
