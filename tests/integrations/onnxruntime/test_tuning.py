"""Tuning with a real onnxruntime: what is measured, what is chosen, and what becomes of candidates that fail."""

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest

from costmodel.errors import DataError, MeasurementError, ModelFileError, UnknownNameError, UsageError
from costmodel.integrations.onnxruntime import ModelFormat, TuneResult, Variant, make_session, tune
from costmodel.integrations.onnxruntime.gains import Gain, Gains
from costmodel.integrations.onnxruntime.ranking import EstimatedBy
from costmodel.integrations.onnxruntime.tuning_result import CandidateStatus

DEFAULT, EXTENDED, STATIC = Variant(), Variant(graph_optimization="extended"), Variant(ModelFormat.INT8_QDQ)
REFUSED = Variant(graph_optimization="basic", session_config=(("session.disable_cpu_ep_fallback", "1"),))
"""onnxruntime does not open it: the processor is the only provider, and may not be used."""

GAINS = Gains(
    measured_on="elsewhere",
    by_precision={
        name: Gain(ratio=ratio, low=ratio, high=ratio, networks=1)
        for name, ratio in (("int8-qdq", 0.5), ("fp32-basic", 0.7), ("fp32-extended", 1.5))
    },
)


@pytest.fixture
def tuned(network, tmp_path, predictor):
    """Tunes the network into a folder, by gains alone unless a platform is named."""

    def tune_it(variants=(DEFAULT, EXTENDED, STATIC), **settings):
        defaults = {"predictor": predictor, "gains": GAINS, "visits": 1, "variants": variants}
        return tune(network, tmp_path / "tuned", **{**defaults, **settings})

    return tune_it


def statuses(result):
    return {row.variant: row.status for row in result.candidates}


def outputs(session, image):
    return session.run(None, {"x": image})[0]


def test_the_fastest_of_the_measured_is_chosen(tuned):
    result = tuned(top=1)
    measured = {row.variant: row.measured_ms for row in result.candidates if row.measured_ms is not None}

    assert measured.keys() == {STATIC, DEFAULT}, "the first candidate, and the default session beside it"
    assert measured[result.chosen.variant] == min(measured.values())
    assert statuses(result)[EXTENDED] is CandidateStatus.RANKED
    assert result.batch == 1
    assert {row.estimated_by for row in result.candidates} == {EstimatedBy.PRIOR}


def test_nothing_is_measured_unless_asked_for(tuned, network, tmp_path):
    result = tuned(top=0)

    assert result.chosen.variant == STATIC
    assert not any(row.measured_ms for row in result.candidates)
    session = make_session(tmp_path / "tuned")
    image = np.random.default_rng(3).standard_normal((1, 3, 16, 16), dtype=np.float32)
    theirs = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(outputs(session, image), outputs(theirs, image), atol=0.2)
    assert {"QuantizeLinear"} <= {node.op_type for node in onnx.load(result.session_model).graph.node}


def test_a_platform_that_the_predictor_knows_is_asked(tuned):
    result = tuned(top=0, platform="board-ort1.32-fp32-1t")

    assert {row.variant: row.estimated_by for row in result.candidates} == dict.fromkeys(
        (DEFAULT, EXTENDED, STATIC), EstimatedBy.MODEL
    )
    assert result.default_platform == "board-ort1.32-fp32-1t"
    estimated = [row.estimated_ms for row in result.candidates]
    assert estimated == sorted(estimated)


def test_outputs_that_are_too_far_off_make_a_candidate_invalid(tuned, network):
    result = tuned(top=1, max_difference=1e-6)
    row = next(row for row in result.candidates if row.variant == STATIC)

    assert row.status is CandidateStatus.INVALID
    assert "outputs are off by" in row.reason
    assert row.difference > 1e-6
    assert result.session_model == network.resolve()


def test_a_candidate_that_does_not_run_is_a_row_and_the_next_one_takes_its_turn(tuned):
    result = tuned([DEFAULT, REFUSED, EXTENDED], top=2)

    assert statuses(result)[REFUSED] is CandidateStatus.INVALID
    reason = next(row.reason for row in result.candidates if row.variant == REFUSED)
    assert reason.startswith("refused: onnxruntime does not load the model")
    assert {CandidateStatus.INVALID} == {s for v, s in statuses(result).items() if v not in (DEFAULT, EXTENDED)}
    assert all(row.measured_ms for row in result.candidates if row.variant in (DEFAULT, EXTENDED))


def test_no_valid_candidate_is_an_error_with_all_reasons(tuned):
    with pytest.raises(MeasurementError, match=r"no candidate is valid. fp32-basic-1t .*: refused:"):
        tuned([REFUSED])


def test_a_result_and_its_model_move_together(tuned, tmp_path):
    result = tuned(top=0, batch=2)
    shutil.move(tmp_path / "tuned", tmp_path / "moved")

    moved = TuneResult.load(tmp_path / "moved")

    assert moved.candidates == result.candidates
    assert make_session(moved).get_inputs()[0].shape == [2, 3, 16, 16]
    with pytest.raises(UsageError, match="tune again"):
        make_session(result)


def test_calibration_inputs_are_heeded(tuned):
    bright = [{"x": np.full((1, 3, 16, 16), 100.0, dtype=np.float32)}]

    by_these = tuned([DEFAULT, STATIC], top=0, calibration=bright).chosen
    by_random = tuned([DEFAULT, STATIC], top=0).chosen

    assert by_these.difference != by_random.difference


def test_steps_are_told(tuned):
    told = []
    tuned([DEFAULT, STATIC], top=2, on_step=told.append)

    assert "making int8-qdq" in told
    assert {"measured fp32-1t", "measured int8-qdq-1t"} <= set(told)


def test_what_is_wrong_is_told_before_anything_is_made(tuned, network, tmp_path):
    (tmp_path / "file").touch()
    cases = [
        ({"top": -1}, UsageError, "top of at least 0"),
        ({"platform": "nowhere"}, UnknownNameError, "platform 'nowhere'"),
        ({"shapes": {"y": (1, 3, 8, 8)}}, UnknownNameError, "'y'"),
        ({"calibration": []}, UsageError, "got none"),
    ]
    for settings, error, message in cases:
        with pytest.raises(error, match=message):
            tuned(**settings)
    with pytest.raises(UsageError, match="cannot write in"):
        tune(network, tmp_path / "file", gains=GAINS)


def test_a_model_without_its_weights_is_refused(network, tmp_path):
    model = onnx.load(network)
    onnx.save(model, tmp_path / "external.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()

    with pytest.raises(ModelFileError, match="copy it as well"):
        tune(tmp_path / "external.onnx", tmp_path / "tuned")


def test_folders_without_a_result(tmp_path):
    with pytest.raises(UsageError, match="costmodel tune MODEL"):
        make_session(tmp_path)
    (tmp_path / "tuning.json").write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        make_session(tmp_path)
