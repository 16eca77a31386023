import ast
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import onnx
import pytest
from onnx import TensorProto, helper

from costmodel.calibration import FamilyNetwork, OnnxRuntimeMeasurer
from costmodel.calibration.kit import KitResults, export_kit, import_kit, runner
from costmodel.calibration.kit.manifest import Manifest
from costmodel.calibration.testing import FakeModel, convolution_model
from costmodel.data.journal import Journal, JournalHeader
from costmodel.data.records import Clock, Status, Visit
from costmodel.data.weightless import graph_hash
from costmodel.errors import DataError, ModelFileError, UsageError
from costmodel.platforms.environment import Environment

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="children are looked up in /proc")

NETWORKS = (FamilyNetwork("vgg", 1), FamilyNetwork("nasbench201", 1))


@dataclass(frozen=True)
class Source:
    """A model made by a function of this module."""

    name: str
    make: object

    def load(self):
        return self.make()


def unknown_operator():
    model = convolution_model()
    model.graph.node[0].op_type = "Convolvo"
    return model


def endless_loop():
    body = helper.make_graph(
        [helper.make_node("Identity", ["more"], ["again"]), helper.make_node("Relu", ["value"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body)],
        "endless",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [helper.make_tensor("yes", TensorProto.BOOL, [], [True])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def command(kit: Path, *options: str) -> list[str]:
    return [sys.executable, str(kit / "run.py"), "--interval", "0.01", *options]


def run(kit: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(kit, *options), capture_output=True, text=True, check=False)


def wait_until(condition, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


def group_ended(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


# --- Really measured, in processes of their own ---


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    """A kit whose runner was killed in the middle, whose last line was torn by that, and which was then finished."""
    kit = tmp_path_factory.mktemp("measured") / "kit"
    export_kit([*NETWORKS, Source("odd", unknown_operator)], kit, visits=2, runs=2)
    results = kit / "results.jsonl"
    process = subprocess.Popen(command(kit), stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: results.exists() and results.read_bytes().count(b"\n") >= 3)
    process.kill()
    process.wait()
    wait_until(lambda: group_ended(process.pid))
    kept = Journal(results).read().visits
    assert 2 <= len(kept) < 5
    with results.open("ab") as stream:
        stream.write(b'{"kind": "visit", "mod')

    resumed = run(kit)

    assert resumed.returncode == 0, resumed.stderr
    assert "finished: 3 models, 1 of them failed" in resumed.stderr
    assert Journal(results).read().visits[: len(kept)] == kept
    return kit


def test_killed_and_torn_no_visit_is_lost_or_made_twice(measured):
    visits = Journal(measured / "results.jsonl").read().visits

    assert Counter(visit.model for visit in visits) == {"vgg-0001": 2, "nasbench201-0001": 2, "odd": 1}
    assert [visit.model for visit in visits[:3]] == ["vgg-0001", "nasbench201-0001", "odd"], "in rounds"
    assert all(len(visit.run_ms) == 2 and visit.clock is Clock.CPU for visit in visits if visit.status is Status.OK)


def test_what_comes_back_is_what_was_measured(measured):
    results = import_kit(measured)

    vgg, nasbench, odd = results.records
    assert [m.name for m in results.measurements()] == ["vgg-0001", "nasbench201-0001"]
    assert [m.latency_ms for m in results.measurements()] == [vgg.latency_ms, nasbench.latency_ms]
    assert vgg.model_hash == graph_hash(NETWORKS[0].load())
    assert (vgg.visits, vgg.runs, vgg.is_trusted) == (2, 4, True)
    assert "Convolvo" in odd.reason
    assert results.problems == (f"odd: refused on the device: {odd.reason}.",)
    assert results.platform("my-board").description.endswith("(cpu), " + ort_version() + ", fp32, 1 thread")


def ort_version() -> str:
    import onnxruntime

    return "ort" + ".".join(onnxruntime.__version__.split(".")[:2])


def test_a_finished_kit_measures_no_more_and_other_conditions_are_refused(measured):
    before = (measured / "results.jsonl").read_bytes()

    again, other = run(measured), run(measured, "--threads", "2", "--runs", "3")

    assert again.returncode == 0
    assert other.returncode == 1
    assert "threads was 1, now 2; runs was 2, now 3" in other.stderr
    assert (measured / "results.jsonl").read_bytes() == before


def test_two_runners_at_once_are_refused(measured):
    with (measured / "results.jsonl").open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        second = run(measured)

    assert second.returncode == 1
    assert "another process is writing" in second.stderr


def test_a_bad_copy_is_found_before_anything_is_measured(tmp_path):
    export_kit([FakeModel("a"), FakeModel("b")], tmp_path / "kit")
    (tmp_path / "kit" / "models" / "b.onnx").write_bytes(b"torn")

    started = run(tmp_path / "kit")

    assert started.returncode == 1
    assert "missing, or not as manifest.json says: models/b.onnx." in started.stderr
    assert Journal(tmp_path / "kit" / "results.jsonl").read().visits == ()


def test_a_hang_is_ended(tmp_path):
    export_kit([Source("endless", endless_loop)], tmp_path / "kit")

    assert run(tmp_path / "kit", "--time-limit", "1.5").returncode == 0

    (visit,) = Journal(tmp_path / "kit" / "results.jsonl").read().visits
    assert (visit.status, visit.reason) == (Status.HUNG, "no answer within 1.5 s")


@ON_LINUX
def test_nothing_outlives_a_runner_that_is_killed(tmp_path):
    export_kit([Source("endless", endless_loop)], tmp_path / "kit")
    process = subprocess.Popen(command(tmp_path / "kit"), stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: children(process.pid))

    process.kill()
    process.wait()

    wait_until(lambda: group_ended(process.pid), seconds=10)


@ON_LINUX
def test_a_crash_is_tried_twice_and_costs_only_its_own_model(tmp_path):
    export_kit([Source("endless", endless_loop), FakeModel("a")], tmp_path / "kit", visits=1)
    process = subprocess.Popen(command(tmp_path / "kit"), stderr=subprocess.DEVNULL)
    first = wait_until(lambda: children(process.pid))
    os.kill(first[0], signal.SIGSEGV)
    second = wait_until(lambda: set(children(process.pid)) - set(first))
    os.kill(second.pop(), signal.SIGSEGV)
    process.wait()

    crashed, fine = Journal(tmp_path / "kit" / "results.jsonl").read().visits

    assert (crashed.model, crashed.status) == ("endless", Status.CRASHED)
    assert "SIGSEGV" in crashed.reason
    assert (fine.model, fine.status) == ("a", Status.OK)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--provider", "AbacusExecutionProvider"), "has no AbacusExecutionProvider; it has "),
        (("--visits", "0"), "expected 1, 2, 3"),
        (("--time-limit", "-1"), "seconds above 0"),
    ],
)
def test_options_that_make_no_sense(measured, options, message):
    refused = run(measured, *options)

    assert refused.returncode != 0
    assert message in refused.stderr


# --- The runner as a file ---


def test_the_runner_is_python_3_8_and_needs_nothing_of_ours(measured):
    source = (measured / "run.py").read_text()

    tree = ast.parse(source, feature_version=(3, 8))

    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in imported}
    assert roots <= {*sys.stdlib_module_names, "numpy", "onnxruntime"}
    assert source == Path(runner.__file__).read_text()


def test_the_runner_describes_machine_and_method_as_the_measurer_does():
    measurer = OnnxRuntimeMeasurer(threads=2)

    assert Environment.model_validate(runner.environment(2)) == measurer.environment()
    assert runner.Method(threads=2, runs=3).settings() == {**measurer.settings(), "runs": 3}


RUNNER_HEADER = {"kind": "header", "environment": {"cpu": "c"}, "settings": {"runs": 1}}
A_VISIT = {"kind": "visit", "model": "a", "status": "ok"}


def test_a_full_disk_loses_nothing_measured_before(tmp_path):
    path = tmp_path / "results.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with runner.Results.opened(path, RUNNER_HEADER) as results:
        results.append(A_VISIT)
        before = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))  # room for a part of a line
        try:
            with pytest.raises(SystemExit, match=r"cannot append .* Everything measured before is kept"):
                results.append(A_VISIT)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert path.read_bytes() == before


def test_every_line_is_on_the_disk_before_append_returns(tmp_path, monkeypatch):
    synced: list[int] = []
    with runner.Results.opened(tmp_path / "results.jsonl", RUNNER_HEADER) as results:
        monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
        results.append(A_VISIT)

    assert synced == [(tmp_path / "results.jsonl").stat().st_size]


def test_a_damaged_line_is_measured_anew_and_another_file_is_never_touched(tmp_path, capsys):
    results, letter = tmp_path / "results.jsonl", tmp_path / "letter.txt"
    lines = (json.dumps(RUNNER_HEADER), json.dumps(A_VISIT)[:20], json.dumps(A_VISIT))
    results.write_text("".join(f"{line}\n" for line in lines))
    letter.write_text("dear diary\ntoday")

    with runner.Results.opened(results, RUNNER_HEADER) as opened:
        assert opened.visits == {"a": [A_VISIT]}
    assert "line 2 is damaged" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="something else than results"), runner.Results.opened(letter, RUNNER_HEADER):
        pass
    assert letter.read_text() == "dear diary\ntoday"


def test_several_threads_are_timed_by_the_wall_clock(tmp_path):
    onnx.save(convolution_model(batch=1), tmp_path / "conv.onnx")

    timing = runner.time_visit(tmp_path / "conv.onnx", runner.Method(threads=2, runs=3))

    assert timing["clock"] == "wall"
    assert len(timing["run_ms"]) == 3
    assert timing["wall_cpu_ratio"] > 0


def test_a_provider_that_does_not_start_is_no_model_that_fails(tmp_path):
    onnx.save(convolution_model(batch=1), tmp_path / "conv.onnx")

    with pytest.warns(UserWarning, match="Abacus"), pytest.raises(runner.ProviderError, match="fell back to CPU"):
        runner.time_visit(tmp_path / "conv.onnx", runner.Method(1, 1, "AbacusExecutionProvider"))


# --- Export ---


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_kit_holds_models_as_a_campaign_would_run_them(tmp_path):
    written = []

    manifest = export_kit([FakeModel("net/1"), FakeModel("net_1")], tmp_path / "kit", batch=3, progress=written.append)

    first = manifest.models[0]
    model = onnx.load(tmp_path / "kit" / first.file)
    assert Manifest.parse((tmp_path / "kit" / "manifest.json").read_bytes(), "") == manifest
    assert written == [model.name for model in manifest.models] == ["net/1", "net_1"]
    assert first.graph_hash == graph_hash(FakeModel("net/1").load()), "of the model whose batch is a symbol"
    assert (first.batch, model.graph.input[0].type.tensor_type.shape.dim[0].dim_value) == (3, 3)
    assert files_of(tmp_path / "kit") == {
        "models/000-net_1.onnx", "models/001-net_1.onnx", "manifest.json", "run.py", "README.txt",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["kit", "kit.zip"])
def test_a_kit_is_there_whole_or_not_at_all(tmp_path, name):
    def broken():
        raise ModelFileError("broken")

    with pytest.raises(ModelFileError):
        export_kit([FakeModel("a"), Source("b", broken)], tmp_path / name)
    assert list(tmp_path.iterdir()) == []

    leftover = tmp_path / f".{name}.costmodel-partial"
    leftover.mkdir()
    (leftover / "half a model").touch()
    export_kit([FakeModel("a")], tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]

    with pytest.raises(UsageError, match="is there already"):
        export_kit([FakeModel("a")], tmp_path / name)


def test_two_do_not_write_one_kit_at_once(tmp_path):
    def second():
        with pytest.raises(UsageError, match=r"another process is writing .*kit; wait"):
            export_kit([FakeModel("b")], tmp_path / "kit")
        return FakeModel("a").load()

    export_kit([Source("a", second)], tmp_path / "kit")
    assert (tmp_path / "kit" / "models" / "a.onnx").is_file()
    assert not (tmp_path / "kit" / "models" / "b.onnx").exists()


@pytest.mark.parametrize(
    ("names", "settings", "message"),
    [
        ((), {}, "nothing to export"),
        (("a", "b", "a"), {}, "several models are called a"),
        (("a",), {"visits": 0}, "visits of at least 1, got 0"),
    ],
)
def test_exports_that_make_no_sense(tmp_path, names, settings, message):
    with pytest.raises(UsageError, match=message):
        export_kit([FakeModel(name) for name in names], tmp_path / "kit", **settings)


# --- Import ---

ENVIRONMENT = Environment(
    cpu="Board 3", logical_cores=4, os="Linux", kernel="6", python="3.8", runtime="onnxruntime",
    runtime_version="1.16.0", threads=1,
)  # fmt: skip
HEADER = JournalHeader(
    platform="unnamed", environment=ENVIRONMENT, settings={"providers": ["CPUExecutionProvider"], "runs": 1}
)


@pytest.fixture
def kit(tmp_path) -> Path:
    export_kit([FakeModel("a"), FakeModel("b")], tmp_path / "kit", visits=2)
    return tmp_path / "kit"


def visit(model: str, *run_ms: float, **changes) -> str:
    fields = {
        "model": model,
        "model_hash": graph_hash(convolution_model()),
        "batch": 1,
        "status": Status.OK,
        "run_ms": run_ms,
        "clock": Clock.CPU,
        "wall_cpu_ratio": 1.0,
        "reference_ms": 100.0,
        "measured_at": datetime.now(UTC),
        **changes,
    }
    return Visit(**fields).model_dump_json()


GOOD = (visit("a", 2.0), visit("b", 3.0), visit("a", 1.5), visit("b", 4.0))


def write_results(path: Path, *lines: str, header: JournalHeader = HEADER) -> Path:
    path.write_text("".join(f"{line}\n" for line in (header.model_dump_json(), *lines)))
    return path


def imported(kit: Path, *lines: str, header: JournalHeader = HEADER) -> KitResults:
    write_results(kit / "results.jsonl", *lines, header=header)
    return import_kit(kit)


def latencies(results: KitResults) -> dict[str, float]:
    return {measurement.name: measurement.latency_ms for measurement in results.measurements()}


def test_good_results_have_no_problems(kit):
    results = imported(kit, *GOOD)

    assert latencies(results) == {"a": 1.5, "b": 3.0}
    assert results.problems == ()
    assert results.header.platform == "board-3-ort1.16-fp32-1t"
    assert {record.platform for record in results.records} == {results.header.platform}


@pytest.mark.parametrize(
    ("lines", "expected", "problem"),
    [
        ((*GOOD, *GOOD[:2]), {"a": 1.5, "b": 3.0}, "lines that are there twice count once: 6, 7."),
        ((*GOOD, visit("a", 1.2)), {"a": 1.2, "b": 3.0}, "more than the 2 visits planned, which all count: a (3)."),
        (GOOD[:3], {"a": 1.5, "b": 3.0}, "fewer than the 2 visits planned: b (1)"),
        ((GOOD[0], GOOD[2]), {"a": 1.5}, "no usable visit: b."),
        ((*GOOD, "oops"), {"a": 1.5, "b": 3.0}, "line 6: no visit, but 'oops'."),
        ((*GOOD, visit("c", 1.0)), {"a": 1.5, "b": 3.0}, "c: not a model of this kit."),
        (
            (*GOOD[:3], visit("b", 1.0, model_hash="0" * 64)),
            {"a": 1.5, "b": 3.0},
            "b: another model was measured under that name (1 visit left out).",
        ),
        ((*GOOD[:3], visit("b", 1.0, batch=8)), {"a": 1.5, "b": 3.0}, "b: measured at batch 8, exported at 1"),
        ((*GOOD[:3], visit("b", 0.0005)), {"a": 1.5, "b": 3.0}, "b: 0.0005 ms a run cannot be"),
        ((*GOOD[:3], visit("b", 4e6)), {"a": 1.5, "b": 3.0}, "b: 4e+06 ms a run cannot be"),
        (
            (*GOOD[:3], visit("b", 1.0, clock=Clock.WALL, wall_cpu_ratio=1.5)),
            {"a": 1.5, "b": 1.0},
            "b: the device was busy (wall/CPU ratio 1.50)",
        ),
        (
            (*GOOD[:3], visit("b", status=Status.CRASHED, reason="boom")),
            {"a": 1.5},
            "b: crashed on the device: boom.",
        ),
        (
            (visit("a", 9000.0), visit("b", 9000.0)),
            {"a": 9000.0, "b": 9000.0},
            "expected milliseconds, could these be microseconds?",
        ),
        (
            (visit("a", 0.002), visit("b", 0.003)),
            {"a": 0.002, "b": 0.003},
            "expected milliseconds, could these be seconds?",
        ),
    ],
)
def test_every_fault_is_named_and_costs_no_more_than_it_must(kit, lines, expected, problem):
    results = imported(kit, *lines)

    assert latencies(results) == expected
    assert any(problem in found for found in results.problems), results.problems


@pytest.mark.parametrize(
    ("written", "named"), [("[0.0]", "greater than 0"), ("[-1]", "greater than 0"), ("[NaN]", "finite")]
)
def test_times_that_are_none_are_left_out(kit, written, named):
    results = imported(kit, *GOOD[:3], GOOD[3].replace("[4.0]", written))

    assert latencies(results) == {"a": 1.5, "b": 3.0}
    assert any("line 5: b: run_ms.0" in problem and named in problem for problem in results.problems)


def test_visits_of_another_platform_are_left_out(kit):
    other = HEADER.model_copy(update={"environment": ENVIRONMENT.model_copy(update={"cpu": "Board 4"})})
    same = HEADER.model_copy(update={"environment": ENVIRONMENT.model_copy(update={"memory_bytes": 2**30})})

    results = imported(
        kit, *GOOD[:2], other.model_dump_json(), visit("a", 0.5), same.model_dump_json(), *GOOD[2:], visit("b", 2.5)
    )

    assert latencies(results) == {"a": 1.5, "b": 2.5}
    assert any("from line 4 on, another platform was measured (environment.cpu)" in p for p in results.problems)


def test_an_unfinished_last_line_is_left_out(kit):
    path = write_results(kit / "results.jsonl", *GOOD)
    os.truncate(path, path.stat().st_size - 9)

    results = import_kit(kit)

    assert latencies(results) == {"a": 1.5, "b": 3.0}
    assert any("the last line is not finished" in problem for problem in results.problems)


def test_a_model_file_that_changed_or_went_takes_its_row_along(kit):
    shutil.copy(kit / "run.py", kit / "models" / "b.onnx")
    changed = imported(kit, *GOOD)
    (kit / "models" / "b.onnx").unlink()
    missing = import_kit(kit)

    assert latencies(changed) == latencies(missing) == {"a": 1.5}
    assert "b: models/b.onnx is not the file that was exported." in changed.problems
    assert "b: models/b.onnx is missing." in missing.problems


def test_another_provider_than_the_cpu_makes_another_kind_of_platform(kit):
    header = HEADER.model_copy(update={"settings": {"providers": ["CUDAExecutionProvider"]}})

    results = imported(kit, visit("a", 9000.0), visit("b", 9000.0), header=header)

    assert results.platform("my-board").kind == "gpu"
    assert not any("could these be" in problem for problem in results.problems), "the reference ran on the CPU"


def test_a_zip_file_is_a_kit_as_well(tmp_path):
    export_kit([FakeModel("a"), FakeModel("b")], tmp_path / "kit.zip", visits=2)
    elsewhere = write_results(tmp_path / "elsewhere.jsonl", *GOOD)
    with ZipFile(tmp_path / "kit.zip") as archive:
        archive.extractall(tmp_path / "unpacked" / "kit")
    shutil.copy(elsewhere, tmp_path / "unpacked" / "kit" / "results.jsonl")
    shutil.make_archive(str(tmp_path / "back"), "zip", tmp_path / "unpacked")

    for results in (import_kit(tmp_path / "kit.zip", elsewhere), import_kit(tmp_path / "back.zip")):
        assert latencies(results) == {"a": 1.5, "b": 3.0}
        assert results.problems == ()


def test_kits_that_are_none(kit, tmp_path):
    with pytest.raises(DataError, match=r"holds no results\.jsonl; start run\.py on the device"):
        import_kit(kit)
    with pytest.raises(DataError, match="none of the results can be used"):
        imported(kit, visit("c", 1.0))
    (kit / "results.jsonl").write_text("dear diary\n")
    with pytest.raises(DataError, match="expected a first line"):
        import_kit(kit)
    manifest = json.loads((kit / "manifest.json").read_text())
    (kit / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 2}))
    with pytest.raises(DataError, match="schema_version"):
        import_kit(kit)
    with pytest.raises(UsageError, match="no kit at"):
        import_kit(tmp_path / "nowhere")
