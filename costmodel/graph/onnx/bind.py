"""Gives every input of a model a concrete shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from costmodel.errors import UnknownNameError, UsageError
from costmodel.graph.onnx.tensors import tensor_type

__all__ = ["bind_inputs"]

_Dim = int | str | None  # a size, the name of an open size, or an open size without a name
_LARGEST_SIZE = 2**31 - 1  # kernels index with 32 bits
_RANK_OF_IMAGES = 4
_GUESS_FOR_IMAGES, _GUESS_FOR_SEQUENCES = 224, 128


def bind_inputs(graph: onnx.GraphProto, shapes: Mapping[str, tuple[int, ...]], batch: int | None) -> int | None:
    """Fix the open dims of the inputs of ``graph``, which is changed in place.

    A size comes from ``shapes``; a leading one from ``batch`` or else is 1.  Dims of one name get one size, also
    where the graph's annotations mention them.

    Args:
        graph: A normalised graph; its inputs do not include weights.
        shapes: The whole shape of any of the inputs, by name.
        batch: Size for the leading dims.

    Returns:
        The batch that was asked for, if the file fixes another one: then the leading dims still are as in the
        file.  ``None`` when there is nothing more to do.

    Raises:
        UsageError: An unknown input, a shape that contradicts the file, or an open dim that nothing fixes.
    """
    inputs = {value.name: _Input.of(value) for value in graph.input if value.type.HasField("tensor_type")}
    _check_request(inputs, shapes, batch)
    leading = [named.dims[0] for named in inputs.values() if named.dims]
    file_batch = leading[0] if leading and isinstance(leading[0], int) else None
    binding = _Binding(file_batch)
    for name, shape in shapes.items():
        binding.fix_all(inputs[name], shape)
    others = [named for name, named in inputs.items() if name not in shapes and named.dims]
    if batch is not None:
        for named in others:
            if not isinstance(named.dims[0], int) or named.dims[0] == file_batch:
                binding.fix(named, 0, batch)
    for named in inputs.values():
        binding.close(named)
    _check_closed(list(inputs.values()))
    for value in graph.input:
        if value.name in inputs:
            _write(value.type, inputs[value.name].dims)
    for value in (*graph.value_info, *graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in binding.sizes:
                dim.dim_value = binding.sizes[dim.dim_param]
    return binding.rewritten_batch


@dataclass(slots=True)
class _Input:
    """An input and its dims so far; without dims when not even the rank is known."""

    name: str
    dims: list[_Dim]
    has_rank: bool
    written: str
    """Its shape in the file."""

    @classmethod
    def of(cls, value: onnx.ValueInfoProto) -> _Input:
        tensor = value.type.tensor_type
        dims = [_dim(dim) for dim in tensor.shape.dim]
        written = ", ".join("?" if dim is None else str(dim) for dim in dims)
        return cls(value.name, dims, tensor.HasField("shape"), f"({written})")

    @property
    def is_closed(self) -> bool:
        return self.has_rank and all(isinstance(dim, int) for dim in self.dims)

    def __str__(self) -> str:
        return f"input {self.name!r} of " + (f"shape {self.written}" if self.has_rank else "unknown rank")


def _dim(dim: onnx.TensorShapeProto.Dimension) -> _Dim:
    if dim.HasField("dim_value") and dim.dim_value > 0:  # some exporters write 0 or -1 for an open batch
        return dim.dim_value
    is_name = any(character.isalpha() for character in dim.dim_param)  # some exporters write "?" for every open size
    return dim.dim_param if is_name else None


@dataclass(slots=True)
class _Binding:
    """The sizes found so far.

    Attributes:
        file_batch: Leading dim of the first input, where the file fixes it.
        sizes: Size of each named dim.
        rewritten_batch: The batch to take the place of ``file_batch``, if another was asked for.
    """

    file_batch: int | None
    sizes: dict[str, int] = field(default_factory=dict)
    rewritten_batch: int | None = None

    def fix_all(self, named: _Input, shape: tuple[int, ...]) -> None:
        """Fix every dim of an input."""
        if not named.has_rank:
            named.dims, named.has_rank = [None] * len(shape), True
        if len(shape) != len(named.dims):
            raise UsageError(f"{named}: expected {len(named.dims)} sizes, got {_times(shape)}.")
        for axis, size in enumerate(shape):
            self.fix(named, axis, size)

    def fix(self, named: _Input, axis: int, size: int) -> None:
        """Fix one dim of an input."""
        dim = named.dims[axis]
        if dim is None:
            named.dims[axis] = size
        elif isinstance(dim, str):
            if self.sizes.setdefault(dim, size) != size:
                raise UsageError(f"{named}: {dim!r} cannot be both {self.sizes[dim]} and {size}.")
        elif dim != size and axis == 0 and dim == self.file_batch:
            if self.rewritten_batch not in (None, size):
                raise UsageError(f"{named}: the batch cannot be both {self.rewritten_batch} and {size}.")
            self.rewritten_batch = size
        elif dim != size:
            raise UsageError(
                f"{named}: the file fixes axis {axis} to {dim}, got {size}. "
                "Export the model with that axis dynamic to change it."
            )

    def close(self, named: _Input) -> None:
        """Put in the sizes of named dims, and 1 for a leading dim that is still open."""
        if named.dims and not isinstance(named.dims[0], int) and named.dims[0] not in self.sizes:
            self.fix(named, 0, 1)
        named.dims = [self.sizes.get(dim, dim) if isinstance(dim, str) else dim for dim in named.dims]


def _check_request(inputs: Mapping[str, _Input], shapes: Mapping[str, tuple[int, ...]], batch: int | None) -> None:
    for name, shape in shapes.items():
        if name not in inputs:
            raise UnknownNameError("input", name, inputs)
        if not all(0 <= size <= _LARGEST_SIZE for size in shape):
            raise UsageError(f"input {name!r}: sizes must be from 0 to {_LARGEST_SIZE}, got {_times(shape)}.")
    if batch is not None and not 1 <= batch <= _LARGEST_SIZE:
        raise UsageError(f"batch: expected from 1 to {_LARGEST_SIZE}, got {batch}.")


def _check_closed(inputs: Sequence[_Input]) -> None:
    still_open = [named for named in inputs if not named.is_closed]
    if still_open:
        options = " ".join(f"--shape {named.name}:{_suggested(named)}" for named in still_open)
        raise UsageError(
            f"{still_open[0]}: the file leaves sizes open that only you know. Give them, for example: {options}"
        )


def _suggested(named: _Input) -> str:
    if not named.has_rank:
        return _times((1, 3, _GUESS_FOR_IMAGES, _GUESS_FOR_IMAGES))
    guess = _GUESS_FOR_IMAGES if len(named.dims) == _RANK_OF_IMAGES else _GUESS_FOR_SEQUENCES
    return _times([dim if isinstance(dim, int) else guess for dim in named.dims])


def _times(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _write(type_: onnx.TypeProto, dims: Sequence[_Dim]) -> None:
    written = tensor_type(type_.tensor_type.elem_type, [dim for dim in dims if isinstance(dim, int)])
    type_.CopyFrom(written)
