"""Surveys by batch: a domain from outside whose records come when they come."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from sprint_platform.domain import Batches, Domain
from sprint_platform.telemetry.contracts import BATCH_COLUMN, Column, Dataset

ANSWERS = Dataset(
    name="answers",
    schema="raw",
    table="answers",
    one_row_is="an answer",
    key=("answer_id",),
    partition_column=BATCH_COLUMN,
    columns=(
        Column("answer_id", "bigint", "the answer"),
        Column("question", "text", "what was asked"),
        Column("score", "small", "from 1 (bad) to 5 (good)", low=1, high=5),
    ),
)


def answers(batch: int) -> Iterator[pa.Table]:
    """Twenty answers for each number up to the batch's."""
    rows = range(20 * batch)
    yield pa.table(
        {
            "answer_id": [batch * 1_000_000 + row for row in rows],
            "question": [("fun", "fair")[row % 2] for row in rows],
            "score": [1 + (row * batch) % 5 for row in rows],
        },
        schema=ANSWERS.arrow_schema,
    )


SURVEYS = Domain(
    name="surveys",
    periods=Batches(last=20),
    datasets=(ANSWERS,),
    make={"answers": answers},
    version="1",
    dbt_project=Path(__file__).parent / "surveys_dbt",
)
