"""What Dagster loads: ``dagster asset materialize -m sprint_platform.definitions``."""

import gc

from dagster import Definitions

from sprint_platform.core.matrix_threads import limit_matrix_threads


def load() -> Definitions:
    """The definitions of every title.

    Loading makes a million objects that stay for the life of the process. By default Python's
    garbage collector would look at them again after every 700 new ones, while loading and in runs:
    a sixth of a small run's time.
    """
    limit_matrix_threads()
    gc.set_threshold(100_000, 50, 100)
    from sprint_platform.orchestration.build import build_definitions

    definitions = build_definitions()
    gc.freeze()
    return definitions


defs = load()
