"""A profile as one HTML page."""

from __future__ import annotations

from costmodel.integrations.torch.report.page import page_of

__all__ = ["page_of"]
