from __future__ import annotations

import errno
import subprocess
import sys
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest

from costmodel.cli.commands import PLUGIN_GROUP


@pytest.fixture
def plugins(monkeypatch, tmp_path):
    """Three plug-ins: one works, one cannot be imported, one is no command."""
    (tmp_path / "good_plugin.py").write_text(
        "import logging\n"
        "def greet(name: str, loud: bool = False) -> None:\n"
        '    """Greet somebody."""\n'
        "    logging.getLogger('costmodel.greet').info('greeting')\n"
        "    logging.getLogger('costmodel.greet').warning('careful')\n"
        "    print(f'hello {name}' + '!' * loud)\n"
    )
    (tmp_path / "bad_plugin.py").write_text("import a_package_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = [
        EntryPoint("greet", "good_plugin:greet", PLUGIN_GROUP),
        EntryPoint("broken", "bad_plugin:run", PLUGIN_GROUP),
        EntryPoint("number", "math:pi", PLUGIN_GROUP),
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found)


def test_the_version(run):
    assert run("--version").out == f"costmodel {version('nnformer-costmodel')}\n"


def test_a_plugin_is_a_command_like_any_other(run, plugins):
    assert run("greet", "you", "--loud").out == "hello you!\n"
    assert "Greet somebody" in run("--help").out
    assert run("greet").code == 2


def test_a_broken_plugin_is_told_only_when_asked_for(run, plugins):
    listing = run("--help")
    assert (listing.code, listing.err) == (0, "")
    assert "a_package_nobody_has" not in run("greet", "you").err
    done = run("broken", "with", "--arguments")
    assert done.code == 1
    assert "a_package_nobody_has" in done.err
    assert "'math:pi', which cannot be loaded" in run("number").err


def test_an_unknown_command_gets_suggestions_plugins_included(run, plugins):
    for typed, meant in (("predct", "predict"), ("great", "greet")):
        done = run(typed)
        assert (done.code, done.out) == (2, "")
        assert f"Did you mean {meant}" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("greet", "you"), "warning: careful\n"),
        (("-v", "greet", "you"), "info: greeting\nwarning: careful\n"),
        (("greet", "you", "-v"), "info: greeting\nwarning: careful\n"),
        (("greet", "you", "--debug"), "info: greeting\nwarning: careful\n"),
        (("greet", "you", "-q"), ""),
        (("-q", "greet", "you"), ""),
    ],
)
def test_verbosity_goes_before_or_after_the_command(run, plugins, arguments, said):
    done = run(*arguments)
    assert (done.out, done.err) == ("hello you\n", said)


@pytest.mark.parametrize(("error", "code"), [(KeyError("lost"), 1), (RecursionError(), 1), (KeyboardInterrupt(), 130)])
def test_an_unforeseen_error_is_a_message_and_a_code(run, monkeypatch, models, error, code):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("costmodel.graph.load_graph", fail)
    done = run("inspect", models[0])
    assert (done.code, done.out) == (code, "")
    assert ("fault in costmodel" in done.err) == (code == 1)
    assert (done.err == "stopped.\n") == (code == 130)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "No space left on device. Make room, or choose another folder.",
        ),
        (OSError(errno.EROFS, "Read-only file system", "runs"), "runs: Read-only file system. Choose another folder."),
        (OSError(errno.EIO, "Input/output error", "runs"), "runs: Input/output error."),
    ],
)
def test_what_the_machine_refuses_is_no_fault_of_ours(run, monkeypatch, models, error, said):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("costmodel.graph.load_graph", fail)
    done = run("inspect", models[0])
    assert (done.code, done.err) == (1, f"error: {said}\n")


def test_debug_shows_where_an_error_was_raised(run, models):
    done = run("inspect", models[2], "--debug")
    assert done.code == 3
    assert "Traceback" in done.err
    assert "error: " in done.err.splitlines()[-1]


HEAVY = {"numpy", "onnx", "onnxruntime", "pyarrow", "scipy", "torch"}


def imported_by(*arguments: object) -> set[str]:
    """What a process that runs the command has imported when it ends."""
    code = (
        "import sys; from costmodel.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    # Isolated, so that the installed package is imported and not the folder the tests happen to run in.
    command = [sys.executable, "-I", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--help",), ("predict", "--help"), ("measure", "--help")])
def test_help_imports_nothing_heavy(arguments):
    imported = imported_by(*arguments)
    assert "costmodel.cli.app" in imported
    assert not imported & (HEAVY | {"rich"})


def test_listing_the_plugins_imports_the_modules_of_their_commands_alone():
    rooms = ("costmodel.calibration", "costmodel.integrations")
    beneath = {name for name in imported_by("--help") if name.startswith(tuple(f"{room}." for room in rooms))}
    assert {"costmodel.calibration.cli.calibrate", "costmodel.integrations.cli.collect"} <= beneath
    others = {name for name in beneath if not name.startswith(tuple(f"{room}.cli" for room in rooms))}
    # What an option can be is an enum of the room it belongs to.
    assert others <= {"costmodel.integrations.onnxruntime", "costmodel.integrations.onnxruntime.model_format"}


def test_platforms_imports_nothing_heavy():
    assert not imported_by("platforms") & HEAVY


def test_predict_imports_no_more_of_torch_and_onnx_than_it_needs(weights, models):
    imported = imported_by("predict", models[0], "--weights", weights)
    assert {"onnx", "torch"} <= imported
    assert not imported & {"onnx.reference", "onnxruntime", "pyarrow", "scipy", "sympy", "torch._dynamo"}


def test_it_runs_as_a_module_and_fails_cleanly_on_a_full_disk(models):
    command = [sys.executable, "-m", "costmodel", "inspect", str(models[0]), "--batch", "1"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write to stdout: ")
    assert done.stderr.count("\n") == 1
