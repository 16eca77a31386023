"""The commands of this room: ``costmodel tvm``."""

from costmodel.integrations.cli.tvm import tvm

__all__ = ["tvm"]
