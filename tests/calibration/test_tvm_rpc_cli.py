"""The command line over RPC, to servers on this machine; wrong options are told without TVM."""

import json
import re
import time
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import onnx
import pytest
from tvm_servers import HOST, KEY, TvmServers, free_port

from costmodel.calibration.cli.measuring import MeasurerOptions
from costmodel.calibration.testing import convolution_model
from costmodel.cli import main
from costmodel.data.journal import Journal
from costmodel.pretrained import save_bundle

needs_tvm = pytest.mark.skipif(find_spec("tvm") is None, reason="TVM is not installed: pip install '.[tvm]'")

REMOTE = ("--runtime", "tvm-rpc", "--tracker", f"{HOST}:9190", "--key", KEY)
MEASURE = ("measure", "conv.onnx")
CALIBRATE = ("calibrate", "--here")


class Finished(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command line in a folder with one model, and with a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path / "home"))
    onnx.save(convolution_model(channels=64, batch=1), tmp_path / "conv.onnx")

    def run_it(*arguments: str) -> Finished:
        with pytest.raises(SystemExit) as leaving:
            main(arguments)
        out, err = capsys.readouterr()
        return Finished(int(leaving.value.code or 0), out, err)

    return run_it


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with TvmServers(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture
def remote(servers):
    return (*REMOTE[:2], "--tracker", f"{HOST}:{servers.port}", "--key", KEY)


@needs_tvm
def test_models_are_measured_on_two_devices_at_once(run, servers, remote):
    both = servers.running(2)
    for name in "abc":
        Path("conv.onnx").with_stem(name).write_bytes(Path("conv.onnx").read_bytes())
    options = ("--visits", "2", "--runs", "5", "--interval", "0", "--workers", "2", "--linker", "c++")

    with Watch(lambda: all(server.is_busy for server in both)) as watch:
        done = run("measure", "a.onnx", "b.onnx", "c.onnx", "conv.onnx", *remote, *options, "-f", "json")

    records = json.loads(done.out)["records"]
    header = Journal("records.jsonl").read().header
    assert [(record["model"], record["status"], record["visits"]) for record in records] == [
        (name, "ok", 2) for name in ("a", "b", "c", "conv")
    ], done.err
    assert records[0]["platform"].endswith("-tvm0.27-fp32-1t")
    assert (header.environment.runtime, header.settings["key"]) == ("tvm", KEY)
    assert watch.has_seen_it


@needs_tvm
def test_a_device_elsewhere_becomes_the_platform_of_its_key(run, servers, remote, untrained_bundle):
    servers.running(1)
    save_bundle(untrained_bundle, "weights")
    few = ("--count", "3", "--held-back", "0", "--visits", "1", "--interval", "0")
    target = ("--target", '{"kind": "llvm", "num-cores": 1}', "--device", "cpu")

    done = run(*CALIBRATE, *remote, *few, *target, "-w", "weights", "-f", "json")

    assert done.code == 0, done.err
    assert json.loads(done.out)["platform"] == KEY
    (journal,) = Path("home").rglob("measurements.jsonl")
    assert Journal(journal).read().header.settings["target"] == {"kind": "llvm", "num-cores": 1}
    assert run("predict", "conv.onnx", "-p", KEY, "-w", "weights").code == 0


@needs_tvm
def test_a_target_that_tvm_does_not_know_ends_the_campaign(run, servers, remote):
    servers.running(1)

    done = run(*MEASURE, *remote, "--target", "lvm")

    assert (done.code, done.out) == (1, "")
    assert 'Target kind "lvm" is not defined' in done.err


@needs_tvm
@pytest.mark.parametrize("command", [MEASURE, CALIBRATE])
def test_a_tracker_that_does_not_answer_is_told_before_anything_else_is_done(run, command):
    start = time.monotonic()

    done = run(*command, *REMOTE, "--tracker", f"{HOST}:{free_port()}", "-o", "output")

    assert (done.code, done.out) == (1, "")
    assert "no TVM tracker answers" in done.err
    assert time.monotonic() - start < 10
    assert not Path("output").exists()


@pytest.mark.parametrize("command", [MEASURE, CALIBRATE])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--runtime", "tvm-rpc"), r"needs --tracker HOST:PORT, .*rpc_tracker .* and --key KEY, .*rpc_server "),
        (("--runtime", "tvm-rpc", "--key", KEY), "needs --tracker HOST:PORT"),
        (("--runtime", "tvm-rpc", "--tracker", "pi:1"), "needs --key KEY, .*rpc_server --tracker pi:1 "),
        (("--runtime", "tvm-rcp"), "Did you mean tvm-rpc"),
        ((*REMOTE, "--target", "llvm -mcpu=cortex-a72"), "cannot read --target 'llvm -mcpu=cortex-a72'"),
        ((*REMOTE, "--target", '["llvm"]'), "expected a kind, such as llvm, or a JSON object"),
        ((*REMOTE, "--target", '{"mcpu": "cortex-a72"}'), '"kind"'),
        ((*REMOTE, "--target", "llvm", "--device", "cuda"), "for the device 'cpu', not for 'cuda'"),
        ((*REMOTE, "--linker", "no-such-linker"), "no program 'no-such-linker'"),
        ((*REMOTE, "--precision", "bf16"), "fp32, not in 'bf16'"),
        *(
            (("--runtime", "tvm-rpc", "--key", KEY, "--tracker", text), f"cannot read --tracker '{text}'")
            for text in ("pi", "pi:", ":9190", "pi:70000", "pi:0", "::1:9190")
        ),
        *(
            (("--runtime", "torch", f"--{name}", value), f"--{name} goes with .*tvm-rpc, not with --runtime torch")
            for name, value in {
                "tracker": "pi:1",
                "key": "k",
                "target": "llvm",
                "linker": "c++",
                "workers": "2",
            }.items()
        ),
        (("--workers", "2"), "--workers goes with .*tvm-rpc, not with --runtime onnxruntime"),
    ],
)
def test_wrong_options(run, command, options, message):
    done = run(*command, *options)

    assert (done.code, done.out) == (2, "")
    assert re.search(message, done.err), done.err


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "here"),
        ({"runtime": "torch"}, "here"),
        ({"runtime": "tvm-rpc", "key": "Raspberry Pi/4"}, "raspberry-pi-4"),
    ],
)
def test_a_platform_is_called_here_only_when_it_is_here(options, name):
    assert MeasurerOptions(**options).platform_name == name


class Watch:
    """Looks again and again, while a context lasts, whether something holds."""

    def __init__(self, holds):
        self.has_seen_it = False
        self._holds = holds
        self._is_over = Event()
        self._thread = Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _look(self):
        while not self.has_seen_it and not self._is_over.wait(0.01):
            self.has_seen_it = self._holds()
