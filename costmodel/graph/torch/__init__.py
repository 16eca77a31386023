"""Torch models → :class:`~costmodel.graph.OpGraph`.  The only room of ``graph`` that imports torch."""

from __future__ import annotations

from costmodel.graph.torch.export import from_torch, is_traced, stand_in
from costmodel.graph.torch.fx_reader import from_fx
from costmodel.graph.torch.module_paths import recorded_paths

__all__ = ["from_fx", "from_torch", "is_traced", "recorded_paths", "stand_in"]
