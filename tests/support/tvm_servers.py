"""A TVM tracker and servers on this machine, for as long as a context lasts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Self

KEY = "board"
HOST = "127.0.0.1"

_START_LIMIT_S = 300.0


class TvmServer:
    """A server with its processes, which form a group of their own."""

    def __init__(self, tracker_port: int, log: Path) -> None:
        port = free_port()
        self._log = log
        self._process = _start(
            "tvm.exec.rpc_server",
            f"--port={port}",
            f"--port-end={port + 1}",
            f"--tracker={HOST}:{tracker_port}",
            f"--key={KEY}",
            log=log,
        )

    @property
    def sessions(self) -> int:
        """How many have begun."""
        return self._log.read_text().count("start serving")

    @property
    def is_busy(self) -> bool:
        return self.sessions > self._log.read_text().count("finish serving")

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Let it neither answer nor end."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def kill(self) -> None:
        _kill(self._process)


class TvmServers:
    """A tracker and the servers that it knows.

    Args:
        folder: For their logs.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._servers: list[TvmServer] = []

    def __enter__(self) -> Self:
        ports = f"--port={self.port}", f"--port-end={self.port + 1}"
        self._tracker = _start("tvm.exec.rpc_tracker", *ports, log=self._folder / "tracker.log")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.kill()
        _kill(self._tracker)

    def running(self, count: int) -> list[TvmServer]:
        """So many servers, all of them free; those that are missing are started."""
        self._servers = [server for server in self._servers if server.is_alive]
        while len(self._servers) < count:
            self._servers.append(TvmServer(self.port, self._folder / f"{free_port()}.log"))
        deadline = monotonic() + _START_LIMIT_S
        while self._free() < count:
            assert monotonic() < deadline, f"no {count} servers within {_START_LIMIT_S:g} s"
            sleep(0.1)
        return list(self._servers)

    def _free(self) -> int:
        from tvm import rpc

        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return 0
        return rpc.connect_tracker(HOST, self.port).summary()["queue_info"].get(KEY, {"free": 0})["free"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _start(module: str, *options: str, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", module, f"--host={HOST}", *options]
    with log.open("wb") as stream:
        return subprocess.Popen(command, start_new_session=True, stdout=stream, stderr=stream)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
