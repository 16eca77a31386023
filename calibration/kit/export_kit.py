"""Models and all it takes to time them, as a folder or a zip file that a device can be given."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from costmodel.calibration.kit.destination import open_destination
from costmodel.calibration.kit.instructions import instructions
from costmodel.calibration.kit.manifest import MANIFEST_FILE, KitModel, KitSettings, Manifest
from costmodel.calibration.shapes import fix_batch
from costmodel.calibration.sources import ModelSource
from costmodel.data.weightless import graph_hash
from costmodel.errors import UsageError

__all__ = ["export_kit"]


def export_kit(
    sources: Sequence[ModelSource],
    destination: Path,
    *,
    batch: int | None = None,
    threads: int = 1,
    visits: int = 5,
    runs: int = 3,
    progress: Callable[[str], None] | None = None,
) -> Manifest:
    """Write a kit, whole or not at all.

    The models in it are those that a :class:`~costmodel.calibration.Campaign` would hand to its measurer, to the byte.

    Args:
        sources: The models; their names must differ.
        destination: Where to; a name that ends in ``.zip`` makes a zip file, any other a folder.
        batch: Batch to run at; ``None`` for each model's own, 1 where that is symbolic.
        threads: Threads that one model is to be run with.
        visits: Visits to each model.
        runs: Timed runs in a visit.
        progress: Called with the name of each model that was written.

    Returns:
        What the kit holds.

    Raises:
        UsageError: No models, two of one name, a number below 1, or ``destination`` is taken.
        DataError: It cannot be written.
        CostModelError: A model cannot be read or made, or its batch cannot be fixed.
    """
    _check(sources, {"batch": batch, "threads": threads, "visits": visits, "runs": runs})
    with open_destination(destination) as write:
        models = []
        for source, file in zip(sources, _file_names(sources), strict=True):
            model, content = _prepared(source, file, batch)
            write(file, content)
            models.append(model)
            if progress is not None:
                progress(source.name)
        manifest = Manifest(
            costmodel_version=version("nnformer-costmodel"),
            settings=KitSettings(threads=threads, visits=visits, runs=runs),
            models=tuple(models),
        )
        write("run.py", files("costmodel.calibration.kit").joinpath("runner.py").read_bytes())
        write("README.txt", instructions(manifest, destination.name.removesuffix(".zip")).encode())
        write(MANIFEST_FILE, manifest.model_dump_json(indent=2).encode())
    return manifest


def _check(sources: Sequence[ModelSource], numbers: dict[str, int | None]) -> None:
    if not sources:
        raise UsageError("nothing to export: expected at least one model.")
    twice = [name for name, count in Counter(source.name for source in sources).items() if count > 1]
    if twice:
        raise UsageError(f"several models are called {', '.join(twice)}; results are filed by name, so rename them.")
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise UsageError(f"expected {name} of at least 1, got {number}.")


def _prepared(source: ModelSource, file: str, batch: int | None) -> tuple[KitModel, bytes]:
    model = source.load()
    unfixed_hash = graph_hash(model)
    fixed_batch = fix_batch(model, batch)
    content = model.SerializeToString()
    entry = KitModel(
        name=source.name,
        file=file,
        sha256=sha256(content).hexdigest(),
        graph_hash=unfixed_hash,
        batch=fixed_batch,
    )
    return entry, content


def _file_names(sources: Sequence[ModelSource]) -> list[str]:
    """A file for each model: its name as far as every system takes it, behind its number where two would clash."""
    stems = [re.sub(r"[^\w.-]", "_", source.name, flags=re.ASCII) for source in sources]
    if len({stem.lower() for stem in stems}) < len(stems):
        stems = [f"{number:03d}-{stem}" for number, stem in enumerate(stems)]
    return [f"models/{stem}.onnx" for stem in stems]
