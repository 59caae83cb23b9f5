"""Support tickets by day: a domain from outside, as a studio would bring one."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from sprint_platform.domain import Days, Domain
from sprint_platform.telemetry.contracts import Column, Dataset

TOPICS = ("payment", "login", "bug")

TICKETS = Dataset(
    name="tickets",
    schema="raw",
    table="tickets",
    one_row_is="a ticket",
    key=("ticket_id",),
    time_column="opened_at",
    columns=(
        Column("ticket_id", "bigint", "the ticket"),
        Column("topic", "text", "what it is about", values=TOPICS),
        Column("opened_at", "timestamp", "when it was opened", unit="UTC"),
    ),
)


def tickets(day: date) -> Iterator[pa.Table]:
    """Five to eleven tickets, by the day's number alone."""
    number = day.toordinal()
    midnight = datetime(day.year, day.month, day.day)
    rows = range(5 + number % 7)
    yield pa.table(
        {
            "ticket_id": [number * 100 + row for row in rows],
            "topic": [TOPICS[(number + row) % 3] for row in rows],
            "opened_at": [midnight + timedelta(hours=row) for row in rows],
        },
        schema=TICKETS.arrow_schema,
    )


SUPPORT = Domain(
    name="support",
    periods=Days(date(2025, 1, 1)),
    datasets=(TICKETS,),
    make={"tickets": tickets},
    version="1",
    dbt_project=Path(__file__).parent / "support_dbt",
)
