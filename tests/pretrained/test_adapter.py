from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from costmodel.data.families import generate
from costmodel.errors import DataError, UnknownNameError, WeightsError
from costmodel.features import build_features
from costmodel.features.cost_term import CostTerm
from costmodel.features.kernel_class import KernelClass
from costmodel.features.work import work_by_operation
from costmodel.graph import load_graph
from costmodel.platforms import named_platform
from costmodel.predictor import Predictor
from costmodel.pretrained import (
    Adapter,
    AdapterCorrection,
    Bundle,
    load_adapter,
    load_bundle,
    pretrained_platforms,
    save_adapter,
    save_bundle,
    saved_platforms,
    sum_by_kernel,
)

I9 = "i9-10940x-pt2.4-fp32-dynamo"
RTX = "rtx3090-pt2.4-amp-nchw"


@pytest.fixture
def adapter(untrained_bundle: Bundle) -> Adapter:
    """Half an i9 and twice a card that starts operations in no time, on which convolutions take four times as long."""
    return Adapter(
        platform=named_platform("board"),
        weights="untrained",
        fingerprint=untrained_bundle.fingerprint,
        mix={I9: (0.5, 0.5, 0.5, 0.5), RTX: (2.0, 2.0, 2.0, 0.0)},
        factors={"CONV": (4.0, 4.0, 4.0, 4.0)},
        error_quantile=0.5,
    )


def network():
    return build_features(load_graph(generate("resnet", 0, weights=False)))


def test_terms_add_up_to_the_prediction(untrained_bundle: Bundle):
    features = network()
    (term_ms,) = untrained_bundle.term_ms([features], [4])
    names = [platform.name for platform in untrained_bundle.platforms]
    for column, raw in enumerate(untrained_bundle.predict([features], names, [4])[0]):
        np.testing.assert_allclose(term_ms[:, column].sum(axis=1), raw.op_ms, rtol=1e-5)


def test_totals_by_kernel_keep_every_millisecond_in_its_class(untrained_bundle: Bundle):
    features = network()
    (term_ms,) = untrained_bundle.term_ms([features], [1])
    totals = sum_by_kernel(term_ms, features.kernels)
    assert totals.shape == (3, len(KernelClass), len(CostTerm))
    np.testing.assert_allclose(totals.sum(axis=1), term_ms.sum(axis=0))
    convs = features.kernels == KernelClass.CONV
    np.testing.assert_allclose(totals[:, KernelClass.CONV], term_ms[convs].sum(axis=0))


def test_operations_are_mixed_and_scaled_one_by_one(untrained_bundle: Bundle, adapter: Adapter):
    features = network()
    board, i9 = untrained_bundle.with_adapter(adapter).predict([features], ["board", I9], [2])[0]
    (term_ms,) = untrained_bundle.term_ms([features], [2])
    rtx = term_ms[:, [platform.name for platform in untrained_bundle.platforms].index(RTX)]
    factor = np.where(features.kernels == KernelClass.CONV, 4.0, 1.0)
    without_start = rtx.sum(axis=1) - rtx[:, CostTerm.OPERATIONS]
    np.testing.assert_allclose(board.op_ms, factor * (0.5 * i9.op_ms + 2 * without_start), rtol=1e-5)
    assert board.op_ms.sum() == pytest.approx(board.latency_ms)
    assert np.log(board.high_ms / board.latency_ms) == pytest.approx(0.5)


def test_a_correction_scales_the_whole_network_within_its_limit(untrained_bundle: Bundle, adapter: Adapter):
    features = network()
    plain, i9 = untrained_bundle.with_adapter(adapter).predict([features], ["board", I9], [1])[0]
    for limit, factor in ((100.0, np.exp(0.1) * i9.latency_ms**0.5), (0.2, np.exp(0.2))):
        correction = AdapterCorrection(offset=0.1, weights={I9: 0.5}, limit=limit)
        corrected = untrained_bundle.with_adapter(adapter.model_copy(update={"correction": correction}))
        (raw,) = corrected.predict([features], ["board"], [1])[0]
        np.testing.assert_allclose(raw.op_ms, factor * plain.op_ms, rtol=1e-5)


@pytest.mark.parametrize("with_mix", [False, True])
def test_rates_of_its_own_stand_alone_or_beside_a_mix(untrained_bundle: Bundle, adapter: Adapter, with_mix: bool):
    features = network()
    rates = {kernel.name: (0.5, 2.0, 3.0, 0.25 * (1 + kernel)) for kernel in KernelClass}
    alone = adapter.model_copy(update={"mix": {}, "factors": {}, "rates": rates})
    raws = [
        untrained_bundle.with_adapter(found).predict([features], ["board"], [4])[0][0]
        for found in (alone, adapter, adapter.model_copy(update={"rates": rates}))
    ]
    gflops, activation_mb, weight_mb = features.work.T * np.array([[1e-9], [1e-6], [1e-6]])
    starts = 0.25 * (1 + features.kernels)
    np.testing.assert_allclose(
        raws[0].op_ms, 4 * (0.5 * gflops + 2 * activation_mb) + 3 * weight_mb + starts, rtol=1e-5
    )
    if with_mix:
        rated, mixed, both = raws
        assert both.latency_ms == pytest.approx(np.sqrt(rated.latency_ms * mixed.latency_ms))
        shares = (rated.op_ms / rated.latency_ms + mixed.op_ms / mixed.latency_ms) / 2
        np.testing.assert_allclose(both.op_ms / both.latency_ms, shares, rtol=1e-5)


def test_arithmetic_on_weights_is_done_once_whatever_the_batch():
    features = network()
    once, many = work_by_operation(features, 1), work_by_operation(features, 8)
    np.testing.assert_allclose(many, once * np.array([8, 8, 1, 1]))
    features.kernels[:] = KernelClass.ON_WEIGHTS
    np.testing.assert_allclose(work_by_operation(features, 8), once)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mix": {}, "factors": {}}, "every weight of the mix is zero, and every rate"),
        ({"rates": {"CONV": (1.0,) * 4}}, "no rates for the kernel classes OTHER"),
        ({"rates": {"CONVOLUTION": (1.0,) * 4}}, "unknown kernel classes CONVOLUTION"),
    ],
)
def test_an_adapter_that_says_nothing_or_half_is_refused(adapter: Adapter, changes, said: str):
    with pytest.raises(ValueError, match=said):
        Adapter.model_validate({**adapter.model_dump(), **changes})


def test_an_adapter_joins_weights_and_is_saved_with_them(untrained_bundle: Bundle, adapter: Adapter, tmp_path: Path):
    joined = untrained_bundle.with_adapter(adapter)
    assert "board" not in Predictor(untrained_bundle).platforms
    save_bundle(joined, tmp_path)
    assert load_bundle(tmp_path).config.adapters == (adapter,)
    assert [platform.name for platform in pretrained_platforms(tmp_path)][-1] == "board"
    again = joined.with_adapter(adapter.model_copy(update={"error_quantile": 0.1}))
    assert [item.error_quantile for item in again.config.adapters] == [0.1]


def test_an_adapter_of_other_weights_is_refused(untrained_bundle: Bundle, adapter: Adapter):
    with pytest.raises(WeightsError, match=r"'board' was calibrated on weights 'untrained' .*calibrate it again"):
        untrained_bundle.with_adapter(adapter.model_copy(update={"fingerprint": "0" * 64}))


def test_a_name_that_weights_have_is_refused(untrained_bundle: Bundle, adapter: Adapter):
    taken = adapter.model_copy(update={"platform": named_platform(I9)})
    with pytest.raises(DataError, match="Rename one"):
        Predictor(untrained_bundle).with_platform(taken)


def test_a_saved_platform_is_found_by_folder_and_by_name(untrained_bundle, adapter, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path))
    save_adapter(adapter, tmp_path / "platforms" / "board")
    assert load_adapter(tmp_path / "platforms" / "board") == adapter
    assert [platform.name for platform in saved_platforms()] == ["board"]
    for place in ("board", tmp_path / "platforms" / "board"):
        assert "board" in Predictor(untrained_bundle).with_platform(place).platforms
    with pytest.raises(UnknownNameError, match=r"'bord'.*board"):
        Predictor(untrained_bundle).with_platform("bord")


def test_a_platform_that_is_cut_short_hides_no_other(adapter, tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path))
    for name in ("board", "short"):
        save_adapter(adapter, tmp_path / "platforms" / name)
    os.truncate(tmp_path / "platforms" / "short" / "platform.json", 100)
    assert [platform.name for platform in saved_platforms()] == ["board"]
    assert "short/platform.json cannot be read as JSON" in caplog.text
    with pytest.raises(WeightsError, match=r"run its calibration again, which measures nothing twice"):
        load_adapter(tmp_path / "platforms" / "short")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "schema version"),
        ({"mix": {I9: [-1, 0, 0, 0]}}, "mix"),
        ({"mix": {I9: [0, 0, 0, 0]}}, "every weight of the mix is zero"),
        ({"factors": {"WARP": [1, 1, 1, 1]}}, "unknown kernel classes WARP"),
    ],
)
def test_a_damaged_platform_is_refused(adapter: Adapter, tmp_path: Path, change, message):
    save_adapter(adapter, tmp_path)
    document = json.loads((tmp_path / "platform.json").read_text()) | change
    (tmp_path / "platform.json").write_text(json.dumps(document))
    with pytest.raises(WeightsError, match=message):
        load_adapter(tmp_path)


def test_a_mix_of_unknown_platforms_is_refused(adapter: Adapter):
    with pytest.raises(UnknownNameError, match=RTX):
        adapter.mix_of([I9])


def test_a_disk_that_refuses_is_reported(adapter: Adapter, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        save_adapter(adapter, tmp_path / "file" / "board")
