"""The project's checkout: the folder that holds ``sprint_platform`` and ``sprint_dbt``."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def project_root() -> Path:
    """The checkout's folder: an absolute path without symbolic links."""
    return Path(__file__).resolve().parents[2]
