"""Quantised formats, made and checked in a process of their own."""

import numpy as np
import onnx
import pytest

from costmodel.errors import MeasurementError, UsageError
from costmodel.integrations.onnxruntime import ModelFormat
from costmodel.integrations.onnxruntime.accuracy import output_difference, relative_rms_error
from costmodel.integrations.onnxruntime.feeds import check_feeds, load_feeds, random_feeds
from costmodel.integrations.onnxruntime.fixed_model import read_fixed_model
from costmodel.integrations.onnxruntime.format_maker import FormatMaker

QDQ, DYNAMIC = ModelFormat.INT8_QDQ, ModelFormat.INT8_DYNAMIC


@pytest.fixture
def maker(network, tmp_path):
    """Makes formats of the network at batch 2."""
    model = read_fixed_model(network, batch=2)
    source = tmp_path / "fixed.onnx"
    onnx.save(model, source)
    with FormatMaker(source, tmp_path, random_feeds(model, 2), time_limit_s=60) as made:
        yield made


def test_both_formats_compute_nearly_the_same_in_eight_bits(maker, network):
    static, dynamic = maker.make(QDQ), maker.make(DYNAMIC)
    ops = {path: {node.op_type for node in onnx.load(path).graph.node} for path in (static.path, dynamic.path)}
    feeds = random_feeds(read_fixed_model(network, batch=2), 2, seed=7)

    assert {"QuantizeLinear", "DequantizeLinear"} <= ops[static.path]
    assert {"DynamicQuantizeLinear", "ConvInteger"} <= ops[dynamic.path]
    assert 0 < static.difference < 0.1
    assert 0 < dynamic.difference < 0.1
    assert output_difference(maker.make(ModelFormat.FP32).path, static.path, feeds) < 0.2, "on other inputs as well"


def test_fp32_is_the_model_itself(maker):
    assert maker.make(ModelFormat.FP32).difference == 0
    assert maker.make(ModelFormat.FP32).path.name == "fixed.onnx"


def test_a_model_with_nothing_to_quantise_is_refused_with_the_reason(activations, tmp_path):
    feeds = random_feeds(read_fixed_model(activations), 1)
    with (
        FormatMaker(activations, tmp_path, feeds, time_limit_s=60) as maker,
        pytest.raises(MeasurementError, match="nothing in the model can be quantised to int8-dynamic"),
    ):
        maker.make(DYNAMIC)


def test_what_takes_too_long_is_given_up_and_not_tried_again(network, tmp_path):
    feeds = random_feeds(read_fixed_model(network), 1)
    with FormatMaker(network, tmp_path, feeds, time_limit_s=1e-6) as maker:
        for _ in range(2):
            with pytest.raises(MeasurementError, match="quantising the model to int8-qdq failed: no answer within"):
                maker.make(QDQ)


def test_what_onnxruntime_cannot_quantise_is_refused(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with (
        FormatMaker(broken, tmp_path, [], time_limit_s=60) as maker,
        pytest.raises(MeasurementError, match="does not quantise the model to int8-qdq"),
    ):
        maker.make(QDQ)


@pytest.mark.parametrize(
    ("expected", "found", "error"),
    [
        ([3.0, 4.0], [3.0, 4.0], 0.0),
        ([3.0, 4.0], [3.0, 4.5], 0.1),
        ([0.0, 0.0], [0.0, 1.0], np.inf),
        ([1.0, np.inf], [1.0, np.inf], 0.0),
        ([1.0, np.inf], [1.0, -np.inf], np.inf),
        ([1.0, 1.0], [1.0, np.nan], np.inf),
        ([1.0, 1.0], [1.0], np.inf),
    ],
)
def test_relative_rms_error(expected, found, error):
    assert relative_rms_error(np.array(expected), np.array(found)) == pytest.approx(error)


def test_inputs_from_a_file(network, tmp_path):
    stacked = np.arange(2 * 3 * 16 * 16, dtype=np.float32).reshape(2, 1, 3, 16, 16)
    np.savez(tmp_path / "inputs.npz", x=stacked)

    feeds = load_feeds(tmp_path / "inputs.npz")

    assert len(feeds) == 2
    np.testing.assert_array_equal(feeds[1]["x"], stacked[1])
    check_feeds(read_fixed_model(network), feeds)
    with pytest.raises(UsageError, match=r"expected inputs of the shapes \{'x': \(2, 3, 16, 16\)\}"):
        check_feeds(read_fixed_model(network, batch=2), feeds)


def test_files_that_have_no_inputs(tmp_path):
    np.savez(tmp_path / "uneven.npz", x=np.zeros((2, 1)), y=np.zeros((3, 1)))
    (tmp_path / "text.npz").write_text("no arrays")

    with pytest.raises(UsageError, match="the same number of inputs"):
        load_feeds(tmp_path / "uneven.npz")
    for name in ("text.npz", "missing.npz"):
        with pytest.raises(UsageError, match="cannot read inputs"):
            load_feeds(tmp_path / name)
