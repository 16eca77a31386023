"""What is minimised: nothing where predictions are right, and only what was measured."""

from __future__ import annotations

import pytest
import torch

from costmodel.training.losses import LOSSES, between_platforms

MEASURED = torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 0.0]])
KNOWN = torch.tensor([[True, True, True], [True, False, False]])


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_right_predictions_cost_nothing_whatever_is_said_of_what_nobody_measured(loss):
    predicted = torch.where(KNOWN, MEASURED, 7.0)
    assert loss(predicted, MEASURED, KNOWN) == 0
    assert loss(predicted + 0.2, MEASURED, KNOWN) > 0


def test_between_platforms_only_what_they_take_relative_to_each_other_counts():
    whole_networks_off = torch.tensor([[0.4], [-0.3]])
    assert between_platforms(MEASURED + whole_networks_off, MEASURED, KNOWN) == pytest.approx(0, abs=1e-5)

    one_off = MEASURED + torch.tensor([[0.3, 0.0, 0.0], [0.0, 0.0, 0.0]])
    # Off by +.2, -.1 and -.1 from the network's mean: Huber's linear part, over the four that were measured.
    expected = sum(off - 0.05 / 2 for off in (0.2, 0.1, 0.1)) / 4
    assert between_platforms(one_off, MEASURED, KNOWN) == pytest.approx(expected, rel=1e-4)


def test_between_platforms_a_network_measured_on_one_says_nothing():
    off = torch.tensor([[0.0, 0.0, 0.0], [0.9, 5.0, 5.0]])
    assert between_platforms(MEASURED + off, MEASURED, KNOWN) == 0
