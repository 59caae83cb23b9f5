"""Trained models as files: arrays in JSON, trees in XGBoost's UBJSON. Nothing is pickled: reading a
model runs no code of it.

``data/models/<title>/<version>/`` holds one training, and ``data/models/<title>/current.json``
names the last; the last few stay. ``model.json`` has what it was made of: digest of the data,
seed, packages, periods, what was tried.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from sprint_platform.core.whole_file import whole_file
from sprint_platform.ml.calibration import Calibration
from sprint_platform.ml.choice import Trial
from sprint_platform.ml.drift import Reference
from sprint_platform.ml.errors import ForesightError
from sprint_platform.ml.families import LOADERS
from sprint_platform.ml.features import Columns
from sprint_platform.ml.periods import Periods
from sprint_platform.ml.training import Classifier, Trained
from sprint_platform.ml.value import Value
from sprint_platform.places import data_dir

# So many trainings stay; an older one is deleted when a new one is saved.
TRAININGS = 5


def models_dir(title: str) -> Path:
    """The folder of the title's trainings."""
    return data_dir() / "models" / title


def save(trained: Trained) -> Path:
    """Writes the training, names it the current one, and returns its folder. Of the others the
    newest stay, ``TRAININGS`` with this one: a version begins with the last week that it knew."""
    folder = models_dir(trained.title) / trained.version
    files: dict[str, bytes] = {}
    for name, value in (("value", trained.value), ("value_now", trained.value_now)):
        files |= value.stored(name) if value is not None else {}
    for label, families in trained.classifiers.items():
        for family, classifier in families.items():
            files[_file(label, family)] = classifier.model.stored()
    for name, content in files.items():
        _write(folder / name, content)
    digests = {n: hashlib.blake2b(c, digest_size=8).hexdigest() for n, c in sorted(files.items())}
    _write(folder / "model.json", _text({**_described(trained), "files": digests}))
    _write(models_dir(trained.title) / "current.json", _text({"version": trained.version}))
    others = [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
    for old in sorted(others)[: -(TRAININGS - 1)]:
        shutil.rmtree(old)
    return folder


def load(title: str, version: str | None = None) -> Trained:
    """A training of the title, the current one where no version is named. Raises ForesightError
    where there is none, or a file of it is missing or not the one that was written."""
    if version is None:
        current = models_dir(title) / "current.json"
        if not current.exists():
            raise ForesightError(
                f"{title} has no trained models: materialize {title}_ml/models first"
            )
        version = json.loads(current.read_bytes())["version"]
    folder = models_dir(title) / version
    try:
        said = json.loads((folder / "model.json").read_bytes())
        files = {name: (folder / name).read_bytes() for name in said["files"]}
    except FileNotFoundError as missing:
        raise ForesightError(
            f"{missing.filename} is missing: materialize {title}_ml/models"
        ) from missing
    for name, content in files.items():
        if hashlib.blake2b(content, digest_size=8).hexdigest() != said["files"][name]:
            raise ForesightError(f"{folder / name} is not the file that was trained")
    classifiers = {
        label: {
            family: Classifier(LOADERS[family](files[_file(label, family)]), _curve(curve))
            for family, curve in families.items()
        }
        for label, families in said["calibrations"].items()
    }
    return Trained(
        title=title,
        version=version,
        last_week=date.fromisoformat(said["last_week"]),
        seed=said["seed"],
        data=said["data"],
        packages=said["packages"],
        columns=Columns(tuple(said["columns"])),
        periods={
            label: Periods(
                **{n: tuple(map(date.fromisoformat, weeks)) for n, weeks in parts.items()}
            )
            for label, parts in said["periods"].items()
        },
        tried={
            label: tuple(
                Trial(t["family"], t["settings"], np.nan if t["pr_auc"] is None else t["pr_auc"])
                for t in tried
            )
            for label, tried in said["tried"].items()
        },
        served=said["served"],
        classifiers=classifiers,
        prevalence=said["prevalence"],
        value=Value.load(files, "value") if "value.json" in files else None,
        value_now=Value.load(files, "value_now") if "value_now.json" in files else None,
        left_out=said["left_out"],
        reference={
            name: Reference(np.array(ends), np.array(shares))
            for name, (ends, shares) in said["reference"].items()
        },
    )


def _described(trained: Trained) -> dict[str, Any]:
    return {
        "title": trained.title,
        "version": trained.version,
        "last_week": str(trained.last_week),
        "seed": trained.seed,
        "data": trained.data,
        "packages": dict(trained.packages),
        "columns": trained.columns.names,
        "periods": {
            label: {name: [str(week) for week in weeks] for name, weeks in asdict(parts).items()}
            for label, parts in trained.periods.items()
        },
        "tried": {
            label: [
                {**asdict(t), "pr_auc": None if np.isnan(t.pr_auc) else t.pr_auc} for t in tried
            ]
            for label, tried in trained.tried.items()
        },
        "served": dict(trained.served),
        "prevalence": dict(trained.prevalence),
        "left_out": dict(trained.left_out),
        "calibrations": {
            label: {
                family: [c.calibration.score.tolist(), c.calibration.chance.tolist()]
                for family, c in families.items()
            }
            for label, families in trained.classifiers.items()
        },
        "reference": {
            name: [of.ends.tolist(), of.shares.tolist()] for name, of in trained.reference.items()
        },
    }


def _file(label: str, family: str) -> str:
    kind = "json" if family == "logistic regression" else "ubj"
    return f"{label}_{family.replace(' ', '_')}.{kind}"


def _curve(curve: list[list[float]]) -> Calibration:
    return Calibration(np.array(curve[0]), np.array(curve[1]))


def _text(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True).encode()


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
