import json
import logging
import os
import resource
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from costmodel.data.journal import Journal, JournalHeader
from costmodel.data.records import Clock, Status, Visit
from costmodel.errors import DataError
from costmodel.platforms.environment import Environment

ENVIRONMENT = Environment(
    cpu="c", logical_cores=1, os="o", kernel="k", python="3", runtime="r", runtime_version="1", threads=1
)
HEADER = JournalHeader(platform="p", environment=ENVIRONMENT, settings={"runs": 3})


def visit(model: str = "m") -> Visit:
    return Visit(
        model=model,
        model_hash="a" * 64,
        batch=1,
        status=Status.OK,
        run_ms=(1.0,),
        clock=Clock.CPU,
        measured_at=datetime.now(UTC),
    )


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "new folder" / "journal.jsonl")
    with journal.writer(HEADER) as writer:
        writer.append(visit("a"))
        writer.append(visit("b"))
    return journal


def models(journal: Journal) -> list[str]:
    return [entry.model for entry in journal.read().visits]


def test_what_was_appended_is_read_back(journal):
    with journal.writer(HEADER) as writer:
        writer.append(visit("a"))

    assert journal.read().header == HEADER
    assert [record.model for record in journal.read().records()] == ["a", "b"]
    assert journal.read().by_model()["a"][1].model == "a"


@pytest.mark.parametrize("cut", [1, 20])
def test_a_torn_last_line_is_skipped_then_removed_and_reported(journal, cut, caplog):
    os.truncate(journal.path, journal.path.stat().st_size - cut)

    assert models(journal) == ["a"]
    assert journal.read().torn_bytes > 0
    with caplog.at_level(logging.WARNING), journal.writer(HEADER) as writer:
        writer.append(visit("c"))
    assert "removed an unfinished last line" in caplog.text
    assert models(journal) == ["a", "c"]
    assert all(json.loads(line) for line in journal.path.read_text().splitlines())


def test_a_torn_header_is_written_again(journal):
    os.truncate(journal.path, 30)

    with journal.writer(HEADER):
        pass

    assert journal.read().header == HEADER


def test_another_file_is_never_overwritten(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("dear diary")

    with pytest.raises(DataError, match="is not a journal"), Journal(path).writer(HEADER):
        pass
    assert path.read_text() == "dear diary"


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(journal):
    lines = journal.path.read_text().splitlines()
    journal.path.write_text("\n".join([lines[0], lines[1][:50], lines[2]]) + "\n")

    with pytest.raises(DataError, match=r"line 2: expected a visit.* Take that line out with a text editor"):
        journal.read()


def test_other_conditions_are_refused_with_both_values(journal):
    other = HEADER.model_copy(update={"settings": {"runs": 5}})

    with pytest.raises(DataError, match=r"settings\.runs was 3, now 5"), journal.writer(other):
        pass


def test_a_full_disk_loses_nothing_measured_before(journal):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = journal.path.read_bytes()
    with journal.writer(HEADER) as writer:
        # Room for a part of the next line only, as when a disk fills up.
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, hard))
        try:
            with pytest.raises(DataError, match=r"cannot append .* Everything measured before is kept"):
                writer.append(visit("c"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert journal.path.read_bytes() == before
        writer.append(visit("d"))
    assert models(journal) == ["a", "b", "d"]


def test_a_second_process_cannot_write(journal):
    script = (
        "import sys; from costmodel.data.journal import Journal, JournalHeader\n"
        "journal = Journal(sys.argv[1])\n"
        "with journal.writer(journal.read().header): pass\n"
    )
    with journal.writer(HEADER):
        second = subprocess.run(
            [sys.executable, "-c", script, journal.path], capture_output=True, text=True, check=False
        )
    assert "another process is writing" in second.stderr

    after = subprocess.run([sys.executable, "-c", script, journal.path], capture_output=True, text=True, check=False)
    assert after.returncode == 0, after.stderr


def test_every_line_is_on_the_disk_before_append_returns(journal, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))

    with journal.writer(HEADER) as writer:
        writer.append(visit("c"))

    assert synced == [journal.path.stat().st_size]
