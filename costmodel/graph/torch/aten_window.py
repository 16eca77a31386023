"""Sliding windows as data: unfold, im2col, col2im."""

from __future__ import annotations

from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []


@lowers("unfold", "unfold_copy")
def unfold(call: Call) -> Names:
    """Windows along one dimension, a window's elements as the last one: ``Gather``, then ``Transpose``."""
    axis, size, step = call.axis("dimension"), call.integer("size"), call.integer("step")
    count = call.result_shape[axis]
    windows = _gather_windows(call, call.first, axis, [[step * i + j for j in range(size)] for i in range(count)])
    order = list(range(len(call.result_shape)))
    order.append(order.pop(axis + 1))
    return call.transpose(windows, order)


@lowers("im2col")
def im2col(call: Call) -> Names:
    """Patches as columns, as ONNX exporters write it: ``Pad``, two ``Gather``, ``Transpose``, ``Reshape``."""
    kernel, dilation, padding, stride = (
        call.integers(name, 2) for name in ("kernel_size", "dilation", "padding", "stride")
    )
    *outer, height, width = call.input_shape
    padded_sizes = [height + 2 * padding[0], width + 2 * padding[1]]
    data = call.first
    if any(padding):
        pads = [*[0] * len(outer), *padding] * 2
        zero = call.constant(0.0, call.result_dtype)
        data = call.step("Pad", [data, call.constant(pads), zero], [*outer, *padded_sizes], {"mode": "constant"})
    for axis, image_axis in ((len(outer), 0), (len(outer) + 2, 1)):
        span = dilation[image_axis] * (kernel[image_axis] - 1) + 1
        starts = range(0, padded_sizes[image_axis] - span + 1, stride[image_axis])
        offsets = range(0, span, dilation[image_axis])
        data = _gather_windows(call, data, axis, [[start + offset for start in starts] for offset in offsets])
    first = len(outer)
    columns = call.transpose(data, [*range(first), first, first + 2, first + 1, first + 3])
    return call.reshape(columns, call.result_shape)


@lowers("col2im")
def col2im(call: Call) -> Names:
    """``Col2Im``: columns summed back into an image."""
    attributes: dict[str, AttributeValue] = {
        "dilations": call.integers("dilation", 2),
        "pads": call.integers("padding", 2) * 2,
        "strides": call.integers("stride", 2),
    }
    sizes = [call.constant(list(call.integers(name, 2))) for name in ("output_size", "kernel_size")]
    return call.result("Col2Im", [call.first, *sizes], attributes)


def _gather_windows(call: Call, data: str, axis: int, indices: list[list[int]]) -> str:
    """Replace dimension ``axis`` by the two dimensions of ``indices``."""
    shape = call.shape(data)
    windowed = (*shape[:axis], len(indices), len(indices[0]), *shape[axis + 1 :])
    return call.step("Gather", [data, call.constant(indices)], windowed, {"axis": axis})
