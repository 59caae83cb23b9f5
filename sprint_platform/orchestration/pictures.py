"""Small pictures for the UI, where one says more than a number."""

from __future__ import annotations

import base64
import io
from datetime import date

import dagster as dg
import duckdb
import numpy as np
from PIL import Image

from sprint_platform.title import Title

CELLS = 96
SIDE = 3 * CELLS  # pixels


def positions_picture(
    con: duckdb.DuckDBPyConnection, title: Title, day: date
) -> dg.MarkdownMetadataValue | None:
    """Where players were on the day, seen from above: brighter where more heartbeats came from.
    None for a day without heartbeats."""
    (x_low, x_high), (y_low, y_high) = title.grid.x, title.grid.y
    cells = con.execute(
        "select least(cast(floor((position_x - ?) / ? * ?) as integer), ? - 1) as cell_x,"
        " least(cast(floor((position_y - ?) / ? * ?) as integer), ? - 1) as cell_y, count(*) as n"
        f" from {title.name}_raw.event_heartbeat where event_date = ? group by all",
        [x_low, x_high - x_low, CELLS, CELLS, y_low, y_high - y_low, CELLS, CELLS, day],
    ).fetchnumpy()
    if not len(cells["n"]):
        return None
    inside = (cells["cell_x"] >= 0) & (cells["cell_y"] >= 0)
    seen = np.zeros((CELLS, CELLS))
    # y grows upwards on the field, and downwards in a picture
    seen[CELLS - 1 - cells["cell_y"][inside], cells["cell_x"][inside]] = cells["n"][inside]
    bright = (255 * np.sqrt(seen / seen.max())).astype(np.uint8)
    picture = Image.fromarray(bright).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    encoded = io.BytesIO()
    picture.save(encoded, "PNG", optimize=True)
    text = base64.b64encode(encoded.getvalue()).decode()
    return dg.MetadataValue.md(f"![Positions on {day}](data:image/png;base64,{text})")
