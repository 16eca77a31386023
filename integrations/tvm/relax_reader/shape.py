"""Calls that move, select, repeat or join elements along dimensions."""

from __future__ import annotations

from math import prod

from costmodel.graph import lowering
from costmodel.graph.op_graph import AttributeValue
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.generic import generic
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__: list[str] = []

_END = 2**63 - 1


@lowers("reshape", "flatten", "nn.batch_flatten", "squeeze", "expand_dims")
def reshape(call: Call) -> Names:
    """``Reshape`` to the shape that Relax inferred; nothing when it is the old one."""
    if call.result_shape == call.input_shape:
        return call.first
    return call.result("Reshape", [call.first, call.constant(call.result_shape)])


@lowers("permute_dims")
def permute(call: Call) -> Names:
    """``Transpose``; without axes, of all dimensions."""
    perm = call.axes("axes") if call.has("axes") else _reversed(call)
    if perm == tuple(range(len(perm))):
        return call.first
    return call.result("Transpose", [call.first], {"perm": perm})


@lowers("broadcast_to")
def expand(call: Call) -> Names:
    """``Expand``; nothing when the shape is the same."""
    if call.result_shape == call.input_shape:
        return call.first
    return call.result("Expand", [call.first, call.constant(call.result_shape)])


@lowers("tile")
def tile(call: Call) -> Names:
    """``Tile``; dimensions that are added in front are made first."""
    repeats = call.integers("repeats")
    rank = max(len(repeats), len(call.input_shape))
    repeats = (1,) * (rank - len(repeats)) + repeats
    data = call.reshape(call.first, (1,) * (rank - len(call.input_shape)) + call.input_shape)
    return call.result("Tile", [data, call.constant(repeats)]) if set(repeats) != {1} else data


@lowers("repeat")
def repeat(call: Call) -> Names:
    """Each element several times in a row: ``Unsqueeze``, ``Expand``, ``Reshape``."""
    axis, data = (call.axis("axis"), call.first) if call.has("axis") else (0, _flat(call))
    shape = list(call.shape(data))
    shape.insert(axis + 1, call.integer("repeats"))
    return call.reshape(call.expand(call.unsqueeze(data, axis + 1), shape), call.result_shape)


@lowers("concat")
def concat(call: Call) -> Names:
    """``Concat``; nothing for a single part."""
    parts = call.operand_list(0)
    axis = call.integer("axis") % max(len(call.result_shape), 1)
    return parts[0] if len(parts) == 1 else call.result("Concat", parts, {"axis": axis})


@lowers("stack")
def stack(call: Call) -> Names:
    """``Unsqueeze`` of every part, then ``Concat``."""
    axis = call.integer("axis") % len(call.result_shape)
    parts = [call.unsqueeze(part, axis) for part in call.operand_list(0)]
    return parts[0] if len(parts) == 1 else call.result("Concat", parts, {"axis": axis})


@lowers("split")
def split(call: Call) -> Names:
    """``Split`` into the sizes that Relax inferred; nothing when there is one part."""
    if len(call.returned) == 1:  # which Relax has as a tensor, not as a tuple of one
        return call.first
    axis = call.axis("axis")
    sizes = [shape[axis] for shape in call.result_shapes]
    return call.result("Split", [call.first, call.constant(sizes)], {"axis": axis})


@lowers("strided_slice")
def strided_slice(call: Call) -> Names:
    """``Slice``; nothing when it keeps everything."""
    axes, starts, ends = (call.integer_list_operand(index) for index in (1, 2, 3))
    steps = call.integer_list_operand(4) if len(call.arguments) > 4 else (1,) * len(axes)
    if call.result_shape == call.input_shape and set(steps) <= {1}:
        return call.first
    return call.result("Slice", [call.first, *map(call.constant, (starts, ends, axes, steps))])


@lowers("flip")
def flip(call: Call) -> Names:
    """``Slice`` backwards."""
    bounds = [[-1], [-_END], [call.axis("axis")], [-1]]
    return call.result("Slice", [call.first, *map(call.constant, bounds)])


@lowers("nn.pad")
def pad(call: Call) -> Names:
    """``Pad``: Relax lists the start and end of each dimension, ONNX all starts and then all ends."""
    width = call.integers("pad_width")
    if not any(width):
        return call.first
    mode = _PAD_MODES.get(call.text("pad_mode", "constant"))
    if mode is None:
        return generic(call)
    operands = [call.first, call.constant(width[::2] + width[1::2])]
    if mode == "constant":
        operands.append(call.constant(call.number("pad_value"), call.result_dtype))
    return call.result("Pad", operands, {"mode": mode})


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "edge": "edge", "circular": "wrap"}


@lowers("nn.pixel_shuffle")
def pixel_shuffle(call: Call) -> Names:
    """``DepthToSpace``, column last."""
    attributes: dict[str, AttributeValue] = {"blocksize": call.integer("upscale_factor"), "mode": "CRD"}
    return call.result("DepthToSpace", [call.first], attributes)


@lowers("tril", "triu")
def triangle(call: Call) -> Names:
    """``Trilu``."""
    diagonal = call.constant(call.number_operand(1))
    return call.result("Trilu", [call.first, diagonal], {"upper": int(call.name == "triu")})


@lowers("meshgrid")
def meshgrid(call: Call) -> Names:
    """The coordinates of a grid, one tensor an axis."""
    return lowering.meshgrid(call, call.operand_list(0), call.text("indexing"))


def _reversed(call: Call) -> tuple[int, ...]:
    return tuple(range(len(call.input_shape)))[::-1]


def _flat(call: Call) -> str:
    return call.reshape(call.first, (prod(call.input_shape),))
