from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from costmodel.graph import DType, Op, OpGraph, Value, ValueKind, load_graph, op_cost, op_costs, total_cost
from costmodel.graph.vocabulary import base_type

PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul", "Attention", "Einsum"}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(48, 144)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).reshape(2, 10, 3, 4, 12).permute(2, 0, 3, 1, 4).unbind(0)
        return nn.functional.scaled_dot_product_attention(q, k, v)


MODULES = {
    "grouped convolution": (nn.Conv2d(16, 32, 3, stride=2, padding=1, groups=4, bias=False), (2, 16, 17, 19)),
    "depthwise convolution": (nn.Conv2d(16, 16, 5, padding=2, groups=16, bias=False), (1, 16, 20, 20)),
    "dilated convolution": (nn.Conv1d(8, 12, 3, dilation=2, bias=False), (3, 8, 40)),
    "transposed convolution": (nn.ConvTranspose2d(16, 8, 4, stride=2, groups=2, bias=False), (2, 16, 7, 9)),
    "linear on tokens": (nn.Linear(24, 40, bias=False), (2, 10, 24)),
    "attention": (Attention(), (2, 10, 48)),
}


@pytest.mark.parametrize(("module", "shape"), MODULES.values(), ids=MODULES)
def test_products_agree_with_torch(module: nn.Module, shape: tuple[int, ...]):
    example = torch.randn(shape)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        module(example)
    graph = load_graph(module, example_inputs=(example,))
    ours = sum(_product_flops(op, graph) for op in graph)
    assert ours == counter.get_total_flops() > 0


def _product_flops(op: Op, graph: OpGraph) -> float:
    """FLOPs without what torch's counter leaves out: biases and the softmax."""
    if base_type(op.op_type) not in PRODUCTS:
        return 0
    flops = op_cost(op, graph).flops
    if op.op_type == "Attention":
        batch, heads, tokens, _ = graph.values[op.inputs[0]].shape or ()
        return flops - 5 * batch * heads * tokens * tokens
    has_bias = len(op.inputs) > 2
    return flops - has_bias * graph.results(op)[0].size


def one_op(
    op_type: str, inputs: list[tuple[int, ...]], output: tuple[int, ...], weights: int = 0, **attributes: object
) -> OpGraph:
    """One operation; its last ``weights`` inputs are weights."""
    values = [
        Value(f"x{i}", DType.FLOAT32, shape, ValueKind.WEIGHT if i >= len(inputs) - weights else ValueKind.INPUT)
        for i, shape in enumerate(inputs)
    ]
    names = tuple(value.name for value in values)
    op = Op("op", op_type, names, ("y",), attributes)  # type: ignore[arg-type]
    fed = names[: len(names) - weights]
    return OpGraph([op], [*values, Value("y", DType.FLOAT32, output)], fed, ["y"])


@pytest.mark.parametrize(
    ("graph", "flops"),
    [
        (one_op("Relu", [(2, 8)], (2, 8)), 16),
        (one_op("Add", [(2, 8), (1, 8)], (2, 8)), 16),
        (one_op("Softmax", [(4, 10)], (4, 10)), 5 * 40),
        (one_op("MaxPool", [(1, 3, 8, 8)], (1, 3, 4, 4), kernel_shape=(3, 3)), 48 * 9),
        (one_op("GlobalAveragePool", [(1, 3, 8, 8)], (1, 3, 1, 1)), 192),
        (one_op("Transpose", [(4, 6)], (6, 4), perm=(1, 0)), 0),
        (one_op("Reshape", [(4, 6), (1,)], (24,), weights=1), 0),
        (one_op("Einsum", [(2, 3, 4), (2, 4, 5)], (2, 3, 5), equation="bij,bjk->bik"), 2 * 2 * 3 * 4 * 5),
        (one_op("LSTM", [(7, 2, 4), (1, 20, 4), (1, 20, 5)], (7, 1, 2, 5), weights=2), 2 * 14 * (80 + 100)),
        (
            one_op("DynamicQuantizeLSTM", [(7, 2, 4), (1, 4, 20), (1, 5, 20)], (7, 1, 2, 5), weights=2),
            2 * 14 * (80 + 100),
        ),
        (one_op("Gemm", [(2, 8), (8, 3), (3,)], (2, 3), weights=2), 2 * 2 * 8 * 3 + 6),
    ],
    ids=lambda value: value.ops[0].op_type if isinstance(value, OpGraph) else "",
)
def test_flops_by_hand(graph: OpGraph, flops: float):
    assert op_costs(graph)[0].flops == flops


def test_bytes_are_read_once_and_weights_kept_apart():
    cost = op_costs(one_op("Conv", [(2, 3, 8, 8), (4, 3, 3, 3), (4,)], (2, 4, 8, 8), weights=2))[0]
    assert cost.params == 108 + 4
    assert cost.weight_bytes == 4 * 112
    assert cost.bytes_read == 4 * (384 + 112)
    assert cost.bytes_written == 4 * 512


def test_the_same_operand_twice_is_read_once():
    square = OpGraph(
        [Op("square", "Mul", ("x", "x"), ("y",))],
        [Value("x", DType.FLOAT16, (5,), ValueKind.INPUT), Value("y", DType.FLOAT16, (5,))],
        ["x"],
        ["y"],
    )
    assert op_costs(square)[0].bytes_read == 10


def test_a_slice_reads_what_it_takes():
    cost = op_costs(one_op("Slice", [(100, 8)], (2, 8)))[0]
    assert cost.bytes_read == cost.bytes_written == 64


def test_a_shared_weight_counts_once_in_the_total():
    values = [
        Value("x", DType.FLOAT32, (2, 4), ValueKind.INPUT),
        Value("w", DType.FLOAT32, (4, 4), ValueKind.WEIGHT),
        Value("y", DType.FLOAT32, (2, 4)),
        Value("z", DType.FLOAT32, (2, 4)),
    ]
    graph = OpGraph([Op("a", "Gemm", ("x", "w"), ("y",)), Op("b", "Gemm", ("y", "w"), ("z",))], values, ["x"], ["z"])
    assert total_cost(graph).params == 16
    assert total_cost(graph).flops == 2 * op_costs(graph)[0].flops


def test_unknown_shapes_count_as_empty():
    graph = OpGraph(
        [Op("op", "Mystery", ("x",), ("y",), domain="custom")],
        [Value("x", DType.FLOAT32, None, ValueKind.INPUT), Value("y", DType.FLOAT32, None)],
        ["x"],
        ["y"],
    )
    assert op_costs(graph)[0].flops == 0
