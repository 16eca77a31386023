from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from costmodel.graph.dtypes import DType
from costmodel.graph.op_graph import AttributeValue, Op, OpGraph, Value, ValueKind
from costmodel.graph.passes import Pass


class GraphBuilder:
    """Writes an OpGraph one line an operation; a result has the broadcast shape of its operands unless told."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.ops: list[Op] = []

    def input(self, *shape: int, dtype: DType = DType.FLOAT32) -> str:
        return self._add(f"in{len(self.values)}", shape, dtype, ValueKind.INPUT)

    def weight(self, *shape: int, dtype: DType = DType.FLOAT32) -> str:
        return self._add(f"w{len(self.values)}", shape, dtype, ValueKind.WEIGHT)

    def number(self, number: float | None) -> str:
        """A scalar; ``None`` when its data was stripped."""
        data = None if number is None else np.array(number, dtype=np.float32)
        return self._add(f"c{len(self.values)}", (), DType.FLOAT32, ValueKind.WEIGHT, data)

    def ints(self, *numbers: int) -> str:
        return self._add(f"i{len(self.values)}", (len(numbers),), DType.INT64, ValueKind.WEIGHT, np.array(numbers))

    def op(
        self,
        op_type: str,
        *inputs: str,
        shape: Sequence[int] | None = None,
        dtype: DType | None = None,
        domain: str = "",
        **attributes: AttributeValue,
    ) -> str:
        return self.op_with_results(op_type, inputs, [shape], dtype, domain, **attributes)[0]

    def op_with_results(
        self,
        op_type: str,
        inputs: Sequence[str],
        shapes: Sequence[Sequence[int] | None],
        dtype: DType | None = None,
        domain: str = "",
        **attributes: AttributeValue,
    ) -> tuple[str, ...]:
        name = f"{op_type.lower()}{len(self.ops)}"
        operands = [self.values[operand] for operand in inputs if operand]
        outputs = tuple(
            self._add(
                f"{name}.{index}",
                np.broadcast_shapes(*(operand.shape or () for operand in operands)) if shape is None else shape,
                dtype or operands[0].dtype,
                ValueKind.ACTIVATION,
            )
            for index, shape in enumerate(shapes)
        )
        self.ops.append(
            Op(name, op_type, tuple(inputs), outputs, attributes, domain, (f"node_{name}",), f"scope.{name}")
        )
        return outputs

    def graph(self, *outputs: str) -> OpGraph:
        inputs = [value.name for value in self.values.values() if value.kind is ValueKind.INPUT]
        return OpGraph(self.ops, self.values.values(), inputs, outputs)

    def _add(
        self, name: str, shape: Sequence[int], dtype: DType, kind: ValueKind, data: np.ndarray | None = None
    ) -> str:
        self.values[name] = Value(name, dtype, tuple(shape), kind, data)
        return name


@pytest.fixture
def g() -> GraphBuilder:
    return GraphBuilder()


@pytest.fixture
def other() -> GraphBuilder:
    """A second builder, for tests that compare two spellings."""
    return GraphBuilder()


@pytest.fixture
def run() -> Callable[[Pass, OpGraph], OpGraph]:
    """Runs a pass and checks what every pass promises: the graph given is left alone, a second run finds nothing."""

    def run_checked(simplification: Pass, graph: OpGraph) -> OpGraph:
        ops_before = graph.ops
        result = simplification(graph)
        assert graph.ops == ops_before
        assert simplification(result) is result
        return result

    return run_checked


@pytest.fixture
def types() -> Callable[[OpGraph], list[str]]:
    return lambda graph: [op.op_type for op in graph]
