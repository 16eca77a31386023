"""Whatever the bytes: a graph or a typed error, soon."""

import random
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, parser

from costmodel.errors import CostModelError, GraphError, ModelFileError, UnsupportedModelError
from costmodel.graph import OpGraph
from costmodel.graph.onnx import from_onnx

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
ALEXNET = (LIGHT / "light_bvlc_alexnet.onnx").read_bytes()
SECONDS_PER_FILE = 2


def mutated(content, seed):
    """``content`` with a few bytes changed, taken out or put in."""
    chance = random.Random(seed)
    damaged = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        at = chance.randrange(len(damaged))
        kind = chance.random()
        if kind < 0.6:
            damaged[at] = chance.randrange(256)
        elif kind < 0.8:
            damaged[at] ^= 1 << chance.randrange(8)
        elif kind < 0.9:
            del damaged[at : at + chance.randrange(1, 20)]
        else:
            damaged[at:at] = chance.randbytes(chance.randrange(1, 8))
    return bytes(damaged)


def outcome(content, **options):
    """The type of what comes of reading ``content``, which must not take long."""
    start = time.thread_time()
    try:
        result = from_onnx(content, **options)
    except CostModelError as error:
        result = error
        assert str(error)
    assert time.thread_time() - start < SECONDS_PER_FILE
    return type(result)


def test_500_mutated_files():
    outcomes = [outcome(mutated(ALEXNET, seed), batch=8 if seed % 5 == 0 else None) for seed in range(500)]
    assert len(set(outcomes)) > 2, "mutations should lead to graphs and to several kinds of error"
    assert OpGraph in outcomes


def test_every_truncation_is_noticed_or_harmless():
    ends = range(1, len(ALEXNET), 101)
    outcomes = {outcome(ALEXNET[:end]) for end in ends}
    assert outcomes == {ModelFileError}


@pytest.mark.parametrize(
    "content",
    [b"", b"hello, world", b"\x89PNG\r\n\x1a\n" * 50, bytes(1000), np.random.default_rng(0).bytes(20_000)],
    ids=["empty", "text", "png", "zeros", "random"],
)
def test_content_that_is_no_model(content):
    assert outcome(content) is ModelFileError


def test_another_protobuf_message_is_no_model():
    tensor = TensorProto(dims=[2], data_type=TensorProto.FLOAT, float_data=[1, 2])
    assert outcome(tensor.SerializeToString()) is ModelFileError


def test_a_name_that_is_not_text_is_reported():
    assert outcome(ALEXNET.replace(b"conv1", b"c\xff\xfev1")) is ModelFileError


def test_a_cycle_is_named():
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["": 21]>
        g (float[2] x) => (float[2] y) { [first] y = Add(x, z)  [second] z = Relu(y) }
    """)
    with pytest.raises(GraphError, match=r"cycle.*(first|second)"):
        from_onnx(model)


def test_a_tensor_from_nowhere_is_named():
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["": 21]> g (float[2] x) => (float[2] y) { y = Add(x, nowhere) }
    """)
    with pytest.raises(GraphError, match="nowhere"):
        from_onnx(model)


def test_a_graph_without_nodes_is_a_graph_without_ops():
    graph = from_onnx(parser.parse_model('<ir_version: 10, opset_import: ["": 21]> g (float[2] x) => (float[2] x) {}'))
    assert len(graph) == 0
    assert graph.values["x"].shape == (2,)


def test_nan_attributes_are_kept():
    node = helper.make_node("LeakyRelu", ["x"], ["y"], alpha=float("nan"))
    value = helper.make_tensor_value_info
    graph = helper.make_graph([node], "g", [value("x", 1, [2])], [value("y", 1, [2])])
    (op,) = from_onnx(helper.make_model(graph))
    assert np.isnan(op.attributes["alpha"])


def test_an_operator_set_that_is_too_old_is_refused():
    model = parser.parse_model('<ir_version: 3, opset_import: ["": 6]> g (float[2] x) => (float[2] y) { y = Relu(x) }')
    with pytest.raises(UnsupportedModelError, match=r"operator set 6.*convert_version"):
        from_onnx(model)


def test_functions_that_call_themselves_or_explode_are_refused():
    def model(*bodies):
        functions = "".join(
            f'<domain: "f", opset_import: ["": 21, "f": 1]> {name} (x) => (y) {{ {body} }}\n' for name, body in bodies
        )
        graph = "g (float[2] x) => (float[2] y) { y = f.f0(x) }"
        return parser.parse_model(f'<ir_version: 10, opset_import: ["": 21, "f": 1]> {graph} {functions}')

    with pytest.raises(ModelFileError, match=r"f::f0.*calls itself"):
        from_onnx(model(("f0", "y = f.f0(x)")))
    doubling = [(f"f{n}", f"t = f.f{n + 1}(x) y = f.f{n + 1}(t)") for n in range(40)]
    with pytest.raises(UnsupportedModelError, match="unfold to"):
        from_onnx(model(*doubling, ("f40", "y = Relu(x)")))
