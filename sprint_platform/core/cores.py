"""How many cores of the processor this process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """Those that the system lets the process run on, which in a container, or under ``taskset``,
    may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
