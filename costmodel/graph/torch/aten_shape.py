"""Calls that move, select, repeat or join elements along dimensions."""

from __future__ import annotations

from math import prod

from costmodel.graph import lowering
from costmodel.graph.dtypes import DType
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []

_END = 2**63 - 1


@lowers("reshape", "reshape_as", "_reshape_alias", "unflatten", "ravel")
@lowers("view", "view_as", "view_copy", "_unsafe_view")
def reshape(call: Call) -> Names:
    """``Reshape`` to the shape that torch computed; nothing when it is the old one."""
    if call.dtype(call.first) is not call.result_dtype:  # view(dtype) reads the bytes as another type
        return call.result("BitCast", [call.first])
    if call.input_shape == call.result_shape:
        return call.first
    return call.result("Reshape", [call.first, call.constant(call.result_shape)])


@lowers("flatten")
def flatten(call: Call) -> Names:
    """``Flatten`` to a matrix, ``Reshape`` to anything else."""
    if call.axis("start_dim") == 1 and len(call.result_shape) == 2 and len(call.input_shape) > 2:
        return call.result("Flatten", [call.first], {"axis": 1})
    return reshape(call)


@lowers("squeeze", "squeeze_copy")
def squeeze(call: Call) -> Names:
    """``Squeeze`` of the dimensions of size one among those named; nothing when there are none."""
    candidates = call.axes("dim")
    axes = [axis for axis in candidates if call.input_shape[axis] == 1] if call.input_shape else []
    if not axes:
        return call.first
    return call.result("Squeeze", [call.first, call.constant(axes)])


@lowers("unsqueeze", "unsqueeze_copy")
def unsqueeze(call: Call) -> Names:
    """``Unsqueeze`` at one place."""
    return call.result("Unsqueeze", [call.first, call.constant([call.axis("dim", len(call.input_shape) + 1)])])


@lowers("permute", "permute_copy")
def permute(call: Call) -> Names:
    """``Transpose`` with the permutation given."""
    return _transpose(call, list(call.axes("dims")))


@lowers("transpose", "transpose_copy", "swapaxes", "swapdims", "t", "mT", "numpy_T", "matrix_H", "adjoint")
def transpose(call: Call) -> Names:
    """``Transpose`` that swaps two dimensions, or reverses all of them for ``T``."""
    rank = len(call.input_shape)
    perm = list(range(rank))
    if call.name == "numpy_T":
        return _transpose(call, perm[::-1])
    if rank < 2:
        return call.first
    names = [argument.name for argument in call.schema.arguments[1:]]
    first, second = (call.axis(name) for name in names) if names else (rank - 2, rank - 1)
    perm[first], perm[second] = perm[second], perm[first]
    return _transpose(call, perm)


@lowers("movedim", "moveaxis")
def move_dimensions(call: Call) -> Names:
    """``Transpose`` that puts some dimensions in new places and keeps the order of the others."""
    placed = dict(zip(call.axes("destination"), call.axes("source"), strict=True))
    others = iter(axis for axis in range(len(call.input_shape)) if axis not in placed.values())
    return _transpose(call, [placed[axis] if axis in placed else next(others) for axis in range(len(call.input_shape))])


@lowers("expand", "expand_as", "broadcast_to", "expand_copy")
def expand(call: Call) -> Names:
    """``Expand``; nothing when the shape is the same."""
    return call.expand(call.first, call.result_shape)


@lowers("repeat", "tile")
def repeat(call: Call) -> Names:
    """``Tile``; dimensions that ``repeat`` adds in front are made first."""
    repeats = call.integers("repeats") if call.name == "repeat" else call.integers("dims")
    rank = max(len(repeats), len(call.input_shape))
    repeats = (1,) * (rank - len(repeats)) + repeats
    data = call.reshape(call.first, (1,) * (rank - len(call.input_shape)) + call.input_shape)
    return call.result("Tile", [data, call.constant(repeats)]) if set(repeats) != {1} else data


@lowers("repeat_interleave")
def repeat_interleave(call: Call) -> Names:
    """Each element several times in a row: ``Unsqueeze``, ``Expand``, ``Reshape``; a ``Gather`` where counts differ."""
    if not isinstance(call.arguments.get("repeats"), int) or not call.has("dim"):
        axis = call.axis("dim") if call.has("dim") else 0
        data = call.first if call.has("dim") else call.reshape(call.first, (prod(call.input_shape),))
        indices = call.weight(f"{call.label}.indices", (call.result_shape[axis],), DType.INT64)
        return call.result("Gather", [data, indices], {"axis": axis})
    axis = call.axis("dim")
    shape = list(call.input_shape)
    shape.insert(axis + 1, call.integer("repeats"))
    return call.reshape(call.expand(call.unsqueeze(call.first, axis + 1), shape), call.result_shape)


@lowers("cat", "concat", "concatenate")
def concat(call: Call) -> Names:
    """``Concat``; the empty one-dimensional tensors that torch lets pass are left out."""
    rank = len(call.result_shape)
    parts = [part for part in call.tensor_list("tensors") if len(call.shape(part)) == rank]
    return parts[0] if len(parts) == 1 else call.result("Concat", parts, {"axis": call.axis("dim", rank)})


@lowers("stack")
def stack(call: Call) -> Names:
    """``Unsqueeze`` of every part, then ``Concat``."""
    axis = call.axis("dim", len(call.result_shape))
    parts = [call.unsqueeze(part, axis) for part in call.tensor_list("tensors")]
    return parts[0] if len(parts) == 1 else call.result("Concat", parts, {"axis": axis})


@lowers("chunk", "split", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split", "split_with_sizes_copy")
def split(call: Call) -> Names:
    """``Split`` into the sizes that torch computed; nothing when there is one part."""
    if len(call.returned) == 1:
        return (call.first,)
    axis = call.axis("dim")
    sizes = [shape[axis] for shape in call.result_shapes]
    return call.result("Split", [call.first, call.constant(sizes)], {"axis": axis})


@lowers("unbind", "unbind_copy")
def unbind(call: Call) -> Names:
    """``Split`` into slices of one, then ``Squeeze`` of each."""
    axis = call.axis("dim")
    shape = list(call.input_shape)
    count, shape[axis] = shape[axis], 1
    slices = [call.first]
    if count > 1:
        slices = call.steps("Split", [call.first, call.constant([1] * count)], [shape] * count, {"axis": axis})
    squeezed = call.input_shape[:axis] + call.input_shape[axis + 1 :]
    return tuple(call.step("Squeeze", [part, call.constant([axis])], squeezed) for part in slices)


@lowers("slice", "slice_copy", "narrow", "narrow_copy")
def take_slice(call: Call) -> Names:
    """``Slice`` along one dimension; nothing when it keeps everything."""
    if call.result_shape == call.input_shape and call.integer("step", 1) == 1:
        return call.first
    axis, start, step = call.axis("dim"), call.integer("start", 0), call.integer("step", 1)
    end = start + call.integer("length") if call.has("length") else call.integer("end", _END)
    return call.result("Slice", [call.first, *(call.constant([number]) for number in (start, end, axis, step))])


@lowers("select", "select_copy")
def select(call: Call) -> Names:
    """``Gather`` of one index, which drops the dimension."""
    return call.result("Gather", [call.first, call.constant(call.integer("index"))], {"axis": call.axis("dim")})


@lowers("flip")
def flip(call: Call) -> Names:
    """``Slice`` backwards."""
    axes = call.axes("dims")
    bounds = [[-1] * len(axes), [-_END] * len(axes), list(axes), [-1] * len(axes)]
    return call.result("Slice", [call.first, *map(call.constant, bounds)])


@lowers("roll")
def roll(call: Call) -> Names:
    """For every dimension that is rolled, its tail and its head in swapped order."""
    dims, data, shape = call.integers("dims"), call.first, call.input_shape
    if not dims:
        shape, dims = (prod(shape),), (0,)
        data = call.reshape(data, shape)
    for shift, dim in zip(call.integers("shifts"), dims, strict=True):
        axis = dim % len(shape)
        moved = shift % shape[axis]
        if moved:
            tail, head = (
                call.step(
                    "Slice",
                    [data, *(call.constant([number]) for number in (start, end, axis, 1))],
                    (*shape[:axis], length, *shape[axis + 1 :]),
                )
                for start, end, length in ((-moved, _END, moved), (0, -moved, shape[axis] - moved))
            )
            data = call.step("Concat", [tail, head], shape, {"axis": axis})
    return call.reshape(data, call.result_shape)


@lowers("pad", "constant_pad_nd")
@lowers("reflection_pad1d", "reflection_pad2d", "reflection_pad3d")
@lowers("replication_pad1d", "replication_pad2d", "replication_pad3d")
def pad(call: Call) -> Names:
    """``Pad``: torch lists (start, end) pairs from the last dimension, ONNX all starts and then all ends."""
    padding = call.integers("pad") or call.integers("padding")
    if not any(padding):
        return call.first
    rank = len(call.input_shape)
    starts, ends = [0] * rank, [0] * rank
    for index in range(len(padding) // 2):
        starts[rank - 1 - index], ends[rank - 1 - index] = padding[2 * index : 2 * index + 2]
    mode = _PAD_MODES[call.text("mode", call.name.split("_")[0])]
    operands = [call.first, call.constant(starts + ends)]
    if mode == "constant":
        operands.append(call.constant(call.number("value"), call.result_dtype))
    return call.result("Pad", operands, {"mode": mode})


_PAD_MODES = {
    "constant": "constant",
    "reflect": "reflect",
    "reflection": "reflect",
    "replicate": "edge",
    "replication": "edge",
    "circular": "wrap",
}


@lowers("pixel_shuffle")
def pixel_shuffle(call: Call) -> Names:
    """``DepthToSpace`` in torch's order, column last."""
    return call.result("DepthToSpace", [call.first], {"blocksize": call.integer("upscale_factor"), "mode": "CRD"})


@lowers("pixel_unshuffle")
def pixel_unshuffle(call: Call) -> Names:
    """``SpaceToDepth``; ONNX would order the new channels differently, which costs the same."""
    return call.result("SpaceToDepth", [call.first], {"blocksize": call.integer("downscale_factor")})


@lowers("meshgrid")
def meshgrid(call: Call) -> Names:
    """The coordinates of a grid, one tensor an axis."""
    return lowering.meshgrid(call, call.tensor_list("tensors"), call.text("indexing"))


@lowers("tril", "triu")
def triangle(call: Call) -> Names:
    """``Trilu``."""
    return call.result(
        "Trilu", [call.first, call.constant(call.integer("diagonal"))], {"upper": int(call.name == "triu")}
    )


def _transpose(call: Call, perm: list[int]) -> Names:
    if perm == sorted(perm):
        return call.first
    return call.result("Transpose", [call.first], {"perm": tuple(perm)})
