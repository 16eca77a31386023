"""A configuration → an accuracy predictor in a folder, and how well it ranks what it was not trained on."""

from __future__ import annotations

import csv
import gzip
import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from costmodel.accuracy_predictor import AccuracyConfig, fit_accuracy
from costmodel.errors import DataError
from costmodel.spaces import find_space, read_nasbench101
from costmodel.training.metrics import kendall_tau
from costmodel.training.progress import EpochProgress

__all__ = [
    "AccuracyTable",
    "AccuracyTrainConfig",
    "AccuracyTrainingReport",
    "describes_accuracies",
    "read_accuracy_table",
    "train_accuracy",
]


class AccuracyTable(BaseModel):
    """A CSV table of trained architectures, gzipped or not; or one of NAS-Bench-101, see :func:`read_nasbench101`.

    The latter has the columns ``arch``, ``validation_percent`` and ``test_percent``.

    Attributes:
        path: The table; environment variables in it are filled in, and it is taken from the configuration's folder.
        arch: Column of architectures.
        label: Column of accuracies to learn from, per cent.
        test_label: Column of accuracies that predictions are compared with in the end; by default ``label``.
        share: Share of the rows that are learned from, drawn by the seed; the others tell how good it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    arch: str = "arch"
    label: str = "accuracy_percent"
    test_label: str | None = None
    share: float = Field(default=1.0, gt=0, le=1)


class AccuracyTrainConfig(BaseModel):
    """A training run.

    Attributes:
        name: Name of the run.
        space: Search space that the architectures are from.
        table: What to learn from.
        model: Sizes, members and training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    space: str
    table: AccuracyTable
    model: AccuracyConfig = AccuracyConfig()


@dataclass(frozen=True, slots=True)
class AccuracyTrainingReport:
    """Result of a run; prints as text.

    Attributes:
        name: Name of the run.
        folder: Where the predictor was written.
        learned_from: Architectures that were learned from.
        others: Architectures of the table that were not.
        tau_all: Kendall's tau of predictions and test accuracies, over all of the table, as papers have it.
        tau_unseen: The same over those that were not learned from; NaN if there are none.
    """

    name: str
    folder: str
    learned_from: int
    others: int
    tau_all: float
    tau_unseen: float

    def __str__(self) -> str:
        unseen = f"{self.tau_unseen:.3f} over the {self.others} others" if self.others else "no others to be tested on"
        return (
            f"{self.name}: learned from {self.learned_from} architectures, predictor in {self.folder}\n"
            f"Kendall's tau {self.tau_all:.3f} over all, {unseen}"
        )


def describes_accuracies(config_path: Path) -> bool:
    """Whether a file is TOML that names a search space, and so is for :func:`train_accuracy`."""
    try:
        return "space" in tomllib.loads(config_path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False


def train_accuracy(
    config_path: Path, output_dir: Path, *, resume: bool = True, seed: int | None = None, progress: bool = False
) -> AccuracyTrainingReport:
    """Train what ``config_path`` describes and write the predictor into ``output_dir``.

    The folder also keeps each member's checkpoint, and ``report.json`` at the end.

    Args:
        config_path: A TOML file, see :class:`AccuracyTrainConfig`.
        output_dir: Folder of the run.
        resume: Go on from the checkpoints in the folder; otherwise they are removed.
        seed: Instead of the configuration's.
        progress: Whether to show a progress bar on stderr.

    Raises:
        DataError: The configuration or the table cannot be used.
        UnknownNameError: There is no search space of that name.
        UsageError: A row of the table is no architecture of the space.
        WeightsError: The folder holds checkpoints of another run.
    """
    config = _read_config(config_path)
    model = config.model
    if seed is not None:
        model = model.model_copy(update={"fit": model.fit.model_copy(update={"seed": seed})})
    space = find_space(config.space)
    labels, test = read_accuracy_table(config.table, config_path.parent)
    archs = list(labels)
    order = np.random.default_rng(model.fit.seed).permutation(len(archs))
    known, others = np.split(order, [max(int(config.table.share * len(archs)), min(2, len(archs)))])
    if not resume:
        for stale in output_dir.glob("member*.safetensors"):
            stale.unlink()
    percent = np.array([*labels.values()])
    with EpochProgress(model.members, model.fit.steps, visible=progress) as bar:
        predictor = fit_accuracy(
            space, [archs[row] for row in known], percent[known], model, run_dir=output_dir, on_check=bar.advance
        )
    predictor.save_pretrained(output_dir)
    said = predictor.scores(archs)
    report = AccuracyTrainingReport(
        name=config.name,
        folder=str(output_dir),
        learned_from=len(known),
        others=len(others),
        tau_all=kendall_tau(said, test),
        tau_unseen=kendall_tau(said[others], test[others]) if len(others) > 1 else float("nan"),
    )
    (output_dir / "report.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    return report


def read_accuracy_table(table: AccuracyTable, folder: Path) -> tuple[dict[str, float], Float[np.ndarray, "archs"]]:
    """Accuracies of a table, per cent.

    Args:
        table: Which, and which of its columns.
        folder: What its path is taken from, unless it is absolute.

    Returns:
        What to learn from, by architecture; and what to compare with, in the same order.

    Raises:
        DataError: It cannot be read, lacks a column, or a cell is no number.
    """
    expanded = os.path.expandvars(table.path)
    if "$" in expanded:
        raise DataError(f"{table.path}: an environment variable in it is not set.")
    path = folder / expanded
    test_label = table.test_label or table.label
    if path.suffix in (".tfrecord", ".json"):
        rows: Iterable[tuple[str, Mapping[str, Any]]] = [
            (f"{path}, cell {number}", cell._asdict()) for number, cell in enumerate(read_nasbench101(path), start=1)
        ]
    else:
        rows = _csv_rows(path)
    labels: dict[str, float] = {}
    test: dict[str, float] = {}
    for place, row in rows:
        missing = [name for name in (table.arch, table.label, test_label) if row.get(name) is None]
        if missing:
            raise DataError(f"{place}: no column {missing[0]!r}; found {', '.join(map(str, row))}.")
        arch = str(row[table.arch]).strip()
        labels[arch], test[arch] = (_number(row, name, place) for name in (table.label, test_label))
    if not labels:
        raise DataError(f"{path} has no rows; expected one for each trained architecture.")
    return labels, np.array([*test.values()])


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each row stands, and its cells by column."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
            for line, row in enumerate(csv.DictReader(stream), start=2):
                yield f"{path}, line {line}", row
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV table: {error}.") from error


def _number(row: Mapping[str, Any], column: str, place: str) -> float:
    try:
        return float(row[column])
    except ValueError:
        raise DataError(f"{place}: expected a number in {column!r}, got {row[column]!r}.") from None


def _read_config(path: Path) -> AccuracyTrainConfig:
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return AccuracyTrainConfig.model_validate(raw)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path} cannot be read as TOML: {error}.") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise DataError(f"{path}: {faults}.") from error
