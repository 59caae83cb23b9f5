"""Where an asset's code is: what "Code" shows on its page in the UI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_shared.utils.warnings import disable_dagster_warnings

PACKAGE = Path(__file__).resolve().parents[1]


def code_references(*code: Path | Callable[..., Any]) -> dict[str, dg.CodeReferencesMetadataValue]:
    """The metadata that names these files, and the first lines of these functions. A callable that
    has no lines of its own (a partial, an object) is left out."""
    places = [(each, None) if isinstance(each, Path) else _first_line(each) for each in code]
    # "in beta"; it is pinned
    with disable_dagster_warnings():
        references: list[Any] = [
            dg.LocalFileCodeReference(file_path=str(path), line_number=line, label=path.name)
            for path, line in places
            if path is not None
        ]
        value = dg.CodeReferencesMetadataValue(code_references=references)
    return {"dagster/code_references": value}


def _first_line(function: Callable[..., Any]) -> tuple[Path | None, int | None]:
    code = getattr(function, "__code__", None)
    return (Path(code.co_filename), code.co_firstlineno) if code else (None, None)
