"""Models whose predictions are averaged: told from all others, and side by side in one file of tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from torch import Tensor, nn

__all__ = ["fingerprint_of", "restored_members", "tensors_of"]

_Member = TypeVar("_Member", bound=nn.Module)


def fingerprint_of(members: Iterable[nn.Module]) -> str:
    """SHA-256, in hexadecimal, of all that the models have learned."""
    digest = hashlib.sha256()
    for member in members:
        for name, tensor in member.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def tensors_of(members: Sequence[nn.Module], prefix: str) -> dict[str, Tensor]:
    """Everything that the models have learned, under names that begin with ``prefix`` and the number of the model."""
    return {
        f"{prefix}{index}.{name}": tensor.detach().contiguous()
        for index, member in enumerate(members)
        for name, tensor in member.state_dict().items()
    }


def restored_members(
    tensors: Mapping[str, Tensor], prefix: str, count: int, make: Callable[[], _Member]
) -> tuple[_Member, ...]:
    """The models that :func:`tensors_of` was given, ready to predict.

    Args:
        tensors: What it returned.
        prefix: As it was given there.
        count: How many models there are.
        make: Makes one, untrained.

    Raises:
        RuntimeError: The tensors do not fit such models.
    """
    members = []
    for index in range(count):
        own = f"{prefix}{index}."
        member = make()
        member.load_state_dict(
            {name.removeprefix(own): tensor for name, tensor in tensors.items() if name.startswith(own)}
        )
        members.append(member.eval())
    return tuple(members)
