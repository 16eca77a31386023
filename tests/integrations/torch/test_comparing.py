"""Two models side by side: changes add up, and what is in one of them only is told."""

from __future__ import annotations

import csv
import io
import json

import pytest
import torch
from torch import nn

from costmodel.errors import UnknownNameError, UsageError
from costmodel.integrations.torch import Comparison, compare, profile
from costmodel.predictor import Predictor


@pytest.fixture
def comparison(network: nn.Module, image: torch.Tensor, predictor: Predictor) -> Comparison:
    """The second network has another head, of one layer more."""
    wider = type(network)()
    wider.head = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 3))
    return compare(network, wider.to("meta"), image, predictor=predictor)


def test_changes_add_up_to_that_of_the_network(comparison: Comparison):
    for platform in comparison.platforms:
        change_ms = comparison.total.change_ms(platform)
        assert change_ms == pytest.approx(
            comparison.after.predictions[platform].latency_ms - comparison.before.predictions[platform].latency_ms
        )
        for changes in (comparison.by_module(platform), comparison.by_operator(platform)):
            assert sum(change.change_ms(platform) for change in changes) == pytest.approx(change_ms)
            sizes = [abs(change.change_ms(platform)) for change in changes]
            assert sizes == sorted(sizes, reverse=True)


def test_a_module_of_one_network_only_was_or_is_nothing(comparison: Comparison):
    by_name = {change.name: change for change in comparison.by_module()}
    assert (by_name["head"].before.operations, by_name["head"].after.operations) == (1, 0)
    assert (by_name["head.0"].before.operations, by_name["head.0"].after.params) == (0, 4 * 64 + 64)


def test_the_same_model_has_not_changed(network: nn.Module, image: torch.Tensor, predictor: Predictor):
    profiled = profile(network, image, predictor=predictor)
    comparison = compare(profiled, network, image, predictor=predictor)
    assert all(comparison.total.change_ms(platform) == 0 for platform in comparison.platforms)
    assert "module" not in str(comparison)


def test_json_csv_and_table(comparison: Comparison):
    document = json.loads(comparison.to_json())
    platform = comparison.platforms[0]
    assert document["total"][platform]["change_ms"] == comparison.total.change_ms(platform)
    rows = list(csv.DictReader(io.StringIO(comparison.to_csv())))
    assert len(rows) == len(document["modules"]) == len(comparison.platforms) * len(comparison.by_module())
    text = str(comparison)
    assert "head.0" in text
    assert all(platform in text for platform in comparison.platforms)


def test_profiles_without_a_platform_in_common_are_refused(
    network: nn.Module, image: torch.Tensor, predictor: Predictor
):
    one, other = (profile(network, image, name, predictor=predictor) for name in list(predictor.platforms)[:2])
    with pytest.raises(UsageError, match="no platform in common"):
        compare(one, other)


def test_a_platform_that_is_not_compared_is_named(comparison: Comparison):
    with pytest.raises(UnknownNameError, match="platform of both profiles 'h100'"):
        comparison.by_module("h100")
