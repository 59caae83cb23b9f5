"""Questions that one query answers: dbt's analyses, asked of what is published.

dbt takes seconds to start, and needs the warehouse. The files use three of its functions, ``ref``,
``source`` and ``var``; here they are rendered as dbt would for the title, and run read-only.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import duckdb
import jinja2

from sprint_platform.core.errors import SprintError
from sprint_platform.ml.names import FEATURES, SEGMENTS
from sprint_platform.ml.periods import in_a_row, weeks_missing, weeks_over
from sprint_platform.places import dbt_project_dir, published_dir, published_path
from sprint_platform.publish.marts import published_weeks
from sprint_platform.publish.views import open_published
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.title import Title

# The values that a question may need.
NEEDS = ("player", "date", "month")
# The mart with the play time of each player and day.
ACTIVITY = "player_activity_daily"
# An analysis is a question where its first line says so: -- 1. How long did a player play …?
_FIRST_LINE = re.compile(r"-- (\d+)\. (.+)\n")


class QuestionError(SprintError):
    """A question that cannot be answered. The message is one line."""


@dataclass(frozen=True)
class Question:
    """An analysis: its number, the question in words, what it needs and the models it reads."""

    number: int
    text: str
    path: Path
    needs: tuple[str, ...]
    models: tuple[str, ...]

    def sql(self, title: Title, values: Mapping[str, str]) -> str:
        """The query for the title with these values, by what it needs."""
        return rendered(
            self.path,
            ref=lambda model: relation_of(title, model),
            source=lambda _name, table: relation_of(title, table),
            var=lambda need, _default: values[need],
        )


@dataclass(frozen=True)
class Answer:
    """An answer. ``values`` are the values in the query, by need; ``chosen`` says why, for those
    that the user did not give. ``seconds`` is the query's own time."""

    values: Mapping[str, str]
    chosen: Mapping[str, str]
    sql: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    seconds: float


def questions() -> list[Question]:
    """Every question of the dbt project, by number. Raises QuestionError for a file that is no
    template, or needs another value than ``NEEDS``."""
    found = []
    for path in (dbt_project_dir() / "analyses").glob("*.sql"):
        first_line = _FIRST_LINE.match(path.read_text(encoding="utf-8"))
        if first_line:
            found.append(_question(path, int(first_line[1]), first_line[2]))
    return sorted(found, key=lambda question: question.number)


def _question(path: Path, number: int, text: str) -> Question:
    """The question of the file, which is rendered once with its own defaults to find what it needs
    and reads."""
    needs: dict[str, None] = {}
    models: dict[str, None] = {}

    def relation_named(model: str) -> str:
        models[model] = None
        return model

    def value_of(need: str, default: str) -> str:
        needs[need] = None
        return default

    rendered(
        path,
        ref=relation_named,
        source=lambda _name, table: relation_named(table),
        var=value_of,
    )
    unknown = [need for need in needs if need not in NEEDS]
    if unknown:
        raise QuestionError(f"{path}: there is no variable '{unknown[0]}', only {', '.join(NEEDS)}")
    return Question(number, text, path, tuple(n for n in NEEDS if n in needs), tuple(models))


def rendered(path: Path, **functions: Callable[..., str]) -> str:
    """The query of an analysis, in which these functions (``ref``, ``var``, ``source``) stand for
    dbt's. Raises QuestionError for a file that is no template, or calls another one."""
    # anything else that dbt knows is an error here, not empty text
    # SQL, not HTML: there is nothing to escape for a browser
    templates = jinja2.Environment(undefined=jinja2.StrictUndefined)  # nosec B701
    try:
        template = templates.from_string(path.read_text(encoding="utf-8"))
        return template.render(**functions)
    except jinja2.TemplateError as error:
        raise QuestionError(f"{path}: {_on_one_line(error)}") from error


def relation_of(title: Title, model: str) -> str:
    """The relation of a model of the title, as dbt's generate_alias_name and generate_schema_name
    name it."""
    stage = dbt_project_dir() / "models" / "title" / "stage" / f"{model}.sql"
    schema = f"{title.name}_{'stage' if stage.exists() else 'mart'}"
    return f"{schema}.{model.replace('encounter', title.encounters.word)}"


def ask(
    title: Title,
    question: Question,
    player: UUID | None = None,
    day: date | None = None,
    month: date | None = None,
) -> Answer:
    """The answer from what is published of the title. ``month`` is its first day. A needed value
    that is None is chosen: the last date or month that there is, and the player who played longest
    (on the date, where there is one).

    Raises QuestionError where nothing is published or a table is empty, and for a player, date or
    month that is not in the table.
    """
    mend = f"sprint {'land' if title.lands else 'run'} --title {title.name}"
    if not published_path().exists():
        raise QuestionError(f"nothing is published in {published_dir()} yet: {mend}")
    try:
        with open_published() as con:
            relations = [relation_of(title, model) for model in question.models]
            if "player" in question.needs and player is None:
                relations.append(relation_of(title, ACTIVITY))
            _require_rows(con, relations, mend)
            values: dict[str, str] = {}
            chosen: dict[str, str] = {}
            if "date" in question.needs:
                values["date"] = str(_published_day(con, relations[0], "day", day))
                if day is None:
                    chosen["date"] = "the last that is published"
            if "month" in question.needs:
                values["month"] = str(_published_day(con, relations[0], "month", month))[:7]
                if month is None:
                    chosen["month"] = "the last that is published"
            if "player" in question.needs:
                if player is None:
                    player = _longest_player(con, relation_of(title, ACTIVITY), values.get("date"))
                    chosen["player"] = (
                        f"who played longest{' that day' if 'date' in values else ''}"
                    )
                else:
                    _require_player(con, relations[0], player)
                values = {"player": str(player), **values}
            sql = question.sql(title, values)
            began = time.perf_counter()
            result = con.execute(sql)
            columns = tuple(column[0] for column in result.description)
            rows = result.fetchall()
            return Answer(values, chosen, sql, columns, rows, time.perf_counter() - began)
    except duckdb.Error as error:
        raise QuestionError(f"{published_path()}: {_on_one_line(error)}") from error


def _require_rows(con: duckdb.DuckDBPyConnection, relations: Iterable[str], mend: str) -> None:
    published = {
        f"{schema}.{table}"
        for schema, table in con.execute(
            "select table_schema, table_name from information_schema.tables"
        ).fetchall()
    }
    for relation in relations:
        if relation not in published and relation.endswith(f"_mart.{SEGMENTS}"):
            raise QuestionError(_no_offers(con, relation, published))
        if relation not in published:
            raise QuestionError(f"{relation} is not published yet: {mend}")
        if con.execute(f"select 1 from {relation} limit 1").fetchone() is None:
            raise QuestionError(f"{relation} is published, but empty: it answers nothing yet")


def _no_offers(con: duckdb.DuckDBPyConnection, relation: str, published: set[str]) -> str:
    """Why there are no segments, in one line: too few weeks, or nobody trained a model."""
    title = relation.partition("_mart.")[0]
    weeks = in_a_row(published_weeks(title, FEATURES))
    if not weeks and (days := f"{title}_mart.kpi_daily") in published:
        # nobody built a week yet: there are as many as the days make
        [(first, last)] = con.execute(
            f"select min(calendar_date), max(calendar_date) from {days}"
        ).fetchall()
        weeks = weeks_over(first, last) if first else []
    line = weeks_missing(len(weeks))
    return f"{relation} is not published yet: {line or f'run the job {title}_weekly in the UI'}"


def _published_day(
    con: duckdb.DuckDBPyConnection, relation: str, period: str, wanted: date | None
) -> date:
    """The first day of the ``wanted`` period (a day or a month), which must have rows in the
    relation; for None that of the relation's last period."""
    columns = [name for name, *_ in con.execute(f"describe {relation}").fetchall()]
    schema, _, mart = relation.partition(".")
    ledger = title_ledger(schema.removesuffix("_mart"))
    column, _ = ledger.published_periods({mart: columns})[mart]
    if column is None:
        raise QuestionError(f"{relation} has no days, of which one could be asked")
    # not as a parameter: for the first of a process, DuckDB imports pandas where it is installed
    asked_for = f"date '{wanted}'" if wanted else "null"
    row = con.execute(
        f"select min({column}), max({column}), date_trunc('{period}', max({column}))::date,"
        f" count(*) filter (where date_trunc('{period}', {column}) = {asked_for}) from {relation}"
    ).fetchone()
    assert row is not None
    first, last, first_of_last, rows = row
    if wanted is None:
        return cast(date, first_of_last)
    if not rows:
        # a month is written as YYYY-MM
        asked, begin, end = (
            str(day) if period == "day" else str(day)[:7] for day in (wanted, first, last)
        )
        raise QuestionError(f"{relation} has nothing of {asked}: it goes from {begin} to {end}")
    return wanted


def _require_player(con: duckdb.DuckDBPyConnection, relation: str, player: UUID) -> None:
    found = con.execute(f"select 1 from {relation} where player_id = ? limit 1", [player])
    if found.fetchone() is None:
        raise QuestionError(f"{relation} knows no player {player}")


def _longest_player(con: duckdb.DuckDBPyConnection, activity: str, day: str | None) -> UUID:
    on_the_day = f"where calendar_date = date '{day}'" if day else ""
    row = con.execute(
        f"select player_id from {activity} {on_the_day} group by player_id"
        " order by sum(total_play_time_seconds) desc, player_id limit 1"
    ).fetchone()
    # ``_require_rows`` and ``_published_day`` found rows, of that day too
    assert row is not None
    return cast(UUID, row[0])


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
