import pytest
from onnx import TensorProto, helper

from costmodel.calibration import OnnxRuntimeMeasurer
from costmodel.calibration.testing import MeasurerConformance, convolution_model
from costmodel.data.records import Clock
from costmodel.errors import MeasurementError, UsageError


class TestOneThread(MeasurerConformance):
    def make_measurer(self):
        return OnnxRuntimeMeasurer()


class TestTwoThreads(MeasurerConformance):
    def make_measurer(self):
        return OnnxRuntimeMeasurer(threads=2, graph_optimization="basic")


def visit(model, runs=3, **settings):
    return OnnxRuntimeMeasurer(**settings).measure_visit(model.SerializeToString(), runs=runs)


def test_one_thread_is_timed_by_cpu_time_and_more_by_the_wall_clock():
    model = convolution_model(batch=1)

    one, two = visit(model), visit(model, threads=2)

    assert (one.times.clock, two.times.clock) == (Clock.CPU, Clock.WALL)
    assert one.times.wall_cpu_ratio >= 0.9, "the wall clock is never ahead of the thread"
    assert 0.1 < one.reference_ms < 100


@pytest.mark.parametrize("dtype", [TensorProto.INT64, TensorProto.INT8, TensorProto.BOOL, TensorProto.FLOAT16])
def test_inputs_of_every_kind_are_made_up(dtype):
    table = helper.make_tensor("table", dtype, [2, 4], [0] * 8)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["index"], to=TensorProto.INT64),
            helper.make_node("Clip", ["index", "zero", "one"], ["valid"]),
            helper.make_node("Gather", ["table", "valid"], ["y"]),
        ],
        "lookup",
        [helper.make_tensor_value_info("x", dtype, [3])],
        [helper.make_tensor_value_info("y", dtype, [3, 4])],
        [table, *(helper.make_tensor(name, TensorProto.INT64, [], [i]) for i, name in enumerate(("zero", "one")))],
    )
    assert len(
        visit(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), 2).times.run_ms
    )


def test_an_unknown_operator_is_refused_with_its_name():
    model = convolution_model(batch=1)
    model.graph.node[0].op_type = "Convolvo"

    with pytest.raises(MeasurementError, match="Convolvo"):
        visit(model)


@pytest.mark.parametrize(
    ("settings", "message"), [({"threads": 0}, "1 thread"), ({"graph_optimization": "max"}, "'max'")]
)
def test_wrong_settings(settings, message):
    with pytest.raises(UsageError, match=message):
        OnnxRuntimeMeasurer(**settings)


def test_a_card_is_for_torch():
    with pytest.raises(UsageError, match=r"not on 'cuda'; leave --device out, or try --runtime torch"):
        OnnxRuntimeMeasurer(device="cuda")


def test_an_entry_of_the_configuration_is_a_setting_that_journals_of_before_lack():
    prepacking_off = {"session.disable_prepacking": "1"}
    measurer = OnnxRuntimeMeasurer(session_config=prepacking_off)

    assert measurer.settings()["session_config"] == prepacking_off
    assert "session_config" not in OnnxRuntimeMeasurer().settings()
    assert measurer.measure_visit(convolution_model(batch=1).SerializeToString(), runs=1).times.run_ms
