"""A TVM server to oneself: found through the tracker, given back when the work is done."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from costmodel.errors import DeviceLostError, MeasurementError, NoDeviceError

if TYPE_CHECKING:
    from tvm import relax, rpc

__all__ = ["TvmSession", "TvmTracker"]

_TRACKER_LIMIT_S = 5.0
"""A tracker answers at once, or is not there."""

_BIG_CORES = 1
"""TVM's number for the affinity that prefers them."""


@dataclass(frozen=True, slots=True)
class TvmTracker:
    """Where servers are found.

    Attributes:
        host: Machine that the tracker runs on.
        port: Its port.
        key: What the servers of one kind of device registered under.
        wait_s: How long to wait for a server that is free.
        session_limit_s: The server ends a session that lasts longer, so that a model which hangs does not keep it.
    """

    host: str
    port: int
    key: str
    wait_s: float
    session_limit_s: float

    def check(self) -> None:
        """Find out, without TVM, whether something listens where the tracker should be.

        Raises:
            NoDeviceError: Nothing does.
        """
        try:
            socket.create_connection((self.host, self.port), _TRACKER_LIMIT_S).close()
        except OSError as error:
            raise NoDeviceError(
                f"no TVM tracker answers at {self.host}:{self.port} ({error}). Start one there with: "
                f"python -m tvm.exec.rpc_tracker --host 0.0.0.0 --port {self.port}"
            ) from error

    @contextmanager
    def session(self) -> Iterator[TvmSession]:
        """A server to oneself, until the context ends.

        Raises:
            NoDeviceError: The tracker does not answer, or no server becomes free in time.
            MeasurementError: The server did not do what was asked of it in the context.
            DeviceLostError: The connection broke in the context.
        """
        from tvm.error import RPCError

        connection = self._connection()
        try:
            yield TvmSession(connection)
        except RPCError as error:  # thrown by the server and brought here
            raise MeasurementError(f"the server refuses: {_last_line(error)}") from error
        except RuntimeError as error:  # every other error of TVM's is one of the connection
            raise DeviceLostError(f"lost the server in the middle of a visit: {_last_line(error)}") from error
        finally:
            _close(connection)

    def _connection(self) -> rpc.RPCSession:
        from tvm import rpc

        self.check()
        deadline = monotonic() + self.wait_s
        while True:
            try:
                with _socket_timeout(self.wait_s):
                    tracker = rpc.connect_tracker(self.host, self.port)
                return tracker.request(self.key, session_timeout=self.session_limit_s, max_retry=1)
            except (RuntimeError, OSError) as error:  # a server that died in the tracker's queue fails at once
                if monotonic() >= deadline:
                    raise self._no_server() from error

    def _no_server(self) -> NoDeviceError:
        return NoDeviceError(
            f"the TVM tracker at {self.host}:{self.port} had no free server with the key {self.key!r} within "
            f"{self.wait_s:g} s. `python -m tvm.exec.query_rpc_tracker --host {self.host} --port {self.port}` lists "
            "its servers; start one on the device with: "
            f"python -m tvm.exec.rpc_server --tracker {self.host}:{self.port} --key {self.key}"
        )


class TvmSession:
    """An open connection to a server, and the libraries that were loaded there.

    Args:
        connection: From TVM's tracker.
    """

    def __init__(self, connection: rpc.RPCSession) -> None:
        self._connection = connection
        self._machines: dict[Path, relax.VirtualMachine] = {}

    def fact(self, function: str) -> str | None:
        """What a function without arguments returns on the server; ``None`` where its TVM lacks the function."""
        try:
            return str(self._connection.get_function(function)())
        except AttributeError:
            return None

    def use_threads(self, threads: int) -> None:
        """Run models with so many threads from now on, on big cores where there are several kinds."""
        self._connection.get_function("runtime.config_threadpool")(_BIG_CORES, threads)

    def time_ms(self, library: Path, inputs: Sequence[np.ndarray], device: str, runs: int) -> tuple[float, ...]:
        """Wall-clock milliseconds of each run of a model, taken on the server after a run to warm up.

        Args:
            library: From :class:`~costmodel.calibration.measurers.tvm_compiler.TvmCompiler`; sent at the first call.
            inputs: What to run it on.
            device: TVM's name for the kind of device, e.g. ``"cpu"``.
            runs: How many runs to time.
        """
        import tvm

        where = self._connection.device(device)
        if library not in self._machines:
            self._machines[library] = self._load(library, where)
        machine = self._machines[library]
        machine.set_input("main", *(tvm.runtime.tensor(array, where) for array in inputs))
        timer = machine.time_evaluator("invoke_stateful", where, number=1, repeat=runs)
        return tuple(seconds * 1e3 for seconds in timer("main").results)

    def _load(self, library: Path, where: object) -> relax.VirtualMachine:
        from tvm import relax

        self._connection.upload(bytearray(library.read_bytes()), library.name)
        return relax.VirtualMachine(self._connection.load_module(library.name), where)


def _close(connection: rpc.RPCSession) -> None:
    """Give the server back now; objects that live on would otherwise hold it."""
    connection.get_function("CloseRPCConnection")()


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Python sockets opened inside give up after ``seconds``; TVM's client has no such option."""
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)


def _last_line(error: Exception) -> str:
    """TVM's messages begin with the calls that led to them."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1][:300]
