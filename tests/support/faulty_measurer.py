"""A measurer that fails on networks named to it; in a module that the measuring processes can import."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from onnx import load_from_string

from costmodel.calibration import FamilyNetwork
from costmodel.calibration.measurers import RunTimes
from costmodel.calibration.testing import FakeMeasurer


class FaultyMeasurer(FakeMeasurer):
    """Does with a network what :class:`~costmodel.calibration.testing.FakeModel` calls its behaviour.

    Args:
        behaviours: By the name of the network's graph; ``"run"`` where it has none.
        pause_s: Seconds that a visit takes.
        _: What the command line hands over, `threads` for example; of no consequence.
    """

    def __init__(self, behaviours: Mapping[str, str], pause_s: float = 0.0, **_: object) -> None:
        super().__init__(pause_s)
        self.behaviours = behaviours

    def _visit(self, model: bytes, runs: int) -> RunTimes:
        loaded = load_from_string(model)
        loaded.graph.name = self.behaviours.get(loaded.graph.name, "run")
        return super()._visit(loaded.SerializeToString(), runs)


class InterruptedAtStart(FakeMeasurer):
    """Ctrl-C, as the first thing that the measuring process does with what it was started for."""

    def __setstate__(self, state: Mapping[str, object]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        self.__dict__.update(state)


def small_networks() -> list[FamilyNetwork]:
    """Candidates that are read and made in no time."""
    return [FamilyNetwork("squeezenet", seed) for seed in range(6)]
