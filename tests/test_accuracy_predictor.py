"""Accuracies of architectures, learned from a few, kept in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import costmodel
from costmodel.accuracy_predictor import AccuracyConfig, AccuracyPredictor, fit_accuracy
from costmodel.errors import DataError, UnknownNameError, UsageError, WeightsError
from costmodel.spaces import NASBench201
from costmodel.training import kendall_tau
from costmodel.training.accuracy_fit import AccuracyFitConfig

SPACE = NASBench201()
_rng = np.random.default_rng(0)
ARCHS = [SPACE.draw(_rng) for _ in range(70)]
SMALL = AccuracyConfig(
    members=2, dim=16, depth=2, fit=AccuracyFitConfig(steps=80, cells_per_step=16, learning_rate=3e-3)
)


def made_up_percent(archs: list[str]) -> np.ndarray:
    return np.array([60 + 4.0 * arch.count("conv_3x3") + 2.0 * arch.count("conv_1x1") for arch in archs])


@pytest.fixture(scope="module")
def fitted() -> AccuracyPredictor:
    return fit_accuracy("nasbench201", ARCHS[:45], made_up_percent(ARCHS[:45]), SMALL)


def test_accuracies_are_per_cent_and_in_order(fitted: AccuracyPredictor):
    unseen = ARCHS[45:]
    said = fitted.predict(unseen)
    assert kendall_tau(said, made_up_percent(unseen)) > 0.5
    assert np.abs(said - made_up_percent(unseen)).mean() < 4
    assert (fitted.spread(unseen) > 0).all()
    assert fitted.predict([]).shape == (0,)


def test_it_is_kept_in_a_folder(fitted: AccuracyPredictor, tmp_path: Path):
    fitted.save_pretrained(tmp_path / "weights")
    again = costmodel.AccuracyPredictor.from_pretrained(tmp_path / "weights")
    np.testing.assert_array_equal(again.predict(ARCHS), fitted.predict(ARCHS))
    assert again.space.name == "nasbench201"


def test_what_is_no_architecture_is_told(fitted: AccuracyPredictor):
    with pytest.raises(UsageError, match="expected"):
        fitted.predict([ARCHS[0], "resnet50"])


@pytest.mark.parametrize(
    ("archs", "percent"),
    [([], []), (ARCHS[:1], [70.0]), (ARCHS[:3], [70.0, 71.0]), (ARCHS[:2], [70.0, 70.0]), (ARCHS[:2], [70.0, np.nan])],
)
def test_too_little_to_learn_from(archs: list[str], percent: list[float]):
    with pytest.raises(DataError, match="at least two architectures"):
        fit_accuracy("nasbench201", archs, percent, SMALL)


def test_an_unknown_space_is_told():
    with pytest.raises(UnknownNameError, match="nasbench201"):
        fit_accuracy("nasbench2", ARCHS[:2], [70.0, 71.0], SMALL)


def test_damaged_folders(fitted: AccuracyPredictor, tmp_path: Path):
    with pytest.raises(UnknownNameError, match=r"config\.json"):
        AccuracyPredictor.from_pretrained(tmp_path)
    fitted.save_pretrained(tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    with pytest.raises(WeightsError, match="cannot be used"):
        AccuracyPredictor.from_pretrained(tmp_path)
    weights.write_bytes(whole)
    document = json.loads(config.read_text())
    config.write_text(json.dumps({**document, "operations": ["input", "output"]}))
    with pytest.raises(WeightsError, match="with the operations input, output"):
        AccuracyPredictor.from_pretrained(tmp_path)
    config.write_text(json.dumps({**document, "schema_version": 99}))
    with pytest.raises(WeightsError, match="schema version"):
        AccuracyPredictor.from_pretrained(tmp_path)
