"""Feature-based predictors that NN-Former is measured against, fitted on the same networks in the same run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from costmodel.training import TrainingSet
from costmodel.training.prior_fit import fit_rates, prior_ms

__all__ = ["BASELINES"]


def _totals(data: TrainingSet, column: int) -> np.ndarray:
    """FLOPs and activation bytes of the batch, parameters' bytes, batch, operations: one row a network."""
    flops, activations, weights, operations = data.work_totals().T
    batch = data.batch[:, column]
    return np.stack([flops * batch, activations * batch, weights, batch, operations], axis=1)


def flops_linear(train: TrainingSet, test: TrainingSet, column: int, seed: int) -> np.ndarray:
    """Latency = a * FLOPs + b, weighted for relative error."""
    return _relative_least_squares(train, test, column, [0])


def flops_activations_linear(train: TrainingSet, test: TrainingSet, column: int, seed: int) -> np.ndarray:
    """Latency = a * FLOPs + b * activation bytes + c, weighted for relative error."""
    return _relative_least_squares(train, test, column, [0, 1])


def _relative_least_squares(train: TrainingSet, test: TrainingSet, column: int, features: list[int]) -> np.ndarray:
    from scipy.optimize import nnls

    def design(data: TrainingSet) -> np.ndarray:
        return np.column_stack([_totals(data, column)[:, features] * 1e-9, np.ones(len(data))])

    labels = train.latency_ms[:, column]
    weights, _ = nnls(design(train) / labels[:, None], np.ones(len(labels)))
    return np.maximum(design(test) @ weights, 1e-6)


def boosted_trees(train: TrainingSet, test: TrainingSet, column: int, seed: int) -> np.ndarray:
    """Gradient-boosted trees on the logarithms of FLOPs, activations, parameters, batch and size."""
    from sklearn.ensemble import GradientBoostingRegressor

    model = GradientBoostingRegressor(
        n_estimators=400, max_depth=4, learning_rate=0.05, subsample=0.7, loss="huber", random_state=seed
    )
    model.fit(np.log1p(_totals(train, column)), np.log(train.latency_ms[:, column]))
    return np.exp(model.predict(np.log1p(_totals(test, column))))


def physical_prior(train: TrainingSet, test: TrainingSet, column: int, seed: int) -> np.ndarray:
    """What our model starts from: four rates for each class of kernels, without NN-Former's correction."""
    rates = fit_rates(train.kernel_totals(), train.latency_ms[:, column], train.batch[:, column])
    return prior_ms(test.kernel_totals(), rates, test.batch[:, column])


BASELINES: dict[str, Callable[[TrainingSet, TrainingSet, int, int], np.ndarray]] = {
    "flops": flops_linear,
    "flops+activations": flops_activations_linear,
    "boosted trees": boosted_trees,
    "our prior alone": physical_prior,
}
