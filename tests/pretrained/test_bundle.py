from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from costmodel.data.families import generate
from costmodel.errors import UnknownNameError, WeightsError
from costmodel.features import build_features
from costmodel.graph import load_graph
from costmodel.pretrained import Bundle, load_bundle, pretrained_names, save_bundle


@pytest.fixture
def saved(untrained_bundle: Bundle, tmp_path: Path) -> Path:
    save_bundle(untrained_bundle, tmp_path / "weights")
    return tmp_path / "weights"


def networks() -> list:
    return [build_features(load_graph(generate(family, 0, weights=False))) for family in ("vgg", "nasbench201")]


def test_a_saved_bundle_predicts_the_same(untrained_bundle: Bundle, saved: Path):
    names = [platform.name for platform in untrained_bundle.platforms]
    before = untrained_bundle.predict(networks(), names, [1, 4])
    after = load_bundle(saved).predict(networks(), names, [1, 4])
    for first, second in zip(chain(*before), chain(*after), strict=True):
        assert first.latency_ms == second.latency_ms
        np.testing.assert_array_equal(first.op_ms, second.op_ms)


def test_contributions_add_up_and_the_interval_has_the_calibrated_width(untrained_bundle: Bundle):
    last = len(untrained_bundle.platforms) - 1
    raw = untrained_bundle.predict(networks(), [untrained_bundle.platforms[last].name], [1, 1])[1][0]
    assert raw.op_ms.sum() == pytest.approx(raw.latency_ms)
    assert np.log(raw.high_ms / raw.latency_ms) == pytest.approx(untrained_bundle.config.error_quantiles[last])
    assert np.log(raw.latency_ms / raw.low_ms) == pytest.approx(untrained_bundle.config.error_quantiles[last])


def test_many_graphs_are_split_into_several_passes(untrained_bundle: Bundle, monkeypatch):
    name = [untrained_bundle.platforms[0].name]
    graphs = networks() * 3
    whole = [row[0].latency_ms for row in untrained_bundle.predict(graphs, name, [1] * 6)]
    monkeypatch.setattr("costmodel.pretrained.bundle._MAX_NODES_A_FORWARD", len(graphs[0]) + 1)
    split = [row[0].latency_ms for row in untrained_bundle.predict(graphs, name, [1] * 6)]
    np.testing.assert_allclose(split, whole, rtol=1e-5)


def test_an_unknown_name_is_refused(tmp_path: Path):
    for name in ("nnformer-bas", tmp_path, "", "."):
        with pytest.raises(UnknownNameError):
            load_bundle(name)


def test_weights_of_other_features_are_refused(saved: Path):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | {"feature_schema": "0123456789abcdef"}))
    with pytest.raises(WeightsError, match=r"0123456789abcdef.*retrain"):
        load_bundle(saved)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", b"{", "cannot be read as JSON"),
        ("config.json", b"[]", "schema version"),
        ("config.json", b'{"schema_version": 9}', "got 9"),
        ("model.safetensors", b"\x00" * 20, "copy the whole folder"),
    ],
)
def test_a_damaged_file_is_refused(saved: Path, file: str, content: bytes, said: str):
    (saved / file).write_bytes(content)
    with pytest.raises(WeightsError, match=said):
        load_bundle(saved)


def test_tensors_that_do_not_fit_are_refused(saved: Path):
    config = json.loads((saved / "config.json").read_text())
    config["model"]["head_width"] = 5
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="does not fit"):
        load_bundle(saved)


@pytest.mark.parametrize("name", pretrained_names())
def test_shipped_weights_load_and_carry_a_card(name: str):
    bundle = load_bundle(name)
    assert len(bundle.card) > 500
    assert all(0 < quantile < 2 for quantile in bundle.config.error_quantiles)
