"""Paths as DuckDB's SQL has them."""

from __future__ import annotations

from pathlib import Path


def quoted(path: Path | str) -> str:
    """The path for use inside SQL quotes."""
    return str(path).replace("'", "''")


def glob_of(path: Path | str) -> str:
    """The path as a DuckDB pattern that matches it alone."""
    return "".join(f"[{c}]" if c in "[*?" else c for c in str(path))
