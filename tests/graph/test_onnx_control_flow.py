"""``If``, ``Loop`` and ``Scan`` become the nodes they run."""

import pytest
from onnx import parser

from costmodel.errors import UnsupportedModelError
from costmodel.graph.onnx import from_onnx


def parsed(body, opset=21):
    return parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]> {body}')


def op_types(graph, *left_out):
    return [op.op_type for op in graph if op.op_type not in ("Identity", *left_out)]


BRANCHES = "<then_branch = a () => (p) { p = Relu(x) }, else_branch = b () => (q) { t = Exp(x)  q = Neg(t) }>"


@pytest.mark.parametrize(("rows", "taken"), [(2, ["Relu"]), (3, ["Exp", "Neg"])])
def test_if_on_a_shape_is_the_branch_taken(rows, taken):
    model = parsed(f"""
        g (float[{rows},4] x) => (float[?] y) <int64 zero = {{0}}, int64 two = {{2}}> {{
            shape = Shape(x)  size = Gather(shape, zero)  condition = Equal(size, two)
            y = If(condition) {BRANCHES}
        }}
    """)
    graph = from_onnx(model)
    assert op_types(graph, "Shape", "Gather", "Equal") == taken
    assert graph.values["y"].shape == (rows, 4)


def test_if_inside_a_branch_that_is_not_taken_does_not_matter():
    inner = f"<then_branch = c () => (i) {{ i = If(fed) {BRANCHES} }}, else_branch = d () => (j) {{ j = Neg(x) }}>"
    model = parsed(f"g (float[2] x, bool fed) => (float[2] y) <bool no = {{0}}> {{ y = If(no) {inner} }}")
    assert op_types(from_onnx(model)) == ["Neg"]


def test_if_on_an_input_is_named():
    model = parsed(f"g (float[2] x, bool fed) => (float[2] y) {{ [gate] y = If(fed) {BRANCHES} }}")
    with pytest.raises(UnsupportedModelError, match=r"If node 'gate'.*'fed' depends"):
        from_onnx(model)


def loop(trips, condition="yes", keeps_on="Identity(c)"):
    body = f"""
        b (int64 i, bool c, float[2,4] state) => (c2, next, row) {{
            c2 = {keeps_on}  next = MatMul(state, w)  row = Relu(next)
        }}"""
    return parsed(f"""
        g (float[2,4] x, float[4,4] w, int64 fed) => (float[?] last, float[?] rows)
        <int64 trips = {{{trips}}}, bool yes = {{1}}, bool no = {{0}}> {{
            [repeat] last, rows = Loop({"fed" if trips == 0 else "trips"}, {condition}, x) <body = {body}>
        }}
    """)


@pytest.mark.parametrize("opset", [11, 21])
@pytest.mark.parametrize("condition", ["yes", ""])
def test_loop_is_its_body_once_a_trip(opset, condition):
    model = loop(3, condition)
    model.opset_import[0].version = opset
    graph = from_onnx(model)
    assert op_types(graph) == ["MatMul", "Relu"] * 3 + ["Unsqueeze"] * 3 + ["Concat"]
    assert graph.values["last"].shape == (2, 4)
    assert graph.values["rows"].shape == (3, 2, 4)
    products = [op for op in graph if op.op_type == "MatMul"]
    assert [op.inputs for op in products[1:]] == [(before.outputs[0], "w") for before in products[:-1]]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (loop(257), "257 trips"),
        (loop(0), "'fed' is not known"),
        (loop(3, keeps_on="Not(c)"), "may end it early"),
        (loop(3, condition="no"), "makes no trip"),
    ],
    ids=["too many", "unknown trips", "may stop", "never runs"],
)
def test_loop_that_is_not_settled_is_named(model, reason):
    with pytest.raises(UnsupportedModelError, match=rf"Loop node 'repeat'.*{reason}"):
        from_onnx(model)


def test_nested_loops_stop_growing(monkeypatch):
    monkeypatch.setattr("costmodel.graph.onnx.infer.MAX_INLINED_NODES", 1000)
    inner = "<body = c (int64 j, bool e, float[2] s) => (e2, s2) { e2 = Identity(e)  s2 = Neg(s) }>"
    middle = f"<body = b (int64 i, bool d, float[2] r) => (d2, r2) {{ d2 = Identity(d)  r2 = Loop(n, d, r) {inner} }}>"
    outer = f"<body = a (int64 h, bool f, float[2] q) => (f2, q2) {{ f2 = Identity(f)  q2 = Loop(n, f, q) {middle} }}>"
    model = parsed(f"""
        g (float[2] x) => (float[2] y) <int64 n = {{250}}, bool yes = {{1}}> {{ y = Loop(n, yes, x) {outer} }}
    """)
    with pytest.raises(UnsupportedModelError, match="grows beyond"):
        from_onnx(model)


def test_scan_is_its_body_once_a_slice():
    body = "<body = b (float[4] state, float[4] slice) => (next, row) { next = Add(state, slice)  row = Neg(next) },"
    model = parsed(f"""
        g (float[4] start, float[4,3] x) => (float[?] last, float[?] rows) {{
            last, rows = Scan {body} num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1]>(start, x)
        }}
    """)
    graph = from_onnx(model)
    assert op_types(graph) == ["Gather", "Add", "Neg"] * 3 + ["Unsqueeze"] * 3 + ["Concat"]
    assert graph.values["rows"].shape == (4, 3)
    gathered = [int(graph.values[op.inputs[1]].data) for op in graph if op.op_type == "Gather"]
    assert gathered == [0, 1, 2]
