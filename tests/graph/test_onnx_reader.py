"""ONNX nodes as operations, tensors as values."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from costmodel.graph import DType, ValueKind, load_graph
from costmodel.graph.onnx import from_onnx

LIGHT = sorted((Path(onnx.__file__).parent / "backend" / "test" / "data" / "light").glob("*.onnx"))
NEWEST_OPSET = onnx.defs.onnx_opset_version()


def parsed(body, opset=NEWEST_OPSET, domains=""):
    return parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}{domains}]> {body}')


def convolution(opset):
    return parsed("g (float[1,3,8,8] x, float[4,3,3,3] w) => (float[?] y) { c = Conv(x, w)  y = Relu(c) }", opset)


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_every_light_model_has_every_shape(path):
    graph = from_onnx(path)
    assert graph.name == path.stem
    read = {name for op in graph for name in op.inputs if name}
    assert [name for name in (*read, *graph.outputs) if graph.values[name].shape is None] == []
    assert graph.values[graph.outputs[0]].shape[:2] == (1, 1000)
    assert len(graph.inputs) == 1, "weights that are listed as inputs are not inputs"


def test_weights_that_a_file_computes_are_there_before_the_run():
    model = parsed(
        "g (float[1,64,8,8] x) => (float[1,64,6,6] y) <float[64,64,3,3] w, float[64] scale, float[64] shift>"
        "{ v = InstanceNormalization(w, scale, shift)  y = Conv(x, v) }"
    )
    for name, shape in {"w": (64, 64, 3, 3), "scale": (64,), "shift": (64,)}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    assert [op.op_type for op in load_graph(model)] == ["Conv"]


@pytest.mark.parametrize("opset", [7, NEWEST_OPSET])
def test_shapes_are_found_in_old_and_new_operator_sets(opset):
    graph = from_onnx(convolution(opset))
    assert [op.op_type for op in graph] == ["Conv", "Relu"]
    assert graph.values["y"].shape == (1, 4, 6, 6)
    assert graph.values["y"].dtype is DType.FLOAT32


def test_path_bytes_and_message_give_the_same_graph(tmp_path):
    model = convolution(NEWEST_OPSET)
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    assert from_onnx(str(path)) == from_onnx(path) == from_onnx(path.read_bytes()) == from_onnx(model)


@pytest.mark.parametrize("ir_version", [3, 10])
def test_an_initialiser_that_is_also_an_input_is_a_weight(ir_version):
    model = convolution(NEWEST_OPSET)
    model.ir_version = ir_version
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.float32), "w"))
    graph = from_onnx(model)
    assert graph.inputs == ("x",)
    assert graph.values["w"].kind is ValueKind.WEIGHT


def test_constant_nodes_are_weights_that_know_their_elements():
    graph = from_onnx(
        parsed("g (float[2,6] x) => (float[?] y) { shape = Constant<value_ints = [3, 4]>()  y = Reshape(x, shape) }")
    )
    assert [op.op_type for op in graph] == ["Reshape"]
    np.testing.assert_array_equal(graph.values["shape"].data, [3, 4])
    assert graph.values["shape"].is_weight
    assert graph.values["y"].shape == (3, 4)


def test_weights_whose_external_file_is_missing_have_their_shape():
    model = convolution(NEWEST_OPSET)
    del model.graph.input[1]
    weight = model.graph.initializer.add(name="w", dims=[4, 3, 3, 3], data_type=TensorProto.FLOAT)
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="absent.bin")
    graph = from_onnx(model)
    assert graph.values["w"].shape == (4, 3, 3, 3)
    assert graph.values["w"].data is None
    assert graph.values["y"].shape == (1, 4, 6, 6)


def test_attributes_are_plain_values():
    node = helper.make_node(
        "Odd", ["x"], ["y"], domain="my", i=3, f=0.5, s="text", ints=[1, 2], floats=[0.5], strings=["a"],
        tensor=numpy_helper.from_array(np.zeros(2)),
    )  # fmt: skip
    value = helper.make_tensor_value_info
    graph = helper.make_graph([node], "g", [value("x", 1, [2])], [value("y", 1, [2])])
    (op,) = from_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("my", 1)]))
    assert op.qualified_type == "my::Odd"
    assert op.attributes == {"i": 3, "f": 0.5, "s": "text", "ints": (1, 2), "floats": (0.5,), "strings": ("a",)}


def test_operation_names_are_unique_and_remember_their_node():
    graph = from_onnx(
        parsed("g (float[2] x) => (float[2] y) { [a] p = Relu(x)  [b] q = Relu(p)  [b] r = Relu(q)  y = Relu(r) }")
    )
    names = [op.name for op in graph]
    assert names[0] == "a"
    assert len(set(names)) == 4
    assert [op.sources for op in graph] == [("a",), ("b",), ("b",), ()]


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("/layer1/layer1.0/conv1/Conv", "layer1.0.conv1"),
        ("/blocks/blocks.3/attn/qkv/MatMul", "blocks.3.attn.qkv"),
        ("/Relu", ""),
        ("Conv_12", ""),
    ],
)
def test_scope_comes_from_the_names_torch_gives(name, scope):
    model = convolution(NEWEST_OPSET)
    model.graph.node[0].name = name
    assert from_onnx(model).ops[0].scope == scope


def test_scope_comes_from_the_metadata_the_newer_exporter_writes():
    model = convolution(NEWEST_OPSET)
    model.graph.node[0].metadata_props.add(
        key="pkg.torch.onnx.name_scopes", value="['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d']"
    )
    model.graph.node[1].metadata_props.add(key="pkg.torch.onnx.name_scopes", value="not a list [")
    assert [op.scope for op in from_onnx(model)] == ["layer1.0.conv1", ""]


def test_local_functions_are_inlined():
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["": 21, "f": 1]>
        g (float[2] x) => (float[2] y) { y = f.twice(x) }
        <domain: "f", opset_import: ["": 21]> twice (a) => (b) { t = Neg(a)  b = Neg(t) }
    """)
    graph = from_onnx(model)
    assert [op.op_type for op in graph] == ["Neg", "Neg"]
    assert graph.values["y"].shape == (2,)


def test_nodes_out_of_order_are_sorted_and_have_shapes():
    graph = from_onnx(parsed("g (float[2,3] x) => (float[?] z) { z = Transpose(y)  y = Relu(x) }"))
    assert [op.op_type for op in graph] == ["Relu", "Transpose"]
    assert graph.values["z"].shape == (3, 2)
