import pytest

from costmodel.errors import UsageError
from costmodel.integrations.onnxruntime import ModelFormat, Variant
from costmodel.integrations.onnxruntime.optuna_space import VariantSpace
from costmodel.integrations.onnxruntime.ranking import Estimate, EstimatedBy

GAINS = {
    Variant(ModelFormat.INT8_QDQ): 0.5,
    Variant(provider="CUDAExecutionProvider"): 0.6,
    Variant(): 1.0,
    Variant(ModelFormat.INT8_DYNAMIC): 6.0,
}
ESTIMATES = {variant: Estimate(None, EstimatedBy.PRIOR, gain) for variant, gain in GAINS.items()}


def test_a_study_begins_with_what_is_expected_to_be_fastest():
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install '.[optuna]'")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = VariantSpace()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    enqueued = [space.enqueue(study, ESTIMATES, count=2) for _ in range(2)]
    study.optimize(lambda trial: GAINS.get(space.suggest(trial), 2.0), n_trials=4)

    assert enqueued == [[Variant(ModelFormat.INT8_QDQ), Variant()]] * 2
    assert [trial.value for trial in study.trials[:2]] == [0.5, 1.0]
    assert len(study.trials) == 4, "asked twice, it is enqueued once"
    assert study.trials[0].user_attrs == {"estimated_by": "prior", "estimated_gain": 0.5}
    assert study.best_params == {"format": "int8-qdq", "graph_optimization": "all", "threads": 1}


def test_a_space_has_every_combination():
    space = VariantSpace(graph_optimizations=("all", "none"), threads=(1, 2))

    assert len(set(space.variants)) == 3 * 2 * 2


def test_a_space_of_nothing():
    with pytest.raises(UsageError, match="a format, a level"):
        VariantSpace(formats=())
