"""The example of tuning runs as its first lines say, with few trials."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("tvm", reason="what tunes is TVM: pip install '.[tvm]'")

from costmodel.integrations.tvm.model import CandidateModel, CandidateModelConfig
from costmodel.integrations.tvm.weights import save_weights

EXAMPLE = Path(__file__).parents[3] / "examples" / "tvm_tuning_callback.py"


def test_the_tuning_example_runs(tmp_path, monkeypatch):
    """With a cost model that never learned, as long as none comes with the package."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.manual_seed(0)
    weights = tmp_path / "untrained.safetensors"
    save_weights([CandidateModel(CandidateModelConfig.of_size(16, 1))], weights)

    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "--trials", "6", "--weights", str(weights)],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=tmp_path,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "outputs agree with ONNX's reference" in done.stdout
    before, after = done.stdout.splitlines()[-1].removeprefix("before: ").removesuffix(" ms").split(" ms, after: ")
    assert float(after) > 0
    assert float(before) > 0
    assert done.stdout.count("fused_conv2d") >= 2, "a round of each convolution"
