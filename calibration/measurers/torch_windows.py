"""Windows that slide over an image: what ONNX says about convolutions and pooling, in torch's terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from torch import Tensor, fx
from torch.nn import functional as F  # noqa: N812  # its usual name

from costmodel.calibration.measurers.torch_operator import Operator

__all__ = ["average_pool", "convolve", "max_pool"]

_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_MAX_POOLS = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE_POOLS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def convolve(op: Operator, x: fx.Node, weight: fx.Node, bias: fx.Node | None = None) -> fx.Node:
    """``Conv``: torch pads both ends alike, so other padding becomes a step of its own."""
    kernel = op.shape(1)[2:]
    op.expect(kernel_shape=list(kernel))
    window = _Window.of(op, kernel)
    if not window.is_symmetric:
        x, window = window.pad(op, x, 0.0)
    function = _for_dimensions(op, _CONVOLUTIONS)
    groups = op.attribute("group", 1)
    return op.call(function, x, weight, bias, window.stride, window.before, window.dilation, groups)


def max_pool(op: Operator, x: fx.Node) -> fx.Node:
    """``MaxPool``: torch pads no more than half a window, so other padding becomes a step of its own."""
    op.expect(storage_order=0)
    window = _Window.of(op, op.attribute("kernel_shape", ()))
    round_up = _rounds_up(op, window)
    if not window.is_padded_as_pools_are:
        x, window = window.pad(op, x, float("-inf"))
    function = _for_dimensions(op, _MAX_POOLS)
    return op.call(function, x, window.kernel, window.stride, window.before, window.dilation, ceil_mode=round_up)


def average_pool(op: Operator, x: fx.Node) -> fx.Node:
    """``AveragePool``: padding that counts can become a step of its own; what does not count must be torch's."""
    window = _Window.of(op, op.attribute("kernel_shape", ()))
    if any(step != 1 for step in window.dilation):
        raise op.refused(f"dilations={list(window.dilation)}, where only 1 can be had")
    round_up = _rounds_up(op, window)
    padding_counts = bool(op.attribute("count_include_pad", 0))
    if not window.is_padded_as_pools_are:
        if not padding_counts:
            raise op.refused(f"padding by {window.padding_text} does not count, which torch cannot leave out")
        x, window = window.pad(op, x, 0.0)
    function = _for_dimensions(op, _AVERAGE_POOLS)
    return op.call(
        function,
        x,
        window.kernel,
        window.stride,
        window.before,
        ceil_mode=round_up,
        count_include_pad=padding_counts,
    )


@dataclass(frozen=True, slots=True)
class _Window:
    """Sizes of a window by spatial dimension, and the padding before and after each."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, op: Operator, kernel: Sequence[int]) -> _Window:
        """The window of ``op``, with padding that depends on the size of the image worked out."""
        ones = [1] * len(kernel)
        stride, dilation = op.attribute("strides", ones), op.attribute("dilations", ones)
        before, after = _padding(op, kernel, stride, dilation)
        return cls(tuple(kernel), tuple(stride), tuple(dilation), tuple(before), tuple(after))

    @property
    def is_symmetric(self) -> bool:
        return self.before == self.after

    @property
    def is_padded_as_pools_are(self) -> bool:
        """Whether torch's pooling takes the padding."""
        return self.is_symmetric and all(2 * pad <= size for pad, size in zip(self.before, self.kernel, strict=True))

    @property
    def padding_text(self) -> str:
        return f"{list(self.before)} before and {list(self.after)} after"

    def pad(self, op: Operator, x: fx.Node, value: float) -> tuple[fx.Node, _Window]:
        """``x`` padded, and the window without padding."""
        pairs = zip(reversed(self.before), reversed(self.after), strict=True)  # torch counts from the last dimension
        padded = op.call(F.pad, x, tuple(chain.from_iterable(pairs)), value=value)
        zeros = (0,) * len(self.kernel)
        return padded, _Window(self.kernel, self.stride, self.dilation, zeros, zeros)


def _padding(
    op: Operator, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[Sequence[int], Sequence[int]]:
    """Padding before and after each spatial dimension."""
    zeros = [0] * len(kernel)
    pads = op.attribute("pads", zeros * 2)
    match op.attribute("auto_pad", "NOTSET"):
        case "NOTSET":
            return pads[: len(kernel)], pads[len(kernel) :]
        case "VALID":
            return zeros, zeros
        case "SAME_UPPER":
            return _same_padding(op.shape(0)[2:], kernel, stride, dilation)
        case "SAME_LOWER":
            less, more = _same_padding(op.shape(0)[2:], kernel, stride, dilation)
            return more, less
        case other:
            raise op.refused(f"auto_pad={other} is not known")


def _same_padding(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[list[int], list[int]]:
    """The smaller and the larger half of the padding that makes a window fit ``ceil(size / stride)`` times."""
    totals = [
        max((-(-size // step) - 1) * step + (span - 1) * gap + 1 - size, 0)
        for size, span, step, gap in zip(sizes, kernel, stride, dilation, strict=True)
    ]
    return [total // 2 for total in totals], [total - total // 2 for total in totals]


def _rounds_up(op: Operator, window: _Window) -> bool:
    """Whether the last window may hang over the end."""
    rounds_up = bool(op.attribute("ceil_mode", 0))
    if rounds_up and not window.is_padded_as_pools_are:
        raise op.refused(f"torch cannot round up (ceil_mode=1) with padding by {window.padding_text}")
    return rounds_up


def _for_dimensions(op: Operator, functions: Mapping[int, Callable[..., Tensor]]) -> Callable[..., Tensor]:
    dimensions = len(op.shape(0)) - 2
    if dimensions not in functions:
        raise op.refused(f"torch has it for 1, 2 or 3 spatial dimensions, not for {dimensions}")
    return functions[dimensions]
