"""A folder for one process of the harness: a project with data, titles and Dagster's history."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sprint_platform_tests.chaos.no_history import INSTANCE


@dataclass(frozen=True)
class Place:
    """``work`` is the project that is used up; ``stored`` has copies to put in its place;
    ``scratch`` is the harness's own. dbt and the published views hold absolute paths: a copy is
    good in its own place only."""

    folder: Path

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def data(self) -> Path:
        return self.work / "data"

    @property
    def stored(self) -> Path:
        return self.folder / "stored"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    def environment(self) -> dict[str, str]:
        """The environment of a process whose project is ``work``."""
        ours = ("SPRINT_", "DAGSTER_", "DBT_", "SNOWFLAKE_")
        of_caller = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return {
            **of_caller,
            "SPRINT_PROJECT": str(self.work),
            "SPRINT_DATA_DIR": str(self.data),
            "DAGSTER_HOME": str(self.work / "home"),
            "TMPDIR": str(self.work / "tmp"),
            "OPENBLAS_NUM_THREADS": "1",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }

    def make(self) -> None:
        """Makes the folders anew, with an empty project."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in (self.stored, self.scratch):
            folder.mkdir(parents=True)
        self.empty()

    def empty(self, *, history: bool = True) -> None:
        """Makes an empty project of ``work``, with Dagster's history or without."""
        shutil.rmtree(self.work, ignore_errors=True)
        for folder in ("titles", "tmp", "home"):
            (self.work / folder).mkdir(parents=True)
        if not history:
            (self.work / "home" / "dagster.yaml").write_text(INSTANCE, encoding="utf-8")

    def store(self, name: str) -> None:
        """Copies ``work`` as it is."""
        shutil.copytree(self.work, self.stored / name, symlinks=True)

    def restore(self, name: str) -> None:
        """Puts the copy in the place of ``work``."""
        shutil.rmtree(self.work)
        shutil.copytree(self.stored / name, self.work, symlinks=True)


def memory_folder() -> Path:
    """Where the harness works: in memory where there is room, else among temporary files."""
    shared = Path("/dev/shm")
    if shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 4 << 30:
        return shared
    return Path(tempfile.gettempdir())
