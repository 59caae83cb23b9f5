"""A file is there whole or not at all, and what a killed writer left goes with the next write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sprint_platform.core.whole_file import remove_whole, whole_file
from sprint_platform.operations.catalogue import read_catalogue, write_catalogue
from sprint_platform.operations.export import export_products
from sprint_platform_tests.other_process import dead_process


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "made here" / "figures"
    with whole_file(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(UnicodeEncodeError), whole_file(path) as temporary:
        temporary.write_text("new \udcff", encoding="utf-8")
    assert path.read_text() == "old"
    assert names(path.parent) == {"figures"}


def test_what_killed_writers_left_goes_and_nothing_else(tmp_path: Path) -> None:
    dead = dead_process()
    left = [f".figures.{dead}.tmp", f".sprint.{dead}.tmp", f".sprint.{dead}.tmp.wal"]
    # as in a container, where the next process has the number of the killed one
    left += [f".2025-01-01.parquet.{os.getpid()}.tmp"]
    for name in left:
        (tmp_path / name).touch()
    folder = tmp_path / f".2025-01-01.{dead}.tmp"
    folder.mkdir()
    (folder / "half").touch()
    others = {f".figures.{os.getppid()}.tmp", f"notes.{dead}.tmp", ".figures.tmp", f".{dead}.tmp"}
    for name in others:
        (tmp_path / name).touch()
    with whole_file(tmp_path / "beside") as beside, whole_file(tmp_path / "figures") as temporary:
        # what this process writes now stays
        beside.touch()
        temporary.touch()
    assert names(tmp_path) == {"beside", "figures", *others}


def test_whoever_writes_products_removes_what_a_killed_one_left(
    data_folder: Path, tmp_path: Path
) -> None:
    folder, dead = tmp_path / "products", dead_process()
    for name in (f".dim_products.csv.{dead}.tmp", f".catalogue.{dead}.tmp"):
        (folder / name).mkdir(parents=True)
    products = read_catalogue()
    write_catalogue(products, folder / "dim_products.csv")
    export_products(products, "csv", tmp_path)
    assert names(folder) == {"dim_products.csv", "catalogue"}


def test_a_folder_is_removed_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "event_date=2025-01-01"
    folder.mkdir()
    (folder / "manifest.json").touch()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", dies)
    with pytest.raises(KeyboardInterrupt):
        remove_whole(folder)
    monkeypatch.undo()
    assert not folder.exists()
    folder.mkdir()
    remove_whole(folder)
    assert names(tmp_path) == set()
