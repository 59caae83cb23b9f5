"""Finding the movement models: every module of this package that defines ``paths``."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

import numpy as np
import numpy.typing as npt

from sprint_platform.simulation import movement

Reach = tuple[int, int, int]
Model = Callable[[npt.NDArray[np.uint64], int, Reach], npt.NDArray[np.int32]]


@lru_cache(maxsize=1)
def models() -> dict[str, Model]:
    """The movement models by name, in alphabetical order."""
    found = {}
    for module in sorted(pkgutil.iter_modules(movement.__path__), key=lambda m: m.name):
        loaded = import_module(f"{movement.__name__}.{module.name}")
        if hasattr(loaded, "paths"):
            found[module.name] = loaded.paths
    return found
