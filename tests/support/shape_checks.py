"""Checks the shapes in the annotations of every function of the rooms that hold tensors."""

from __future__ import annotations

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

ROOMS = (
    "costmodel.features",
    "costmodel.model",
    "costmodel.pretrained",
    *(
        f"costmodel.training.{module}"
        for module in ("loop", "losses", "metrics", "prior_fit", "report", "training_set")
    ),
    *(f"costmodel.integrations.tvm.{room}" for room in ("candidate", "learning", "model", "ranker", "records")),
)

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def install() -> None:
    """From here on, importing a room of :data:`ROOMS` adds the checks."""
    install_import_hook(ROOMS, "shape_checks.checked")
