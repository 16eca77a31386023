"""Runs Olive with what this package adds to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olive.engine.footprint import FootprintNode
from olive.package_config import OlivePackageConfig
from olive.workflows import run

from costmodel.errors import DataError
from costmodel.integrations.onnxruntime.olive import latency_evaluator  # noqa: F401  # which registers itself
from costmodel.integrations.onnxruntime.olive.session_pass import CostModelSession

__all__ = ["package_config", "run_workflow"]


def package_config() -> dict[str, Any]:
    """Olive's list of passes and :class:`CostModelSession`; what ``olive run --package-config`` reads as JSON."""
    config: dict[str, Any] = json.loads(Path(OlivePackageConfig.get_default_config_path()).read_text(encoding="utf-8"))
    anything = ["*"]
    config["passes"][CostModelSession.__name__] = {
        "module_path": f"{CostModelSession.__module__}.{CostModelSession.__name__}",
        "supported_providers": anything,
        "supported_accelerators": anything,
        "supported_precisions": anything,
    }
    return config


def run_workflow(config: Mapping[str, Any] | str | Path) -> Any:
    """Run a workflow of Olive's that may use the evaluator and the pass of this package.

    Args:
        config: As for ``olive.workflows.run``: the workflow, or the JSON file with it.

    Returns:
        Olive's ``WorkflowOutput``.

    Raises:
        DataError: The file cannot be read.
    """
    FootprintNode.update = _update_by_alias
    return run(_read(config), package_config=package_config())


def _update_by_alias(node: FootprintNode, **fields: Any) -> None:
    """In place of the method of Olive 0.13, which sets a field by a name that only its constructor knows.

    Without it, every step of a search fails that shares its first passes with an earlier one.
    """
    names = {info.alias or name: name for name, info in FootprintNode.model_fields.items()}
    for name, value in fields.items():
        setattr(node, names.get(name, name), value)


def _read(config: Mapping[str, Any] | str | Path) -> dict[str, Any]:
    if isinstance(config, Mapping):
        return dict(config)
    try:
        read: dict[str, Any] = json.loads(Path(config).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the workflow {config}: {error}.") from error
    return read
