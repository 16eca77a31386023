"""The weights of a model file stay on disk."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from costmodel.errors import ModelFileError
from costmodel.graph.onnx import skim

GIB = 1024**3

# The peak comes from /proc because getrusage counts the parent process in.
READ_AND_REPORT = """
import re, sys, time
from pathlib import Path
from costmodel.graph.onnx import from_onnx
start = time.process_time()
graph = from_onnx(sys.argv[1])
seconds = time.process_time() - start
print(len(graph), seconds, re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def float_input(name, *dims):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def matmul_model(weight, *more_nodes):
    node = helper.make_node("MatMul", ["x", weight.name], ["y"])
    rows, columns = weight.dims
    graph = helper.make_graph(
        [node, *more_nodes], "g", [float_input("x", 1, rows)], [float_input("y", 1, columns)], [weight]
    )
    return helper.make_model(graph)


def large_named(name):
    return numpy_helper.from_array(np.zeros((64, 64), np.float32), name)


def write_with_embedded_payload(path, nbytes):
    """A model whose weight is ``nbytes`` of zeros that take no room on disk: the end of the file is a hole."""
    rows = nbytes // 4 // 1024
    model = matmul_model(TensorProto(name="w", dims=[rows, 1024], data_type=TensorProto.FLOAT))
    del model.graph.initializer[:]
    head = TensorProto(name="w", dims=[rows, 1024], data_type=TensorProto.FLOAT).SerializeToString()
    tensor_length = len(head) + len(field(9, nbytes)) + nbytes
    graph_length = len(field(5, tensor_length)) + tensor_length
    # Protobuf merges a second graph field into the first.
    start = model.SerializeToString() + field(7, graph_length) + field(5, tensor_length) + head + field(9, nbytes)
    with path.open("wb") as file:
        file.write(start)
        file.truncate(len(start) + nbytes)


def field(number, length):
    """Tag and length of a protobuf field that holds ``length`` bytes."""
    out = bytearray([number << 3 | 2])
    while length >= 0x80:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*out, length])


def write_with_external_weights(path, count):
    """A header with ``count`` weights of 1 MiB that are not there."""
    graph = onnx.GraphProto(name="g", input=[float_input("x", 1, 512)], output=[float_input(f"y{count}", 1, 512)])
    last = "x"
    for index in range(1, count + 1):
        weight = graph.initializer.add(name=f"w{index}", dims=[512, 512], data_type=TensorProto.FLOAT)
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="not_there.bin")
        graph.node.append(helper.make_node("MatMul", [last, weight.name], [f"y{index}"]))
        last = f"y{index}"
    path.write_bytes(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize("data_field", ["raw_data", "float_data"])
def test_large_weights_keep_dims_and_type_only(data_field):
    elements = np.zeros((64, 64), np.float32)
    weight = helper.make_tensor("w", TensorProto.FLOAT, [64, 64], elements.tobytes(), raw=True)
    if data_field == "float_data":
        weight = helper.make_tensor("w", TensorProto.FLOAT, [64, 64], elements.ravel())
    (skimmed,) = skim(matmul_model(weight).SerializeToString()).graph.initializer
    assert (skimmed.name, list(skimmed.dims), skimmed.data_type) == ("w", [64, 64], TensorProto.FLOAT)
    assert not skimmed.raw_data
    assert not skimmed.float_data


@pytest.mark.parametrize("missing", [1, 5000])
def test_a_file_cut_short_inside_a_weight_is_noticed(missing):
    content = onnx.ModelProto(graph=onnx.GraphProto(initializer=[large_named("w")])).SerializeToString()
    with pytest.raises(ModelFileError, match="cut short"):
        skim(content[:-missing])


def test_small_weights_and_everything_else_stay_as_they_are():
    model = matmul_model(numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "w"))
    assert skim(model.SerializeToString()) == model


def test_large_constants_in_nodes_and_branches_lose_their_elements():
    large = numpy_helper.from_array(np.zeros((64, 64), np.float32))
    constant = helper.make_node("Constant", [], ["c"], value=large)
    branch = helper.make_graph([constant], "branch", [], [float_input("c", 64, 64)])
    outer = helper.make_node("If", ["condition"], ["z"], then_branch=branch, else_branch=branch)
    nodes = skim(matmul_model(large_named("w"), helper.make_node("Constant", [], ["k"], value=large), outer)).graph.node
    inner = nodes[2].attribute[0].g.node[0].attribute[0].t
    for tensor in (nodes[1].attribute[0].t, inner):
        assert list(tensor.dims) == [64, 64]
        assert not tensor.raw_data


def test_a_model_in_memory_is_left_as_it_is():
    model = matmul_model(large_named("w"))
    before = model.SerializeToString()
    assert not skim(model).graph.initializer[0].raw_data
    assert model.SerializeToString() == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
@pytest.mark.parametrize("kind", ["embedded", "external"])
def test_gigabytes_of_weights_cost_neither_time_nor_memory(kind, tmp_path):
    path = tmp_path / "large.onnx"
    if kind == "embedded":
        write_with_embedded_payload(path, 3 * GIB)
    else:
        write_with_external_weights(path, 3000)
    run = subprocess.run(
        [sys.executable, "-c", READ_AND_REPORT, path], capture_output=True, text=True, check=True, timeout=60
    )
    ops, seconds, kibibytes = map(float, run.stdout.split())
    assert ops == (1 if kind == "embedded" else 3000)
    assert seconds < 1
    assert kibibytes < 200 * 1024


def test_says_what_is_wrong_with_a_path(tmp_path):
    with pytest.raises(ModelFileError, match=r"absent\.onnx.*No such file"):
        skim(tmp_path / "absent.onnx")
    with pytest.raises(ModelFileError, match="Is a directory"):
        skim(str(tmp_path))
    Path(tmp_path / "empty.onnx").touch()
    with pytest.raises(ModelFileError, match=r"empty\.onnx' is empty"):
        skim(tmp_path / "empty.onnx")
