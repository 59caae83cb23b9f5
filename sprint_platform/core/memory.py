"""How much memory is free on this machine, or in this container."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

# What a container may use, in version 2 and 1 of Linux's control groups; "max" is no limit.
CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def free_memory() -> int:
    """The bytes that programs can have without making others swap. In a container, whose machine
    may have more, not more than its limit."""
    free = psutil.virtual_memory().available
    for path in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):
            free = min(free, int(path.read_text(encoding="ascii")))
    return int(free)
