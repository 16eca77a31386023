"""Every lowering computes what Relax computes: the graph is run as ONNX and compared, element by element."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

pytest.importorskip("tvm", reason="what is read is TVM's: pip install '.[tvm]'")

import tvm
from tvm import relax, tirx, topi
from tvm.relax import op

from costmodel.errors import UnsupportedModelError, UsageError
from costmodel.graph import DType, Op, OpGraph, ValueKind, total_cost
from costmodel.graph.passes import simplify
from costmodel.integrations.tvm.relax_reader import RELAX_PASSES, read_relax, unique_names, with_unique_names


def const(data: Any, dtype: str = "float32") -> Any:
    return relax.const(np.asarray(data, dtype=dtype), dtype)


IMAGE = (2, 4, 7, 6)

CASES: dict[str, tuple[Any, ...]] = {
    # what is computed, then the shape of each operand, with its element type where that is not float32
    # arithmetic
    "add_broadcast": (op.add, (3, 4), (4,)),
    "subtract_multiply": (lambda x, y: op.multiply(op.subtract(x, y), y), (3, 4), (3, 1)),
    "divide_constant": (lambda x: op.divide(x, const(0.3)), (3, 4)),
    "floor_divide": (lambda x: op.floor_divide(x, const(0.3)), (3, 4)),
    "power": (lambda x: op.power(op.abs(x), const(1.7)), (3, 4)),
    "extrema": (lambda x, y: op.maximum(op.minimum(x, y), const(0.1)), (3, 4), (3, 4)),
    "modulo": (lambda x: op.mod(x, const(0.3)), (9,)),
    "rsqrt": (lambda x: op.rsqrt(op.add(op.abs(x), const(0.1))), (3, 4)),
    "square_trunc": (lambda x: op.trunc(op.multiply(op.square(x), const(9.0))), (9,)),
    "unary": (lambda x: op.add(op.erf(x), op.add(op.exp(x), op.add(op.cos(x), op.negative(op.floor(x))))), (9,)),
    "logarithms": (lambda x: op.log_add_exp(x, op.log(op.add(op.abs(x), const(1.0)))), (9,)),
    "clip": (lambda x: op.clip(x, -0.2, 0.3), (9,)),
    "comparisons": (
        lambda x, y: op.logical_and(op.greater(x, y), op.logical_or(op.less_equal(y, const(0.2)), op.not_equal(x, y))),
        (9,),
        (9,),
    ),
    "where": (lambda x, y: op.where(op.less(x, const(0.0)), y, x), (9,), (9,)),
    "where_known": (
        lambda x: op.add(
            op.where(op.isnan(const(np.nan)), x, op.exp(x)),
            op.where(op.isnan(const([2.0])), const([0.0]), const([3.0])),
        ),
        (9,),
    ),
    "where_known_broadcast": (lambda x, y: op.where(const(True, "bool"), x, y), (1, 4), (3, 4)),
    "is_nan": (lambda x: op.isnan(op.add(x, const([np.inf, np.nan, 0] * 3))), (9,)),
    "is_finite": (lambda x: op.isfinite(op.add(x, const([np.inf, np.nan, 0] * 3))), (9,)),
    "cast": (lambda x: op.astype(op.astype(op.multiply(x, const(9.0)), "int32"), "float32"), (9,)),
    "bits": (
        lambda x, y: op.bitwise_xor(op.left_shift(x, y), op.bitwise_and(x, y)),
        (5, "uint32"),
        (5, "uint32"),
    ),
    # activations
    "activations": (lambda x: op.add(op.nn.relu(x), op.add(op.sigmoid(x), op.tanh(x))), (9,)),
    "gelu": (op.nn.gelu, (9,)),
    "gelu_tanh": (op.nn.gelu_tanh, (9,)),
    "silu_selu": (lambda x: op.add(op.nn.silu(x), op.nn.selu(x)), (9,)),
    "leaky_relu": (lambda x: op.nn.leakyrelu(x, 0.2), (9,)),
    "prelu": (lambda x, a: op.nn.prelu(x, a, 1), IMAGE, (4,)),
    "softplus": (lambda x: op.nn.softplus(x, 2.0), (9,)),
    "softmax": (lambda x: op.add(op.nn.softmax(x, 1), op.nn.log_softmax(x, -1)), (2, 3, 4)),
    # products
    "matmul": (op.matmul, (2, 3, 4), (4, 5)),
    "matmul_vector": (op.matmul, (3, 4), (4,)),
    "outer": (op.outer, (3,), (4,)),
    "einsum": (lambda x, y: op.einsum((x, y), "bhid, bhjd -> bhij"), (1, 2, 3, 4), (1, 2, 5, 4)),
    "conv": (
        lambda x, w: op.nn.conv2d(x, w, strides=(2, 1), padding=(1, 0, 2, 1), dilation=(1, 2), groups=2),
        IMAGE,
        (6, 2, 3, 2),
    ),
    "conv_weights_last": (lambda x, w: op.nn.conv2d(x, w, kernel_layout="HWIO"), IMAGE, (3, 2, 4, 5)),
    "conv1d": (lambda x, w: op.nn.conv1d(x, w, padding=1), (2, 4, 9), (3, 4, 3)),
    "conv3d": (lambda x, w: op.nn.conv3d(x, w), (1, 2, 4, 5, 6), (3, 2, 1, 2, 3)),
    "conv_channels_last": (
        lambda x, w: op.nn.conv2d(x, w, strides=2, padding=1, data_layout="NHWC", kernel_layout="HWIO"),
        (2, 7, 6, 4),
        (3, 3, 4, 5),
    ),
    "convs_channels_last": (
        lambda x, w: op.nn.max_pool2d(
            op.nn.relu(op.nn.conv2d(x, w, padding=1, data_layout="NHWC", kernel_layout="OHWI")), (2, 2), layout="NHWC"
        ),
        (2, 7, 6, 4),
        (5, 3, 3, 4),
    ),
    "conv_transpose": (
        lambda x, w: op.nn.conv2d_transpose(x, w, strides=(2, 3), padding=(1, 0), output_padding=(1, 0)),
        IMAGE,
        (4, 3, 3, 2),
    ),
    "conv1d_transpose": (lambda x, w: op.nn.conv1d_transpose(x, w, strides=2), (2, 4, 9), (4, 3, 3)),
    # normalisation
    "batch_norm": (
        lambda x, *a: op.nn.batch_norm(x, a[0], a[1], a[2], op.abs(a[3]), axis=1, epsilon=1e-3, training=False)[0],
        IMAGE,
        *[(4,)] * 4,
    ),
    "batch_norm_channels_last": (
        lambda x, *a: op.nn.batch_norm(x, a[0], a[1], a[2], op.abs(a[3]), axis=3, training=False)[0],
        (2, 7, 6, 4),
        *[(4,)] * 4,
    ),
    "layer_norm": (lambda x, *a: op.nn.layer_norm(x, *a, axes=[-2, -1], epsilon=1e-3), (2, 3, 4), (3, 4), (3, 4)),
    "rms_norm": (lambda x, w: op.nn.rms_norm(x, w, axes=[-1], epsilon=1e-3), (2, 3, 4), (4,)),
    "group_norm": (
        lambda x, *a: op.nn.group_norm(x, *a, num_groups=2, channel_axis=1, axes=[2, 3], epsilon=1e-3),
        IMAGE,
        (4,),
        (4,),
    ),
    "instance_norm": (
        lambda x, *a: op.nn.instance_norm(x, *a, channel_axis=1, axes=[2, 3], epsilon=1e-3),
        IMAGE,
        (4,),
        (4,),
    ),
    # pooling and resizing
    "max_pool": (lambda x: op.nn.max_pool2d(x, (3, 2), (2, 1), (1, 0, 1, 1), ceil_mode=False), IMAGE),
    "max_pool_ceil": (lambda x: op.nn.max_pool2d(x, (3, 3), (2, 2), (0, 0), ceil_mode=True), IMAGE),
    "max_pool_channels_last": (lambda x: op.nn.max_pool2d(x, (3, 2), (2, 1), layout="NHWC"), (2, 7, 6, 4)),
    "max_pool1d": (lambda x: op.nn.max_pool1d(x, (3,), (2,)), (2, 4, 9)),
    "average_pool": (lambda x: op.nn.avg_pool2d(x, (3, 3), (2, 2), (1, 1), count_include_pad=False), IMAGE),
    "average_pool_all": (lambda x: op.nn.avg_pool2d(x, (3, 3), (2, 2), (1, 1), count_include_pad=True), IMAGE),
    "average_pool3d": (lambda x: op.nn.avg_pool3d(x, (2, 1, 1), (1, 1, 1)), (1, 2, 3, 4, 5)),
    "adaptive_one": (lambda x: op.nn.adaptive_avg_pool2d(x, 1), IMAGE),
    "adaptive_even": (lambda x: op.nn.adaptive_avg_pool2d(x, (7, 3)), IMAGE),
    "adaptive_same": (lambda x: op.nn.adaptive_avg_pool2d(x, (7, 6)), IMAGE),
    "adaptive_channels_last": (lambda x: op.nn.adaptive_avg_pool2d(x, 1, layout="NHWC"), (2, 7, 6, 4)),
    "resize_linear": (lambda x: op.image.resize2d(x, (14, 12), method="linear"), IMAGE),
    "resize_nearest": (
        lambda x: op.image.resize2d(
            x,
            (14, 9),
            method="nearest_neighbor",
            coordinate_transformation_mode="asymmetric",
            rounding_method="floor",
        ),
        IMAGE,
    ),
    "resize_channels_last": (lambda x: op.image.resize2d(x, (14, 12), method="linear", layout="NHWC"), (2, 7, 6, 4)),
    # reductions
    "mean_of_all": (op.mean, (2, 3)),
    "sum_dims": (lambda x: op.sum(x, [1, -1]), (2, 3, 4)),
    "max_keepdims": (lambda x: op.max(x, 1, keepdims=True), (3, 5)),
    "min_prod": (lambda x: op.add(op.min(x, 0), op.prod(x, 0)), (3, 5)),
    "argmax": (lambda x: op.argmax(x, 1), (3, 5)),
    "argmax_keepdims": (lambda x: op.argmax(x, 1, keepdims=True), (3, 5)),
    "argmin_of_all": (op.argmin, (3, 5)),
    "variance_std": (lambda x: op.add(op.variance(x, [1]), op.std(x, [1])), (3, 5)),
    # shapes
    "reshape": (lambda x: op.reshape(x, (4, -1)), (2, 3, 4)),
    "flatten": (op.flatten, IMAGE),
    "batch_flatten": (op.nn.batch_flatten, IMAGE),
    "squeeze_expand": (lambda x: op.expand_dims(op.squeeze(x, [0]), [0, -1]), (1, 3, 4)),
    "permute": (lambda x: op.permute_dims(x, [2, 0, 1]), (2, 3, 4)),
    "permute_all": (op.permute_dims, (2, 3, 4)),
    "concat_stack": (lambda x, y: op.concat([op.stack([x, y], 1), op.stack([y, x], -2)], -1), (2, 3), (2, 3)),
    "concat_one": (lambda x: op.concat([x], 0), (2, 3)),
    "split": (lambda x: op.multiply(op.split(x, 2, 1)[1], op.split(x, [1, 5], -1)[1]), (2, 8)),
    "split_one": (lambda x: op.split(x, 1, 1), (2, 8)),
    "strided_slice": (lambda x: op.strided_slice(x, [1, 0], [-1, 0], [0, 9], [-2, 1]), (2, 7)),
    "strided_slice_all": (lambda x: op.strided_slice(x, [1], [0], [7]), (2, 7)),
    "pad": (lambda x: op.nn.pad(x, [0, 1, 2, 0], pad_value=0.5), (2, 3)),
    "broadcast": (lambda x: op.broadcast_to(x, (2, 3, 4)), (3, 1)),
    "tile": (lambda x: op.tile(x, (2, 1, 3)), (3, 4)),
    "repeat": (lambda x: op.repeat(x, 3, 1), (2, 3, 4)),
    "repeat_flat": (lambda x: op.repeat(x, 3), (2, 3)),
    "flip": (lambda x: op.flip(x, 1), (2, 3, 4)),
    "triangles": (lambda x: op.add(op.triu(x, 1), op.tril(x, -1)), (4, 4)),
    "meshgrid": (lambda x, y: op.stack(op.meshgrid([x, y], indexing="ij")), (3,), (4,)),
    # lookups
    "take": (lambda x, i: op.take(x, i, 1), (2, 5, 3), (2, 2, "int64")),
    "take_flat": (lambda x, i: op.take(x, i), (9,), (2, 2, "int64")),
    "take_one": (lambda x: op.take(x, relax.prim_value(1), 1), (2, 5, 3)),
    "gather_elements": (lambda x, i: op.gather_elements(x, i, 1), (2, 5), (2, 3, "int64")),
    "gather_nd": (lambda x, i: op.gather_nd(x, i), (5, 4), (3, 2, "int64")),
    "scatter_elements": (
        lambda x, i, y: op.scatter_elements(x, i, y, 1, "add"),
        (2, 5),
        (2, 3, "int64"),
        (2, 3),
    ),
    "scatter_nd": (lambda x, y: op.scatter_nd(x, const([[1], [3]], "int64"), y), (5, 2), (2, 2)),
    "topk": (lambda x: op.topk(x, 2, -1, "values"), (3, 5)),
    "topk_places": (lambda x: op.topk(x, 2, 0, "indices", False, "int64"), (5, 3)),
    "topk_both": (lambda x: op.topk(x, 2, -1, "both")[0], (3, 5)),
    "sort": (lambda x: op.sort(x, 0, descending=True), (5, 3)),
    "cumsum": (lambda x: op.cumsum(x, 1), (2, 5)),
    "cumsum_flat": (lambda x: op.cumsum(x), (2, 5)),
    "one_hot": (lambda i: op.one_hot(i, relax.prim_value(1), relax.prim_value(0), 5, 1), (2, 3, "int64")),
    "index_tensor": (
        lambda x, i, j: op.index_tensor(x, [i, j]),
        (5, 4, 3),
        (2, 1, "int64"),
        (3, "int64"),
    ),
    # attention, with a mask and without
    "attention": (op.nn.attention, (1, 3, 2, 4), (1, 5, 2, 4), (1, 5, 2, 4)),
    "attention_bias": (
        lambda q, m: op.nn.attention(q, q, q, m, scale=0.3),
        (1, 3, 2, 4),
        (1, 2, 3, 3),
    ),
    "attention_causal": (lambda q: op.nn.attention(q, q, q, causal_mask="TopLeft"), (1, 3, 2, 4)),
    # constants
    "arange_eye": (lambda x: op.add(x, op.add(op.eye(4, 4, 1, "float32"), op.arange(1, 9, 2, "float32"))), (4, 4)),
    "full": (
        lambda x: op.add(op.full((3, 4), const(0.5), "float32"), op.add(op.ones_like(x), op.zeros_like(x))),
        (3, 4),
    ),
    # what changes nothing
    "dropout": (lambda x: op.nn.dropout(x, 0.5)[0], (3, 4)),
    "quantised": (
        lambda x: op.dequantize(
            op.quantize(x, const(0.01), const(3, "int8"), out_dtype="int8"), const(0.01), const(3, "int8")
        ),
        (3, 4),
    ),
}


def pixel_shuffled(x: np.ndarray) -> np.ndarray:
    return np.reshape(np.transpose(np.reshape(x, (1, 2, 2, 2, 3, 5)), (0, 1, 4, 2, 5, 3)), (1, 2, 6, 10))


BY_HAND: dict[str, tuple[Any, ...]] = {
    # what TVM does not compile as it is, with what NumPy makes of it
    "fma": (op.ewise_fma, lambda x, y, z: x * y + z, (4,), (4,), (4,)),
    "pixel_shuffle": (lambda x: op.nn.pixel_shuffle(x, 2), pixel_shuffled, (1, 8, 3, 5)),
    "hints": (lambda x: op.grad.no_grad(op.builtin.stop_lift_params(x)), lambda x: x, (3, 4)),
    "wrap_param": (
        lambda x: op.add(x, op.wrap_param(const([1, 2, 3], "float16"), "float32")),
        lambda x: x + np.array([1, 2, 3]),
        (3,),
    ),
}


# --- Running a case twice ---


def typed(spec: Sequence[Any]) -> tuple[tuple[int, ...], str]:
    return (tuple(spec[:-1]), spec[-1]) if spec and isinstance(spec[-1], str) else (tuple(spec), "float32")


def operands(specs: Sequence[Sequence[Any]]) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    made = []
    for shape, dtype in map(typed, specs):
        is_float = dtype == "float32"
        made.append((rng.random(shape) - 0.4 if is_float else rng.integers(0, 2, shape)).astype(dtype))
    return made


def module_of(functions: dict[str, tuple[Callable[..., Any], Sequence[Sequence[Any]]]]) -> Any:
    """A module with a function for each of these."""
    builder = relax.BlockBuilder()
    for name, (write, specs) in functions.items():
        types = [relax.TensorType(*typed(spec)) for spec in specs]
        inputs = [relax.Var(f"x{index}", of_one) for index, of_one in enumerate(types)]
        with builder.function(name, inputs):
            with builder.dataflow():
                output = builder.emit_output(write(*inputs))
            builder.emit_func_output(output)
    return builder.get()


def one(write: Callable[..., Any], *specs: Sequence[Any]) -> Any:
    return module_of({"main": (write, specs)})


@pytest.fixture(scope="module")
def cases() -> Any:
    return module_of({name: (case[0], case[1:]) for name, case in CASES.items()})


@pytest.fixture(scope="module")
def machine(cases, target) -> Any:
    """Runs the cases as TVM does."""
    return relax.VirtualMachine(tvm.compile(cases, target=target), tvm.cpu())


@pytest.mark.parametrize("case", CASES)
def test_the_graph_computes_what_relax_computes(case, cases, machine):
    arguments = operands(CASES[case][1:])
    expected = machine[case](*map(tvm.runtime.tensor, arguments)).numpy()
    graph = read_relax(cases, function=case)

    (computed,) = run_as_onnx(graph, arguments)

    assert not {found.domain for found in graph} - {""}
    assert graph.values[graph.outputs[0]].shape == tuple(expected.shape)
    assert graph.values[graph.outputs[0]].dtype == str(expected.dtype)
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", BY_HAND)
def test_the_graph_computes_what_numpy_computes(case):
    write, by_numpy, *specs = BY_HAND[case]
    arguments = operands(specs)

    (computed,) = run_as_onnx(read_relax(one(write, *specs)), arguments)

    np.testing.assert_allclose(computed, by_numpy(*arguments), rtol=1e-5)


def run_as_onnx(graph: OpGraph, arguments: Sequence[np.ndarray]) -> Any:
    """Run ``graph`` with the ONNX reference runtime."""
    constants = {value.name: value.data for value in graph.values.values() if value.kind is ValueKind.WEIGHT}
    nodes = [node for found in graph for node in spelt_out(found, constants)]
    if not nodes:
        return [constants[name] if name in constants else arguments[graph.inputs.index(name)] for name in graph.outputs]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info(name, *onnx_type(graph, name)) for name in graph.inputs],
            [helper.make_tensor_value_info(name, *onnx_type(graph, name)) for name in graph.outputs],
            [numpy_helper.from_array(np.asarray(array, order="C"), name) for name, array in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", onnx.defs.onnx_opset_version())],
    )
    onnx.checker.check_model(model, full_check=True)
    return ReferenceEvaluator(model).run(None, dict(zip(graph.inputs, arguments, strict=True)))


def onnx_type(graph: OpGraph, name: str) -> tuple[int, tuple[int, ...] | None]:
    value = graph.values[name]
    return helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype.value)), value.shape


def spelt_out(found: Op, constants: dict[str, Any]) -> Iterator[onnx.NodeProto]:
    """``found`` as ONNX has it, where our form is freer: axes as attributes."""
    attributes, inputs = dict(found.attributes), list(found.inputs)
    if found.op_type.startswith("Reduce"):
        constants[f"{found.name}.axes"] = np.array(attributes.pop("axes"), dtype=np.int64)
        inputs.append(f"{found.name}.axes")
    yield helper.make_node(found.op_type, inputs, found.outputs, **attributes)


# --- Weights ---


def types_of(graph: OpGraph) -> list[str]:
    return [found.qualified_type for found in graph]


def test_parameters_that_are_not_fed_are_weights():
    module = one(lambda x, w: op.matmul(x, w), (2, 3), (3, 4))
    marked = tvm.IRModule({"main": module["main"].with_attr("num_input", 1)})

    assert read_relax(module).inputs == ("x0", "x1")
    graph = read_relax(marked)
    assert graph.inputs == ("x0",)
    assert graph.values["x1"].kind is ValueKind.WEIGHT
    assert types_of(simplify(graph, RELAX_PASSES)) == ["Gemm"]


def test_elements_are_kept_of_small_constants_only_and_a_shared_one_is_one():
    large, small = const(np.ones((40, 40))), const(np.arange(40))
    graph = read_relax(
        one(lambda x: op.add(op.matmul(op.add(op.matmul(x, large), small), large), small), (1, 40)), name="net"
    )

    weights = [value for value in graph.values.values() if value.is_weight]
    assert sorted(value.shape for value in weights) == [(40,), (40, 40)]
    assert next(value for value in weights if value.shape == (40, 40)).data is None
    np.testing.assert_array_equal(next(value for value in weights if value.shape == (40,)).data, np.arange(40))
    assert total_cost(graph).params == 1640
    assert graph.name == "net"


def test_narrow_types_have_their_size():
    graph = read_relax(one(lambda x: op.astype(x, "float8_e4m3fn"), (4,)))
    half = read_relax(one(lambda x: op.astype(x, "bfloat16"), (4,)))

    assert graph.values[graph.outputs[0]].dtype is DType.FLOAT8
    assert half.values[half.outputs[0]].dtype is DType.BFLOAT16


# --- What is not known ---


def test_an_operator_without_a_lowering_is_an_operation_of_relax():
    graph = read_relax(one(lambda x: op.nn.layer_norm(x, const([1.0, 1]), const([0.0, 0]), axes=[0]), (2, 3)))

    (found,) = graph
    assert (found.domain, found.op_type, len(found.inputs)) == ("relax", "nn.layer_norm", 3)
    assert found.attributes["axes"] == (0,)
    assert found.attributes["epsilon"] == pytest.approx(1e-5)
    assert graph.values[found.outputs[0]].shape == (2, 3)


@pytest.mark.parametrize(
    ("write", "op_type"),
    [
        (lambda x: op.nn.max_pool2d(x, (2, 2), layout="NCHW4c"), "relax::nn.max_pool2d"),
        (lambda x: op.image.resize2d(op.reshape(x, (2, 3, 4, 4)), (8, 8), layout="HWCN"), "Transpose"),
    ],
)
def test_layouts_in_blocks_are_not_taken_for_others(write, op_type):
    graph = read_relax(one(write, (2, 1, 8, 6, 4) if "::" in op_type else (2, 3, 4, 4)))

    assert types_of(graph)[0] == op_type


def test_a_symbolic_size_is_an_error_that_says_what_to_do():
    size = tirx.Var("n", "int64")
    module = one(lambda x: op.nn.relu(x), (size, 3))

    with pytest.raises(UnsupportedModelError, match=r"parameter x0 has the symbolic shape.*BindSymbolicVars"):
        read_relax(module)
    graph = read_relax(relax.transform.BindSymbolicVars({"n": 5})(module))
    assert graph.values["x0"].shape == (5, 3)


def test_a_size_that_data_decides_is_an_error():
    with pytest.raises(UnsupportedModelError, match="depends on data"):
        read_relax(one(lambda x: op.unique(x), (9,)))


def test_a_branch_is_an_error():
    x, condition = relax.Var("x", relax.TensorType((3,), "float32")), relax.Var("c", relax.TensorType((), "bool"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x, condition]):
        output = builder.emit(relax.If(condition, op.nn.relu(x), op.abs(x)))
        builder.emit_func_output(output)

    with pytest.raises(UnsupportedModelError, match="is a branch"):
        read_relax(builder.get())


def test_a_legalised_module_is_refused():
    module = relax.transform.LegalizeOps()(one(lambda x: op.nn.relu(op.add(x, x)), (3, 4)))

    with pytest.raises(
        UnsupportedModelError, match=r"calls functions of TIR only.*before relax\.transform\.LegalizeOps"
    ):
        read_relax(module)


def with_tir(write: Callable[..., Any], *arguments: Any) -> OpGraph:
    """A network with a function that was written in TIR, as frontends do now and then."""
    x = relax.Var("x", relax.TensorType((1, 4, 6, 6), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            made = builder.emit_te(write, builder.emit(op.nn.relu(x)), *arguments)
            output = builder.emit_output(op.nn.max_pool2d(made, (2, 2)))
        builder.emit_func_output(output)
    return read_relax(builder.get())


def test_functions_of_tir_among_operators_go_by_their_names():
    def doubled(x: Any) -> Any:
        return tvm.te.compute(x.shape, lambda *i: x[i] * 2, name="doubled")

    assert types_of(with_tir(topi.nn.pad, (0, 0, 1, 1), (0, 0, 1, 1))) == ["Relu", "Pad", "MaxPool"]
    assert types_of(with_tir(topi.maximum, tirx.const(0.5, "float32"))) == ["Relu", "Max", "MaxPool"]
    assert types_of(with_tir(doubled)) == ["Relu", "relax::doubled", "MaxPool"]


def test_functions_of_other_libraries_are_operations_of_their_names():
    made = relax.TensorType((2, 3), "float32")
    graph = read_relax(one(lambda x: relax.call_dps_packed("library.twice", (op.nn.relu(x),), out_ty=made), (2, 3)))
    assert types_of(graph) == ["Relu", "relax::library.twice"]

    x = relax.Var("x", made)
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        output = builder.emit(relax.Call(relax.ExternFunc("library.thrice"), [op.nn.relu(x)], ty_args=[made]))
        builder.emit_func_output(output)
    assert types_of(read_relax(builder.get())) == ["Relu", "relax::library.thrice"]


def test_shapes_and_prints_are_no_operations():
    x = relax.Var("x", relax.TensorType((2, 3), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        shape = builder.emit(op.shape_of(x))
        builder.emit(op.print(x, format="{}"))
        flat = builder.emit(op.reshape(x, (6,)))
        output = builder.emit(op.reshape(op.nn.relu(flat), shape))
        builder.emit_func_output(output)

    graph = read_relax(builder.get())

    assert types_of(graph) == ["Reshape", "Relu", "Reshape"]
    assert graph.values[graph.outputs[0]].shape == (2, 3)


# --- Functions ---


def test_functions_that_are_called_are_unfolded_and_tuples_followed():
    builder = relax.BlockBuilder()
    x, y = (relax.Var(name, relax.TensorType((2, 3), "float32")) for name in "xy")
    with builder.function("half", [x, y], private=True):
        with builder.dataflow():
            total = builder.emit(op.add(x, y))
            output = builder.emit_output(relax.Tuple([total, op.nn.relu(total)]))
        builder.emit_func_output(output)
    half = builder.get().get_global_var("half")
    pair = relax.Var("pair", relax.TupleType([relax.TensorType((2, 3), "float32")] * 2))
    with builder.function("main", [pair]):
        with builder.dataflow():
            once = builder.emit(relax.Call(half, [pair[0], pair[1]]))
            twice = builder.emit(relax.Call(half, [once[0], once[1]]))
            output = builder.emit_output(relax.Tuple([twice[1], once[0]]))
        builder.emit_func_output(output)

    graph = read_relax(builder.get())

    assert types_of(graph) == ["Add", "Relu", "Add", "Relu"]
    assert graph.inputs == ("pair.0", "pair.1")
    x, y = operands([(2, 3), (2, 3)])
    first, second = run_as_onnx(graph, [x, y])
    np.testing.assert_allclose(first, np.maximum(x + y + np.maximum(x + y, 0), 0), rtol=1e-6)
    np.testing.assert_allclose(second, x + y, rtol=1e-6)


def test_which_function_is_the_network():
    several = module_of({"encode": (op.nn.relu, [(3,)]), "decode": (op.abs, [(3,)])})

    assert types_of(read_relax(several, function="decode")) == ["Abs"]
    with pytest.raises(UsageError, match="got decode, encode"):
        read_relax(several)
    with pytest.raises(UsageError, match="no Relax function 'main'; it has decode, encode"):
        read_relax(several, function="main")
    with pytest.raises(UsageError, match="got none"):
        read_relax(tvm.IRModule())
    assert types_of(read_relax(module_of({"forward": (op.abs, [(3,)])}))) == ["Abs"]


def test_other_networks_of_a_module_are_not_touched(caplog):
    """TVM's change of layouts gives up on some of them."""
    module = module_of(
        {name: (CASES[case][0], CASES[case][1:]) for name, case in [("a", "conv_channels_last"), ("b", "concat_stack")]}
    )

    assert types_of(read_relax(module, function="a")) == ["Transpose", "Transpose", "Conv", "Transpose"]
    assert not caplog.records


def test_a_change_of_layouts_that_fails_leaves_transpositions_around_each_convolution(monkeypatch, caplog):
    def fails(layouts: object) -> Callable[[Any], Any]:
        def convert(module: Any) -> Any:
            raise tvm.error.InternalError("no")

        return convert

    monkeypatch.setattr(relax.transform, "ConvertLayout", fails)
    write, *specs = CASES["convs_channels_last"]
    graph = read_relax(one(write, *specs))

    assert types_of(graph).count("Transpose") == 5
    assert "around each" in caplog.text


def test_an_adaptive_pooling_that_is_uneven_has_windows_that_cover_the_image():
    (found,) = read_relax(one(lambda x: op.nn.adaptive_avg_pool2d(x, (3, 4)), (2, 4, 7, 6)))

    assert (found.op_type, found.attributes["kernel_shape"], found.attributes["strides"]) == (
        "AveragePool",
        (3, 3),
        (2, 1),
    )


def test_groups_of_a_transposed_convolution_are_kept():
    graph = read_relax(one(lambda x, w: op.nn.conv2d_transpose(x, w, groups=2), IMAGE, (4, 3, 3, 2)))

    (found,) = graph
    assert found.attributes["group"] == 2
    assert graph.values[found.outputs[0]].shape == (2, 6, 9, 7)
    assert total_cost(graph).flops == 2 * (2 * 4 * 7 * 6) * (3 * 3 * 2)


# --- Names ---


def chain(x: Any) -> Any:
    return op.abs(op.nn.relu(op.nn.relu(x)))


def test_every_operation_has_the_unique_name_of_its_variable():
    module = one(chain, (3,))
    names = list(unique_names(module["main"]).values())
    graph = read_relax(module)

    assert len(set(names)) == len(names)
    assert [found.sources for found in graph] == [(name,) for name in names[: len(graph)]]


def test_unique_names_survive_renaming_and_a_change_of_layout():
    def network(x: Any, w: Any) -> Any:
        y = op.nn.relu(op.nn.conv2d(x, w, padding=1, data_layout="NHWC", kernel_layout="OHWI"))
        return op.nn.relu(op.nn.conv2d(y, w, padding=1, data_layout="NHWC", kernel_layout="OHWI"))

    module = one(network, (1, 6, 6, 4), (4, 3, 3, 4))
    renamed = with_unique_names(module, "main")
    names = list(unique_names(module["main"]).values())

    assert list(unique_names(renamed["main"]).values()) == names
    assert [binding.var.name for block in renamed["main"].body.blocks for binding in block.bindings] == names
    for read in (read_relax(module), read_relax(renamed)):
        assert types_of(read).count("Transpose") == 4, "two images and two weights"
        kept = [found.sources[0] for found in read if found.op_type != "Transpose"]
        assert kept[:3] == names[:3], "what leaves the network gives its name to the transposition back"
    assert relax.analysis.well_formed(renamed) is not False


# --- What Relax spells out ---


def lrn(
    x: Any, *, kernel: Sequence[int] = (5, 1, 1), numerator: Any = None, volume: Sequence[int] = (1, 1, 8, 5, 5)
) -> Any:
    squares = op.reshape(op.multiply(x, x), volume)
    pooled = op.nn.avg_pool3d(squares, kernel, (1, 1, 1), [size // 2 for size in kernel] * 2)
    mean = op.reshape(pooled, (1, 8, 5, 5))
    base = op.add(op.multiply(mean, const(1e-4)), const(1.0))
    return op.divide(x if numerator is None else numerator, op.power(base, const(0.75)))


def simplified(write: Callable[..., Any], *specs: Sequence[Any]) -> OpGraph:
    return simplify(read_relax(one(write, *specs)), RELAX_PASSES)


def test_local_response_normalisation_is_recognised():
    (found,) = simplified(lrn, (1, 8, 5, 5))

    assert (found.op_type, found.attributes["size"]) == ("LRN", 5)
    assert len(found.sources) == 8


def test_what_only_resembles_it_is_left_alone():
    assert "LRN" not in types_of(simplified(lambda x: lrn(x, kernel=(1, 5, 1)), (1, 8, 5, 5)))
    assert "LRN" not in types_of(simplified(lambda x, y: lrn(x, numerator=y), (1, 8, 5, 5), (1, 8, 5, 5)))
    groups = simplified(lambda x: lrn(x, volume=(1, 2, 4, 5, 5)), (1, 8, 5, 5))
    assert "LRN" not in types_of(groups), "an average over channels of a group"


def gate(x: Any, slope: float = 0.2, top: float = 1.0) -> Any:
    return op.clip(op.add(op.multiply(x, const(slope)), const(0.5)), 0, top)


def test_the_hard_sigmoid_is_recognised_behind_a_convolution_too():
    conv, found = simplified(lambda x, w: gate(op.nn.conv2d(x, w)), (1, 4, 5, 5), (4, 4, 1, 1))

    assert (conv.op_type, found.op_type) == ("Conv", "HardSigmoid")
    assert found.attributes == {"alpha": pytest.approx(0.2), "beta": pytest.approx(0.5)}
    assert "HardSigmoid" not in types_of(simplified(lambda x: gate(x, top=6.0), (1, 4, 5, 5)))


def test_two_clips_are_one_where_that_does_the_same():
    (found,) = simplified(lambda x: op.clip(op.clip(x, 0, float("inf")), float("-inf"), 6), (3,))
    assert (found.op_type, found.attributes) == ("Clip", {"min": 0, "max": 6})
    assert len(simplified(lambda x: op.clip(op.clip(x, 3, 9), 0, 1), (3,))) == 2, "always 1, which no one clip says"


def test_a_maximum_and_a_minimum_of_numbers_are_a_clip():
    (found,) = simplified(lambda x: op.minimum(const(6.0), op.maximum(x, const(0.0))), (3,))
    assert (found.op_type, found.attributes) == ("Clip", {"min": 0, "max": 6})
    assert types_of(simplified(lambda x, y: op.minimum(op.maximum(x, y), const(6.0)), (3,), (3,))) == ["Max", "Min"]


def test_bounds_of_a_clip_that_might_have_been_no_numbers_are_known():
    def bounded(x: Any) -> Any:
        low = op.where(op.isnan(const(0.0)), const(-np.inf), const(0.0))
        return op.minimum(op.maximum(x, low), op.where(op.isnan(const(np.nan)), const(6.0), const(np.nan)))

    (found,) = simplified(bounded, (3,))
    assert (found.op_type, found.attributes) == ("Clip", {"min": 0, "max": 6})


def softplus(x: Any, other: Any) -> Any:
    return op.where(op.greater(x, const(20.0)), other, op.log(op.add(op.exp(x), const(1.0))))


def test_the_softplus_is_recognised():
    assert types_of(simplified(lambda x: softplus(x, x), (3,))) == ["Softplus"]
    assert "Softplus" not in types_of(simplified(softplus, (3,), (3,)))


def safe_softmax(x: Any, guarded: Any = None) -> Any:
    empty = op.logical_not(op.equal(x if guarded is None else guarded, const(-np.inf)))
    rows = op.logical_not(op.astype(op.max(op.astype(empty, "int8"), -1, keepdims=True), "bool"))
    softmax = op.nn.softmax(x, -1)
    return op.where(rows, op.full((2, 3, 4), const(0.0), "float32"), softmax)


def test_a_softmax_guarded_against_empty_rows_is_a_softmax():
    (found,) = simplified(safe_softmax, (2, 3, 4))

    assert (found.op_type, found.attributes) == ("Softmax", {"axis": 2})
    assert "Where" in types_of(simplified(safe_softmax, (2, 3, 4), (2, 3, 4))), "a guard on other scores"


def test_transpositions_in_a_row_are_one_or_none():
    def moved(x: Any, *axes: Sequence[int]) -> Any:
        for of_one in axes:
            x = op.permute_dims(x, of_one)
        return op.nn.relu(x)

    found, _ = simplified(lambda x: moved(x, [2, 0, 1], [1, 0, 2]), (2, 3, 4))
    assert found.attributes["perm"] == (0, 2, 1)
    assert types_of(simplified(lambda x: moved(x, [2, 0, 1], [1, 2, 0]), (2, 3, 4))) == ["Relu"]


def test_a_matrix_that_is_copied_for_each_of_a_batch_counts_once():
    def linear(x: Any, w: Any, *, copies: int = 8) -> Any:
        return op.matmul(x, op.broadcast_to(w, (copies, 3, 4)))

    module = one(linear, (8, 5, 3), (3, 4))
    graph = simplify(read_relax(tvm.IRModule({"main": module["main"].with_attr("num_input", 1)})), RELAX_PASSES)
    assert types_of(graph) == ["Gemm"]
    assert total_cost(graph).params == 12
    outer = simplified(lambda x, w: linear(x, w), (5, 3), (3, 4))
    assert types_of(outer) == ["Expand", "MatMul"], "here the copies make the batch"


def attention(q: Any, k: Any, v: Any) -> Any:
    keys = op.reshape(op.permute_dims(k, [0, 1, 3, 2]), (8, 4, 5))
    scores = op.matmul(op.reshape(q, (8, 5, 4)), keys)
    chosen = op.nn.softmax(op.reshape(scores, (2, 4, 5, 5)), -1)
    return op.reshape(op.matmul(op.reshape(chosen, (8, 5, 5)), op.reshape(v, (8, 5, 4))), (2, 4, 5, 4))


def test_attention_in_one_long_stack_is_attention():
    graph = simplified(attention, *[(2, 4, 5, 4)] * 3)

    assert types_of(graph) == ["Attention"]
    assert total_cost(graph).flops == 2 * 4 * 5 * 5 * (2 * (4 + 4) + 5)


def test_a_stack_whose_matrices_were_changed_stays_one():
    graph = simplified(
        lambda x, y: op.matmul(op.reshape(x, (8, 4, 5)), op.reshape(y, (8, 5, 4))), (2, 4, 5, 4), (2, 4, 5, 4)
    )

    assert [graph.values[name].shape for name in graph.ops[-1].inputs] == [(8, 4, 5), (8, 5, 4)]
