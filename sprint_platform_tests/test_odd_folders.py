"""A data folder whose name has the characters of patterns and of the terminal's markup."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from sprint_platform_tests.command_line import Ended, run_sprint

# an end tag that begins nothing: what takes it for markup fails, or swallows it
NAME = "it's [bold]game[/b]c* [2025]"


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    (tmp_path / NAME).mkdir(parents=True)
    return {
        **os.environ,
        "SPRINT_DATA_DIR": str(tmp_path / NAME / "data"),
        "DAGSTER_HOME": str(tmp_path / "dagster"),
    }


def sprint(environment: Mapping[str, str], *arguments: str) -> Ended:
    done = run_sprint(list(arguments), environment)
    assert done.returncode == 0, done.stderr
    return done


def test_every_domain_works_and_shows_the_folder_as_it_is(environment: Mapping[str, str]) -> None:
    folder = environment["SPRINT_DATA_DIR"]
    generated = sprint(environment, "eventlog", "generate", "--players", "5")
    assert f"written to {folder}/eventlog" in generated.stdout
    sprint(environment, "eventlog", "build")
    small = ("--customers", "5", "--products", "5", "--orders", "5", "--days", "2")
    written = sprint(environment, "storefront", "generate", *small, "--load")
    assert f"written to {folder}/raw/storefront" in written.stdout
    assert folder in sprint(environment, "doctor").stdout.replace("\n", "")
    refused = run_sprint(["land", "--title", "sprint"], environment)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
