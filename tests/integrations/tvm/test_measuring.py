"""Building and timing: a candidate that fails, whatever it does, costs only itself."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import thread_time

import numpy as np
import pytest

pytest.importorskip("tvm", reason="candidates are TVM's: pip install '.[tvm]'")

import tvm
from tvm.s_tir.meta_schedule.arg_info import TensorInfo
from tvm.s_tir.meta_schedule.builder import BuilderInput
from tvm.s_tir.meta_schedule.runner import RunnerInput
from tvm.script import tirx as T  # noqa: N812  # as TVM's own scripts have it

from costmodel.calibration.child import ChildDiedError
from costmodel.errors import UsageError
from costmodel.integrations.tvm.measuring import CpuTimeRunner, InProcessBuilder
from costmodel.integrations.tvm.measuring.timer import Timed, Timer, Visit

SIZE = 64
ARGUMENTS = [TensorInfo("float32", (SIZE, SIZE))] * 3
CRASHES = "*(volatile int *)0 = 1; return 0;"
HANGS = "for (;;) {}"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def runner() -> Iterator[CpuTimeRunner]:
    """One for all: its process takes seconds to import TVM."""
    runner = CpuTimeRunner(time_limit_s=20)
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def library(matmul, target) -> Iterator[str]:
    """A matmul of 64 by 64, built."""
    (built,) = InProcessBuilder().build([BuilderInput(matmul(SIZE).module(target), target)])
    yield str(built.artifact_path)
    Path(str(built.artifact_path)).unlink()
    Path(str(built.artifact_path)).parent.rmdir()


@T.prim_func(s_tir=True)
def for_a_graphics_card(a: T.Buffer((8,), "float32")):
    for thread in T.thread_binding(8, "threadIdx.x"):
        with T.sblock("a"):
            i = T.axis.spatial(8, thread)
            a[i] = T.float32(0)


def unbuildable() -> tvm.IRModule:
    return tvm.IRModule({"main": for_a_graphics_card.with_attr("global_symbol", "main")})


def shared_object(folder: Path, name: str, body: str) -> str:
    """A library as TVM loads it, that does in ``main`` what candidates should not."""
    source = folder / f"{name}.c"
    source.write_text(f"int __tvm_ffi_main(void *self, const void *args, int count, void *out) {{ {body} }}")
    path = source.with_suffix(".so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(path), str(source)], check=True)
    return str(path)


def run(runner, *libraries: str, arguments=ARGUMENTS) -> list[tuple[float, str]]:
    """The time of each library and, where there is none, the reason."""
    futures = runner.run([RunnerInput(library, "llvm", arguments) for library in libraries])
    assert all(future.done() for future in futures)
    results = [future.result() for future in futures]
    return [(float(result.run_secs[0]) if result.run_secs else 0.0, str(result.error_msg or "")) for result in results]


# --- Building ---


def test_what_is_built_computes_what_it_should(matmul, target, folder):
    (built,) = InProcessBuilder().build([BuilderInput(matmul(16).module(target), target)])

    assert built.error_msg is None
    assert Path(str(built.artifact_path)).parent.parent == folder
    x, w = np.random.default_rng(0).random((2, 16, 16), dtype=np.float32)
    out = tvm.runtime.tensor(np.zeros((16, 16), dtype=np.float32))
    tvm.runtime.load_module(str(built.artifact_path))["main"](tvm.runtime.tensor(x), tvm.runtime.tensor(w), out)
    np.testing.assert_allclose(out.numpy(), x @ w, rtol=1e-5)


def test_what_does_not_compile_is_a_reason_and_leaves_nothing_behind(matmul, target, folder):
    module = matmul(16).module(target)
    inputs = [BuilderInput(module, target), BuilderInput(unbuildable(), target), BuilderInput(module, target)]

    good, bad, also_good = InProcessBuilder().build(inputs)

    assert (good.error_msg, also_good.error_msg) == (None, None)
    assert bad.artifact_path is None
    assert str(bad.error_msg).startswith("does not compile: ")
    assert "\n" not in str(bad.error_msg)
    assert {path.parent for path in folder.rglob("*.so")} == set(folder.glob("costmodel-*"))
    assert len(set(folder.glob("costmodel-*"))) == 2


def test_a_linker_that_fails_half_way_leaves_nothing_behind(matmul, target, folder, monkeypatch):
    class FullDisk:
        def export_library(self, path: str) -> None:
            Path(path).write_bytes(b"half a library")
            raise OSError("No space left on device")

    monkeypatch.setattr(tvm, "compile", lambda *_, **__: FullDisk())

    (built,) = InProcessBuilder().build([BuilderInput(matmul(16).module(target), target)])
    assert str(built.error_msg) == "does not compile: No space left on device"
    assert not list(folder.glob("costmodel-*"))


# --- Running ---


def test_a_time_is_that_of_the_candidate_and_comes_again(runner, library):
    """131072 multiplications and additions, plainly compiled: from ten microseconds to a millisecond or two."""
    ((first, reason),) = run(runner, library)
    ((second, _),) = run(runner, library)

    assert reason == ""
    assert 3e-6 < first < 3e-3
    assert 0.5 < second / first < 2


def test_a_crash_and_a_missing_library_cost_only_themselves(runner, library, tmp_path):
    crashing, nowhere = shared_object(tmp_path, "crash", CRASHES), str(tmp_path / "none.so")

    good, crash, missing, also_good = run(runner, library, crashing, nowhere, library)

    assert crash == (0, "the process was killed by SIGSEGV")
    assert missing[0] == 0
    assert missing[1].startswith("does not run: ")
    assert "none.so" in missing[1]
    assert (good[1], also_good[1]) == ("", "")
    assert 0.5 < good[0] / also_good[0] < 2


def test_what_hangs_is_given_up_and_others_get_their_time(library, tmp_path):
    impatient = CpuTimeRunner(time_limit_s=2)
    try:
        hung, good = run(impatient, shared_object(tmp_path, "hang", HANGS), library)
    finally:
        impatient.close()

    assert hung == (0, "no answer within 2 s")
    assert good[0] > 0


def test_a_candidate_that_wants_other_arguments_is_refused(runner, library):
    ((_, reason),) = run(runner, library, arguments=ARGUMENTS[:2])

    assert reason.startswith("does not run: ")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"visits": 0}, "visits above 0, got 0"),
        ({"visits": -1}, "visits above 0, got -1"),
        ({"run_secs": 0.0}, "run_secs above 0, got 0"),
        ({"time_limit_s": -2.5}, r"time_limit_s above 0, got -2\.5"),
    ],
)
def test_numbers_that_are_not_positive_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        CpuTimeRunner(**settings)


class ScriptedChild:
    """Answers from a list for each library, one after the other; an error among them is raised."""

    def __init__(self, answers: dict[str, list[object]]) -> None:
        self.answers = {library: iter(of_one) for library, of_one in answers.items()}
        self.asked: list[str] = []

    def messages(self, request: Visit, time_limit_s: float) -> Iterator[object]:
        self.asked.append(request.library)
        answer = next(self.answers[request.library])
        if isinstance(answer, Exception):
            raise answer
        yield answer


def scripted(monkeypatch, answers: dict[str, list[object]]) -> tuple[CpuTimeRunner, ScriptedChild]:
    child = ScriptedChild(answers)
    monkeypatch.setattr("costmodel.integrations.tvm.measuring.cpu_time_runner.Child", lambda *_: child)
    return CpuTimeRunner(visits=3), child


def test_the_batch_is_gone_round_and_the_fastest_visit_counts(monkeypatch):
    runner, child = scripted(
        monkeypatch, {"a": [Timed(3e-3), Timed(1e-3), Timed(2e-3)], "b": [Timed(5e-3), Timed(6e-3), Timed(7e-3)]}
    )

    assert run(runner, "a", "b") == [(1e-3, ""), (5e-3, "")]
    assert child.asked == ["a", "b"] * 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Timed(reason="does not run: no"), "does not run: no"),
        (ChildDiedError("the process was killed by SIGKILL"), "SIGKILL"),
        (Timed(0.0), r"took 0.0 s"),
        (Timed(float("nan")), "took nan s"),
        ("hello", "answered 'hello'"),
    ],
)
def test_who_failed_once_is_not_asked_again(answer, reason, monkeypatch):
    runner, child = scripted(monkeypatch, {"a": [Timed(1e-3), answer], "b": [Timed(2e-3)] * 3})

    failed, good = run(runner, "a", "b")

    assert failed[0] == 0
    assert reason in failed[1]
    assert good == (2e-3, "")
    assert child.asked == ["a", "b", "a", "b", "b"]


# --- What the process does ---


class Busy:
    """A function that takes so many seconds of CPU, and counts its calls."""

    def __init__(self, secs: float) -> None:
        self.secs = secs
        self.calls = 0

    def __call__(self, *_: object) -> None:
        self.calls += 1
        start = thread_time()
        while thread_time() - start < self.secs:
            pass


def visit(arguments=(("float32", (4,)),), slow_secs: float = 0.05) -> Visit:
    return Visit("library", arguments, run_secs=0.005, slow_secs=slow_secs)


def test_a_short_candidate_is_called_until_a_run_is_long_enough():
    busy = Busy(0.001)

    timed = Timer({"library": busy}).answer(visit(), lambda _: None)

    assert timed.reason == ""
    assert 0.001 <= timed.secs < 0.0015
    assert 1 + 3 * 3 <= busy.calls <= 1 + 3 * 5, "one call first, then three runs of at most five"


def test_a_slow_candidate_is_called_once():
    busy = Busy(0.02)

    timed = Timer({"library": busy}).answer(visit(slow_secs=0.01), lambda _: None)

    assert 0.02 <= timed.secs < 0.03
    assert busy.calls == 1


def test_buffers_are_kept_for_the_same_arguments_and_are_no_larger_than_one():
    taken = []
    timer = Timer({"library": lambda *buffers: taken.append(buffers)})
    arguments = (("float32", (2, 3)), ("int32", (4,)))

    for _ in range(2):
        timer.answer(visit(arguments), lambda _: None)

    first, last = taken[0], taken[-1]
    assert [(str(buffer.dtype), tuple(map(int, buffer.shape))) for buffer in first] == list(arguments)
    assert all(one is other for one, other in zip(first, last, strict=True))
    values = first[0].numpy()
    assert ((values >= 0) & (values < 1)).all()
    assert len(np.unique(values)) == 6


def test_libraries_of_another_task_are_let_go():
    timer = Timer({"of the task before": Busy(0), "library": Busy(0)})

    timer.answer(visit(), lambda _: None)

    assert list(timer._functions) == ["library"]
