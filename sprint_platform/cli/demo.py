"""`sprint demo`: four weeks of sprint, and three answers."""

from __future__ import annotations

from datetime import timedelta

from rich.markup import escape
from rich.table import Table

from sprint_platform.cli.run import Entrypoint, run_days
from sprint_platform.cli.terminal import out
from sprint_platform.core.project import find_project, installed_root
from sprint_platform.places import database_path, published_dir
from sprint_platform.title import Title

# Cohorts are some weeks old then, and a month's figures are of a month.
DAYS = 28
ANSWERS = (
    (
        "Where is the game played most?",
        "select country, round(sum(total_play_time_seconds) / 3600) as hours_played"
        " from {title}_mart.country_monthly_playtime group by country order by 2 desc limit 3",
    ),
    (
        "How often do teams meet?",
        "select calendar_day as day, count(*) as sessions,"
        " round(avg(close_encounter_count), 2) as encounters_per_session"
        " from {title}_mart.session_close_encounters_daily group by 1 order by 1 limit 3",
    ),
    (
        "How many days in a row do players play?",
        "select max_consecutive_days_played as longest_streak_in_days, count(*) as players"
        " from {title}_mart.player_consecutive_days_monthly group by 1 order by 1 desc limit 3",
    ),
)


def demo() -> None:
    """Four weeks of sprint from its launch: every dataset, model and test, and three answers."""
    game = Title.load("sprint")
    days = [game.launch_date + timedelta(days=n) for n in range(DAYS)]
    run_days(game, days, Entrypoint.all, reuse=False)
    _print_answers(game)
    # the README's commands where there is a Makefile
    command = "make" if find_project() == installed_root() else "sprint"
    out.print(f"\nThese four weeks in the browser:                [bold]{command} dashboard[/]")
    out.print(f"The Dagster UI, with this run and its lineage:  [bold]{command} ui[/]")
    for what, where in (
        ("The warehouse (DuckDB):                         ", database_path()),
        ("For notebooks and BI tools:                     ", published_dir()),
    ):
        out.print(f"{what}[bold]{escape(str(where))}[/]", highlight=False, soft_wrap=True)


def _print_answers(game: Title) -> None:
    """Prints three answers from the published file, which is read without the lease."""
    from sprint_platform.publish.views import open_published

    with open_published() as con:
        for question, query in ANSWERS:
            result = con.execute(query.format(title=game.name))
            answer = Table(title=question, title_justify="left", title_style="bold")
            for column in result.description:
                answer.add_column(column[0].replace("_", " "), justify="right")
            for row in result.fetchall():
                cells = (f"{v:,g}" if isinstance(v, float) else escape(str(v)) for v in row)
                answer.add_row(*cells)
            out.print()
            out.print(answer)
