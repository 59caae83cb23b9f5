"""Digests as another machine would make them: a child process with plainer instructions, another
zone, another order of sets, another language."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from sprint_platform.places import project_root

# asserts that every feature that numpy dispatches on is off: a wrong name disables nothing and
# only warns, so the environment variable alone proves nothing
PROGRAM = """
import json, polars
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
on = [feature for feature in __cpu_dispatch__ if __cpu_features__[feature]]
assert not on, f"still on: {{on}}"
assert polars.thread_pool_size() == 1
from sprint_platform_tests.{module} import digests
print(json.dumps(digests()))
"""


def digests_elsewhere(module: str, **variables: str) -> Any:
    """What ``digests()`` of a module of the tests returns there; ``variables`` are set, too."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    mine = [feature for feature in __cpu_dispatch__ if __cpu_features__[feature]]
    surroundings = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(mine),
        # another kernel for matrix products
        "OPENBLAS_CORETYPE": "PRESCOTT",
        "OPENBLAS_NUM_THREADS": "2",
        "POLARS_MAX_THREADS": "1",
        "TZ": "Asia/Kolkata",
        "PYTHONHASHSEED": "7",
        "LC_ALL": "tr_TR.UTF-8",
        **variables,
    }
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(module=module)],
        env={**os.environ, **surroundings},
        cwd=project_root(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout)
