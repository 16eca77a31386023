"""``costmodel search``, from folders of weights to a front."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from costmodel.accuracy_predictor import AccuracyConfig, fit_accuracy
from costmodel.spaces import NASBench201
from costmodel.training.accuracy_fit import AccuracyFitConfig

pytest.importorskip("optuna", reason="pip install 'nnformer-costmodel[search]'")

PLATFORM = "rtx3090-pt2.4-amp-nhwc"


@pytest.fixture(scope="module")
def accuracies(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    archs = [NASBench201().draw(rng) for _ in range(30)]
    percent = [60 + 5.0 * arch.count("conv_3x3") + 2.0 * arch.count("conv_1x1") for arch in archs]
    config = AccuracyConfig(members=1, dim=16, depth=1, fit=AccuracyFitConfig(steps=30, learning_rate=3e-3))
    folder = tmp_path_factory.mktemp("accuracies")
    fit_accuracy("nasbench201", archs, percent, config).save_pretrained(folder)
    return folder


@pytest.fixture
def search(run, weights, accuracies):
    return lambda *more: run("search", accuracies, "-w", weights, "--population", 8, *more)


def test_a_front_is_found_kept_and_gone_on_with(search, tmp_path: Path):
    folder = tmp_path / "found"
    done = search("-p", PLATFORM, "-o", folder, "-n", 16, "--format", "json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    front = [row["arch"] for row in document["front"]]
    with (folder / "front.csv").open() as stream:
        assert [row["arch"] for row in csv.DictReader(stream)] == front
    with (folder / "candidates.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == document["judged"] <= 16
    latencies = [row["latency_ms"] for row in document["front"]]
    assert latencies == sorted(latencies)
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")

    more = search("-p", PLATFORM, "-o", folder, "-n", 24)
    assert more.code == 0, more.err
    assert "architectures; predictions for" in more.out
    other = search("-p", PLATFORM, "-o", folder, "-n", 24, "--sampler", "random")
    assert (other.code, "another search" in other.err) == (2, True)


def test_wrong_names_are_told(search, run, weights, tmp_path: Path):
    unknown = search("-p", "no-such-board", "-o", tmp_path)
    assert (unknown.code, "no-such-board" in unknown.err) == (2, True)
    no_weights = run("search", tmp_path, "-w", weights, "-p", PLATFORM)
    assert (no_weights.code, "config.json" in no_weights.err) == (2, True)
