"""Measuring on devices of a TVM tracker: servers on this machine, some of which die or hang."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tvm", reason="candidates are TVM's: pip install '.[tvm]'")

from tvm import rpc
from tvm.rpc.tracker import Tracker
from tvm.s_tir.meta_schedule.arg_info import TensorInfo
from tvm.s_tir.meta_schedule.builder import BuilderInput
from tvm.s_tir.meta_schedule.runner import RunnerInput

from costmodel.errors import NoDeviceError, UsageError
from costmodel.integrations.tvm.measuring import InProcessBuilder, measured_batch, rpc_runner

SIZE = 32
ARGUMENTS = [TensorInfo("float32", (SIZE, SIZE))] * 3
KEY = "board"


@pytest.fixture(scope="module")
def tracker() -> Iterator[Tracker]:
    """One that knows no device yet."""
    tracker = Tracker("127.0.0.1", port=9200, port_end=9400, silent=True)
    yield tracker
    tracker.terminate()


@pytest.fixture
def start_server(tracker) -> Iterator[Any]:
    """Starts devices."""
    servers = []

    def start(key: str = KEY) -> rpc.Server:
        servers.append(
            rpc.Server("127.0.0.1", 9400, 9600, tracker_addr=("127.0.0.1", tracker.port), key=key, silent=True)
        )
        return servers[-1]

    yield start
    for server in servers:
        server.terminate()


@pytest.fixture(scope="module")
def library(matmul, target) -> Iterator[str]:
    """A small matmul, built with a linker that was named."""
    (built,) = InProcessBuilder("c++").build([BuilderInput(matmul(SIZE).module(target), target)])
    yield str(built.artifact_path)
    Path(str(built.artifact_path)).unlink()
    Path(str(built.artifact_path)).parent.rmdir()


@pytest.fixture(scope="module")
def hangs(tmp_path_factory) -> str:
    """A library that never comes back."""
    source = tmp_path_factory.mktemp("hangs") / "hangs.c"
    source.write_text("int __tvm_ffi_main(void *self, const void *args, int count, void *out) { for (;;) {} }")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(source.with_suffix(".so")), str(source)], check=True)
    return str(source.with_suffix(".so"))


@pytest.fixture
def runner(tracker) -> Iterator[Any]:
    """One that soon gives up, made when there are devices."""
    made = []

    def make() -> Any:
        made.append(rpc_runner("127.0.0.1", tracker.port, KEY, runs=2, run_secs=0.01, time_limit_s=5, wait_s=8))
        return made[-1]

    yield make
    for found in made:
        found.pool.shutdown(wait=False)


def inputs(*libraries: str) -> list[RunnerInput]:
    return [RunnerInput(library, "cpu", ARGUMENTS) for library in libraries]


def test_a_batch_is_built_and_measured_there(start_server, runner, matmul, target):
    start_server()
    module = matmul(SIZE).module(target)

    (found,) = measured_batch([module], [ARGUMENTS], target, InProcessBuilder(), runner())

    assert found.error_msg is None
    assert [1e-7 < float(secs) < 1e-2 for secs in found.run_secs] == [True, True]


def test_a_dead_server_costs_what_it_was_at_and_no_server_costs_no_search(start_server, runner, library, hangs):
    first, second = start_server(), start_server()
    devices = runner()

    futures = devices.run(inputs(*[library] * 8))
    assert futures[0].result().error_msg is None
    first.terminate()
    results = [future.result() for future in futures]
    lost = [result.error_msg for result in results if result.error_msg is not None]
    assert len(lost) <= 2, lost
    assert all(len(result.run_secs) == 2 for result in results if result.error_msg is None)

    hung, after = (future.result() for future in devices.run(inputs(hangs, library)))
    assert hung.run_secs is None
    assert hung.error_msg
    assert after.error_msg is None, "the server goes on without the session that hung"

    second.terminate()
    (none_left,) = (future.result() for future in devices.run(inputs(library)))
    assert none_left.error_msg


def test_no_tracker_and_no_device_say_what_to_start(tracker):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NoDeviceError, match=rf"no TVM tracker answers at 127\.0\.0\.1:{port}"):
        rpc_runner("127.0.0.1", port, KEY)
    with pytest.raises(NoDeviceError, match=r"no free server with the key 'none' within 0\.5 s"):
        rpc_runner("127.0.0.1", tracker.port, "none", wait_s=0.5)


@pytest.mark.parametrize("name", ["runs", "run_secs", "time_limit_s", "wait_s"])
def test_numbers_that_are_not_positive_are_refused(name):
    with pytest.raises(UsageError, match=f"expected {name} above 0, got 0"):
        rpc_runner("127.0.0.1", 9190, KEY, **{name: 0})


def test_a_linker_that_is_not_there():
    with pytest.raises(UsageError, match="found no program 'no-such-linker'"):
        InProcessBuilder("no-such-linker")


def test_a_linker_that_fails_is_a_reason(matmul, target):
    (result,) = InProcessBuilder("false").build([BuilderInput(matmul(SIZE).module(target), target)])

    assert result.artifact_path is None
    assert "does not compile" in result.error_msg
