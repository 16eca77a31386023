from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import onnx
import pytest
from onnx import TensorProto, helper

from costmodel.cli import main
from costmodel.pretrained import save_bundle


class Finished(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys):
    """Runs the command line in this process."""

    def run_it(*arguments: object) -> Finished:
        with pytest.raises(SystemExit) as leaving:
            main([str(argument) for argument in arguments])
        code = leaving.value.code or 0
        out, err = capsys.readouterr()
        assert "Traceback" not in err or "--debug" in arguments
        return Finished(code, out, err)

    return run_it


@pytest.fixture(scope="session")
def weights(untrained_bundle, tmp_path_factory) -> Path:
    """A folder with tiny weights for three platforms."""
    folder = tmp_path_factory.mktemp("weights")
    save_bundle(untrained_bundle, folder)
    return folder


@pytest.fixture
def models(tmp_path) -> tuple[Path, Path, Path]:
    """Two networks with a symbolic batch, and a file that is none."""
    first, second, broken = tmp_path / "first.onnx", tmp_path / "second.onnx", tmp_path / "broken.onnx"
    write_network(first, channels=8)
    write_network(second, channels=32)
    broken.write_bytes(b"this is not a protobuf \xff\xff\xff")
    return first, second, broken


def write_network(path: Path, channels: int) -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, (channels, 3, 3, 3), [0.0] * (channels * 27))
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["y"], name="stem", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["y"], ["z"], name="act"),
        ],
        path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", channels, "H", "W"])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
