"""A measurer whose devices fail as devices do; in a module that the measuring processes can import."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic, sleep

from onnx import load_from_string

from costmodel.calibration.measurers import RunTimes
from costmodel.calibration.testing import FakeMeasurer
from costmodel.errors import DeviceLostError, MeasurementError, NoDeviceError


class SharedDevices(FakeMeasurer):
    """Knows more behaviours: ``"meet"``, ``"lose once"``, ``"lose always"``, ``"no device"``, ``"no device once"``.

    Args:
        folder: Where its processes leave marks for each other.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def _visit(self, model: bytes, runs: int) -> RunTimes:
        behaviour = load_from_string(model).graph.name
        if behaviour == "meet":
            self._meet()
        if behaviour == "lose always" or (behaviour == "lose once" and self._mark("lost") == 1):
            raise DeviceLostError("the server died")
        if behaviour == "no device" or (behaviour == "no device once" and self._mark("none") == 1):
            raise NoDeviceError("no server has the key 'board'")
        return super()._visit(model, runs)

    def _meet(self) -> None:
        """Wait until two processes are here."""
        self._mark("here")
        deadline = monotonic() + 60
        while self._marks("here") < 2:
            if monotonic() > deadline:
                raise MeasurementError("nobody else came")
            sleep(0.02)

    def _mark(self, kind: str) -> int:
        (self.folder / f"{kind}-{os.getpid()}-{monotonic()}").touch()
        return self._marks(kind)

    def _marks(self, kind: str) -> int:
        return len(list(self.folder.glob(f"{kind}-*")))
