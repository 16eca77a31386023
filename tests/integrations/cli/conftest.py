"""What tests of ``costmodel tvm`` share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _logging_of_tvm() -> Iterator[None]:
    """The commands set how much TVM's search says; TVM's own tuning cannot go on with their handler."""
    logger = logging.getLogger("tvm.s_tir.meta_schedule")
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])
