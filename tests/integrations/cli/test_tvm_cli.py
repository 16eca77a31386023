"""``costmodel tvm``: what is typed wrong is told without TVM; with it, from tiny tasks to scores."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import astuple, replace
from functools import partial
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from costmodel.errors import DataError, UnknownNameError, UsageError
from costmodel.files import sole_writer

needs_tvm = pytest.mark.skipif(find_spec("tvm") is None, reason="TVM is not installed: pip install '.[tvm]'")

COMMANDS = {
    "collect": ("collect", "-o", "records"),
    "train": ("train", "records", "-o", "weights.safetensors"),
    "evaluate": ("evaluate", "records"),
    "tune": ("tune", "net.onnx", "-o", "tuned"),
}
TINY = ("--members", "2", "--steps", "20", "--dim", "16", "--depth", "1")
WEIGHTS = "weights.safetensors"
PARTIAL = f".{WEIGHTS}.partial"


_TRAINED: list[bytes] = []


# --- Without TVM ---


def test_help_lists_the_commands_and_imports_neither_tvm_nor_torch():
    code = (
        "import sys\n"
        "from costmodel.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit as leaving:\n"
        "    print(leaving.code or 0, sorted({'tvm', 'torch', 'rich'} & sys.modules.keys()))\n"
    )
    for arguments, expected in ((["--help"], "tvm  "), (["tvm", "--help"], "collect  ")):
        # Isolated, so that the installed package is imported and not the folder the tests happen to run in.
        command = [sys.executable, "-I", "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert expected in done.stdout
        assert "cannot be loaded" not in done.stdout
        assert done.stdout.splitlines()[-1] == "0 []", done.stdout


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_without_tvm_each_command_says_how_to_install_it(run, monkeypatch, command):
    def nothing_is_installed(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("costmodel.calibration.measurers.tvm_versions.version", nothing_is_installed)
    for name in [name for name in sys.modules if name.startswith("costmodel.integrations.tvm")]:
        monkeypatch.delitem(sys.modules, name)

    done = run(*command)

    assert (done.code, done.out) == (1, "")
    assert "pip install 'nnformer-costmodel[tvm]'" in done.err
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("collect",), "-o"),
        (("collect", "-o", "records", "--count", "1"), "--count"),
        (("collect", "-o", "records", "--search", "gradient"), "nnformer"),
        (("train", "-o", "weights"), "RECORDS_DIR"),
        (("train", "records"), "-o"),
        (("train", "records", "-o", "weights", "--members", "0"), "--members"),
        (("evaluate",), "RECORDS_DIR"),
        (("evaluate", "records", "--measured", "-1"), "--measured"),
        (("evaluate", "records", "--format", "xml"), "table"),
        (("colect",), "collect"),
    ],
)
def test_what_is_typed_wrong(run, arguments, message):
    done = run(*arguments)

    assert (done.code, done.out) == (2, "")
    assert message in done.err


# --- With TVM: tiny tasks, and records of them with invented times ---


def _matmul(rows: int, columns: int) -> Any:
    from tvm import relax

    from costmodel.integrations.tvm.workloads import relax_module

    return relax_module([(rows, 8), (8, columns)], relax.op.matmul)


@pytest.fixture
def workloads(monkeypatch) -> tuple[Any, ...]:
    """Three tiny tasks of two kinds, in place of those with shapes of real networks."""
    from costmodel.integrations.tvm import workloads

    shapes = {"square-8": (8, 8), "square-16": (16, 16), "flat-2": (2, 16)}
    tiny = tuple(
        workloads.Workload(name.partition("-")[0], name, "a test", partial(_matmul, *shape))
        for name, shape in shapes.items()
    )
    monkeypatch.setattr(workloads, "WORKLOADS", tiny)
    wide = (workloads.Workload("wide", "wide-4", "a test", partial(_matmul, 4, 4)),)
    monkeypatch.setattr(workloads, "WIDE_WORKLOADS", wide)
    return tiny


@pytest.fixture
def write_records(workloads):
    """Writes a folder of records, each a matmul whose loop over rows is split, the slower the wider the split."""

    def write(folder: Path | str = "records", count: int = 8, cores: int = 1, tasks: int = 3) -> Path:
        from tvm import s_tir
        from tvm.s_tir import meta_schedule as ms
        from tvm.target import Target

        from costmodel.integrations.tvm.collecting import open_database

        database = open_database(folder)
        target = Target({"kind": "llvm", "num-cores": cores})
        for workload in workloads[:tasks]:
            module = workload.module(target)
            entry = database.commit_workload(module)
            arguments = ms.arg_info.ArgInfo.from_prim_func(module["main"])
            for width in range(1, count + 1):
                schedule = s_tir.Schedule(module)
                schedule.split(schedule.get_loops(schedule.get_sblock("matmul", "main"))[1], [None, width])
                secs = [1e-6 * width]
                database.commit_tuning_record(ms.database.TuningRecord(schedule.trace, entry, secs, target, arguments))
        return Path(folder)

    return write


@pytest.fixture
def records(run, write_records) -> Path:
    """A folder of eight records of each task; after ``run``, so that it is in the folder that the commands run in."""
    return write_records()


@pytest.fixture
def weights(run, records) -> Path:
    """Weights trained on those records, hardly; once for all tests."""
    if not _TRAINED:
        assert run("train", records, "-o", WEIGHTS, *TINY).code == 0
        _TRAINED.append(Path(WEIGHTS).read_bytes())
    Path(WEIGHTS).write_bytes(_TRAINED[0])
    return Path(WEIGHTS)


@needs_tvm
def test_from_nothing_to_scores(run, workloads):
    collect = ("collect", "-o", "records", "--task", "square*", "--count", "6", "--search", "random", "--visits", "1")

    collected = run(*collect, "-f", "json")
    measured = Path("records/database_tuning_record.json").read_bytes()
    again = run(*collect, "-f", "csv")
    trained = run("train", "records", "-o", "new/w.safetensors", "--members", "1", *TINY[2:])
    scored = run("evaluate", "records", "-w", "new/w.safetensors", "--measured", "0", "--measured", "2", "-f", "json")

    assert (collected.code, collected.err) == (0, ""), "TVM is quiet"
    tasks = json.loads(collected.out)["tasks"]
    assert [(row["task"], row["kind"], row["records"]) for row in tasks] == [
        ("square-8", "square", 6),
        ("square-16", "square", 6),
    ]
    assert all(1e-6 < row["best_ms"] < 1 for row in tasks)
    rows = list(csv.DictReader(io.StringIO(again.out)))
    assert [float(row["best_ms"]) for row in rows] == [row["best_ms"] for row in tasks]
    assert Path("records/database_tuning_record.json").read_bytes() == measured, "nothing is measured twice"
    assert (trained.code, trained.out) == (0, "")
    assert "12 candidates of 2 tasks" in trained.err
    document = json.loads(scored.out)
    assert [(row["task"], row["measured"], row["candidates"]) for row in document["tasks"]] == [
        ("square-16", 0, 6),
        ("square-16", 2, 6),
        ("square-8", 0, 6),
        ("square-8", 2, 6),
    ]
    figures = [row[name] for row in document["tasks"] + document["means"] for name in SCORES]
    assert all(0 <= figure <= 1 for figure in figures)
    assert "trained on 2 of these 2 tasks" in scored.err


# --- collect ---


@needs_tvm
def test_the_wide_catalogue_is_collected_where_it_is_asked_for(run, workloads):
    collect = ("collect", "-o", "records", "--task", "wide*", "--count", "4", "--search", "random", "--visits", "1")

    without, with_it = run(*collect), run(*collect, "--wide", "-f", "json")

    assert without.code == 2
    assert "unknown task 'wide*'" in without.err
    assert [row["task"] for row in json.loads(with_it.out)["tasks"]] == ["wide-4"]
    assert run("train", "records", "-o", "w.safetensors", "--members", "1", *TINY[2:]).code == 0


@needs_tvm
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--task", "sqare-8"), "unknown task 'sqare-8'. Did you mean square-8"),
        (("--task", "square*", "--task", "conv*"), "unknown task 'conv*'. Known: flat, flat-2, square"),
        (("--target", "lvm"), 'Target kind "lvm" is not defined'),
        (("--target", "llvm -mcpu=znver4"), "cannot read --target 'llvm -mcpu=znver4'"),
        (("--target", '{"kind": "llvm", "cores": 1}'), "Unknown config option 'cores'"),
        (("--target", '{"kind": "llvm", "mcpu": "no-such", "num-cores": 1}'), "LLVM knows no processor 'no-such'"),
        (("--target", "llvm"), "got num-cores not given"),
        (("--target", '{"kind": "llvm", "num-cores": 4}'), "got num-cores 4"),
        (("--target", '{"kind": "llvm", "mtriple": "riscv64-linux-gnu", "num-cores": 1}'), "got mtriple 'riscv64"),
        (("--target", "opencl"), "got kind 'opencl'"),
        (("--tracker", "tracker.lan:9190"), "give both, or neither"),
        (("--key", "board"), "give both, or neither"),
        (("--tracker", "tracker.lan:9190", "--key", "board"), "--key needs --target"),
        (("--tracker", "tracker.lan", "--key", "board", "--target", "llvm"), "expected HOST:PORT"),
        (("--linker", "no-such-linker"), "found no program 'no-such-linker'"),
    ],
)
def test_tasks_and_targets_that_make_no_sense(run, workloads, options, message):
    done = run("collect", "-o", "records", "--search", "random", *options)

    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert not Path("records").exists(), "told before anything is done"


@needs_tvm
def test_a_target_example_is_a_target():
    from costmodel.integrations.tvm.targets import EXAMPLE, as_json, host_target, require_measurable_here, target_from

    require_measurable_here(host_target())
    assert as_json(target_from(json.loads(as_json(host_target())))) == as_json(host_target())
    assert host_target().attrs["mcpu"]
    assert target_from(json.loads(EXAMPLE)).attrs["mcpu"] == "skylake-avx512"


@needs_tvm
def test_candidates_go_to_a_device_for_a_processor_that_is_not_here(run, workloads, monkeypatch):
    """What is linked, and who measures, is what was asked for; nothing is said to be measurable here."""
    from tvm.s_tir.meta_schedule.runner import RunnerResult

    from costmodel.integrations.tvm import collecting, measuring

    target = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a53", "num-cores": 4}
    asked, closed, measured = [], [], []

    class Pool:
        def shutdown(self) -> None:
            closed.append(True)

    class Devices:
        pool = Pool()

    def devices(host: str, port: int, key: str, *, runs: int) -> Devices:
        asked.append((host, port, key, runs))
        return Devices()

    def measured_batch(modules, arguments, compiled_for, builder, runner):
        measured.append((compiled_for, runner))
        return [RunnerResult([1e-3], None) for _ in modules]

    monkeypatch.setattr(measuring, "rpc_runner", devices)
    monkeypatch.setattr(collecting, "measured_batch", measured_batch)
    monkeypatch.setattr(collecting.Collector, "_search", lambda *_: None)

    done = run(
        *("collect", "-o", "records", "--task", "square-8", "--count", "4", "--search", "random"),
        *("--tracker", "tracker.lan:9190", "--key", "board", "--target", json.dumps(target), "--visits", "2"),
    )

    assert (done.code, done.err) == (0, "")
    assert asked == [("tracker.lan", 9190, "board", 2)]
    assert closed == [True]
    assert all(isinstance(runner, Devices) for _, runner in measured)
    assert {str(found.attrs["mcpu"]) for found, _ in measured} == {"cortex-a53"}


@needs_tvm
def test_no_tracker_is_told_before_anything_is_done(run, workloads):
    done = run(
        *("collect", "-o", "records", "--search", "random"),
        *("--tracker", "localhost:9", "--key", "board", "--target", '{"kind": "llvm", "num-cores": 4}'),
    )

    assert (done.code, done.out) == (1, "")
    assert "no TVM tracker answers at localhost:9" in done.err
    assert not Path("records").exists()


@needs_tvm
def test_two_processes_do_not_fill_one_folder(run, workloads, led_by):
    with sole_writer(Path("records")):
        second = run("collect", "-o", "records", "--search", "random")
    after = run("collect", "-o", "records", "--search", "random", "--task", "flat")

    assert (second.code, second.out) == (2, "")
    assert "another process is writing records" in second.err
    assert led_by
    assert after.code == 1, "nothing was measured, but it came that far"


@needs_tvm
def test_a_search_by_xgboost_says_how_to_install_it(run, workloads, monkeypatch):
    monkeypatch.setattr("costmodel.integrations.cli.collect.find_spec", lambda name: None)

    done = run("collect", "-o", "records", "--search", "xgb")

    assert (done.code, done.out) == (1, "")
    assert "'xgboost'" in done.err
    assert "pip install 'nnformer-costmodel[bench]'" in done.err
    assert not Path("records").exists()


@pytest.fixture
def led_by(monkeypatch):
    """Runs the collection up to the search, of which it gives the cost model."""
    from costmodel.integrations.tvm.collecting import Collector

    found = []

    def collect(self, workload, count):
        found.append((self.cost_model(), self.cost_model(), self.seed))
        return 0

    monkeypatch.setattr(Collector, "collect", collect)
    return found


@needs_tvm
def test_what_leads_the_search(run, weights, led_by, monkeypatch):
    from tvm.s_tir.meta_schedule.cost_model import RandomModel, XGBModel

    from costmodel.integrations.tvm.cost_model import NNFormerCostModel

    monkeypatch.setattr("costmodel.integrations.tvm.weights.find_weights", lambda name: weights)
    expected = {"nnformer": NNFormerCostModel, "random": RandomModel}
    if find_spec("xgboost"):
        expected["xgb"] = XGBModel
    for name, kind in expected.items():
        run("collect", "-o", name, "--task", "flat", "--search", name, "--seed", "5")
        one, other, seed = led_by.pop()
        assert isinstance(one, kind)
        assert one is not other, "each task has one of its own"
        assert seed == 5
    if find_spec("xgboost"):
        assert one.config.seed == 5
        assert one.num_warmup_samples <= 32, "a search of sixty is not all guesses"


@needs_tvm
def test_weights_that_are_missing_are_told_before_anything_is_done(run, workloads, monkeypatch):
    def none(name):
        raise UnknownNameError("cost model", name, ())

    monkeypatch.setattr("costmodel.integrations.tvm.weights.find_weights", none)

    done = run("collect", "-o", "records")

    assert (done.code, done.out) == (2, "")
    assert "unknown cost model 'nnformer-metaschedule'" in done.err
    assert not Path("records").exists()


@needs_tvm
def test_tasks_of_which_nothing_could_be_measured_have_no_time_and_fail(run, led_by, workloads):
    done = run("collect", "-o", "records", "--search", "random", "--task", "square", "-f", "csv")

    assert done.code == 1
    assert done.out == "task,kind,records,best_ms\nsquare-8,square,0,\nsquare-16,square,0,\n"
    assert "no candidate of square-8, square-16 could be measured" in done.err


@needs_tvm
def test_the_best_time_is_that_of_the_records_that_ran(run, records, led_by):
    """Eight at 1 to 8 microseconds, and one that failed."""
    from tvm.s_tir import meta_schedule as ms

    database = ms.database.JSONDatabase(work_dir=str(records))
    first = database.get_all_tuning_records()[0]
    failed = ms.database.TuningRecord(first.trace, first.workload, [1e10], first.target, first.args_info)
    database.commit_tuning_record(failed)

    done = run("collect", "-o", records, "--search", "random", "--target", '{"kind": "llvm", "num-cores": 1}')

    assert done.code == 0
    assert done.out.splitlines() == [
        "task       kind    records  best ms",
        "square-8   square        8    0.001",
        "square-16  square        8    0.001",
        "flat-2     flat          8    0.001",
    ]


@needs_tvm
def test_a_folder_with_records_of_another_target_is_left_alone(run, records, led_by):
    before = Path(records, "database_tuning_record.json").read_bytes()

    done = run("collect", "-o", records, "--search", "random")

    assert (done.code, done.out, led_by) == (2, "", [])
    assert "has records for" in done.err
    assert "Choose another folder with -o" in done.err
    assert Path(records, "database_tuning_record.json").read_bytes() == before


STOPPING = "warning: stopping after what is at hand; press Ctrl-C again to stop at once.\n"
STOPPED = "warning: stopped. Everything measured is in records; run the same command again to go on.\n"


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@needs_tvm
def test_ctrl_c_while_tvm_compiles_ends_a_collection(run, workloads, monkeypatch, tmp_path):
    """What is interrupted is no candidate that does not compile, and the next ones are not begun."""
    import tvm

    from costmodel.integrations.tvm.collecting import Collector
    from costmodel.integrations.tvm.measuring import in_process_builder

    compiled = []

    @tvm.transform.module_pass(opt_level=0)
    def press(module, context):
        compiled.append(module)
        if len(compiled) == 2:
            press_ctrl_c()
        return module

    def collect(self, workload, count):
        one = tvm.s_tir.meta_schedule.builder.BuilderInput(workload.module(self.target), self.target)
        self.builder.build([one] * 4)
        raise AssertionError("the builder went on")

    passes = tvm.transform.Sequential([press])
    monkeypatch.setattr(in_process_builder, "RemoveWeightLayoutRewriteBlock", lambda **_: passes)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Collector, "collect", collect)
    before = signal.getsignal(signal.SIGINT)

    done = run("collect", "-o", "records", "--search", "random")

    assert (done.code, done.out, done.err) == (130, "", STOPPING + STOPPED)
    assert len(compiled) == 2
    assert not list(tmp_path.glob("costmodel-tvm-*")), "what was built is removed"
    assert signal.getsignal(signal.SIGINT) is before


@needs_tvm
def test_ctrl_c_elsewhere_ends_a_collection_after_the_task(run, workloads, monkeypatch):
    from costmodel.integrations.tvm.collecting import Collector

    collected = []

    def collect(self, workload, count):
        press_ctrl_c()
        collected.append(workload.name)

    monkeypatch.setattr(Collector, "collect", collect)

    done = run("collect", "-o", "records", "--search", "random")

    assert (done.code, done.out, done.err) == (130, "", STOPPING + STOPPED)
    assert collected == ["square-8"]


@needs_tvm
def test_ctrl_c_twice_ends_a_collection_at_once(run, workloads, monkeypatch):
    from costmodel.integrations.tvm.collecting import Collector

    class AtOnce(BaseException):
        """In place of the end of the process."""

    def leave(code):
        raise AtOnce(code)

    def collect(self, workload, count):
        press_ctrl_c()
        with pytest.raises(AtOnce, match="130"):
            press_ctrl_c()

    monkeypatch.setattr("os._exit", leave)
    monkeypatch.setattr(Collector, "collect", collect)

    assert run("collect", "-o", "records", "--search", "random").err == STOPPING + 2 * STOPPED


@needs_tvm
def test_another_error_is_no_interruption(run, workloads, monkeypatch):
    from costmodel.integrations.tvm.collecting import Collector

    def collect(self, workload, count):
        raise DataError("the disk is full")

    monkeypatch.setattr(Collector, "collect", collect)

    done = run("collect", "-o", "records", "--search", "random")

    assert (done.code, done.err) == (1, "error: the disk is full\n")


@needs_tvm
@pytest.mark.parametrize(("option", "said"), [((), []), (("-v",), ["round", "odd"]), (("--debug",), None)])
def test_tvm_talks_when_asked_to(run, workloads, monkeypatch, option, said):
    from costmodel.integrations.tvm.collecting import Collector

    def collect(self, workload, count):
        search = logging.getLogger("tvm.s_tir.meta_schedule.task_scheduler.task_scheduler")
        search.debug("detail")
        search.info("round")
        search.warning("odd")
        return 0

    monkeypatch.setattr(Collector, "collect", collect)

    done = run("collect", "-o", "records", "--search", "random", "--task", "flat", "-f", "csv", *option)

    assert done.out == "task,kind,records,best_ms\nflat-2,flat,0,\n"
    lines = [line for line in done.err.splitlines() if line in ("detail", "round", "odd")]
    assert lines == (["detail", "round", "odd"] if said is None else said)


# --- Folders of records ---


@needs_tvm
@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "there is no database_workload.json and no database_tuning_record.json"),
        ({}, "costmodel tvm collect -o broken"),
        ({"database_workload.json": ""}, "there is no database_tuning_record.json"),
        ({"database_workload.json": "", "database_tuning_record.json": ""}, "broken holds no tuning records yet"),
        ({"database_workload.json": "x", "database_tuning_record.json": ""}, "broken cannot be read: "),
        ("cut short", "the last line of database_tuning_record.json may be cut short: remove it"),
    ],
    ids=["no folder", "empty folder", "half a database", "empty database", "no JSON", "cut short"],
)
def test_a_folder_without_records_or_with_damaged_ones(run, weights, records, command, files, message):
    if files == "cut short":
        shutil.copytree(records, "broken")
        with Path("broken/database_tuning_record.json").open("rb+") as file:
            file.truncate(Path("broken/database_tuning_record.json").stat().st_size - 20)
    elif files is not None:
        Path("broken").mkdir()
        for name, content in files.items():
            Path("broken", name).write_text(content)
    there = sorted(Path().rglob("*"))
    options = ("-o", "new.safetensors", *TINY) if command == "train" else ("-w", weights)

    done = run(command, records, "broken", *options)

    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert sorted(Path().rglob("*")) == there, "nothing is made in a folder to be read"


@needs_tvm
def test_weights_learn_from_two_targets_a_task_on_each(run, records, write_records):
    write_records("other", cores=2)
    alone = run("train", records, "-o", "alone.safetensors", *TINY)

    done = run("train", records, "other", "-o", WEIGHTS, *TINY)

    assert (alone.code, done.code) == (0, 0)
    from costmodel.integrations.tvm.weights import load_weights

    provenance = [load_weights(path)[1].provenance for path in ("alone.safetensors", WEIGHTS)]
    assert [len(found["targets"]) for found in provenance] == [1, 2]
    assert provenance[1]["tasks"] == sorted([*provenance[0]["tasks"], *provenance[0]["tasks"]])


@needs_tvm
@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_scores_and_a_typed_target_are_of_one_target(run, records, write_records, weights, command):
    write_records("other", cores=2)
    options = ("-w", weights) if command == "evaluate" else ("-o", WEIGHTS, *TINY, "--target", "llvm")

    done = run(command, records, "other", *options)

    assert (done.code, done.out) == (1, "")
    assert "the records are of 2 targets, whose times cannot be compared" in done.err


@needs_tvm
def test_what_two_folders_have_of_a_task_is_one_task(run, records, write_records, weights):
    write_records("more", count=4, tasks=1)

    done = run("evaluate", records, "more", "-w", weights, "--measured", "0", "-f", "csv")

    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [(row["task"], row["candidates"]) for row in rows] == [
        ("flat-2", "8"),
        ("square-16", "8"),
        ("square-8", "12"),
    ]


# --- train ---


def header_of(path: Path | str) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["costmodel"])


@needs_tvm
def test_weights_say_what_they_come_from(run, records):
    done = run("train", records, "-o", WEIGHTS, *TINY, "--seed", "7", "--without", "square-1*", "--without", "flat")

    assert done.code == 0
    header = header_of(WEIGHTS)
    provenance = header["provenance"]
    assert (header["members"], header["model"]["trunk"]["dim"], header["model"]["trunk"]["depth"]) == (2, 16, 1)
    assert (provenance["tasks"], provenance["candidates"], provenance["seeds"]) == (["square-8"], 8, [7, 8])
    assert [json.loads(target)["num-cores"] for target in provenance["targets"]] == [1]
    assert provenance["versions"]["torch"] == torch.__version__.partition("+")[0] or provenance["versions"]["torch"]
    assert provenance["fit"]["steps"] == 20
    assert len(provenance["final_losses"]) == 2
    assert all(0 < loss < 100 for loss in provenance["final_losses"])
    assert not Path(PARTIAL).exists()


@needs_tvm
def test_members_differ_and_a_seed_repeats_them(run, weights, records):
    run("train", records, "-o", "again.safetensors", *TINY)
    first, again = load_file(weights), load_file("again.safetensors")

    assert all(torch.equal(first[name], again[name]) for name in first)
    name = next(name for name in first if name.startswith("0.trunk") and name.endswith("weight"))
    assert not torch.equal(first[name], first["1" + name[1:]])


@needs_tvm
def test_training_starts_from_other_weights(run, weights, records):
    done = run("train", records, "-o", "next.safetensors", "--from", weights, "--members", "3", "--steps", "1")
    refused = run("train", records, "-o", "next.safetensors", "--from", weights, "--dim", "32")

    assert done.code == 0
    before, after = load_file(weights), load_file("next.safetensors")
    assert header_of("next.safetensors")["model"] == header_of(weights)["model"]
    assert header_of("next.safetensors")["provenance"]["start_from"] == str(weights)
    for member, start in (("0.", "0."), ("1.", "1."), ("2.", "0.")):
        moved = torch.cat([(after[n] - before[start + n[2:]]).abs().flatten() for n in after if n.startswith(member)])
        assert 0 < moved.max() < 0.1
    assert refused.code == 2
    assert "leave out --dim and --depth" in refused.err


@pytest.fixture
def fits(monkeypatch):
    """The seeds that members are trained with; the one in ``stop_at`` is interrupted halfway."""
    from costmodel.integrations.tvm.learning import pretraining

    class Fits(list):
        stop_at: int | None = None

    found, fit = Fits(), pretraining.fit_candidates

    def noted(model, tasks, config, on_step):
        found.append(config.seed)

        def press(step, loss):
            if found.stop_at == config.seed and step == config.steps // 2:
                press_ctrl_c()
            on_step(step, loss)

        return fit(model, tasks, config, press)

    monkeypatch.setattr(pretraining, "fit_candidates", noted)
    return found


@needs_tvm
def test_interrupted_training_goes_on_with_the_next_member(run, weights, records, fits):
    train = ("train", records, "-o", "stopped.safetensors", *TINY)
    fits.stop_at = 1

    stopped = run(*train)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err == "warning: stopped. Members that are finished are kept; run the same command again to go on.\n"
    assert not Path("stopped.safetensors").exists()
    assert header_of(".stopped.safetensors.partial")["provenance"]["settings"]["steps"] == 20

    fits.stop_at = None
    done = run(*train)

    assert done.code == 0
    assert fits == [0, 1, 1], "the first member is not trained again"
    assert not Path(".stopped.safetensors.partial").exists()
    whole, resumed = load_file(weights), load_file("stopped.safetensors")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert header_of("stopped.safetensors") == header_of(weights)


@needs_tvm
@pytest.mark.parametrize(
    ("options", "differing"),
    [
        (("--steps", "10"), "steps"),
        (("--dim", "32"), "shape"),
        (("--seed", "1"), "seed"),
        (("--without", "flat"), "records"),
        (("--from", WEIGHTS), "start_from"),
    ],
)
def test_a_run_with_other_settings_starts_anew_and_says_so(run, weights, records, fits, options, differing):
    fits.stop_at = 1
    run("train", records, "-o", "w.safetensors", *TINY)
    fits.stop_at = None
    fits.clear()
    tiny = TINY[:4] if "--from" in options else TINY

    done = run("train", records, "-o", "w.safetensors", *tiny, *options)

    assert done.code == 0
    assert f"had other settings ({differing}); training starts anew" in done.err
    assert fits == ([1, 2] if differing == "seed" else [0, 1])


@needs_tvm
def test_more_members_of_the_same_run_go_on_from_those_there_are(run, records, fits):
    fits.stop_at = 1
    run("train", records, "-o", WEIGHTS, *TINY)
    fits.stop_at = None

    assert run("train", records, "-o", WEIGHTS, *TINY, "--members", "3").code == 0
    assert fits == [0, 1, 1, 2]


@needs_tvm
def test_fewer_members_of_the_same_run_are_those_that_come_first(run, weights, records, fits):
    fits.stop_at = 2
    run("train", records, "-o", "w.safetensors", *TINY, "--members", "3")
    fits.clear()

    assert run("train", records, "-o", "w.safetensors", *TINY, "--members", "1").code == 0
    assert fits == []
    first, both = load_file("w.safetensors"), load_file(weights)
    assert first.keys() == {name for name in both if name.startswith("0.")}
    assert all(torch.equal(first[name], both[name]) for name in first)


@needs_tvm
@pytest.mark.parametrize("field", ["name", "run_secs", "candidates"])
def test_members_that_learned_from_other_records_are_not_gone_on_from(tasks, fits, tmp_path, field):
    from costmodel.integrations.tvm.learning import CandidateFitConfig
    from costmodel.integrations.tvm.learning.pretraining import train_members
    from costmodel.integrations.tvm.model import CandidateModelConfig

    first = tasks[0]
    others = {"name": "other", "run_secs": 2 * first.run_secs, "candidates": first.candidates[::-1]}
    shape, config = CandidateModelConfig.of_size(16, 1), CandidateFitConfig(steps=2)
    for of_run in (tasks, tasks, [replace(first, **{field: others[field]}), *tasks[1:]]):
        train_members(of_run, shape, config, members=1, checkpoint=tmp_path / "checkpoint")

    assert len(fits) == 2


@needs_tvm
def test_a_damaged_checkpoint_is_not_gone_on_from(run, records, fits):
    Path(PARTIAL).write_bytes(b"what a crash left")

    done = run("train", records, "-o", WEIGHTS, *TINY)

    assert (done.code, fits) == (0, [0, 1])
    assert "training starts anew" in done.err


@needs_tvm
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--without", "square", "--without", "flat"), 1, "no task is left to learn from"),
        (("--without", "cube"), 2, "unknown task 'cube'"),
        (("--dim", "3"), 2, "expected --dim to be a multiple of 4"),
        (("--from", "nnformer-nowhere"), 2, "unknown cost model 'nnformer-nowhere'"),
        (("--target", "lvm"), 2, 'Target kind "lvm" is not defined'),
        (("-o", "records/database_workload.json/w.safetensors"), 2, "cannot make the folder"),
        (("-o", "records"), 2, "records"),
    ],
)
def test_what_cannot_be_trained(run, records, fits, options, code, message):
    done = run("train", records, "-o", WEIGHTS, *(TINY[:4] if "--from" in options else TINY), *options)

    assert (done.code, done.out, fits) == (code, "", [])
    assert message in done.err


@needs_tvm
def test_a_task_with_one_candidate_is_left_out_and_named(run, records, write_records):
    shutil.rmtree(records)
    write_records(records, count=1)
    write_records(records, count=2, tasks=2)

    done = run("train", records, "-o", WEIGHTS, *TINY)

    assert done.code == 0
    assert "left out, since fewer than two candidates ran: flat-2" in done.err
    assert header_of(WEIGHTS)["provenance"]["tasks"] == ["square-16", "square-8"]


@needs_tvm
def test_training_from_python_checks_what_it_is_given(tasks):
    from costmodel.integrations.tvm.learning import CandidateFitConfig
    from costmodel.integrations.tvm.learning.pretraining import train_members
    from costmodel.integrations.tvm.model import CandidateModel, CandidateModelConfig

    shape, config = CandidateModelConfig.of_size(16, 1), CandidateFitConfig(steps=3, seed=4)
    with pytest.raises(UsageError, match="at least one member"):
        train_members(tasks, shape, config, members=0)
    with pytest.raises(UsageError, match="another shape"):
        train_members(tasks, shape, config, start_from=[CandidateModel(CandidateModelConfig.of_size(32, 1))])
    with pytest.raises(DataError, match="got no task"):
        train_members([], shape, config)
    with pytest.raises(DataError, match="square-8 1"):
        train_members([*tasks, tasks[-1].subset([0])], shape, config)
    steps = []

    trained = train_members(tasks, shape, config, members=2, on_step=lambda *step: steps.append(step))

    assert trained.seeds == (4, 5)
    assert [step[:2] for step in steps] == [(member, step) for member in (0, 1) for step in (1, 2, 3)]
    assert trained.final_losses == pytest.approx([np.mean([s[2] for s in steps if s[0] == m]) for m in (0, 1)])
    before = [parameter.clone() for parameter in trained.members[0].parameters()]
    train_members(tasks, shape, config, members=1, start_from=trained.members)
    assert all(map(torch.equal, before, trained.members[0].parameters())), "what is started from stays as it is"


# --- evaluate ---

SCORES = ("pair_accuracy", "top_1", "top_5")


@needs_tvm
def test_weights_that_cannot_be_used(run, weights, records):
    tensors, header = load_file(weights), header_of(weights)
    header["feature_schema"] = "0123456789abcdef"
    save_file(tensors, "other.safetensors", {"costmodel": json.dumps(header)})
    Path("damaged.safetensors").write_bytes(weights.read_bytes()[:-100])
    save_file(tensors, "foreign.safetensors")

    for name, code, message in (
        ("other.safetensors", 1, "was trained on features 0123456789abcdef"),
        ("damaged.safetensors", 1, "damaged.safetensors cannot be read as weights"),
        ("foreign.safetensors", 1, "foreign.safetensors holds no cost model of candidates"),
        ("missing.safetensors", 2, "unknown cost model 'missing.safetensors'"),
    ):
        for command in (("evaluate", records, "-w", name), ("train", records, "-o", "new.safetensors", "--from", name)):
            done = run(*command)
            assert (done.code, done.out) == (code, "")
            assert message in done.err


@needs_tvm
def test_scores_as_a_table_in_a_file(run, weights, records):
    done = run("evaluate", records, "-w", weights, "--measured", "0", "--measured", "4", "-o", "scores.txt")

    lines = [line.split() for line in Path("scores.txt").read_text().splitlines()]
    assert (done.code, done.out) == (0, "")
    assert [line[:4] for line in lines[:4]] == [
        ["task", "kind", "candidates", "measured"],
        ["flat-2", "flat", "8", "0"],
        ["flat-2", "flat", "8", "4"],
        ["square-16", "square", "8", "0"],
    ]
    assert [line[:3] for line in lines[-2:]] == [["all", "3", "0"], ["all", "3", "4"]]


@needs_tvm
def test_tasks_that_weights_were_trained_on_are_told_of(run, records):
    run("train", records, "-o", WEIGHTS, *TINY, "--without", "flat")
    evaluate = ("evaluate", records, "-w", WEIGHTS, "--measured", "0")

    assert "trained on 2 of these 3 tasks" in run(*evaluate).err
    assert run(*evaluate, "--task", "flat").err == ""


@needs_tvm
def test_more_draws_are_other_scores_where_there_is_something_to_draw(run, weights, records):
    def scores(*options):
        done = run("evaluate", records, "-w", weights, "--measured", "0", "--measured", "5", "-f", "json", *options)
        rows = json.loads(done.out)["tasks"]
        return [[row for row in rows if row["measured"] == measured] for measured in (0, 5)]

    (before, one), (before_again, two) = scores("--seeds", "1"), scores("--seeds", "2")

    assert before == before_again
    assert one != two
    assert scores("--seeds", "2") == [before_again, two]


@needs_tvm
def test_tasks_with_too_few_candidates_are_left_out_and_named(run, weights, records, write_records):
    write_records(records, count=3, tasks=1)

    few = run("evaluate", records, "-w", weights, "--measured", "8", "-f", "csv")
    none = run("evaluate", records, "-w", weights)

    assert few.out.splitlines()[1].startswith("square-8,square,11,8,")
    assert len(few.out.splitlines()) == 2
    assert "left out, with fewer than 10 candidates: flat-2 (8), square-16 (8)" in few.err
    assert (none.code, none.out) == (1, "")
    assert "no task has the 34 candidates that --measured 32 needs" in none.err


@needs_tvm
def test_the_progress_of_reading_is_shown(run, weights, records, monkeypatch):
    monkeypatch.setattr("costmodel.integrations.cli.reading.wants_progress", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")

    done = run("evaluate", records, "-w", weights, "--measured", "0", "-f", "csv")

    assert len(done.out.splitlines()) == 4
    assert "reading records of" in done.err


@pytest.fixture
def tasks(run, records) -> list[Any]:
    """Those of the folder, read."""
    from costmodel.integrations.cli.reading import read_folders

    return read_folders([records], None)[0]


class Oracle:
    """A ranker that is right about everything once it has learned, and wrong about everything before."""

    learned: list[tuple[float, ...]]
    scored: list[tuple[float, ...]]
    tasks: list[Any]

    def __init__(self, members, *, exploration) -> None:
        assert exploration == 0, "what may be fast is no better placed than what should be"
        self._has_learned = False

    def learn(self, task, candidates, run_secs) -> None:
        self._has_learned = bool(candidates)
        Oracle.learned.append(tuple(run_secs))
        assert {self._secs(candidate) for candidate in candidates} == set(run_secs)

    def scores(self, candidates, task):
        Oracle.scored.append(tuple(map(self._secs, candidates)))
        times = np.array([self._secs(candidate) for candidate in candidates])
        return 1 / times if self._has_learned else times

    def _secs(self, candidate) -> float:
        """Times go by the split, so candidates of one task differ."""
        return next(
            float(secs)
            for task in Oracle.tasks
            for known, secs in zip(task.candidates, task.run_secs, strict=True)
            if known is candidate
        )


@needs_tvm
def test_scores_are_of_what_was_not_learned_from(tasks, monkeypatch):
    from costmodel.integrations.tvm.learning import evaluation

    monkeypatch.setattr(evaluation, "CandidateRanker", Oracle)
    Oracle.learned, Oracle.scored, Oracle.tasks = [], [], tasks
    task = tasks[0]

    before = evaluation.score_task((), task)
    after = evaluation.score_task((), task, 3, seeds=4)

    assert (before.pair_accuracy, before.top_1, before.top_5) == (0, pytest.approx(1 / 8), pytest.approx(1 / 4))
    assert (after.pair_accuracy, after.top_1, after.top_5) == (1, 1, 1), "of the five others, the best is found"
    assert (after.task, after.kind, after.candidates, after.measured) == (task.name, task.kind, 8, 3)
    assert [len(run_secs) for run_secs in Oracle.learned] == [0, 3, 3, 3, 3], "without a draw, once is enough"
    assert len(set(Oracle.learned[1:])) == 4, "each draw is another"
    for learned, scored in zip(Oracle.learned, Oracle.scored, strict=True):
        assert sorted(learned + scored) == sorted(task.run_secs)
    Oracle.learned = []
    evaluation.score_task((), task, 3, seeds=2)
    again, Oracle.learned = Oracle.learned, []
    evaluation.score_task((), task, 3, seeds=1, seed=1)
    assert Oracle.learned == again[1:], "a seed repeats a draw"
    for arguments in ({"measured": 7}, {"measured": -1}, {"seeds": 0}):
        with pytest.raises(UsageError):
            evaluation.score_task((), task, **arguments)


@needs_tvm
def test_scoring_leaves_the_models_as_they_are(tasks, weights):
    from costmodel.integrations.tvm.learning.evaluation import score_task
    from costmodel.integrations.tvm.weights import load_weights

    members, _ = load_weights(weights)
    before = score_task(members, tasks[1])

    learned = score_task(members, tasks[1], 5, seeds=1)

    assert 0 <= learned.pair_accuracy <= 1
    assert score_task(members, tasks[1]) == before


@needs_tvm
def test_each_task_counts_the_same_in_a_mean():
    from costmodel.integrations.tvm.learning.evaluation import TaskScore, mean_scores

    scores = [
        TaskScore("a", "conv", 100, 0, 0.5, 0.2, 0.4),
        TaskScore("b", "conv", 10, 0, 0.7, 0.4, 0.6),
        TaskScore("c", "pool", 10, 0, 0.9, 0.9, 0.8),
        TaskScore("c", "pool", 10, 5, None, 1.0, 1.0),
    ]

    assert [astuple(mean) for mean in mean_scores(scores)] == [
        ("conv", 0, 2, pytest.approx(0.6), pytest.approx(0.3), pytest.approx(0.5)),
        ("pool", 0, 1, 0.9, 0.9, 0.8),
        ("pool", 5, 1, None, 1.0, 1.0),
        (None, 0, 3, pytest.approx(0.7), pytest.approx(0.5), pytest.approx(0.6)),
        (None, 5, 1, None, 1.0, 1.0),
    ]
