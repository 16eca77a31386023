"""Over RPC to servers on this machine; each is as remote as a board on the desk, for all that TVM knows."""

import time
from importlib.util import find_spec

import onnx
import pytest
from tvm_servers import HOST, KEY, TvmServers, free_port

from costmodel.calibration import Campaign, OnnxFile
from costmodel.calibration.measurers.tvm_rpc import TvmRpcMeasurer
from costmodel.calibration.testing import MeasurerConformance, convolution_model
from costmodel.data.records import Clock, Status
from costmodel.errors import MeasurementError, NoDeviceError, UsageError
from costmodel.platforms import PlatformKind, measured_platform

pytestmark = pytest.mark.skipif(find_spec("tvm") is None, reason="TVM is not installed: pip install '.[tvm]'")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with TvmServers(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture(scope="module")
def board(servers):
    """One measurer for all, that knows the device already: the process that asks it takes seconds to import TVM."""
    servers.running(2)
    board = TvmRpcMeasurer(HOST, servers.port, KEY, processor="Test Board 2", wait_s=5)
    board.environment()
    return board


@pytest.fixture
def models(tmp_path):
    """Six models of which a visit takes a noticeable time."""
    path = tmp_path / "model.onnx"
    onnx.save(convolution_model(channels=64, batch=1), path)
    return [OnnxFile(path, f"model-{number}") for number in range(6)]


class TestConformance(MeasurerConformance):
    @pytest.fixture(autouse=True)
    def _board(self, board):
        self._measurer = board

    def make_measurer(self):
        return self._measurer


def test_the_device_is_the_one_behind_the_server(board):
    environment = board.environment()

    assert (environment.cpu, environment.runtime, environment.threads) == ("Test Board 2", "tvm", 1)
    assert "linux" in environment.os, "only the server can tell"


@pytest.mark.parametrize("choice", [{"device": "opencl"}, {"target": {"kind": "opencl"}}])
def test_what_computes_beside_the_processor_goes_by_the_key(servers, choice):
    servers.running(1)
    card = TvmRpcMeasurer(HOST, servers.port, KEY, wait_s=5, **choice)

    environment = card.environment()
    assert (environment.accelerator, card.settings()["target"]) == (KEY, {"kind": "opencl"})
    assert measured_platform("card", environment).kind is PlatformKind.GPU


def test_the_clock_is_the_walls_and_the_reference_kernel_runs_beside_the_model(board):
    timing = board.measure_visit(convolution_model(batch=1).SerializeToString(), runs=2)

    assert (timing.times.clock, timing.times.wall_cpu_ratio) == (Clock.WALL, None)
    assert timing.reference_ms > min(timing.times.run_ms), "24 times the arithmetic"


def test_a_library_linked_here_runs_there(servers):
    servers.running(1)
    board = TvmRpcMeasurer(HOST, servers.port, KEY, linker="c++", wait_s=5)

    assert len(board.measure_visit(convolution_model(batch=1).SerializeToString(), runs=2).times.run_ms) == 2


def test_what_tvm_does_not_compile_is_refused_with_its_reason(board):
    model = convolution_model(batch=1)
    model.graph.node[0].op_type = "Convolvo"

    with pytest.raises(MeasurementError, match="Convolvo"):
        board.measure_visit(model.SerializeToString(), runs=1)


def test_two_servers_share_the_work_and_one_finishes_it_when_the_other_dies(servers, board, models, tmp_path):
    both = servers.running(2)
    sessions = [server.sessions for server in both]

    def kill_a_busy_one(progress):
        # Where both visits ended at once, nobody is busy before this returns: then after the next one.
        if progress.done < 6 or not all(server.is_alive for server in both):
            return
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            busy = [server for server in both if server.is_busy]
            if busy:
                busy[0].kill()
                return
            time.sleep(0.01)

    campaign = Campaign(models, board, tmp_path / "journal.jsonl", visits=3, round_interval_s=0, workers=2)
    records = campaign.run(kill_a_busy_one)

    assert [(record.status, record.visits) for record in records] == [(Status.OK, 3)] * 6
    assert all(server.sessions >= before + 2 for server, before in zip(both, sessions, strict=True))
    assert sum(server.is_alive for server in both) == 1


def test_a_server_that_hangs_is_given_up_and_the_model_goes_to_another(servers, board, models, tmp_path):
    hung, _ = servers.running(2)
    hung.stop()

    start = time.monotonic()
    campaign = Campaign(models[:2], board, tmp_path / "journal.jsonl", visits=1, time_limit_s=8, workers=2)
    records = campaign.run()

    assert [record.reason for record in records] == ["", ""]
    assert time.monotonic() - start > 8
    hung.kill()


def test_without_a_server_the_error_says_how_to_start_one(servers, board):
    for server in servers.running(1):
        server.kill()

    start = f"python -m tvm.exec.rpc_server --tracker {HOST}:{servers.port} --key {KEY}"
    with pytest.raises(NoDeviceError, match=start):
        board.measure_visit(convolution_model(batch=1).SerializeToString(), runs=1)


def test_without_a_tracker_the_error_comes_at_once():
    start = time.monotonic()

    with pytest.raises(NoDeviceError, match=r"no TVM tracker answers at .*python -m tvm\.exec\.rpc_tracker"):
        TvmRpcMeasurer(HOST, free_port(), KEY).environment()
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threads": 0}, "1 thread"),
        ({"opt_level": 4}, "from 0 to 3, got 4"),
        ({"target": {"mcpu": "cortex-a72"}}, '"kind"'),
        ({"target": {"kind": "opencl"}, "device": "cpu"}, "for the device 'opencl', not for 'cpu'"),
        ({"precision": "bf16"}, "fp32, not in 'bf16'"),
        ({"linker": "no-such-linker"}, "no program 'no-such-linker'"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(UsageError, match=message):
        TvmRpcMeasurer(HOST, 9190, KEY, **settings)
