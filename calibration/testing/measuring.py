"""A test kit for those who write a measurer, and stand-ins for the other parts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING

import numpy as np
from pydantic import JsonValue

from costmodel.calibration.measurers.base import Measurer, RunTimes
from costmodel.calibration.worker import Worker
from costmodel.data.records import Clock, Status
from costmodel.errors import MeasurementError
from costmodel.platforms.environment import Environment

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["FakeMeasurer", "FakeModel", "MeasurerConformance", "convolution_model"]


class MeasurerConformance:
    """The contract of :class:`~costmodel.calibration.measurers.Measurer`, as tests.

    Subclass it in a module that can be imported (the measurer is sent to another process) and write
    :meth:`make_measurer`; pytest then collects the tests::

        class TestMyMeasurer(MeasurerConformance):
            def make_measurer(self):
                return MyMeasurer(threads=1)
    """

    def make_measurer(self) -> Measurer:
        """A measurer to test."""
        raise NotImplementedError(f"{type(self).__name__} must write make_measurer().")

    def test_settings_can_be_written_down(self) -> None:
        """Settings survive JSON, so that a journal can compare them."""
        settings = dict(self.make_measurer().settings())
        assert json.loads(json.dumps(settings)) == settings

    def test_environment_stays_the_same(self) -> None:
        """Equal conditions compare equal, or no campaign could be continued."""
        assert self.make_measurer().environment() == self.make_measurer().environment()

    def test_times_every_run(self) -> None:
        """As many times as runs were asked for."""
        timing = self.make_measurer().measure_visit(_serialised(convolution_model()), runs=4)
        assert len(timing.times.run_ms) == 4

    def test_more_work_takes_longer(self) -> None:
        """A model with 64 times the arithmetic is at least 4 times slower."""
        measurer = self.make_measurer()
        small, large = (
            min(measurer.measure_visit(_serialised(convolution_model(channels=channels)), runs=5).times.run_ms)
            for channels in (16, 128)
        )
        assert large > 4 * small

    def test_refuses_what_is_no_model(self) -> None:
        """A model that cannot be loaded raises the error that a campaign turns into a record."""
        try:
            self.make_measurer().measure_visit(b"no model", runs=1)
        except MeasurementError:
            return
        raise AssertionError("expected a MeasurementError for bytes that are no model")

    def test_works_in_another_process(self) -> None:
        """The measurer survives the way into the process that runs the models."""
        with Worker(self.make_measurer(), time_limit_s=60) as worker:
            outcome = worker.visit(FakeModel("convolution"), batch=None, runs=1)
        assert outcome.status is Status.OK, outcome.reason


@dataclass(frozen=True, slots=True)
class FakeModel:
    """A source of one small convolution.

    Attributes:
        name: Name of the model.
        behaviour: What :class:`FakeMeasurer` does with it: ``"run"``, ``"abort"``, ``"hang"`` or ``"refuse"``.
    """

    name: str
    behaviour: str = "run"

    def load(self) -> ModelProto:
        """The model, with the behaviour as the name of its graph."""
        model = convolution_model()
        model.graph.name = self.behaviour
        return model


class FakeMeasurer(Measurer):
    """Runs nothing: each visit takes ``pause_s`` and reports the same times.

    Args:
        pause_s: Seconds that a visit takes.
    """

    RUN_MS = 2.0

    def __init__(self, pause_s: float = 0.0) -> None:
        self.pause_s = pause_s

    def environment(self) -> Environment:
        """A made-up machine."""
        return Environment(
            cpu="Fake 1", logical_cores=1, os="none", kernel="0", python="0", runtime="fake", runtime_version="1.0",
            threads=1,
        )  # fmt: skip

    def settings(self) -> Mapping[str, JsonValue]:
        """None that matter."""
        return {}

    def _visit(self, model: bytes, runs: int) -> RunTimes:
        from onnx import load_from_string

        behaviour = load_from_string(model).graph.name
        if behaviour == "abort":
            os.abort()
        if behaviour == "hang":
            sleep(3600)
        if behaviour == "refuse":
            raise MeasurementError("refused as told")
        sleep(self.pause_s)
        return RunTimes(tuple(self.RUN_MS + run for run in range(runs)), Clock.CPU, 1.0)

    def _reference_ms(self) -> float:
        return 1.0


def convolution_model(channels: int = 8, batch: int | str = "batch") -> ModelProto:
    """One 3x3 convolution of ``channels`` to ``channels`` on 32x32 images, with weights.

    Args:
        channels: Input and output channels.
        batch: Leading dimension of the input: a number, or the name of a symbol.
    """
    from onnx import TensorProto, helper, numpy_helper

    weight = np.random.default_rng(0).standard_normal((channels, channels, 3, 3), dtype=np.float32)
    shape = [batch, channels, 32, 32]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "weight"], ["y"], pads=[1, 1, 1, 1])],
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _serialised(model: ModelProto) -> bytes:
    from costmodel.calibration.shapes import fix_batch

    fix_batch(model)
    return bytes(model.SerializeToString())
