"""How much of what TVM says reaches stderr."""

from __future__ import annotations

import logging
import sys

__all__ = ["quieten_tvm"]

_SEARCH = "tvm.s_tir.meta_schedule"
"""Parent of the loggers that a search writes to."""


def quieten_tvm() -> None:
    """Let TVM's search say on stderr what ``-v`` and ``--debug`` ask for, and otherwise nothing.

    It warns of every candidate that fails, and of logging that is set to less than all.
    """
    logger = logging.getLogger(_SEARCH)
    for handler in logger.handlers:
        handler.close()
    logger.handlers = [logging.StreamHandler(sys.stderr)]
    logger.propagate = False
    ours = logging.getLogger("costmodel").getEffectiveLevel()
    logger.setLevel(ours if ours < logging.WARNING else logging.CRITICAL)
