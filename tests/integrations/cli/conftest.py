"""What tests of ``costmodel tvm`` share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import torch

from costmodel.cli import main


@pytest.fixture(autouse=True)
def _logging_of_tvm() -> Iterator[None]:
    """The commands set how much TVM's search says; TVM's own tuning cannot go on with their handler."""
    logger = logging.getLogger("tvm.s_tir.meta_schedule")
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


class Finished(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models as small as these only wait for other threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run(tmp_path, monkeypatch, capfd) -> Callable[..., Finished]:
    """Runs ``costmodel tvm`` in a folder of its own; also what TVM prints past Python counts as output."""
    monkeypatch.chdir(tmp_path)

    def run_it(*arguments: object) -> Finished:
        with pytest.raises(SystemExit) as leaving:
            main(["tvm", *map(str, arguments)])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Finished(int(leaving.value.code or 0), out, err)

    return run_it
