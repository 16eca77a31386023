"""Where other tools ask costmodel: one package a tool, each imports its tool and nothing of the others."""

__all__: list[str] = []
