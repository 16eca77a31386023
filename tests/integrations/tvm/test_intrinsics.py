"""TVM's intrinsics are there, and Python's inspection is as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("tvm", reason="intrinsics are TVM's: pip install '.[tvm]'")


def test_they_are_imported_and_inspection_is_as_it_was():
    code = (
        "import inspect, sys\n"
        "from costmodel.integrations.tvm.intrinsics import import_intrinsics\n"
        "before = inspect.getmodule\n"
        "import_intrinsics()\n"
        "import_intrinsics()\n"
        "from tvm.s_tir import TensorIntrin\n"
        "print(inspect.getmodule is before, TensorIntrin.get('dot_4x4_i8i8s32_sdot') is not None)\n"
    )

    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "True"]
