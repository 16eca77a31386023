"""Reader of timm's published inference benchmark: step times of real architectures under named conditions.

Source: the ``results`` folder of https://github.com/huggingface/pytorch-image-models (Apache-2.0), gathered into
one table with a ``platform`` column.  The table is not part of this project; :func:`timm_benchmark_path` says where
it is looked for.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from costmodel.errors import DataError

__all__ = ["TimmRow", "architecture_family", "is_mislabelled", "read_timm_benchmark", "timm_benchmark_path"]

DATA_VARIABLE = "COSTMODEL_DATA"
_COLUMNS = ("platform", "arch", "infer_img_size", "infer_batch_size", "infer_step_time")


@dataclass(frozen=True, slots=True)
class TimmRow:
    """One measured architecture.

    Attributes:
        platform: timm's label of the condition, ``precision-layout-torch-cuda-device``, ``-dynamo`` when compiled.
        arch: timm's architecture name.
        image_size: Height and width of the input, pixels.
        batch: Images a step.
        latency_ms: Milliseconds a step.
        params_millions: Parameters as timm counted them, millions; ``None`` where the table has a gap.
        gmacs: Multiply-accumulates an image, billions, or ``None``.
        macts: Activations an image, millions, or ``None``.
    """

    platform: str
    arch: str
    image_size: int
    batch: int
    latency_ms: float
    params_millions: float | None
    gmacs: float | None
    macts: float | None


def timm_benchmark_path(data_dir: Path | None = None) -> Path:
    """Where the table is: ``timm/infer_latency.csv.gz`` under ``data_dir`` or the ``COSTMODEL_DATA`` folder.

    Raises:
        DataError: Neither is given, or the file is not there.
    """
    folder = data_dir or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    source = (
        "The measurements are public: concatenate results/benchmark-infer-*.csv of "
        "https://github.com/huggingface/pytorch-image-models, adding a platform column with the file's condition."
    )
    if folder is None:
        raise DataError(f"no folder of measured data: set {DATA_VARIABLE} to it. {source}")
    path = folder / "timm" / "infer_latency.csv.gz"
    if not path.is_file():
        raise DataError(f"{path} does not exist. {source}")
    return path


def read_timm_benchmark(path: Path) -> Iterator[TimmRow]:
    """Rows of the table at ``path`` (CSV, gzip when the name ends in ``.gz``); rows without a time are left out.

    Raises:
        DataError: A column is missing or a number cannot be read.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="") as stream:
        table = csv.DictReader(stream)
        missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
        if missing:
            raise DataError(f"{path}: expected columns {', '.join(_COLUMNS)}; missing {', '.join(missing)}.")
        for line, row in enumerate(table, start=2):
            if not row["infer_step_time"]:
                continue
            try:
                yield TimmRow(
                    platform=row["platform"],
                    arch=row["arch"],
                    image_size=int(float(row["infer_img_size"])),
                    batch=int(float(row["infer_batch_size"])),
                    latency_ms=float(row["infer_step_time"]),
                    params_millions=_optional(row.get("param_count")),
                    gmacs=_optional(row.get("infer_gmacs")),
                    macts=_optional(row.get("infer_macts")),
                )
            except ValueError as error:
                raise DataError(f"{path}, line {line}: {error}.") from error


def _optional(text: str | None) -> float | None:
    return float(text) if text else None


def is_mislabelled(row: TimmRow) -> bool:
    """Whether the row's time is that of another network than timm 1.0.31 builds under its name and size."""
    return row.arch in _OTHER_NETWORK or (row.arch, row.image_size) in _OTHER_NETWORK


_OTHER_NETWORK: frozenset[str | tuple[str, int]] = frozenset(
    {
        # Aliases that timm now builds as the narrower resnext101_32x8d.
        "ig_resnext101_32x16d",
        "ig_resnext101_32x32d",
        "ig_resnext101_32x48d",
        # The row repeats ecaresnext26t_32x4d.
        "ecaresnext50t_32x4d",
        # Timed after its branches were merged; the model as built has several a convolution.
        "ghostnetv3_050",
        "ghostnetv3_100",
        "ghostnetv3_130",
        "ghostnetv3_160",
        # Timed at an earlier definition, of fewer channels.
        ("regnety_2560", 224),
    }
)


def architecture_family(arch: str) -> str:
    """Key that puts the variants of one architecture together: the leading letters of its name.

    A prefix that names a training recipe or a port rather than an architecture is dropped first, so that
    ``tf_efficientnet_b0`` falls with ``efficientnet_b0`` and ``legacy_seresnet50`` with ``seresnet50``.
    """
    name = arch
    while (stripped := _PORT_PREFIX.sub("", name)) != name:
        name = stripped
    letters = re.match(r"[a-z]+", name)
    return letters.group() if letters else name


_PORT_PREFIX = re.compile(r"^(tf|gluon|legacy|ssl|swsl|tv|ig|test)_")
