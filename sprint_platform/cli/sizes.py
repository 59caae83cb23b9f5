"""Bytes as people read them."""

from __future__ import annotations


def bytes_as_text(count: float) -> str:
    """Such as 1.2 MB, which is 1,200,000 bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
