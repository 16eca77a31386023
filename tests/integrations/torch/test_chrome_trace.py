"""The timeline is one that Perfetto can draw: events nest, and end where the network does."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from costmodel.integrations.torch import Profile, profile
from costmodel.predictor import Predictor


@pytest.fixture
def profiled(network: nn.Module, image: torch.Tensor, predictor: Predictor) -> Profile:
    return profile(network, image, predictor=predictor)


def events_of(profiled: Profile, process: int) -> list[dict]:
    return [event for event in json.loads(profiled.to_chrome_trace())["traceEvents"] if event["pid"] == process]


def test_each_platform_is_a_process_as_long_as_its_latency(profiled: Profile):
    for number, platform in enumerate(profiled.platforms):
        title, *events = events_of(profiled, number)
        assert title["args"]["name"] == f"{platform} (predicted)"
        latency_us = 1e3 * profiled.total.times[platform].latency_ms
        assert max(event["ts"] + event.get("dur", 0) for event in events) == pytest.approx(latency_us)
        assert sum(event.get("dur", 0) for event in events) == pytest.approx(latency_us)


def test_operations_lie_within_the_modules_they_were_written_in(profiled: Profile):
    entered: list[str] = []
    modules_of_operations = []
    for event in events_of(profiled, 0):
        if event["ph"] == "B":
            assert not entered or event["name"].startswith(f"{entered[-1]}.")
            entered.append(event["name"])
        elif event["ph"] == "E":
            entered.pop()
        elif event["ph"] == "X":
            modules_of_operations.append(entered[-1] if entered else "")
    assert not entered
    assert modules_of_operations == [row.module for row in profiled.operations]
