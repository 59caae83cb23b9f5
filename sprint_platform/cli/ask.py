"""`sprint ask`: the eight questions, answered from what is published."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from sprint_platform.cli.options import TitleOption, read_day
from sprint_platform.cli.terminal import Stop, out
from sprint_platform.title import Title

if TYPE_CHECKING:
    from sprint_platform.transform.questions import Answer, Question


def ask(
    number: Annotated[
        int | None, typer.Argument(help="Which question; without a number they are listed.")
    ] = None,
    title: TitleOption = "sprint",
    player: Annotated[
        str | None, typer.Option(help="A player's id \\[default: who played longest].")
    ] = None,
    day: Annotated[
        str | None, typer.Option("--date", help="YYYY-MM-DD \\[default: the last published].")
    ] = None,
    month: Annotated[
        str | None, typer.Option(help="YYYY-MM \\[default: the last published].")
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the query that was run, too.")] = False,
) -> None:
    """Answer one of eight questions about a title, from what is published."""
    from sprint_platform.storage.migration import require_migrated
    from sprint_platform.transform.questions import ask as answer_to
    from sprint_platform.transform.questions import questions

    game = Title.load(title)
    asked = {question.number: question for question in questions()}
    if number is None:
        _list(list(asked.values()))
        return
    if number not in asked:
        raise Stop(f"there is no question {number}: sprint ask lists the {len(asked)}")
    require_migrated(title)
    question = asked[number]
    for need, given in (("player", player), ("date", day), ("month", month)):
        if given is not None and need not in question.needs:
            raise Stop(f"question {number} is about no {need}: leave --{need} out")
    answer = answer_to(
        game,
        question,
        _read_player(player) if player is not None else None,
        read_day("--date", day) if day is not None else None,
        _read_month(month) if month is not None else None,
    )
    _print_answer(game, question, answer, with_sql=sql)


def _list(asked: list[Question]) -> None:
    table = Table()
    for heading in ("", "question", "what it is asked with"):
        table.add_column(heading)
    for question in asked:
        table.add_row(
            str(question.number), question.text, " ".join(f"--{need}" for need in question.needs)
        )
    out.print(table)
    out.print(
        "Ask one by its number, such as [bold]sprint ask 3 --month 2025-01[/]; what you leave out"
        " is chosen, and printed with the answer.",
        highlight=False,
        soft_wrap=True,
    )


def _print_answer(game: Title, question: Question, answer: Answer, with_sql: bool) -> None:
    out.print(f"[bold]{question.number}. {question.text}[/]", highlight=False, soft_wrap=True)
    asked_with = [f"title {game.name}"]
    for need, value in answer.values.items():
        why = f" ({answer.chosen[need]})" if need in answer.chosen else ""
        asked_with.append(f"{need} {value}{why}")
    out.print(", ".join(asked_with), highlight=False, soft_wrap=True)
    if with_sql:
        # without colours and line breaks: to be pasted into a shell
        out.print(f"\n{answer.sql}\n", markup=False, highlight=False, soft_wrap=True)
    table = Table()
    for column in answer.columns:
        table.add_column(column.replace("_", " "), justify="right")
    for row in answer.rows:
        table.add_row(*(_cell(*cell) for cell in zip(answer.columns, row, strict=True)))
    out.print(table)
    rows = "1 row" if len(answer.rows) == 1 else f"{len(answer.rows):,} rows"
    out.print(f"{rows} in {answer.seconds:.3f} s", highlight=False)


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, date):
        # a month is stored as its first day
        return str(value)[:7] if column == "year_month" else str(value)
    if isinstance(value, float | Decimal):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else escape(str(value))


def _read_player(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError as error:
        raise Stop(
            f"--player is a UUID such as 01234567-89ab-8def-8123-456789abcdef, not '{value}'"
        ) from error


def _read_month(value: str) -> date:
    """The month's first day."""
    try:
        return date.fromisoformat(f"{value}-01")
    except ValueError as error:
        raise Stop(f"--month is a month such as 2025-01, not '{value}'") from error
