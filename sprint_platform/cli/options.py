"""The options that commands share, a title and its days, and reading them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from sprint_platform.cli.terminal import Stop
from sprint_platform.core.window import EARLIEST, LATEST
from sprint_platform.title import Title

TitleOption = Annotated[str, typer.Option("--title", help="Which title (see `sprint titles`).")]
# the backslash: rich takes brackets for markup, and would drop the text in them
FromOption = Annotated[
    str | None, typer.Option("--from", help="First day, YYYY-MM-DD \\[default: the launch date].")
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", help="Last day, YYYY-MM-DD \\[default: six days after --from, or today]."),
]


def read_days(
    title: Title, first: str | None, last: str | None, last_by_default: date | None = None
) -> list[date]:
    """The days from ``first`` (default: the launch date) to ``last``. Without ``last`` the range
    ends at ``last_by_default``, or after a week; one that begins in the past ends at today (UTC) at
    the latest. Raises Stop for a range that is empty or begins before the launch."""
    begin = read_day("--from", first) if first else title.launch_date
    if last:
        end = read_day("--to", last)
    else:
        today, week = datetime.now(UTC).date(), begin + timedelta(days=6)
        # days in the future can be planned
        end = max(begin, last_by_default or (min(week, today) if begin <= today else week))
    if end < begin:
        raise Stop(f"--to {end} lies before --from {begin}")
    if begin < title.launch_date:
        raise Stop(f"title {title.name} launches on {title.launch_date}: there is no {begin}")
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]


def read_day(option: str, value: str) -> date:
    """The option's value as a day. Raises Stop, which names the option, where it is none."""
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise Stop(f"{option} is a day such as 2025-01-31, not '{value}'") from error
    if not EARLIEST <= day <= LATEST:
        raise Stop(f"{option} is a day from {EARLIEST} to {LATEST}, not {day}")
    return day
