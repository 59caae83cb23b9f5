"""A title's last realism report."""

from __future__ import annotations

import duckdb

from sprint_platform.dashboard.published import Columns, PublishedTitle, read_columns
from sprint_platform.operations.realism import REPORT


def report(con: duckdb.DuckDBPyConnection, title: PublishedTitle) -> Columns:
    """One row per figure, as ``sprint realism`` or the asset measured it last; none where neither
    did."""
    if REPORT not in title.marts:
        return {}
    return read_columns(con, f"select * from {title.schema}.{REPORT} order by number, figure")
