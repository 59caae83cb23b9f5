"""What works on many things at once follows the cores that the process may use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sprint_platform.core.cores import cores

ASKED = "from sprint_platform.core.cores import cores; print(cores())"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no processes")
def test_a_process_that_is_bound_to_one_core_has_one() -> None:
    one = min(os.sched_getaffinity(0))
    bound = f"import os; os.sched_setaffinity(0, {{{one}}}); {ASKED}"
    found = subprocess.run(
        [sys.executable, "-c", bound], capture_output=True, text=True, check=True
    )
    assert int(found.stdout) == 1
    assert cores() == len(os.sched_getaffinity(0))
