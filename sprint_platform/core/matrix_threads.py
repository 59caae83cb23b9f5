"""How many threads numpy's matrix products take."""

from __future__ import annotations

import os

from sprint_platform.core.settings import settings, variable


def limit_matrix_threads() -> None:
    """Exports ``OPENBLAS_NUM_THREADS`` as the settings have it. For whoever has not imported numpy
    yet: OpenBLAS reads it once. Raises SettingsError."""
    os.environ[variable("openblas_num_threads")] = str(settings().openblas_num_threads)
