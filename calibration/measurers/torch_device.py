"""The device that torch computes on: what it is called, when it is done, and whose turn it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from time import perf_counter_ns

import torch
from filelock import FileLock

from costmodel.calibration.measurers.base import RunTimes
from costmodel.calibration.measurers.calls import time_runs
from costmodel.calibration.measurers.reference import reference_kernel_ms
from costmodel.errors import UsageError
from costmodel.files import machine_lock

__all__ = ["TorchDevice"]

_WARM_UPS_ON_A_CARD = 3
"""On a graphics card the first run loads kernels, and the next ones may still try which is fastest."""

_REFERENCE_SIZE = 2048
"""Of the matrix product that stands for the card's condition: 17 GFLOP."""


@dataclass(frozen=True)
class TorchDevice:
    """Where torch computes.

    Attributes:
        name: ``"cpu"``, or ``"cuda"`` for the first graphics card.
        threads: Threads within an operation, on the CPU.

    Raises:
        UsageError: Another name, or no such device here.
    """

    name: str
    threads: int

    def __post_init__(self) -> None:
        if self.name not in ("cpu", "cuda"):
            raise UsageError(f"unknown device {self.name!r} for torch; expected cpu or cuda.")
        if self.name == "cuda" and not torch.cuda.is_available():
            raise UsageError(
                f"torch {torch.__version__} finds no CUDA device. Use --device cpu, or install a CUDA build of torch "
                "and check that nvidia-smi lists the card."
            )

    @property
    def is_cpu(self) -> bool:
        """Whether the CPU does all the work."""
        return self.name == "cpu"

    @property
    def accelerator(self) -> str | None:
        """The card's own name; ``None`` on the CPU."""
        return None if self.is_cpu else torch.cuda.get_device_name()

    def time(self, run: Callable[[], object], runs: int, *, warm_ups: int = 1) -> RunTimes:
        """Warm up and time ``run``, which computes on this device; on a card, while no other measurement does.

        A card's time is wall-clock time from the first launch to the end of the last kernel, as a user waits for it.

        Args:
            run: Runs a model once; on a card it may return before the card is done.
            runs: How many runs to time, at least 1.
            warm_ups: Runs before those, at least; a card gets three.
        """
        with _threads(self.threads), torch.inference_mode(), self._turn():
            for _ in range(warm_ups if self.is_cpu else max(warm_ups, _WARM_UPS_ON_A_CARD)):
                run()
            self._wait()

            def run_to_the_end() -> None:
                run()
                self._wait()

            return time_runs(run_to_the_end, runs, threads=self.threads, is_on_cpu=self.is_cpu)

    def reference_ms(self) -> float:
        """Time in milliseconds of a fixed matrix product, the fastest of three."""
        if self.is_cpu:
            return reference_kernel_ms()
        factor = torch.ones(_REFERENCE_SIZE, _REFERENCE_SIZE, device=self.name)
        with self._turn():
            return min(self._product_ns(factor) for _ in range(3)) / 1e6

    def _product_ns(self, factor: torch.Tensor) -> int:
        self._wait()
        start = perf_counter_ns()
        factor @ factor
        self._wait()
        return perf_counter_ns() - start

    def _wait(self) -> None:
        if not self.is_cpu:
            torch.cuda.synchronize()

    def _turn(self) -> FileLock | nullcontext[None]:
        """Whoever measures on the card holds one lock, in whatever process: two at once would time each other."""
        if self.is_cpu:
            return nullcontext()
        return machine_lock("cuda0")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let operations use ``count`` threads inside."""
    previous = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(previous)
