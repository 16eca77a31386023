from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from costmodel.errors import UnknownNameError, UnsupportedModelError, UsageError
from costmodel.graph import DType, Op, OpGraph, Value, ValueKind
from costmodel.prediction import OpPrediction, Prediction, PredictionFailure
from costmodel.predictor import Predictor
from costmodel.pretrained import RawPrediction

I9, RTX_NCHW, RTX_NHWC = "i9-10940x-pt2.4-fp32-dynamo", "rtx3090-pt2.4-amp-nchw", "rtx3090-pt2.4-amp-nhwc"


def image(name: str, kind: ValueKind = ValueKind.ACTIVATION, channels: int = 8) -> Value:
    return Value(name, DType.FLOAT32, (2, channels, 16, 16), kind)


def conv_relu(name: str = "net", last: str = "Relu", result: Value | None = None) -> OpGraph:
    """A convolution, then ``last``; batch 2."""
    return OpGraph(
        [
            Op("conv", "Conv", ("x", "w"), ("y",), {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}, sources=("/conv",)),
            Op("last", last, ("y",), ("z",), scope="block.last"),
        ],
        [
            image("x", ValueKind.INPUT),
            Value("w", DType.FLOAT32, (8, 8, 3, 3), ValueKind.WEIGHT),
            image("y"),
            result or image("z"),
        ],
        ["x"],
        ["z"],
        name,
    )


EMPTY = OpGraph([], [image("x", ValueKind.INPUT)], ["x"], ["x"], "empty")


@pytest.fixture
def predictor(untrained_bundle) -> Predictor:
    return Predictor(untrained_bundle)


class FixedAnswers:
    """A bundle whose figures are chosen by the test."""

    def __init__(self, bundle, op_ms, **figures):
        self.platforms = bundle.platforms
        self.seen_op_types = bundle.seen_op_types
        self._raw = RawPrediction(
            op_ms=np.array(op_ms), **{"latency_ms": 4.0, "low_ms": 3.0, "high_ms": 5.0, **figures}
        )

    def predict(self, graphs, platform_names, batches):
        return [[self._raw for _ in platform_names] for _ in graphs]


def test_one_model_on_one_platform_gives_one_prediction(predictor):
    prediction = predictor.predict(conv_relu(), I9)
    assert isinstance(prediction, Prediction)
    assert (prediction.model, prediction.platform, prediction.batch) == ("net", I9, 2)
    assert 0 < prediction.low_ms < prediction.latency_ms < prediction.high_ms
    assert (prediction.coverage, prediction.warnings) == (1.0, ())


def test_the_parts_add_up_to_the_whole_and_say_where_they_come_from(predictor):
    prediction = predictor.predict(conv_relu(), I9)
    conv, last = prediction.per_op
    assert conv.latency_ms + last.latency_ms == pytest.approx(prediction.latency_ms)
    assert conv.share + last.share == pytest.approx(1)
    assert (conv.name, conv.op_type, conv.sources, last.scope) == ("conv", "Conv", ("/conv",), "block.last")
    assert conv.flops == 2 * (2 * 8 * 16 * 16) * (8 * 3 * 3)
    assert conv.params == 8 * 8 * 3 * 3
    assert last.bytes_written == 4 * 2 * 8 * 16 * 16


def test_lists_give_a_list_model_by_model(predictor):
    models = [conv_relu("a"), conv_relu("b", last="Sigmoid")]
    answers = predictor.predict(models, [RTX_NHWC, I9])
    order = [(answer.model, answer.platform) for answer in answers]
    assert order == [("a", RTX_NHWC), ("a", I9), ("b", RTX_NHWC), ("b", I9)]
    alone = [predictor.predict(model, name) for model in models for name in (RTX_NHWC, I9)]
    assert [answer.latency_ms for answer in answers] == pytest.approx([answer.latency_ms for answer in alone])
    assert len({answer.latency_ms for answer in answers}) == 4


def test_every_platform_is_the_default_and_a_glob_stands_for_several(predictor):
    assert [answer.platform for answer in predictor.predict(conv_relu())] == [I9, RTX_NCHW, RTX_NHWC]
    assert [answer.platform for answer in predictor.predict(conv_relu(), ["rtx*"])] == [RTX_NCHW, RTX_NHWC]
    with pytest.raises(UsageError, match="2 platforms"):
        predictor.predict(conv_relu(), "rtx*")


def test_an_alias_is_answered_under_the_canonical_name(predictor):
    assert predictor.predict(conv_relu(), "amp-nhwc-pt240-cu124-rtx3090").platform == RTX_NHWC


def test_an_unknown_platform_is_told_before_any_model_is_read(predictor):
    with pytest.raises(UnknownNameError, match=f"Did you mean {RTX_NHWC}"):
        predictor.predict("no-such-file.onnx", "rtx3090-pt2.4-amp-nhcw")


def test_coverage_is_the_share_of_time_in_operators_that_training_saw(untrained_bundle):
    predictor = Predictor(FixedAnswers(untrained_bundle, op_ms=[3.0, 1.0]))
    prediction = predictor.predict(conv_relu(last="FancyGate"), I9)
    assert prediction.coverage == 0.75
    (warning,) = prediction.warnings
    assert "never seen in training: FancyGate" in warning


def test_the_unseen_share_is_told_in_flops(untrained_bundle):
    config = untrained_bundle.config.model_copy(update={"seen_op_types": ("Relu",)})
    unseen_conv = dataclasses.replace(untrained_bundle, config=config)
    (warning,) = Predictor(unseen_conv).predict(conv_relu(), I9).warnings
    assert warning == "99 % of the FLOPs are in operations never seen in training: Conv"


def test_unknown_shapes_are_warned_of(predictor):
    shapeless = conv_relu(result=Value("z", DType.FLOAT32, None))
    (warning,) = predictor.predict(shapeless, I9).warnings
    assert warning.startswith("1 of 2 operations make tensors of unknown shape")


def test_nothing_to_predict_is_an_error(predictor):
    with pytest.raises(UnsupportedModelError, match="nothing to predict"):
        predictor.predict(EMPTY, I9)


@pytest.mark.parametrize("figure", ["latency_ms", "low_ms", "high_ms"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_a_figure_that_is_no_latency_never_gets_out(untrained_bundle, figure, value):
    predictor = Predictor(FixedAnswers(untrained_bundle, op_ms=[3.0, 1.0], **{figure: value}))
    with pytest.raises(UnsupportedModelError, match="expected a positive latency"):
        predictor.predict(conv_relu(), I9)


def test_a_failing_model_leaves_the_others_alone_when_asked_to(predictor):
    models = [conv_relu("a"), EMPTY, conv_relu("c")]
    outcomes = predictor.predict_many(models, [I9, RTX_NCHW], batch=2, on_error="collect")
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Prediction] * 2 + [PredictionFailure] * 2 + [Prediction] * 2
    assert [outcome.model for outcome in outcomes] == ["a", "a", "empty", "empty", "c", "c"]
    failure = outcomes[2]
    assert failure.to_dict().keys() == {"model", "platform", "batch", "error", "warnings"}
    assert "nothing to predict" in str(failure)
    with pytest.raises(UnsupportedModelError):
        predictor.predict_many(models, [I9])


def test_models_are_read_one_after_another_as_they_are_taken(predictor, monkeypatch):
    events = []

    def models():
        for name in ("a", "b"):
            events.append(f"taken {name}")
            yield conv_relu(name)

    def load(model, **_):
        events.append(f"read {model.name}")
        return model

    monkeypatch.setattr("costmodel.predictor.load_graph", load)
    assert [answer.model for answer in predictor.predict_many(models(), [I9])] == ["a", "b"]
    assert events == ["taken a", "read a", "taken b", "read b"]


def test_no_models_is_no_work(predictor):
    assert predictor.predict([], I9) == []


def test_saved_weights_predict_the_same(predictor, tmp_path):
    predictor.save_pretrained(tmp_path)
    assert Predictor.from_pretrained(tmp_path).predict(conv_relu(), I9) == predictor.predict(conv_relu(), I9)


def test_a_prediction_prints_its_slowest_operations():
    operations = tuple(OpPrediction(f"op{i}", "Conv", "", float(i), i / 10, 2e9, 0, 1e6, 1e6, ()) for i in range(1, 5))
    prediction = Prediction("net", I9, 8, 10.0, 9.0, 12.5, 0.5, ("careful",), operations)
    text = str(prediction)
    assert "10.0 ms (90 % interval 9.00 to 12.5 ms)" in text
    assert "batch 8" in text
    assert "warning   careful" in text
    listed = prediction.summary(top=2)
    assert "Slowest 2 of 4" in listed
    assert listed.index("op4") < listed.index("op3")
    assert "op2" not in listed
    assert [op["name"] for op in prediction.to_dict(top=1)["per_op"]] == ["op4"]
    assert [op["name"] for op in prediction.to_dict()["per_op"]] == ["op1", "op2", "op3", "op4"]


def test_importing_the_package_loads_neither_torch_nor_onnx():
    code = "import costmodel, sys; print({'torch', 'onnx', 'numpy', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_public_name_is_there():
    import costmodel

    assert all(getattr(costmodel, name).__name__ == name for name in costmodel.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Predicter'"):
        _ = costmodel.Predicter
