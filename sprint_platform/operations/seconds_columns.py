"""The type of the marts' sums of seconds, which follows a title's ``heartbeat_seconds``."""

from __future__ import annotations

import duckdb

from sprint_platform.title import Title
from sprint_platform.transform.dbt_runner import SECONDS_TYPES, seconds_type

SECONDS = (
    ("encounter_summary_daily", "total_encounter_seconds"),
    ("session_close_encounters_daily", "total_encounter_seconds"),
    ("encounter_rates_daily", "encounter_seconds"),
)


def fit_seconds(con: duckdb.DuckDBPyConnection, title: Title) -> str | None:
    """Gives the title's sums of seconds the type that its beats need now. Returns a line where they
    had the other one, to which dbt would refuse to add; else None.

    Every day was built by another definition then. Until it is built again its whole seconds stay
    exact; parts of a second are rounded where beats became whole.
    """
    wanted = seconds_type(title).upper()
    [other] = {each.upper() for each in SECONDS_TYPES} - {wanted}
    schema = f"{title.name}_mart"
    found = con.execute(
        "select table_name, column_name from duckdb_columns()"
        " where schema_name = ? and database_name = current_database() and data_type = ?",
        [schema, other],
    ).fetchall()
    changed = []
    for model, column in SECONDS:
        table = model.replace("encounter", title.encounters.word)
        if (table, column) in found:
            con.execute(f"alter table {schema}.{table} alter column {column} type {wanted}")
            changed.append(table)
    if not changed:
        return None
    return (
        f"{title.name}: heartbeat_seconds is {title.heartbeat_seconds} now, so that seconds are"
        f" {wanted.lower()}, not {other.lower()}, in {', '.join(changed)}; days that were built by"
        f" other beats are counted anew by: sprint run --title {title.name} --stale"
    )
