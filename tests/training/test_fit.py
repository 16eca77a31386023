from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from synthetic import MS_PER_GFLOP, MS_PER_MB, MS_PER_OP, training_set

from costmodel.errors import DataError, WeightsError
from costmodel.features import FEATURE_NAMES
from costmodel.features.graph_batch import collate
from costmodel.features.kernel_class import KernelClass
from costmodel.graph import VOCABULARY
from costmodel.model import LatencyModel, LatencyModelConfig, NNFormerConfig
from costmodel.training import FitConfig, TrainingSet, cross_fit, fit, mape_percent, predict_log_ms
from costmodel.training.kernel_shares import KernelShares, kernel_share_loss
from costmodel.training.prior_fit import fit_rates, prior_ms


def small_model(platforms: int = 2, **options: bool) -> LatencyModel:
    torch.manual_seed(0)
    trunk = NNFormerConfig(
        num_op_types=len(VOCABULARY), num_features=len(FEATURE_NAMES), dim=16, depth=1, ffn_ratio=2, dropout=0.1
    )
    return LatencyModel(LatencyModelConfig(trunk=trunk, num_platforms=platforms, head_width=8, **options))


def error(model: LatencyModel, data: TrainingSet, column: int) -> float:
    known = ~np.isnan(data.latency_ms[:, column])
    return mape_percent(np.exp(predict_log_ms(model, data))[known, column], data.latency_ms[known, column])


def test_rates_of_a_device_that_follows_the_prior_are_recovered():
    data = training_set()
    rates = fit_rates(data.kernel_totals(), data.latency_ms[:, 0], data.batch[:, 0])
    expected = np.tile([MS_PER_GFLOP, MS_PER_MB, MS_PER_MB, MS_PER_OP], (len(KernelClass), 1))
    np.testing.assert_allclose(np.exp(rates), expected, rtol=1e-3)


def test_a_class_of_kernels_with_another_rate_gets_it_and_one_without_networks_gets_the_overall_rates():
    rng = np.random.default_rng(0)
    totals = np.zeros((60, len(KernelClass), 4))
    totals[:, KernelClass.CONV, 0], totals[:, KernelClass.MATMUL, 0] = rng.uniform(1e9, 1e10, (2, 60))
    latency_ms = totals[:, KernelClass.CONV, 0] * 1e-9 + totals[:, KernelClass.MATMUL, 0] * 5e-9
    rates = np.exp(fit_rates(totals, latency_ms, np.ones(60)))[:, 0]
    assert rates[KernelClass.CONV] == pytest.approx(1, rel=0.01)
    assert rates[KernelClass.MATMUL] == pytest.approx(5, rel=0.01)
    assert 1 < rates[KernelClass.POOLING] < 5


def test_the_prior_of_networks_is_their_work_at_its_rates_and_weights_are_worked_on_once_a_batch():
    totals = np.zeros((1, len(KernelClass), 4))
    totals[0, KernelClass.CONV] = 1e9, 2e6, 3e6, 4
    totals[0, KernelClass.ON_WEIGHTS, 0] = 5e9
    unit_rates = np.zeros((len(KernelClass), 4))
    assert prior_ms(totals, unit_rates, np.array([10.0])) == pytest.approx(10 * (1 + 2) + 3 + 4 + 5)


def test_one_set_of_rates_a_platform_can_be_asked_for():
    data = training_set()
    model = small_model(kernel_rates=False)
    fit(model, data, FitConfig(epochs=1, learning_rate=1e-9, rate_learning_rate=1e-9))
    assert error(model, data, 0) < 0.1


def test_before_training_the_prediction_is_the_prior():
    data = training_set()
    model = small_model()
    with torch.no_grad():
        model.log_rates.copy_(
            torch.log(torch.tensor([MS_PER_GFLOP, MS_PER_MB, MS_PER_MB, MS_PER_OP])).expand_as(model.log_rates)
        )
    assert error(model, data, 0) < 0.01


def test_operations_add_up_to_the_network():
    data = training_set()
    output = small_model()(collate(data.features), torch.as_tensor(data.batch, dtype=torch.float32))
    first = len(data.features[0])
    torch.testing.assert_close(output.op_ms[:first].sum(0), output.log_ms[0].exp())


def test_training_learns_what_the_prior_misses():
    data = training_set(48)
    config = FitConfig(epochs=30, graphs_per_step=4, token_noise=0)
    trained = fit(small_model(), data, config)
    untrained = small_model()
    untrained.log_rates.data = trained.log_rates.data
    assert error(trained, data, 1) < 10 < error(untrained, data, 1)


@pytest.mark.parametrize("loss", ["log_huber", "squared_relative"])
def test_the_same_seed_gives_the_same_weights(loss):
    config = FitConfig(epochs=2, loss=loss, seed=3)
    first, second = (fit(small_model(), training_set(), config).state_dict() for _ in range(2))
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path):
    data, config = training_set(), FitConfig(epochs=4, seed=1)
    whole = fit(small_model(), data, config).state_dict()

    class PowerCut(Exception):
        pass

    def cut(epoch: int, metrics: dict[str, float]) -> None:
        if epoch == 2:
            raise PowerCut

    with pytest.raises(PowerCut):
        fit(small_model(), data, config, run_dir=tmp_path, on_epoch=cut)
    resumed = fit(small_model(), data, config, run_dir=tmp_path).state_dict()
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    fit(small_model(), training_set(), FitConfig(epochs=1), run_dir=tmp_path)
    with pytest.raises(WeightsError, match="other settings"):
        fit(small_model(), training_set(), FitConfig(epochs=2), run_dir=tmp_path)


def test_every_network_is_predicted_by_the_member_that_never_saw_its_family(tmp_path):
    data = training_set()
    result = cross_fit(data, small_model().config, FitConfig(epochs=1), members=3, run_dir=tmp_path)
    assert sorted(np.concatenate(result.folds)) == list(range(len(data)))
    for member, rows in zip(result.members, result.folds, strict=True):
        families = {data.families[row] for row in rows}
        assert not families & {data.families[row] for row in range(len(data)) if row not in rows}
        np.testing.assert_allclose(result.held_out_log_ms[rows], predict_log_ms(member, data.subset(rows)))


def test_a_member_is_not_trained_on_what_it_leaves_out(monkeypatch):
    trained_on = []

    def spied(model: LatencyModel, train: TrainingSet, config: FitConfig, **options: object) -> LatencyModel:
        trained_on.append(set(train.names))
        return fit(model, train, config)

    # The package offers the function under the module's own name, so the module has to be asked for.
    monkeypatch.setattr(import_module("costmodel.training.cross_fit"), "fit", spied)
    data = training_set()
    result = cross_fit(data, small_model().config, FitConfig(epochs=1), members=3)
    for seen, rows in zip(trained_on, result.folds, strict=True):
        assert seen == set(data.names) - {data.names[row] for row in rows}


def test_a_label_that_is_no_latency_is_refused():
    data = training_set()
    labels = data.latency_ms.copy()
    labels[0, 0] = -1.0
    with pytest.raises(DataError, match="above zero"):
        TrainingSet(data.names, data.families, data.features, data.platforms, labels, data.batch)


def test_where_the_time_went_is_learned_from_profiles():
    data = training_set()
    rng = np.random.default_rng(0)
    profiled = {}
    for row in range(len(data)):
        nodes = len(data.features[row])
        shares = np.where(data.features[row].op_types % 2, 1.0, 9.0) * rng.uniform(0.9, 1.1, nodes)
        profiled[row, 0] = KernelShares(np.arange(nodes), shares / shares.sum())
    data = replace(data, kernel_shares=profiled)

    def distance(weight: float) -> float:
        settings = FitConfig(epochs=20, graphs_per_step=8, token_noise=0, kernel_shares=weight)
        model = fit(small_model(), data, settings)
        with torch.no_grad():
            op_ms = model(collate(data.features), torch.ones(len(data), 2)).op_ms
        starts = np.cumsum([0, *map(len, data.features)])
        return float(kernel_share_loss(op_ms, [(int(starts[row]), 0, profiled[row, 0]) for row in range(len(data))]))

    assert distance(2.0) < 0.8 * distance(0.0)
