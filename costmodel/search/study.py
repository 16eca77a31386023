"""A search that is kept on disk: Optuna proposes, predictions judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, PositiveInt

from costmodel.errors import DataError, MissingDependencyError, UsageError
from costmodel.files import split_torn_line
from costmodel.search.front import Candidate, pareto_front
from costmodel.search.objectives import Objectives

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.storages import JournalStorage

__all__ = ["SearchSettings", "SearchStudy"]

_NAME = "search"
_IDENTITY, _ARCH = "identity", "arch"
_UNREADABLE = (ValueError, KeyError, TypeError, AssertionError)
"""What Optuna raises of lines that are no lines of a journal."""


class SearchSettings(BaseModel):
    """How to search.

    Attributes:
        sampler: ``"nsga2"``, the evolutionary NSGA-II of Deb et al. 2002, or ``"random"``.
        population: Architectures a generation.
        seed: Of what is proposed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampler: Literal["nsga2", "random"] = "nsga2"
    population: PositiveInt = 50
    seed: int = 0


class SearchStudy:
    """Architectures that were proposed so far, and how to go on.

    Args:
        objectives: What is searched by.
        settings: How.
        journal: File that keeps the search as it goes; where it is there, the search goes on from it.

    Raises:
        MissingDependencyError: Optuna is not installed.
        UsageError: The journal is that of a search by other predictions or settings.
        DataError: The journal is damaged beyond a last line that was cut off.
    """

    def __init__(
        self, objectives: Objectives, settings: SearchSettings | None = None, journal: Path | None = None
    ) -> None:
        self._objectives = objectives
        self._settings = settings or SearchSettings()
        self._known: dict[str, Candidate] = {}
        self._study = self._open(journal)
        for trial in self._completed():
            accuracy_percent, latency_ms = trial.values
            arch = trial.user_attrs[_ARCH]
            self._known[arch] = Candidate(arch, accuracy_percent, latency_ms)

    def __len__(self) -> int:
        """Proposals that were judged; some came twice."""
        return len(self._completed())

    @property
    def candidates(self) -> list[Candidate]:
        """Every architecture that was judged, in the order in which they came."""
        return list(self._known.values())

    @property
    def front(self) -> list[Candidate]:
        """The best of them, the fastest first."""
        return pareto_front(self._known.values())

    def run(self, proposals: int, on_progress: Callable[[int], None] | None = None) -> None:
        """Go on until so many proposals were judged, those of earlier runs included.

        Args:
            proposals: How many.
            on_progress: Called with how many there are after each generation.

        Raises:
            OSError: The journal cannot be written; what it holds by then is not lost.
        """
        from optuna.distributions import CategoricalDistribution

        space = self._objectives.space
        decisions = {f"decision{i}": CategoricalDistribution(range(n)) for i, n in enumerate(space.choices)}
        while (done := len(self)) < proposals:
            trials = self._ask(decisions, min(self._settings.population, proposals - done))
            archs = [space.arch_of([trial.params[name] for name in decisions]) for trial in trials]
            fresh = [arch for arch in dict.fromkeys(archs) if arch not in self._known]
            self._known.update((found.arch, found) for found in self._objectives.of(fresh))
            for trial, arch in zip(trials, archs, strict=True):
                trial.set_user_attr(_ARCH, arch)
                _, accuracy_percent, latency_ms = self._known[arch]
                self._study.tell(trial, [accuracy_percent, latency_ms])
            if on_progress is not None:
                on_progress(len(self))

    def _ask(self, decisions: Mapping[str, BaseDistribution], count: int) -> list[optuna.Trial]:
        """Proposals that the space allows; the others count as failed, and evolution goes on without them."""
        from optuna.trial import TrialState

        trials: list[optuna.Trial] = []
        while len(trials) < count:
            trial = self._study.ask(dict(decisions))
            if self._objectives.space.allows([trial.params[name] for name in decisions]):
                trials.append(trial)
            else:
                self._study.tell(trial, state=TrialState.FAIL)
        return trials

    def _completed(self) -> list[optuna.trial.FrozenTrial]:
        from optuna.trial import TrialState

        trials: list[optuna.trial.FrozenTrial] = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return trials

    def _open(self, journal: Path | None) -> optuna.Study:
        try:
            import optuna
        except ImportError as error:
            raise MissingDependencyError("optuna", "search", "searching") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            study = optuna.create_study(
                study_name=_NAME,
                storage=None if journal is None else _journal_storage(journal),
                directions=["maximize", "minimize"],
                load_if_exists=True,
            )
        except _UNREADABLE as error:
            raise DataError(f"{journal} is damaged ({error}). Remove it, or use another folder.") from error
        identity = json.dumps({**self._objectives.identity, **self._settings.model_dump()}, sort_keys=True)
        if study.user_attrs.get(_IDENTITY, identity) != identity:
            raise UsageError(
                f"{journal} is the journal of another search: its predictors, platform or settings differ. "
                "Use another folder."
            )
        study.set_user_attr(_IDENTITY, identity)
        done = len(study.trials)
        # What was drawn before an interruption is not drawn again.
        seed = self._settings.seed + 1_000_003 * done
        if self._settings.sampler == "random":
            study.sampler = optuna.samplers.RandomSampler(seed=seed)
        else:
            study.sampler = optuna.samplers.NSGAIISampler(population_size=self._settings.population, seed=seed)
        return study


def _journal_storage(journal: Path) -> JournalStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    journal.parent.mkdir(parents=True, exist_ok=True)
    if journal.exists():
        _drop_half_a_line(journal)
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=JournalFileOpenLock(str(journal))))


def _drop_half_a_line(journal: Path) -> None:
    """What was being written when a search was killed, or the disk was full, would make the next line unreadable."""
    with journal.open("r+b") as stream:
        whole, _ = split_torn_line(stream.read())
        stream.truncate(len(whole))
