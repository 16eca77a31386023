"""An :class:`~costmodel.graph.op_graph.OpGraph` as JSON, and back.

``{"schema_version": 1, "name": ..., "values": [...], "ops": [...], "inputs": [...], "outputs": [...]}``: values and
operations are rows, operations refer to values by their row, and elements of small weights are base64 text.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from typing import Any

import ml_dtypes  # noqa: F401  # registers bfloat16 and the narrow types with numpy
import numpy as np
from numpy.typing import NDArray

from costmodel.errors import DataError
from costmodel.graph.dtypes import DType
from costmodel.graph.op_graph import AttributeValue, Op, OpGraph, Value, ValueKind

__all__ = ["SCHEMA_VERSION", "from_json", "to_json"]

SCHEMA_VERSION = 1

_LEFT_OUT = -1  # the row of an optional input or output that is not there


def to_json(graph: OpGraph) -> dict[str, Any]:
    """``graph`` as a dictionary that strict JSON can hold; nothing is lost.

    Raises:
        DataError: A small weight holds elements that are not numbers.
    """
    rows = {name: row for row, name in enumerate(graph.values)}
    rows[""] = _LEFT_OUT
    return {
        "schema_version": SCHEMA_VERSION,
        "name": graph.name,
        "values": [_value_row(value) for value in graph.values.values()],
        "ops": [_op_row(op, rows) for op in graph.ops],
        "inputs": [rows[name] for name in graph.inputs],
        "outputs": [rows[name] for name in graph.outputs],
    }


def from_json(document: Mapping[str, Any]) -> OpGraph:
    """The graph that :func:`to_json` made ``document`` of.

    Raises:
        DataError: Another schema version, or a document that is not whole.
        GraphError: The operations do not form a graph.
    """
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise DataError(
            f"a graph of schema version {version!r}; this release reads version {SCHEMA_VERSION}. "
            "Read the model again with this release, or install the one that wrote the graph."
        )
    try:
        values = [_value(*row) for row in document["values"]]
        names = [value.name for value in values]
        ops = [_op(row, names) for row in document["ops"]]
        inputs, outputs = _names(document["inputs"], names), _names(document["outputs"], names)
        return OpGraph(ops, values, inputs, outputs, document["name"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"not a whole graph of schema version {SCHEMA_VERSION}: {type(error).__name__}: {error}. "
            "Write it again with costmodel.graph.serde.to_json."
        ) from error


def _value_row(value: Value) -> list[Any]:
    row = [value.name, value.dtype.value, None if value.shape is None else list(value.shape), value.kind.value]
    return row if value.data is None else [*row, _packed(value)]


def _value(name: str, dtype: str, shape: list[int] | None, kind: str, packed: list[Any] | None = None) -> Value:
    sizes = None if shape is None else tuple(shape)
    return Value(name, DType(dtype), sizes, ValueKind(kind), None if packed is None else _unpacked(*packed))


def _packed(value: Value) -> list[Any]:
    data = value.data
    if data is None or data.dtype.hasobject:
        raise DataError(f"the elements of {value.name!r} are not numbers; expected a numeric array.")
    return [data.dtype.name, list(data.shape), base64.b64encode(data.tobytes()).decode("ascii")]


def _unpacked(dtype: str, shape: list[int], encoded: str) -> NDArray[np.generic]:
    return np.frombuffer(base64.b64decode(encoded), np.dtype(dtype)).reshape(shape).copy()


def _op_row(op: Op, rows: Mapping[str, int]) -> list[Any]:
    return [
        op.name,
        op.op_type,
        [rows[name] for name in op.inputs],
        [rows[name] for name in op.outputs],
        {name: _encoded(value) for name, value in op.attributes.items()},
        op.domain,
        list(op.sources),
        op.scope,
    ]


def _op(row: list[Any], names: list[str]) -> Op:
    name, op_type, inputs, outputs, attributes, domain, sources, scope = row
    return Op(
        name=name,
        op_type=op_type,
        inputs=_names(inputs, names),
        outputs=_names(outputs, names),
        attributes={key: _decoded(value) for key, value in attributes.items()},
        domain=domain,
        sources=tuple(sources),
        scope=scope,
    )


def _names(rows: Iterable[int], names: list[str]) -> tuple[str, ...]:
    return tuple("" if row == _LEFT_OUT else names[row] for row in rows)


def _encoded(value: AttributeValue) -> Any:
    if isinstance(value, tuple):
        return [_encoded(item) for item in value]
    # JSON has no NaN and no infinities.
    return {"float": repr(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decoded(item) for item in value)
    return float(value["float"]) if isinstance(value, dict) else value
