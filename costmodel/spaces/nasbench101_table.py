"""Accuracies of NAS-Bench-101: the official file of records, or JSON."""

from __future__ import annotations

import base64
import json
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # has stubs elsewhere

from costmodel.errors import DataError, UsageError
from costmodel.spaces.nasbench101 import NASBench101

__all__ = ["TrainedCell", "read_nasbench101"]

EPOCHS = 108
_LONGEST_RECORD = 1 << 20
"""Bytes; records of the benchmark have some hundreds."""


class TrainedCell(NamedTuple):
    """A cell and how its networks did on CIFAR-10, on average over repetitions.

    Attributes:
        arch: The cell, as :class:`NASBench101` writes it.
        validation_percent: Accuracy on the validation images.
        test_percent: Accuracy on the test images.
    """

    arch: str
    validation_percent: float
    test_percent: float


def read_nasbench101(path: Path) -> list[TrainedCell]:
    """Read ``nasbench_only108.tfrecord``, or a JSON list of cells.

    Each JSON entry has ``operations`` (names, input and output among them), ``matrix`` (rows of 0 and 1),
    ``validation_accuracy`` and ``test_accuracy``, from 0 to 1.

    Args:
        path: The file; what does not end in ``.json`` is read as records.

    Raises:
        DataError: It cannot be read, is cut off, or has no networks of 108 epochs.
    """
    try:
        entries = _json_entries(path) if path.suffix == ".json" else _record_entries(path)
        cells = [_trained(entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, IndexError, UsageError, struct.error, DecodeError) as error:
        raise DataError(
            f"{path} is no table of NAS-Bench-101: {type(error).__name__}: {error} Expected nasbench_only108.tfrecord, "
            "or a JSON list of operations, matrix, validation_accuracy and test_accuracy."
        ) from error
    if not cells:
        raise DataError(f"{path} has no network that was trained for {EPOCHS} epochs.")
    return cells


def _trained(entry: Mapping[str, Any]) -> TrainedCell:
    matrix = np.array(entry["matrix"], dtype=int).astype(bool)
    arch = NASBench101().arch_of_cell(entry["operations"], matrix)
    return TrainedCell(arch, 100 * float(entry["validation_accuracy"]), 100 * float(entry["test_accuracy"]))


def _json_entries(path: Path) -> Iterable[Mapping[str, Any]]:
    entries: list[Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def _record_entries(path: Path) -> Iterator[Mapping[str, Any]]:
    """Records are JSON: a hash, epochs, the matrix as digits, operations with commas, and metrics."""
    repetitions: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for record in _records(path):
        _, epochs, matrix, operations, encoded = json.loads(record)
        if epochs == EPOCHS:
            metrics = _metrics_type()()
            metrics.ParseFromString(base64.b64decode(encoded))
            repetitions[matrix, operations].append(metrics.evaluation_data[-1])
    for (matrix, operations), evaluations in repetitions.items():
        names = operations.split(",")
        yield {
            "operations": names,
            "matrix": [[int(digit) for digit in matrix[i : i + len(names)]] for i in range(0, len(matrix), len(names))],
            "validation_accuracy": fmean(one.validation_accuracy for one in evaluations),
            "test_accuracy": fmean(one.test_accuracy for one in evaluations),
        }


def _records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file: a length, its check sum, the bytes and theirs; check sums are not looked at."""
    with path.open("rb") as stream:
        while header := stream.read(12):
            (length,) = struct.unpack("<Q4x", header)
            if length > _LONGEST_RECORD:
                raise ValueError("it holds no records of cells.")
            record = stream.read(length)
            if len(record) < length or len(stream.read(4)) < 4:
                raise ValueError("the file is cut off; copy it again.")
            yield record


@cache
def _metrics_type() -> Any:
    """The message ``ModelMetrics`` of the benchmark, as far as it is read here."""
    from google.protobuf import (  # type: ignore[import-untyped]  # has stubs elsewhere
        descriptor_pb2,
        descriptor_pool,
        message_factory,
    )

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="costmodel/nasbench101.proto", package="costmodel.nasbench101")
    evaluation = file.message_type.add(name="EvaluationData")
    for number, name in ((4, "validation_accuracy"), (5, "test_accuracy")):
        evaluation.field.add(name=name, number=number, type=field.TYPE_DOUBLE, label=field.LABEL_OPTIONAL)
    metrics = file.message_type.add(name="ModelMetrics")
    metrics.field.add(
        name="evaluation_data",
        number=1,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_REPEATED,
        type_name=".costmodel.nasbench101.EvaluationData",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("costmodel.nasbench101.ModelMetrics"))
