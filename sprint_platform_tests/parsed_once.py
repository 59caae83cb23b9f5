"""What dbt parsed in one data folder, for every other data folder of the tests' own processes.

dbt parses the whole project anew, 7 s of work, for a data folder that is new to it: it has nothing
parsed there yet, and the database has another path. Nothing in the project is parsed otherwise
because of that path, so here dbt compares all that it compares but the path, and begins with what
was parsed elsewhere for the same title or domain.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sprint_platform.transform import dbt_runner

# the path of the database, and options that hold the path of its temporary files
PATHS = {"path", "config_options"}
# what limits a run changes no parse
OF_A_RUN = {
    "SPRINT_LAUNCH_DATE",
    "SPRINT_WINDOW_START",
    "SPRINT_WINDOW_END",
    "SPRINT_BATCHES",
    "SPRINT_AS_OF",
    "SPRINT_DEFINITIONS",
}


@contextmanager
def parsed_once(folder: Path) -> Iterator[None]:
    """Keeps in the folder, which processes may share, what dbt parses while the block runs."""
    environment = dbt_runner._environment
    with pytest.MonkeyPatch.context() as patch:
        patched: list[bool] = []

        @contextmanager
        def first_dbt_is_patched(values: Mapping[str, str]) -> Iterator[None]:
            # not before somebody runs it: importing dbt takes longer than most files of tests
            if not patched:
                patched.append(True)
                _patch_dbt(patch, folder)
            with environment(values):
                yield

        patch.setattr(dbt_runner, "_environment", first_dbt_is_patched)
        yield


def _patch_dbt(patch: pytest.MonkeyPatch, folder: Path) -> None:
    from dbt.artifacts.resources import FileHash
    from dbt.parser.manifest import PARTIAL_PARSE_FILE_NAME, ManifestLoader

    check = ManifestLoader.build_manifest_state_check
    read = ManifestLoader.read_manifest_for_partial_parse
    write = ManifestLoader.write_manifest_for_partial_parse

    def places(loader: Any) -> tuple[Path, Path]:
        """Where dbt has what it parsed, and where it is for all."""
        target = Path(loader.root_project.project_target_path)
        # names that a macro makes of a variable are not parsed anew when the variable changes
        names = sorted(dbt_runner.RUN_VARIABLES - OF_A_RUN)
        same = [
            str(loader.root_project.project_root),
            *target.parts[-2:],
            *(os.environ.get(name, "") for name in names),
        ]
        digest = hashlib.blake2b("\0".join(same).encode(), digest_size=8).hexdigest()
        return target / PARTIAL_PARSE_FILE_NAME, folder / digest

    def read_parsed(loader: Any) -> Any:
        own, everybodys = places(loader)
        if everybodys.exists() and not own.exists():
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(everybodys, own)
        return read(loader)

    def write_parsed(loader: Any) -> None:
        write(loader)
        own, everybodys = places(loader)
        half = everybodys.with_suffix(f".{os.getpid()}")
        shutil.copy(own, half)
        os.replace(half, everybodys)

    def compared(loader: Any) -> Any:
        """What must be the same for an earlier parse to count."""
        state = check(loader)
        connection = loader.root_project.credentials.connection_info()
        parts = sorted(f"{name}={value}" for name, value in connection if name not in PATHS)
        state.profile_hash = FileHash.from_contents("\0".join(parts))
        return state

    patch.setattr(ManifestLoader, "build_manifest_state_check", compared)
    patch.setattr(ManifestLoader, "read_manifest_for_partial_parse", read_parsed)
    patch.setattr(ManifestLoader, "write_manifest_for_partial_parse", write_parsed)
