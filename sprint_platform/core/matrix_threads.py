"""The number of threads of numpy's matrix products."""

from __future__ import annotations

import os

from sprint_platform.core.settings import settings, variable


def limit_matrix_threads() -> None:
    """Exports ``OPENBLAS_NUM_THREADS`` from the settings. To be called before numpy is imported:
    OpenBLAS reads it once. Raises SettingsError."""
    os.environ[variable("openblas_num_threads")] = str(settings().openblas_num_threads)
