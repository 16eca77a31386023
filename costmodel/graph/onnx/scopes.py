"""Which module of the source program a node was written in."""

from __future__ import annotations

import ast

import onnx

__all__ = ["scope_of"]

_NAME_SCOPES = "pkg.torch.onnx.name_scopes"


def scope_of(node: onnx.NodeProto) -> str:
    """Path of the torch module that ``node`` comes from, e.g. ``"layer1.0.conv1"``; empty when unknown.

    The newer torch exporter writes the path into the node's metadata, the older one into its name.
    """
    for entry in node.metadata_props:
        if entry.key == _NAME_SCOPES:
            return _innermost(entry.value)
    return _from_name(node.name)


def _innermost(written_list: str) -> str:
    """The last module in ``"['', 'layer1', 'layer1.0', 'conv2d_3']"``; the last entry is the node itself."""
    try:
        scopes = ast.literal_eval(written_list)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""
    if not isinstance(scopes, list) or len(scopes) < 2:
        return ""
    return str(scopes[-2])


def _from_name(name: str) -> str:
    """``"/layer1/layer1.0/conv1/Conv"`` → ``"layer1.0.conv1"``: a container's children repeat its name."""
    if not name.startswith("/"):
        return ""
    path: list[str] = []
    for part in name.split("/")[1:-1]:
        if path and part.startswith(f"{path[-1]}."):
            path[-1] = part
        else:
            path.append(part)
    return ".".join(path)
