import pytest

from costmodel.errors import DataError
from costmodel.graph import load_graph
from costmodel.integrations.onnxruntime import ModelFormat, Variant
from costmodel.integrations.onnxruntime.gains import Gain, Gains, shipped_gains
from costmodel.integrations.onnxruntime.ranking import EstimatedBy, estimate_variants, ranked
from costmodel.predictor import Predictor

BOARD = "board-ort1.32-fp32-1t"
DEFAULT, EXTENDED, NONE = Variant(), Variant(graph_optimization="extended"), Variant(graph_optimization="none")
STATIC, DYNAMIC = Variant(ModelFormat.INT8_QDQ), Variant(ModelFormat.INT8_DYNAMIC)
GAINS = Gains(measured_on="elsewhere", by_precision={"int8-dynamic": Gain(ratio=2.0, low=0.5, high=4.0, networks=3)})


def estimates(network, predictor, variants, platform=BOARD, gains=GAINS):
    found = estimate_variants(variants, load_graph(network), predictor, platform, gains)
    return dict(zip(variants, found, strict=True))


def test_what_the_predictor_knows_as_a_platform_is_predicted(network, predictor):
    found = estimates(network, predictor, [DEFAULT, EXTENDED, STATIC])
    default, static = (predictor.predict(network, platform) for platform in (BOARD, "board-ort1.32-int8-qdq-1t"))

    assert {estimate.by for estimate in found.values()} == {EstimatedBy.MODEL}
    assert found[STATIC].latency_ms == pytest.approx(static.latency_ms)
    assert found[STATIC].gain == pytest.approx(static.latency_ms / default.latency_ms)
    assert found[DEFAULT].gain == 1


def test_what_it_does_not_know_goes_by_mean_gains_and_says_so(network, predictor):
    found = estimates(network, predictor, [DEFAULT, DYNAMIC, NONE])
    default = predictor.predict(network, BOARD)

    assert found[DYNAMIC].by is EstimatedBy.PRIOR
    assert found[DYNAMIC].latency_ms == pytest.approx(2 * default.latency_ms)
    assert found[DYNAMIC].low_ms == pytest.approx(0.5 * default.low_ms)
    assert found[NONE].by is EstimatedBy.NOTHING
    assert found[NONE].gain is None


def test_a_machine_that_the_predictor_does_not_know_is_ranked_all_the_same(network, predictor):
    found = estimates(network, predictor, [DYNAMIC, DEFAULT], platform="unknown-ort1.32-fp32-1t")

    assert {estimate.by for estimate in found.values()} == {EstimatedBy.PRIOR}
    assert [estimate.latency_ms for estimate in found.values()] == [None, None]
    assert list(ranked(found, found.values())) == [DEFAULT, DYNAMIC]


def test_what_nobody_knows_comes_last(network, predictor):
    found = estimates(network, predictor, [NONE, DYNAMIC, DEFAULT])

    assert list(ranked(found, found.values())) == [DEFAULT, DYNAMIC, NONE]


def test_entries_of_the_configuration_and_threads_tie_and_keep_their_order(network, predictor):
    tuned = Variant(ModelFormat.INT8_DYNAMIC, session_config=(("session.disable_prepacking", "1"),))
    several = Variant(ModelFormat.INT8_DYNAMIC, threads=2)
    found = estimates(network, predictor, [tuned, several, DYNAMIC])

    assert list(ranked(found, found.values())) == [tuned, several, DYNAMIC]


def test_the_package_has_gains_of_what_is_ranked_by_default():
    gains = shipped_gains()

    assert {"fp32-extended", "int8-qdq", "int8-dynamic"} <= gains.by_precision.keys()
    assert all(gain.low <= gain.ratio <= gain.high for gain in gains.by_precision.values())


def test_gains_are_kept_in_a_file(tmp_path):
    GAINS.save(tmp_path / "gains.json")
    assert Gains.load(tmp_path / "gains.json") == GAINS

    (tmp_path / "damaged.json").write_text('{"schema_version": 1}')
    with pytest.raises(DataError, match=r"damaged.json has no gains"):
        Gains.load(tmp_path / "damaged.json")
    with pytest.raises(DataError, match="cannot read"):
        Gains.load(tmp_path / "missing.json")


def test_the_shipped_predictor_is_asked_for_names_it_has(network):
    predictor = Predictor.from_pretrained()
    platform = "epyc-f25m1-ort1.32-fp32-1t"

    assert estimates(network, predictor, [DEFAULT], platform)[DEFAULT].by is EstimatedBy.MODEL
