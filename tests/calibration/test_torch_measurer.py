from __future__ import annotations

import tempfile

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from filelock import FileLock, Timeout
from onnx import TensorProto, helper, numpy_helper

from costmodel.calibration import FamilyNetwork
from costmodel.calibration.measurers.torch import TorchMeasurer
from costmodel.calibration.measurers.torch_device import TorchDevice
from costmodel.calibration.measurers.torch_module import onnx_module, random_inputs
from costmodel.calibration.testing import MeasurerConformance, convolution_model
from costmodel.data.families import FAMILIES
from costmodel.data.records import Clock
from costmodel.errors import MeasurementError, UsageError

IMAGE = (2, 3, 9, 10)
KERNEL = (4, 3, 3, 2)


class TestOneThread(MeasurerConformance):
    def make_measurer(self):
        return TorchMeasurer()


def weight(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).uniform(0.5, 1.5, shape).astype(np.float32)


def one_node(op_type, shape=IMAGE, constants=(), *, opset=17, outputs=1, domain="", **attributes) -> onnx.ModelProto:
    """A model of one operator on one input; a text among the constants is the name of an operand, empty for none."""
    names = [value if isinstance(value, str) else f"constant{index}" for index, value in enumerate(constants)]
    node = helper.make_node(op_type, ["x", *names], [f"y{i}" for i in range(outputs)], "it", domain=domain)
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    graph = helper.make_graph(
        [node],
        op_type,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y0", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in zip(names, constants, strict=True)
            if not isinstance(value, str)
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def assert_same_output(model: onnx.ModelProto) -> None:
    inputs = random_inputs(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # Its fused Sigmoid is an approximation: efficientnet-0002 is off by a third from what float64 gives.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {model.graph.input[0].name: inputs[0].numpy()})
    with torch.inference_mode():
        output = onnx_module(model)(*inputs).numpy()
    assert output.shape == expected.shape
    np.testing.assert_allclose(output, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("family", FAMILIES)
def test_networks_of_every_family_compute_what_they_compute_under_onnxruntime(family):
    for seed in (0, 1):
        assert_same_output(FamilyNetwork(family, seed).load())


@pytest.mark.parametrize(
    "window",
    [
        {},
        {"pads": [1, 2, 1, 2], "strides": [2, 1], "dilations": [1, 2]},
        {"pads": [0, 1, 2, 0]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
        {"auto_pad": "SAME_LOWER"},
        {"auto_pad": "VALID", "kernel_shape": [3, 2]},
    ],
)
def test_windows_of_convolutions(window):
    assert_same_output(one_node("Conv", constants=(weight(*KERNEL), weight(4)), **window))


@pytest.mark.parametrize(
    ("shape", "kernel", "group"), [((1, 4, 7), (6, 2, 3), 2), ((1, 2, 5, 5, 5), (2, 2, 3, 2, 1), 1)]
)
def test_convolutions_of_other_dimensions(shape, kernel, group):
    assert_same_output(one_node("Conv", shape, (weight(*kernel),), group=group))


@pytest.mark.parametrize(
    "window",
    [
        {"strides": [2, 2]},
        {"pads": [1, 1, 1, 1], "strides": [3, 2], "ceil_mode": 1},
        {"pads": [0, 0, 1, 1], "strides": [2, 2], "dilations": [1, 2]},
        {"pads": [2, 1, 2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    ],
)
def test_windows_of_max_pooling(window):
    assert_same_output(one_node("MaxPool", kernel_shape=[3, 2], **window))


@pytest.mark.parametrize(
    "window",
    [
        {"strides": [4, 3], "ceil_mode": 1},
        {"pads": [1, 1, 1, 1], "strides": [3, 3], "ceil_mode": 1, "count_include_pad": 1},
        {"pads": [1, 1, 1, 1]},
        {"pads": [1, 1, 1, 1], "count_include_pad": 1},
        {"pads": [0, 1, 1, 0], "strides": [2, 2], "count_include_pad": 1},
    ],
)
def test_windows_of_average_pooling(window):
    assert_same_output(one_node("AveragePool", kernel_shape=[3, 2], **window))


@pytest.mark.parametrize(
    "model",
    [
        one_node("BatchNormalization", constants=[weight(3)] * 4, epsilon=0.1, momentum=0.5),
        one_node("Clip", constants=[np.float32(-0.5)]),
        one_node("Clip", constants=["", np.float32(0.5)]),
        one_node("Flatten", axis=2),
        one_node("Flatten", axis=-1),
        one_node("Gemm", (5, 4), [weight(5, 6), weight(1, 6)], transA=1),
        one_node("Gemm", (4, 5), [weight(6, 5)], transB=1),
        one_node("GlobalAveragePool", (2, 3, 4)),
        one_node("HardSigmoid"),
        one_node("LRN", size=3, alpha=0.5, beta=0.6, bias=2.0),
        one_node("LeakyRelu"),
        one_node("MatMul", (2, 4, 5), [weight(5, 6)]),
        one_node("ReduceMean", axes=[-1, 2], keepdims=0),
        one_node("ReduceMean", constants=[np.array([1])], opset=18),
        one_node("ReduceMean"),
        one_node("Reshape", constants=[np.array([0, -1, 2])]),
        one_node("Softmax", axis=1),
        one_node("Softmax"),
    ],
    ids=lambda model: model.graph.name,
)
def test_attributes_and_operands(model):
    assert_same_output(model)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (one_node("Einsum", equation=b"abcd->dcba"), "none of those"),
        (one_node("Relu", domain="com.microsoft"), "none of those"),
        (one_node("Relu", slope=0.1), "the attribute slope is not known"),
        (one_node("AveragePool", kernel_shape=[2, 2], auto_pad="SAME_UPPER"), "cannot leave out"),
        (one_node("AveragePool", kernel_shape=[2, 2], dilations=[2, 2], opset=19), r"dilations=\[2, 2\]"),
        (one_node("BatchNormalization", constants=[weight(3)] * 4, training_mode=1), "training_mode=1"),
        (one_node("Clip", constants=["", "x"]), "computed"),
        (one_node("Conv", constants=[weight(4, 5, 3, 3)]), "Invalid channel dimensions"),
        (one_node("Gemm", (4, 5), [weight(5, 6)], alpha=2.0), r"alpha=2\.0"),
        (one_node("LRN", size=4), "size=4"),
        (one_node("MaxPool", kernel_shape=[3, 3], pads=[0, 0, 1, 1], ceil_mode=1), "ceil_mode=1"),
        (one_node("MaxPool", kernel_shape=[3, 3], outputs=2), "more than one output"),
    ],
    ids=lambda value: value.graph.name if isinstance(value, onnx.ModelProto) else "",
)
def test_what_torch_cannot_do_is_refused_with_operator_and_node(model, reason):
    message = rf"operator {model.graph.name} \(node 'it'\).*{reason}.*--runtime onnxruntime"
    with pytest.raises(MeasurementError, match=message):
        onnx_module(model)


def test_a_model_of_an_old_opset_is_refused():
    with pytest.raises(MeasurementError, match="opset 12"):
        onnx_module(one_node("Relu", opset=12))


def test_weights_that_torch_lacks_are_refused():
    with pytest.raises(MeasurementError, match="weight 'constant0' is of FLOAT8E4M3FN"):
        onnx_module(one_node("Add", constants=[np.ones(3, ml_dtypes.float8_e4m3fn)], opset=23))


def test_a_model_without_fixed_shape_is_refused():
    with pytest.raises(MeasurementError, match="'x' has no fixed shape"):
        onnx_module(convolution_model(batch="batch"))


def test_the_gate_of_a_swish_is_one_function():
    """The predictor, too, reads ``x * Sigmoid(x)`` as one operation."""
    module = onnx_module(FamilyNetwork("efficientnet", 0).load())

    functions = [node.target for node in module.graph.nodes]

    assert torch.nn.functional.silu in functions
    assert functions.count(torch.sigmoid) == functions.count(torch.mul), "what is left are gates of channels"


def test_weights_are_parameters():
    module = onnx_module(convolution_model(channels=8, batch=1))

    assert [tuple(parameter.shape) for parameter in module.parameters()] == [(8, 8, 3, 3)]


def visit(**settings):
    return TorchMeasurer(**settings).measure_visit(convolution_model(batch=1).SerializeToString(), runs=3).times


def test_one_thread_is_timed_by_cpu_time_and_more_by_the_wall_clock():
    threads_before = torch.get_num_threads()

    one, two = visit(), visit(threads=2)

    assert (one.clock, two.clock) == (Clock.CPU, Clock.WALL)
    assert one.wall_cpu_ratio >= 0.9, "the wall clock is never ahead of the thread"
    assert torch.get_num_threads() == threads_before


@pytest.fixture
def outputs(monkeypatch) -> list[torch.Tensor]:
    """What modules return while they are timed."""
    seen = []

    def compiled(module, options):
        def run(*inputs):
            seen.append((module(*inputs), options, torch.get_num_threads(), torch.is_inference_mode_enabled()))

        return run

    monkeypatch.setattr(torch, "compile", compiled)
    return seen


def test_bf16_is_computed_in_bf16_and_compiled_code_gets_two_runs_to_warm_up(outputs):
    times = visit(precision="bf16", compiled=True, threads=2)

    assert len(times.run_ms) == 3
    assert len(outputs) == 5
    for output, options, threads, inference in outputs:
        assert (output.dtype, options, threads, inference) == (torch.bfloat16, {"cpp.threads": 2}, 2, True)


def test_a_compiler_that_fails_is_said_to_be_missing(monkeypatch):
    def fail(*_inputs):
        raise RuntimeError("no g++\nand so on")

    monkeypatch.setattr(torch, "compile", lambda *_arguments, **_options: fail)

    with pytest.raises(MeasurementError, match=r"needs a C\+\+ compiler.*: no g\+\+$"):
        visit(compiled=True)


def test_settings_and_environment_say_what_was_timed():
    measurer = TorchMeasurer(threads=2, precision="bf16")

    environment = measurer.environment()

    assert (environment.runtime, environment.runtime_version) == ("torch", torch.__version__)
    assert environment.threads == 2
    assert measurer.settings() == {"precision": "bf16", "compiled": False}


@pytest.mark.parametrize(("settings", "message"), [({"threads": 0}, "1 thread"), ({"precision": "int4"}, "'int4'")])
def test_wrong_settings(settings, message):
    with pytest.raises(UsageError, match=message):
        TorchMeasurer(**settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_a_card_that_is_not_here_is_refused_at_once():
    with pytest.raises(UsageError, match=r"finds no CUDA device.*--device cpu"):
        TorchMeasurer(device="cuda")


def test_an_unknown_device_is_refused():
    with pytest.raises(UsageError, match="unknown device 'tpu' for torch; expected cpu or cuda"):
        TorchMeasurer(device="tpu")


def test_a_card_warms_up_waits_for_the_last_kernel_and_is_timed_by_one_at_a_time(monkeypatch, tmp_path):
    """The card is made up, and its kernels too: what is called, and in which order, is not."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    calls = []
    lock = FileLock(tmp_path / "costmodel-cuda0.lock")

    def run():
        calls.append("run")
        with pytest.raises(Timeout):
            lock.acquire(timeout=0)

    monkeypatch.setattr(torch.cuda, "synchronize", lambda: calls.append("wait"))
    times = TorchDevice("cuda", threads=1).time(run, 2)

    assert calls == ["run"] * 3 + ["wait"] + ["run", "wait"] * 2
    assert (times.clock, times.wall_cpu_ratio, len(times.run_ms)) == (Clock.WALL, None, 2)
    lock.acquire(timeout=0)
    lock.release()
