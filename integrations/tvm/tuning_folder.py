"""What the tuning of one network keeps in a folder, so that it can go on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm_ffi
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from costmodel.errors import DataError, UsageError
from costmodel.files import replaced
from costmodel.integrations.tvm.cost_model import NNFormerCostModel
from costmodel.integrations.tvm.targets import as_json
from costmodel.pretrained.members import fingerprint_of

__all__ = ["TaskState", "TuningFolder", "TuningState"]

_SCHEMA_VERSION = 1
_STATE = "tuning.json"
_RECORDS = "database_tuning_record.json"
"""TVM's name for it."""


class TaskState(BaseModel):
    """How far the tuning of a task has come.

    Attributes:
        untuned_ms: Time of the task as TVM compiles it without tuning; ``None`` while unknown.
        finished_trials: With so many trials allowed it came to its end, whether it took them all or not.
        early_stop: The threshold that it was tuned with then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    untuned_ms: float | None = None
    finished_trials: NonNegativeInt = 0
    early_stop: float | None = None


class TuningState(BaseModel):
    """What is tuned, for what, with what, and how far.

    Attributes:
        schema_version: Of this layout.
        network: Hash of the Relax module, weights included.
        target: As TVM writes it.
        weights: Fingerprint of the cost model that the tuning started with.
        tasks: By hashes of their functions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = _SCHEMA_VERSION
    network: str
    target: str
    weights: str
    tasks: dict[str, TaskState] = {}


@dataclass
class TuningFolder:
    """A folder with TVM's database, the rounds, the cost model as it is by now, and what they belong to.

    Attributes:
        path: The folder.
        state: What is in its ``tuning.json``.
    """

    path: Path
    state: TuningState

    @classmethod
    def open(cls, path: str | Path, module: Any, target: Any, cost_model: NNFormerCostModel) -> TuningFolder:
        """A new folder, or one in which the same tuning was begun.

        ``cost_model`` then goes on with what it had learned, which is in the folder.

        Args:
            path: The folder.
            module: A Relax module that is not legalised.
            target: What to compile it for.
            cost_model: As it is before any tuning.

        Raises:
            UsageError: The folder cannot be made, or is of another network, target or cost model.
            DataError: What is in it is damaged.
            WeightsError: Likewise.
        """
        path = Path(path)
        state = TuningState(
            network=f"{tvm_ffi.structural_hash(module) & (1 << 64) - 1:016x}",
            target=as_json(target),
            weights=fingerprint_of(cost_model.ranker.members),
        )
        file = path / _STATE
        found = _read(file)
        if found is not None:
            _check_same(path, found, state)
        elif (path / _RECORDS).exists():
            raise UsageError(
                f"{path} has tuning records, but no {_STATE} that says of which network. Choose another folder."
            )
        folder = cls(path, found or state)
        if found is None:
            folder._write()
        elif folder.checkpoint.exists():
            cost_model.ranker.restore(folder.checkpoint)
        return folder

    @property
    def checkpoint(self) -> Path:
        """The cost model as the last round left it."""
        return self.path / "model.safetensors"

    @property
    def log(self) -> Path:
        """A JSON line a round."""
        return self.path / "rounds.jsonl"

    @property
    def library(self) -> Path:
        """The compiled network."""
        return self.path / "network.so"

    def task(self, key: str) -> TaskState:
        """How far a task has come."""
        return self.state.tasks.get(key, TaskState())

    def note(self, key: str, **changes: float | None) -> None:
        """Keep new facts about a task.

        Raises:
            UsageError: They cannot be written.
        """
        changed = self.task(key).model_copy(update=changes)
        self.state = self.state.model_copy(update={"tasks": {**self.state.tasks, key: changed}})
        self._write()

    def require_all_records(self, database: Any) -> None:
        """Check that all records of a database are in the folder: TVM says nothing when the disk is full.

        Raises:
            DataError: Some are not.
        """
        count = len(database)
        try:
            lines = (self.path / _RECORDS).read_bytes().count(b"\n")
        except OSError:
            lines = 0
        if lines < count:
            raise DataError(
                f"{self.path / _RECORDS} has {lines} of {count} records; is the disk full? Make room, remove the last "
                "line if it is cut short, and run the same again to go on."
            )

    def _write(self) -> None:
        try:
            with replaced(self.path / _STATE) as partial:
                partial.write_text(self.state.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"cannot write in the folder {self.path}: {error.strerror}. Make room, or choose another folder."
            ) from error


def _read(file: Path) -> TuningState | None:
    try:
        return TuningState.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}. Choose another folder.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"{file} is damaged, or of another release ({'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}). "
            "Choose another folder."
        ) from error


def _check_same(path: Path, found: TuningState, expected: TuningState) -> None:
    if found.schema_version != expected.schema_version:
        raise DataError(
            f"{path / _STATE}: expected schema version {_SCHEMA_VERSION}, got {found.schema_version}; use the release "
            "that wrote it."
        )
    differing = {
        "network": "of another network (or of this one with other weights or sizes)",
        "target": f"for {found.target}, not for {expected.target}",
        "weights": "with another cost model",
    }
    for name, what in differing.items():
        if getattr(found, name) != getattr(expected, name):
            raise UsageError(f"{path} holds a tuning {what}. Choose another folder, or give it the same again.")
