"""Every example runs as its first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from costmodel.pretrained import pretrained_names

EXAMPLES = sorted(
    path for path in (Path(__file__).parents[1] / "examples").glob("*.py") if not path.name.startswith("tvm_")
)
"""All but those that need TVM, which ``tests/integrations/tvm/test_example.py`` runs."""


@pytest.mark.skipif(not pretrained_names(), reason="no weights are shipped")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, str(example)], capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert " ms" in done.stdout
