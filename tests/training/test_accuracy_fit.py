"""Accuracies of cells are learned, by the same trunk that latencies are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from costmodel.errors import WeightsError
from costmodel.features.cell_batch import NUM_POSITION_FEATURES, collate_cells
from costmodel.features.relations import Relation
from costmodel.model import AccuracyModel, NNFormer, NNFormerConfig
from costmodel.spaces import NASBench201
from costmodel.training import kendall_tau
from costmodel.training.accuracy_fit import AccuracyFitConfig, fit_accuracy_model, predict_accuracies
from costmodel.training.accuracy_losses import accuracy_loss

SPACE = NASBench201()
_rng = np.random.default_rng(0)
ARCHS = [SPACE.draw(_rng) for _ in range(80)]
CELLS = [SPACE.cell_graph(arch) for arch in ARCHS]
WORTH = {"none": -1.0, "skip_connect": 0.3, "nor_conv_1x1": 0.6, "nor_conv_3x3": 1.0, "avg_pool_3x3": 0.0}


def made_up_accuracies() -> torch.Tensor:
    """The more convolutions on the way to the output, the better."""
    worth = np.array([0.0, 0.0, *(WORTH[name] for name in SPACE.operations[2:])])
    sums = np.array([worth[cell.operations].sum() for cell in CELLS])
    return torch.tensor((sums - sums.mean()) / sums.std(), dtype=torch.float32)


def model(**changes) -> AccuracyModel:
    sizes = {"num_op_types": len(SPACE.operations) + 1, "num_features": 0, "dim": 16, "depth": 2, "ffn_ratio": 2}
    torch.manual_seed(0)
    return AccuracyModel(NNFormerConfig.model_validate({**sizes, "layer_scale": None, **changes}))


def test_it_learns_what_makes_cells_accurate():
    accuracies, cells = made_up_accuracies(), collate_cells(CELLS)
    config = AccuracyFitConfig(steps=120, cells_per_step=16, learning_rate=3e-3)

    fitted = fit_accuracy_model(model(), cells[torch.arange(50)], accuracies[:50], config)

    tau = kendall_tau(predict_accuracies(fitted, cells)[50:].numpy(), accuracies[50:].numpy())
    assert tau > 0.6, "of cells that it never saw"


def test_the_seed_decides():
    accuracies, cells = made_up_accuracies(), collate_cells(CELLS)
    config = AccuracyFitConfig(steps=3)
    once, again = (predict_accuracies(fit_accuracy_model(model(), cells, accuracies, config), cells) for _ in range(2))
    torch.testing.assert_close(once, again, rtol=0, atol=0)


def test_an_interrupted_run_ends_as_if_it_was_not(tmp_path):
    accuracies, cells = made_up_accuracies(), collate_cells(CELLS)
    config = AccuracyFitConfig(steps=60, cells_per_step=16, validation_share=0.2)
    whole = fit_accuracy_model(model(), cells, accuracies, config)

    class Interrupted(Exception):
        pass

    def interrupt(step, metrics):
        assert -1 <= metrics["validation_tau"] <= 1
        if step == 50:
            raise Interrupted

    path = tmp_path / "run" / "member0.safetensors"
    with pytest.raises(Interrupted):
        fit_accuracy_model(model(), cells, accuracies, config, checkpoint=path, on_check=interrupt)
    steps = []
    resumed = fit_accuracy_model(
        model(), cells, accuracies, config, checkpoint=path, on_check=lambda step, metrics: steps.append(step)
    )

    assert steps == [60]
    for name, tensor in resumed.state_dict().items():
        torch.testing.assert_close(tensor, whole.state_dict()[name], rtol=0, atol=0)
    with pytest.raises(WeightsError, match="other settings or data"):
        fit_accuracy_model(model(), cells, -accuracies, config, checkpoint=path)


def test_what_is_held_out_decides_when_to_stop():
    accuracies, cells = made_up_accuracies(), collate_cells(CELLS)
    noise = torch.randn(len(CELLS), generator=torch.Generator().manual_seed(0))
    config = AccuracyFitConfig(steps=100, cells_per_step=16, learning_rate=3e-3, validation_share=0.5)
    taus = []

    fitted = fit_accuracy_model(
        model(), cells, accuracies + noise, config, on_check=lambda _, found: taus.append(found["validation_tau"])
    )

    held_out = np.random.default_rng(0).permutation(len(CELLS))[: len(CELLS) // 2]
    said = predict_accuracies(fitted, cells).numpy()[held_out]
    assert kendall_tau(said, (accuracies + noise).numpy()[held_out]) == pytest.approx(max(taus))


def test_the_trunk_is_that_of_latencies():
    assert type(model().trunk) is NNFormer


def test_a_cell_is_read_the_same_whatever_is_beside_it():
    reader = model().eval()
    smaller = [NASBench201().cell_graph(ARCHS[0])]
    torch.testing.assert_close(
        predict_accuracies(reader, collate_cells([*smaller, *CELLS])),
        predict_accuracies(reader, collate_cells([CELLS[0], *CELLS])),
    )


@pytest.mark.parametrize(
    ("changes", "batch"),
    [
        ({"head_relations": (Relation.CHILD, Relation.PARENT)}, {}),
        ({"ffn_directions": "children"}, {}),
        ({"ffn_directions": "parents"}, {}),
        ({"ffn_directions": "none"}, {}),
        ({}, {"global_attention": True}),
        ({"num_features": NUM_POSITION_FEATURES}, {"positions": True}),
    ],
)
def test_ablations_change_what_is_said_and_keep_what_is_learned(changes, batch):
    whole, part = model(), model(**changes)
    if "num_features" not in changes:
        part.load_state_dict(whole.state_dict())
    said = predict_accuracies(whole, collate_cells(CELLS))
    assert not torch.allclose(predict_accuracies(part, collate_cells(CELLS, **batch)), said)


def test_the_loss_is_nothing_where_all_is_right():
    measured = torch.tensor([0.1, -0.4, 0.9])
    assert accuracy_loss(measured, measured, measured, 0.2, 1.0) == 0
    off = measured + 0.5
    assert accuracy_loss(off, off, measured, 0.2, 1.0) == pytest.approx(0.25), "the order is right, and both agree"
    assert accuracy_loss(measured, off, measured, 0.2, 1.0) == pytest.approx(0.5), "the passes disagree"
    swapped = measured.flip(0)
    assert accuracy_loss(swapped, swapped, measured, 1.0, 0.0) > accuracy_loss(swapped, swapped, measured, 0.0, 0.0)
