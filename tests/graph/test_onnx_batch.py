"""Another batch than the file's: rewritten where that is sound, else the node in the way is named."""

from pathlib import Path

import onnx
import pytest
from onnx import parser

from costmodel.errors import UnsupportedModelError
from costmodel.graph.onnx import from_onnx

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def parsed(body):
    return parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> {body}')


def target(*sizes):
    return f"<int64[{len(sizes)}] t = {{{', '.join(map(str, sizes))}}}>"


def shape_at(batch, model):
    graph = from_onnx(model, batch=batch)
    assert graph.batch == batch
    return graph.values["y"].shape


def test_the_batch_of_the_file_changes_nothing():
    model = parsed(f"g (float[4,6] x) => (float[?] y) {target(4, 3, 2)} {{ y = Reshape(x, t) }}")
    assert from_onnx(model, batch=4) == from_onnx(model)


@pytest.mark.parametrize("path", sorted(LIGHT.glob("*.onnx")), ids=lambda path: path.stem)
def test_every_light_model_grows_in_every_activation(path):
    small, large = from_onnx(path), from_onnx(path, batch=8)
    assert [op.op_type for op in large] == [op.op_type for op in small]
    carriers = set(small.inputs)
    for op in small:
        if carriers.intersection(op.inputs):
            carriers.update(op.outputs)
    for name in (name for op in small for name in op.outputs):
        factor = 8 if name in carriers else 1
        assert large.values[name].size == factor * small.values[name].size, name


@pytest.mark.parametrize(
    ("sizes", "grown"),
    [((2, 3, 4), (6, 3, 4)), ((-1, 4), (18, 4)), ((2, -1), (6, 12)), ((0, 12), (6, 12)), ((8, 3), (24, 3))],
    ids=["batch", "rest", "batch and rest", "copied", "batch times more"],
)
def test_reshape_targets_follow(sizes, grown):
    model = parsed(f"g (float[2,12] x) => (float[?] y) {target(*sizes)} {{ y = Reshape(x, t) }}")
    assert shape_at(6, model) == grown


def test_one_target_may_serve_reshapes_of_the_batch_and_of_weights():
    model = parsed(f"""
        g (float[2,6] x) => (float[?] y) <int64[2] t = {{2, 6}}, float[12] w = {{{", ".join("0" * 12)}}}> {{
            a = Reshape(x, t)  b = Reshape(w, t)  s = ReduceSum<keepdims = 1>(b)  y = Add(a, s)
        }}
    """)
    graph = from_onnx(model, batch=4)
    assert graph.values["a"].shape == (4, 6)
    assert graph.values["b"].shape == (2, 6)


def test_targets_computed_from_shapes_are_left_to_themselves():
    model = parsed("""
        g (float[2,12] x) => (float[?] y) <int64 zero = {0}, int64[1] at = {0}, int64[2] rest = {3, -1}> {
            s = Shape(x)  n = Gather(s, zero)  m = Unsqueeze(n, at)  t = Concat<axis = 0>(m, rest)  y = Reshape(x, t)
        }
    """)
    assert shape_at(5, model) == (5, 3, 4)


def test_a_batch_behind_other_axes_is_followed_where_it_is_plain():
    model = parsed(f"""
        g (float[2,5,6] x) => (float[?] y) {target(5, 4, 3)} {{ s = Transpose<perm = [1, 0, 2]>(x)  y = Reshape(s, t) }}
    """)
    assert shape_at(6, model) == (5, 12, 3)


def test_a_batch_of_1_behind_other_axes_may_have_gone_anywhere():
    model = parsed(f"""
        g (float[1,5,6] x) => (float[?] y) {target(5, 2, 3)} {{
            s = Transpose<perm = [1, 0, 2]>(x)  [heads] y = Reshape(s, t)
        }}
    """)
    with pytest.raises(UnsupportedModelError, match=r"Reshape node 'heads' stands in the way of batch 6"):
        from_onnx(model, batch=6)


def test_a_class_token_of_batch_1_is_repeated():
    model = parsed("""
        g (float[1,4,2] x) => (float[?] y) <float[1,1,2] token = {0, 0}> { y = Concat<axis = 1>(token, x) }
    """)
    graph = from_onnx(model, batch=3)
    assert graph.values["y"].shape == (3, 5, 2)
    assert [op.op_type for op in graph] == ["Expand", "Concat"]


def test_a_class_token_of_a_larger_batch_stands_in_the_way():
    model = parsed("""
        g (float[2,4,2] x) => (float[?] y) <float[2,1,2] token = {0, 0, 0, 0}> { [join] y = Concat<axis = 1>(token, x) }
    """)
    with pytest.raises(UnsupportedModelError, match="Concat node 'join' stands in the way of batch 3"):
        from_onnx(model, batch=3)


def test_a_class_token_expanded_to_the_batch_follows():
    model = parsed("""
        g (float[2,4,2] x) => (float[?] y) <int64[3] t = {2, 1, 2}, float[1,1,2] token = {0, 0}> {
            tokens = Expand(token, t)  y = Concat<axis = 1>(tokens, x)
        }
    """)
    assert shape_at(6, model) == (6, 5, 2)


def test_a_vector_as_long_as_the_batch_is_none():
    model = parsed("""
        g (float[2,4] x) => (float[?] y) <int64[1] two = {2}, int64[2] pads = {0, 1}> {
            zeros = ConstantOfShape <value = int64[1] {0}> (two)
            all = Concat<axis = 0>(zeros, pads)  y = Pad(x, all)
        }
    """)
    assert shape_at(6, model) == (6, 5)


def test_upsampling_to_fixed_sizes_follows():
    model = parsed(f"g (float[1,3,4,4] x) => (float[?] y) {target(1, 3, 8, 8)} {{ y = Resize(x, , , t) }}")
    assert shape_at(2, model) == (2, 3, 8, 8)


@pytest.mark.parametrize(
    ("node", "op_type"),
    [
        ("[culprit] y = ReduceMean<keepdims = 0>(x, axis)", "ReduceMean"),
        ("[culprit] y = Gather<axis = 0>(x, index)", "Gather"),
        ("[culprit] y = Add(x, offset)", "Add"),
        ("[culprit] y = Reshape(x, odd)", "Reshape"),
    ],
)
def test_nodes_that_mix_images_stand_in_the_way(node, op_type):
    model = parsed(f"""
        g (float[2,3] x) => (float[?] y)
        <int64[1] axis = {{0}}, int64 index = {{1}}, float[2,3] offset = {{0, 0, 0, 0, 0, 0}}, int64[2] odd = {{3, 2}}>
        {{ {node} }}
    """)
    with pytest.raises(UnsupportedModelError, match=rf"{op_type} node 'culprit' stands in the way of batch 5"):
        from_onnx(model, batch=5)


def test_a_branch_chosen_by_the_batch_stands_in_the_way():
    branches = "then_branch = a () => (p) { p = Neg(x) }, else_branch = b () => (q) { q = Exp(x) }"
    model = parsed(f"""
        g (float[2,3] x) => (float[?] y) <int64 zero = {{0}}, int64 two = {{2}}> {{
            s = Shape(x)  n = Gather(s, zero)  pair = Equal(n, two)  [fork] y = If(pair) <{branches}>
        }}
    """)
    with pytest.raises(UnsupportedModelError, match="If node 'fork' stands in the way of batch 5"):
        from_onnx(model, batch=5)


def test_other_inputs_follow_where_they_have_the_batch():
    model = parsed("""
        g (float[2,3] x, float[2,3] mask, float[3] bias) => (float[?] y) { m = Mul(x, mask)  y = Add(m, bias) }
    """)
    graph = from_onnx(model, batch=5)
    assert [graph.values[name].shape for name in graph.inputs] == [(5, 3), (5, 3), (3,)]


def test_the_batch_may_be_given_as_a_shape():
    model = parsed(f"g (float[2,12] x) => (float[?] y) {target(2, 3, 4)} {{ y = Reshape(x, t) }}")
    assert from_onnx(model, shapes={"x": (6, 12)}).values["y"].shape == (6, 3, 4)
