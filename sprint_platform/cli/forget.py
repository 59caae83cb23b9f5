"""`sprint forget`: one player's records leave a landed title."""

from __future__ import annotations

from typing import Annotated

import typer

from sprint_platform.cli.options import TitleOption
from sprint_platform.cli.progress import working
from sprint_platform.cli.terminal import Stop, out
from sprint_platform.core.signals import what_is_left
from sprint_platform.title import Title


def forget(
    title: TitleOption,
    player: Annotated[
        str, typer.Option("--player", help="The player's id, ours or that of the studio's files.")
    ],
) -> None:
    """Delete the records of one player from a landed title: files, tables, what is published, the
    register, and what Dagster's history shows of them. Later landings leave the player out.

    What counts players without naming them stays as it is. The files that were delivered are the
    studio's, and are named.
    """
    from sprint_platform.core.compaction import CompactionError
    from sprint_platform.core.locks import hold
    from sprint_platform.engines.spark_session import require_duckdb
    from sprint_platform.ml.marts import foresight_marts
    from sprint_platform.operations.compact import compact_register, compact_warehouse
    from sprint_platform.operations.days_to_build import title_lock
    from sprint_platform.operations.forget import forget as forget_player
    from sprint_platform.orchestration.title_models import TitleTranslator
    from sprint_platform.orchestration.weekly_models import WeeklyTranslator
    from sprint_platform.transform.dbt_manifest import graph_manifest

    require_duckdb("sprint forget")
    game = Title.load(title)
    if game.source == "simulated":
        raise Stop(f"title {title} is simulated: its players are nobody, and cannot be forgotten")
    if not player.strip():
        raise Stop("--player is the player's id, and not empty")
    with (
        what_is_left("the same command forgets the rest"),
        hold(title_lock(game), "sprint forget"),
    ):
        with working("forgetting"):
            manifest = graph_manifest()
            done = forget_player(
                game,
                player,
                [
                    *TitleTranslator(game).marts(manifest),
                    *WeeklyTranslator(game).marts(manifest),
                    *foresight_marts(game.name),
                ],
            )
        try:
            with working("writing the database anew"):
                compact_register(title)
                compact_warehouse()
        except CompactionError as error:
            raise Stop(
                "nobody reads the player's records any more, but free blocks still hold them until"
                f" sprint compact: {error}"
            ) from error
    for table, rows in done.rows.items():
        out.print(f"{table}: {rows:,} rows deleted", highlight=False)
    if done.events:
        out.print(f"Dagster's history and logs: changed in {done.events:,} places", highlight=False)
    if not (done.rows or done.landed.files):
        out.print(f"{title} has no record of this player.", highlight=False)
    if done.landed.files:
        out.print(
            f"{len(done.landed.files)} delivered files name the player"
            f" ({', '.join(done.landed.files[:3])}{' …' if done.landed.files[3:] else ''} in"
            f" data/landing/{title}): they are yours to delete, nothing reads them again",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
    out.print("No landing brings the player back.", highlight=False)
