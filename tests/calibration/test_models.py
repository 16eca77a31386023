import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from costmodel.calibration import FamilyNetwork, OnnxFile, fill_weights
from costmodel.calibration.shapes import fix_batch
from costmodel.calibration.testing import convolution_model
from costmodel.data.families import generate
from costmodel.data.weightless import graph_hash, strip_weights
from costmodel.errors import MeasurementError, ModelFileError, UnknownNameError, UsageError


def test_filled_weights_are_seeded_and_scaled_by_fan_in():
    stripped = strip_weights(convolution_model(channels=64))

    first, again, other = (
        numpy_helper.to_array(fill_weights(strip_weights(stripped), seed).graph.initializer[0]) for seed in (0, 0, 1)
    )

    assert first.shape == (64, 64, 3, 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.std() == pytest.approx(np.sqrt(2 / (64 * 9)), rel=0.02)


def test_fan_in_of_a_matmul_is_its_rows_and_vectors_are_positive():
    shapes = {"weight": [100, 400], "bias": [400], "large": [1200, 1000]}
    tensors = [
        helper.make_tensor(name, TensorProto.FLOAT, dims, np.zeros(np.prod(dims))) for name, dims in shapes.items()
    ]
    node = helper.make_node("MatMul", ["x", "weight"], ["y"])
    model = strip_weights(helper.make_model(helper.make_graph([node], "g", [], [], tensors)))

    weight, bias, large = (numpy_helper.to_array(tensor) for tensor in fill_weights(model).graph.initializer)

    assert weight.std() == pytest.approx(np.sqrt(2 / 100), rel=0.02)
    assert bias.min() >= 0.5 and bias.max() < 1.5
    assert large.shape == (1200, 1000), "larger than the pool of numbers"


def test_weights_that_are_there_stay():
    model = convolution_model()

    filled = fill_weights(convolution_model())

    assert filled == model


def test_a_file_keeps_external_weights_that_exist_and_fills_the_others(tmp_path):
    original = convolution_model(channels=32)
    path = tmp_path / "model.onnx"
    onnx.save(
        convolution_model(channels=32), path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )

    kept = OnnxFile.at(path).load()
    (tmp_path / "weights.bin").unlink()
    filled = OnnxFile.at(path).load()

    np.testing.assert_array_equal(*(numpy_helper.to_array(model.graph.initializer[0]) for model in (kept, original)))
    assert numpy_helper.to_array(filled.graph.initializer[0]).shape == (32, 32, 3, 3)
    assert graph_hash(filled) == graph_hash(original)
    assert OnnxFile.at(path).name == "model"


def test_files_that_cannot_be_measured(tmp_path):
    (tmp_path / "text.onnx").write_text("hello")

    with pytest.raises(UsageError, match="no file"):
        OnnxFile.at(tmp_path / "missing.onnx")
    with pytest.raises(ModelFileError, match="not an ONNX model"):
        OnnxFile.at(tmp_path / "text.onnx").load()


def test_a_family_network_is_the_generated_one_with_weights():
    source = FamilyNetwork("squeezenet", 7, batch=2)

    model = source.load()

    assert source.name == "squeezenet-0007-b2"
    assert graph_hash(model) == graph_hash(generate("squeezenet", 7, batch=2))
    assert all(tensor.data_location == TensorProto.DEFAULT for tensor in model.graph.initializer)
    with pytest.raises(UnknownNameError, match="Did you mean squeezenet"):
        FamilyNetwork("squeezent", 7)


def dims(value) -> list[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize(("asked", "got"), [(None, 1), (6, 6)])
def test_a_symbolic_batch_is_fixed(asked, got):
    model = convolution_model(channels=8, batch="n")

    assert fix_batch(model, asked) == got
    assert dims(model.graph.input[0]) == [got, 8, 32, 32]


def test_a_fixed_batch_is_kept_or_refused():
    model = convolution_model(batch=4)

    assert fix_batch(model) == 4
    with pytest.raises(MeasurementError, match="fixes its batch at 4, asked for 2"):
        fix_batch(model, 2)


def test_other_symbolic_dimensions_are_refused_unless_they_are_the_batch():
    model = convolution_model(batch="n")
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "n"
    assert fix_batch(model, 3) == 3
    assert dims(model.graph.input[0])[2] == 3

    model = convolution_model(batch="n")
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    with pytest.raises(MeasurementError, match=r"'x' has the shape \[1, 8, height, 32\]"):
        fix_batch(model)
