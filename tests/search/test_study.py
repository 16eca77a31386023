"""A search finds what is accurate and fast, and goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from costmodel.errors import DataError, UsageError
from costmodel.search import Candidate, Objectives, SearchSettings, SearchStudy, hypervolume
from costmodel.spaces import NASBench201

pytest.importorskip("optuna", reason="pip install 'nnformer-costmodel[search]'")

COST = {"none": 0.0, "skip_connect": 0.0, "nor_conv_1x1": 1.0, "nor_conv_3x3": 4.0, "avg_pool_3x3": 1.5}
WORTH = {"none": 0.0, "skip_connect": 1.0, "nor_conv_1x1": 4.0, "nor_conv_3x3": 6.0, "avg_pool_3x3": 0.5}


class MadeUp(Objectives):
    space = NASBench201()

    def __init__(self, fails_at: int | None = None) -> None:
        self.judged: list[str] = []
        self._fails_at = fails_at

    def of(self, archs):
        if self._fails_at is not None and len(self.judged) >= self._fails_at:
            raise KeyboardInterrupt
        self.judged += archs
        return [Candidate(arch, self._sum(arch, WORTH), 1 + self._sum(arch, COST)) for arch in archs]

    def _sum(self, arch, table):
        decisions = self.space.decisions_of(arch)
        names = self.space.operations[2:]
        return sum(table[names[option]] for option in decisions)

    @property
    def identity(self):
        return {"made": "up"}


def searched(sampler: str, seed: int, proposals: int = 400) -> SearchStudy:
    study = SearchStudy(MadeUp(), SearchSettings(sampler=sampler, population=20, seed=seed))
    study.run(proposals)
    return study


def test_evolution_finds_more_than_chance():
    volumes = {
        sampler: sum(hypervolume(searched(sampler, seed).front, 0, 26) for seed in range(3))
        for sampler in ("nsga2", "random")
    }
    assert volumes["nsga2"] > 1.02 * volumes["random"]


def test_nothing_is_judged_twice_and_all_count():
    objectives = MadeUp()
    study = SearchStudy(objectives, SearchSettings(population=20))
    told: list[int] = []
    study.run(70, told.append)
    assert told == [20, 40, 60, 70]
    assert len(study) == 70
    assert len(set(objectives.judged)) == len(objectives.judged) == len(study.candidates)
    assert set(study.front) <= set(study.candidates)
    study.run(50)
    assert len(study) == 70


def test_the_seed_decides():
    assert searched("nsga2", 1, 60).candidates == searched("nsga2", 1, 60).candidates
    assert searched("nsga2", 1, 60).candidates != searched("nsga2", 2, 60).candidates


def test_an_interrupted_search_goes_on(tmp_path: Path):
    journal, settings = tmp_path / "run" / "study.journal", SearchSettings(population=10)
    first = SearchStudy(MadeUp(fails_at=25), settings, journal)
    with pytest.raises(KeyboardInterrupt):
        first.run(100)
    known = len(first)

    objectives = MadeUp()
    second = SearchStudy(objectives, settings, journal)
    assert len(second) == known == 30
    assert second.candidates == first.candidates
    second.run(60)

    assert len(second) == 60
    assert not {one.arch for one in first.candidates} & set(objectives.judged)
    assert len(SearchStudy(MadeUp(), settings, journal)) == 60


def test_a_journal_of_another_search_is_refused(tmp_path: Path):
    SearchStudy(MadeUp(), SearchSettings(), tmp_path / "study.journal").run(5)
    with pytest.raises(UsageError, match="another search"):
        SearchStudy(MadeUp(), SearchSettings(seed=1), tmp_path / "study.journal")


def test_a_last_line_that_was_cut_off_costs_nothing_else(tmp_path: Path):
    journal = tmp_path / "study.journal"
    study = SearchStudy(MadeUp(), journal=journal)
    study.run(30)
    with journal.open("ab") as stream:
        stream.write(b'{"op_code": 4, "wor')

    again = SearchStudy(MadeUp(), journal=journal)
    assert again.candidates == study.candidates
    again.run(40)
    assert len(SearchStudy(MadeUp(), journal=journal)) == 40


@pytest.mark.parametrize("damaged", [b"no journal at all\n", b'{"op_code": 99}\n', b"\xff\xfe\n", b"[]\n"])
def test_a_damaged_journal_is_told(tmp_path: Path, damaged: bytes):
    journal = tmp_path / "study.journal"
    journal.write_bytes(damaged)

    with pytest.raises(DataError, match=r"study\.journal is damaged .* or use another folder"):
        SearchStudy(MadeUp(), journal=journal)
