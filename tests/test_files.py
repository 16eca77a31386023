from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from costmodel.files import replaced, save_tensors


def test_a_file_is_replaced_when_all_is_well(tmp_path: Path):
    path = tmp_path / "new" / "file"
    for text in ("first", "second"):
        with replaced(path) as partial:
            partial.write_text(text)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_what_goes_wrong_leaves_the_file_as_it_was(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("first")
    with pytest.raises(KeyboardInterrupt), replaced(path) as partial:
        partial.write_text("half of the sec")
        raise KeyboardInterrupt
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_writers_at_the_same_time_do_not_mix(tmp_path: Path):
    path = tmp_path / "file"
    texts = [letter * 100_000 for letter in "ab"]

    def write_often(text: str) -> None:
        for _ in range(30):
            with replaced(path) as partial:
                partial.write_text(text)
            assert path.read_text() in texts

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write_often, texts))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_others_may_read_it_whatever_its_writer_would_rather(tmp_path: Path):
    path, plain = tmp_path / "file", tmp_path / "plain"
    plain.touch()

    with replaced(path) as partial:
        partial.write_text("first")
        partial.chmod(0o600)

    assert path.stat().st_mode == plain.stat().st_mode


def test_tensors_are_replaced_as_a_whole_and_a_full_disk_is_an_error_of_the_system(tmp_path: Path, monkeypatch):
    path = tmp_path / "new" / "tensors"
    save_tensors({"a": torch.ones(2)}, path, {"told": "once"})

    def full(*_):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="No space left on device") as refused:
        save_tensors({"a": torch.zeros(2)}, path)
    assert (refused.value.errno, refused.value.filename) == (errno.ENOSPC, str(path))
    assert load_file(path)["a"].tolist() == [1, 1]
    assert list(path.parent.iterdir()) == [path]
