"""The ``costmodel`` command."""

from costmodel.cli.app import main

__all__ = ["main"]
