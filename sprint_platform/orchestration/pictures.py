"""Small pictures for the UI, where one says more than a number."""

from __future__ import annotations

import base64
import struct
import zlib
from datetime import date

import dagster as dg
import duckdb
import numpy as np
import numpy.typing as npt

from sprint_platform.title import Title

CELLS = 96
PIXELS_PER_CELL = 3


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
    bright = np.sqrt(seen / seen.max())
    encoded = base64.b64encode(grey_png((255 * bright).astype(np.uint8))).decode()
    return dg.MetadataValue.md(f"![Positions on {day}](data:image/png;base64,{encoded})")


def grey_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The picture as a PNG file, each value a square of some pixels (PNG specification, section 5;
    no drawing library for one picture)."""
    large = np.repeat(np.repeat(pixels, PIXELS_PER_CELL, axis=0), PIXELS_PER_CELL, axis=1)
    height, width = large.shape
    rows = b"".join(b"\0" + row.tobytes() for row in large)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )
