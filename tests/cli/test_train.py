from __future__ import annotations

from pathlib import Path

import pytest

import costmodel.training


@pytest.fixture
def calls(monkeypatch) -> list[tuple]:
    """What the training loop was asked for."""
    seen: list[tuple] = []

    def train(config_path, output_dir, *, resume, seed, start_from, progress):
        seen.append((config_path, output_dir, resume, seed, start_from, progress))
        return "the report"

    monkeypatch.setattr(costmodel.training, "train", train)
    return seen


def test_options_reach_the_training_loop(run, calls, tmp_path):
    config = tmp_path / "small.toml"
    config.touch()
    done = run("train", config, "--no-resume", "-o", tmp_path / "out", "--seed", 7, "--from", "nnformer-base")
    assert (done.code, done.out) == (0, "the report\n")
    assert calls == [(config, tmp_path / "out", False, 7, "nnformer-base", False)]


def test_defaults(run, calls, tmp_path):
    config = tmp_path / "small.toml"
    config.touch()
    run("train", config)
    assert calls == [(config, Path("runs/small"), True, None, None, False)]


def test_a_missing_config_is_wrong_usage(run, calls, tmp_path):
    done = run("train", tmp_path / "absent.toml")
    assert (done.code, calls) == (2, [])
    assert "absent.toml" in done.err
