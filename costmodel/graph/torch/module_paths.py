"""Which module a traced node comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from torch import nn
from torch.fx import traceback as fx_traceback

__all__ = ["recorded_paths"]


@contextmanager
def recorded_paths(module: nn.Module, running: list[str] | None = None) -> Iterator[None]:
    """While the context lasts, nodes of ``make_fx`` are told the module they come from, in ``meta["nn_module_stack"]``.

    Args:
        module: The module that is run.
        running: Where the paths of the modules at work are kept, the innermost last.  After an error it stays so.
    """
    running = [] if running is None else running
    with fx_traceback.preserve_node_meta(), ExitStack() as hooks:
        paths: dict[nn.Module, list[str]] = {}
        for path, part in module.named_modules(remove_duplicate=False):
            paths.setdefault(part, []).append(path)
        for part, of_part in paths.items():
            hooks.callback(part.register_forward_pre_hook(_entering(of_part, running)).remove)
            hooks.callback(part.register_forward_hook(_leaving(running)).remove)
        yield


def _entering(paths: Sequence[str], running: list[str]) -> Callable[..., None]:
    def enter(part: nn.Module, arguments: object) -> None:
        del arguments
        inside = f"{running[-1]}." if running and running[-1] else ""
        path = next((path for path in paths if path.startswith(inside)), paths[0])
        running.append(path)
        fx_traceback.current_meta["nn_module_stack"] = {path: (path, type(part))}

    return enter


def _leaving(running: list[str]) -> Callable[..., None]:
    def leave(part: nn.Module, arguments: object, result: object) -> None:
        del part, arguments, result
        running.pop()
        path = running[-1] if running else ""
        fx_traceback.current_meta["nn_module_stack"] = {path: (path, nn.Module)}

    return leave
