from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from costmodel.cli import main
from costmodel.pretrained import save_bundle


class Finished(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(tmp_path: Path, untrained_bundle, monkeypatch, capsys):
    """Runs the command line in an empty folder with tiny weights and platforms of its own."""
    save_bundle(untrained_bundle, tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path / "home"))

    def run_it(*arguments: object) -> Finished:
        with pytest.raises(SystemExit) as leaving:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err, err
        return Finished(int(leaving.value.code or 0), out, err)

    return run_it
