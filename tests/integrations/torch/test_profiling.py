"""Profiles: what they hold adds up, whatever a module is made of."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import torch
from synthetic import chain
from torch import nn

from costmodel.errors import UnknownNameError, UnsupportedModelError, UsageError
from costmodel.features.cost_term import CostTerm
from costmodel.features.kernel_class import KernelClass
from costmodel.integrations.torch import Bound, Profile, profile
from costmodel.platforms import named_platform
from costmodel.predictor import Predictor
from costmodel.pretrained import Adapter, Bundle

RTX = "rtx3090-*"


@pytest.fixture
def profiled(network: nn.Module, image: torch.Tensor, predictor: Predictor) -> Profile:
    return profile(network, image, predictor=predictor)


def test_modules_add_up_to_the_network_exactly(profiled: Profile):
    root = profiled.by_module()
    assert root.work == profiled.total
    for module in root.walk():
        parts = [module.own, *(child.work for child in module.children)]
        for platform in profiled.platforms:
            assert sum(part.times[platform].latency_ms for part in parts) == module.work.times[platform].latency_ms
        assert sum(part.flops for part in parts) == module.work.flops


def test_every_grouping_has_the_same_total(profiled: Profile):
    for platform, prediction in profiled.predictions.items():
        total_ms = profiled.total.times[platform].latency_ms
        assert total_ms == pytest.approx(prediction.latency_ms, rel=1e-12)
        assert sum(row.work.times[platform].latency_ms for row in profiled.by_operator(platform)) == total_ms
        assert sum(row.work.times[platform].latency_ms for row in reversed(profiled.operations)) == total_ms


def test_modules_have_the_paths_of_the_source(profiled: Profile):
    paths = [module.path for module in profiled.by_module().walk()]
    assert paths[:5] == ["", "blocks", "blocks.0", "blocks.0.conv", "blocks.0.act"]
    assert paths[-1] == "head"
    block = next(module for module in profiled.by_module().walk() if module.path == "blocks.0")
    assert block.own.operations == 1  # the sum
    assert block.work.params == 4 * 4 * 9 + 4


def test_the_slowest_come_first(profiled: Profile):
    platform = profiled.platforms[1]
    times = [row.work.times[platform].latency_ms for row in profiled.top(3, platform)]
    assert len(times) == 3
    assert times == sorted(times, reverse=True)
    assert times[0] == max(row.work.times[platform].latency_ms for row in profiled.operations)


def test_bound_is_what_most_of_the_time_goes_into(profiled: Profile):
    for row in profiled.operations:
        for time in row.work.times.values():
            parts = {
                Bound.COMPUTE: time.compute_ms,
                Bound.MEMORY: time.memory_ms,
                Bound.OVERHEAD: time.overhead_ms,
            }
            assert parts[time.bound] == max(parts.values())
            assert min(parts.values()) >= 0


def test_bound_of_a_calibrated_platform_follows_its_mix(
    network: nn.Module, image: torch.Tensor, untrained_bundle: Bundle
):
    known = untrained_bundle.platforms[0].name
    adapter = Adapter(
        platform=named_platform("board"),
        weights=untrained_bundle.config.name,
        fingerprint=untrained_bundle.fingerprint,
        mix={known: tuple(float(term is CostTerm.FLOPS) for term in CostTerm)},
        error_quantile=0.1,
    )
    profiled = profile(network, image, "board", predictor=Predictor(untrained_bundle).with_platform(adapter))
    assert profiled.total.times["board"].bound is Bound.COMPUTE
    assert profiled.total.times["board"].compute_ms == pytest.approx(profiled.total.times["board"].latency_ms)


def test_shares_of_terms_add_up_where_a_platform_has_rates_and_a_mix(untrained_bundle: Bundle):
    graph = chain(12, np.random.default_rng(0))
    adapter = Adapter(
        platform=named_platform("board"),
        weights=untrained_bundle.config.name,
        fingerprint=untrained_bundle.fingerprint,
        mix={untrained_bundle.platforms[0].name: (1.0, 1.0, 1.0, 1.0)},
        rates=dict.fromkeys(KernelClass.__members__, (1.0, 2.0, 3.0, 4.0)),
        error_quantile=0.1,
    )
    (shares,) = untrained_bundle.with_adapter(adapter).term_shares(graph, ["board"], 1)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)


def test_platforms_are_found_by_glob_each_once(network: nn.Module, image: torch.Tensor, predictor: Predictor):
    profiled = profile(network, image, [RTX, RTX], predictor=predictor)
    assert len(profiled.platforms) == 2
    assert all(name.startswith("rtx3090") for name in profiled.platforms)


def test_a_platform_that_is_not_in_the_profile_is_named(profiled: Profile):
    with pytest.raises(UnknownNameError, match="platform of this profile 'h100'"):
        profiled.top(1, "h100")


def test_json_and_csv_hold_every_operation(profiled: Profile):
    document = json.loads(profiled.to_json())
    assert [row["name"] for row in document["operations"]] == [row.name for row in profiled.operations]
    first = document["operations"][0]["times"][profiled.platforms[0]]
    assert first["latency_ms"] == profiled.operations[0].work.times[profiled.platforms[0]].latency_ms
    rows = list(csv.DictReader(io.StringIO(profiled.to_csv())))
    assert len(rows) == len(profiled.operations) * len(profiled.platforms)
    assert sum(float(row["share"]) for row in rows) == pytest.approx(len(profiled.platforms))


def test_printed_it_names_platforms_modules_and_operators(profiled: Profile):
    text = str(profiled)
    for expected in (*profiled.platforms, "blocks", "head", "Conv", "slowest operations"):
        assert expected in text


# ---- what a module may be ----------------------------------------------------------------------------------------


def test_keyword_arguments_and_several_results(predictor: Predictor):
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 8)

        def forward(self, x: torch.Tensor, *, scale: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"left": self.left(x) * scale, "right": self.right(x)}

    x = torch.zeros(2, 4)
    profiled = profile(TwoHeads(), (x,), RTX, kwargs={"scale": x}, predictor=predictor)
    assert {module.path for module in profiled.by_module().children} == {"left", "right"}


def test_a_tied_weight_counts_once(predictor: Predictor):
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
            self.second.weight = self.first.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(torch.relu(self.first(x)))

    profiled = profile(Tied(), torch.zeros(1, 8), predictor=predictor)
    assert profiled.total.params == 64
    assert {module.path: module.work.params for module in profiled.by_module().children} == {"first": 64, "second": 0}


def test_a_module_that_is_called_twice_is_one_module(predictor: Predictor):
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(torch.relu(self.layer(x)))

    profiled = profile(Twice(), torch.zeros(1, 8), predictor=predictor)
    (layer,) = profiled.by_module().children
    assert (layer.path, layer.work.operations, layer.work.params) == ("layer", 2, 72)


def test_a_batch_enlarges_the_inputs(network: nn.Module, image: torch.Tensor, predictor: Predictor):
    small, large = (profile(network, image, batch=batch, predictor=predictor) for batch in (1, 8))
    assert (small.batch, large.batch) == (1, 8)
    assert large.total.flops == 8 * small.total.flops
    assert large.total.params == small.total.params


def test_a_program_with_an_open_batch_is_profiled_at_the_batch_it_was_traced_with(predictor: Predictor):
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(module, (torch.zeros(6, 4),), dynamic_shapes=dynamic, strict=False)
    assert profile(program, predictor=predictor).batch == 6


def test_keyword_arguments_of_what_is_no_module_are_refused(predictor: Predictor):
    with pytest.raises(UsageError, match="kwargs go with a torch module"):
        profile("model.onnx", kwargs={"x": 1}, predictor=predictor)


# ---- modules that torch.export cannot trace ----------------------------------------------------------------------


class DependsOnData(nn.Module):
    """Takes a branch that only the data tell."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        x = self.first(x)
        return self.second(x) if x.sum().item() < float("inf") else x


def test_a_module_that_does_not_export_is_run_once(predictor: Predictor, caplog: pytest.LogCaptureFixture):
    module = DependsOnData()
    profiled = profile(module, torch.ones(2, 4), predictor=predictor)
    assert [child.path for child in profiled.by_module().children] == ["first", "second"]
    assert profiled.total.params == 40
    assert "torch.export cannot trace DependsOnData" in caplog.text
    assert module.training
    assert module.calls == 0  # as it was


def test_the_module_that_can_neither_be_traced_nor_run_is_named(predictor: Predictor):
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("no such luck")

    with pytest.raises(UnsupportedModelError, match=r"failed in the module '1': no such luck"):
        profile(nn.Sequential(nn.Linear(4, 4), Broken()), torch.ones(2, 4), predictor=predictor)
