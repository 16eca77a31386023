"""What a TVM server knows about the device it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

from costmodel.calibration.measurers.tvm_session import TvmTracker
from costmodel.errors import MeasurementError

__all__ = ["TvmDevice"]

_FACTS = ("target.llvm_get_system_cpu", "target.llvm_get_system_triple", "runtime.NumThreads")
"""The functions, registered by TVM on the server, that tell them."""

_ANSWER_LIMIT_S = 120.0
"""Importing TVM takes seconds, on a busy disk many; all the rest is quick."""


@dataclass(frozen=True, slots=True)
class TvmDevice:
    """One of the devices behind a key; they are all taken to be alike.

    Attributes:
        processor: What LLVM calls it, e.g. ``"cortex-a72"``; ``None`` where the server's TVM comes without a compiler.
        triple: Architecture and operating system as LLVM writes them; ``None`` likewise.
        cores: Threads that TVM would run a model with there.
    """

    processor: str | None
    triple: str | None
    cores: int

    @classmethod
    def ask(cls, tracker: TvmTracker) -> TvmDevice:
        """Ask a server, from a process of its own: a server that hangs cannot be given up from inside.

        Raises:
            NoDeviceError: The tracker does not answer, or no server becomes free in time.
            MeasurementError: The server does not answer.
        """
        tracker.check()  # before a process is started that takes its time
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_send_answer, args=(theirs, tracker), daemon=True)
        process.start()
        theirs.close()
        try:
            answer = ours.recv() if ours.poll(_ANSWER_LIMIT_S + tracker.wait_s) else None
        except EOFError:
            answer = None
        finally:
            process.kill()
            process.join()
            process.close()
            ours.close()
        if isinstance(answer, TvmDevice):
            return answer
        if isinstance(answer, MeasurementError):
            raise answer
        raise MeasurementError(
            f"a server that {tracker.host}:{tracker.port} gave for the key {tracker.key!r} does not answer. Start it "
            'anew; in a script, measure under `if __name__ == "__main__":`, since a child imports the script.'
        )


def _send_answer(connection: Connection, tracker: TvmTracker) -> None:
    try:
        with tracker.session() as session:
            processor, triple, cores = (session.fact(function) for function in _FACTS)
        connection.send(TvmDevice(processor, triple, int(cores or 1)))
    except MeasurementError as error:
        connection.send(error)
