"""Rewrites the batch of a model whose file fixes it.

Only two things in a file hold the batch: the leading dims of its inputs, and the constants that exporters make of
it, such as the target ``(8, 512)`` of a ``Reshape``.  Both are changed, node by node in topological order, and
every shape is inferred again.  That is sound if each tensor that is computed from the inputs then has grown by just
the factor that the batch has; a node where one has not *stands in the way* and is named.

Which of the sizes in a target holds the batch follows from the shapes: the tensor that is reshaped has one axis that
has grown, with the batch outermost in it.

=========================  ==========================================================================
 node                       what is changed
=========================  ==========================================================================
``Reshape``                 the size in the target that takes up the grown axis
``Expand``, ``Resize``      the size in the target at the grown axis
``Expand``, ``Tile``,       of a weight: the first of several sizes, where it is the old batch and not 1
``ConstantOfShape``
``Concat``                  from batch 1 on, a weight of leading size 1 (a class token) is broadcast
=========================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper

from costmodel.errors import UnsupportedModelError
from costmodel.graph.onnx.attributes import plain_attributes
from costmodel.graph.onnx.evaluate import READS_SHAPE_ONLY
from costmodel.graph.onnx.facts import Facts
from costmodel.graph.onnx.infer import InferredGraph, infer_node
from costmodel.graph.onnx.tensors import tensor_type

__all__ = ["rewrite_batch"]

_LARGEST_SIZE = np.iinfo(np.int64).max
_TARGET_INPUT = {"Reshape": 1, "Expand": 1, "Tile": 1, "ConstantOfShape": 0, "Resize": 3}
_MAKES_A_BATCH_OF_A_WEIGHT = {"Expand", "Tile", "ConstantOfShape"}


def rewrite_batch(graph: onnx.GraphProto, at_old_batch: InferredGraph, batch: int) -> InferredGraph:
    """The graph ``at_old_batch`` with ``batch`` in place of the leading dim of its first input.

    Other inputs follow where their leading dim is the same.

    Args:
        graph: The graph whose inputs these are.
        at_old_batch: Its nodes and types as the file has them.
        batch: The new batch.

    Raises:
        UnsupportedModelError: A node does not compute each image of the batch by itself, or has the old batch
            built in; the message names it.
    """
    shapes = (at_old_batch.facts.shape(value.name) for value in graph.input)
    old_batch = next(shape[0] for shape in shapes if shape)
    rewriting = _Rewriting.of(at_old_batch, old_batch, batch)
    for value in graph.input:
        rewriting.add_input(value.name)
    for node in at_old_batch.nodes:
        rewriting.visit(node)
    for node in at_old_batch.unfolded:
        rewriting.check_decision(node)
    return rewriting.result


@dataclass(slots=True)
class _Rewriting:
    """The graph as far as it is rewritten.

    Attributes:
        old: What is known at the old batch.
        result: The rewritten nodes, and what is known at the new batch.
        carriers: Tensors with the batch in them.
    """

    old: Facts
    old_batch: int
    new_batch: int
    result: InferredGraph
    carriers: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, inferred: InferredGraph, old_batch: int, new_batch: int) -> _Rewriting:
        """Start with the weights alone."""
        old = inferred.facts
        new = Facts(old.opsets)
        for name in inferred.weights:
            new.set_type(name, old.type_of(name))
            if name in old.data:
                new.data[name] = old.data[name]
        return cls(old, old_batch, new_batch, InferredGraph([], list(inferred.weights), new))

    @property
    def new(self) -> Facts:
        """What is known at the new batch."""
        return self.result.facts

    def add_input(self, name: str) -> None:
        """Give an input its new leading dim."""
        shape = self.old.shape(name)
        if shape and shape[0] == self.old_batch:
            self.new.set_type(name, tensor_type(self.old.elem_type(name), (self.new_batch, *shape[1:])))
            self.carriers.add(name)
        else:
            self.new.set_type(name, self.old.type_of(name))

    def visit(self, node: onnx.NodeProto) -> None:
        """Rewrite one node, whose inputs are done."""
        adapted = self._adapted(node)
        infer_node(adapted, self.new)
        self.result.nodes.append(adapted)
        reads_batch = node.op_type not in READS_SHAPE_ONLY and not self.carriers.isdisjoint(node.input)
        for name in node.output:
            if reads_batch and self.old.shape(name) != ():  # a scalar sums up the batch, so it has none
                self.carriers.add(name)
            self._check(node, name)

    def check_decision(self, control_flow: onnx.NodeProto) -> None:
        """Whether a node that was unfolded at the old batch would be unfolded to the same at the new one."""
        for name in control_flow.input:
            before, after = self.old.data.get(name), self.new.data.get(name)
            if before is not None and (after is None or not np.array_equal(before, after)):
                raise self._stands_in_the_way(control_flow, f"what it runs depends on {name!r}, and that on the batch")

    def _check(self, node: onnx.NodeProto, output: str) -> None:
        old, new = self.old.shape(output), self.new.shape(output)
        if old is None:
            return
        if new is None:
            raise self._stands_in_the_way(node, f"its inputs no longer fit together to give {output!r}")
        has_grown = len(new) == len(old) and prod(new) * self.old_batch == prod(old) * self.new_batch
        if not has_grown and (output in self.carriers or new != old):
            raise self._stands_in_the_way(node, f"{output!r} would go from {old} to {new}")

    def _adapted(self, node: onnx.NodeProto) -> onnx.NodeProto:
        if node.domain or not node.output or not node.output[0]:
            return node
        if node.op_type == "Concat":
            return self._with_broadcast_weights(node)
        index = _TARGET_INPUT.get(node.op_type)
        if index is None or index >= len(node.input) or self._follows_the_batch(node.input[index]):
            return node
        written = [int(size) for size in self.new.data[node.input[index]]]
        target = self._target(node, written)
        if target == written:
            return node
        return _with_input(node, index, self._constant(f"{node.output[0]}/at_batch", target))

    def _follows_the_batch(self, target: str) -> bool:
        """Whether a target is not a constant, or one computed from a shape and so up to date."""
        if target not in self.new.data or target not in self.old.data:
            return True
        return not np.array_equal(self.new.data[target], self.old.data[target])

    def _target(self, node: onnx.NodeProto, target: list[int]) -> list[int]:
        """The sizes ``target`` that ``node`` is given, at the new batch."""
        if node.input[0] in self.carriers:
            return target if node.op_type == "Tile" else self._target_of_carrier(node, target)
        # A lone size is the length of a vector, more likely of pads or of a shape than of a batch.
        may_hold_batch = node.op_type in _MAKES_A_BATCH_OF_A_WEIGHT and len(target) > 1 and self.old_batch > 1
        if may_hold_batch and target[0] == self.old_batch:
            return [self.new_batch, *target[1:]]
        return target

    def _target_of_carrier(self, node: onnx.NodeProto, target: list[int]) -> list[int]:
        axis = self._grown_axis(node)
        if node.op_type == "Expand":
            axis += len(target) - len(self.new.shape(node.input[0]) or ())
            if axis < 0 or target[axis] == 1:
                return target
        if node.op_type == "Resize" and "axes" in plain_attributes(node):
            return target  # these leave the batch out
        if node.op_type == "Reshape":
            self._check_reshape(node, axis)
        if target[axis] in (0, -1):  # taken from the input, or whatever is left
            return target
        grown, rest = divmod(target[axis] * self.new_batch, self.old_batch)
        if rest or grown > _LARGEST_SIZE:
            raise self._stands_in_the_way(node, f"the size {target[axis]} in its target cannot grow with the batch")
        return [*target[:axis], grown, *target[axis + 1 :]]

    def _check_reshape(self, node: onnx.NodeProto, axis: int) -> None:
        """Whether ``axis`` has the batch outermost before and after.

        That is plain where it is the first.  Behind other axes, these must stay as they are, and the size at
        ``axis`` must be a multiple of a batch that is not 1: every size is a multiple of 1, so that the batch
        could as well have gone into the axis before.
        """
        if axis == 0:
            return
        before, after = self.old.shape(node.input[0]) or (), self.old.shape(node.output[0]) or ()
        keeps_its_place = len(after) > axis and before[:axis] == after[:axis]
        is_plain = keeps_its_place and after[axis] % self.old_batch == 0 and (self.old_batch > 1 or after[axis] == 1)
        if not is_plain:
            raise self._stands_in_the_way(
                node, f"from {before} to {after} it may mix axis {axis}, the batch, with others"
            )

    def _grown_axis(self, node: onnx.NodeProto) -> int:
        old, new = self.old.shape(node.input[0]), self.new.shape(node.input[0])
        if old is None or new is None:
            raise self._stands_in_the_way(node, f"the shape of its input {node.input[0]!r} is not known")
        axes = [axis for axis, (before, after) in enumerate(zip(old, new, strict=True)) if before != after]
        if len(axes) != 1:
            raise self._stands_in_the_way(node, f"the batch is spread over the axes {axes} of {node.input[0]!r}")
        return axes[0]

    def _with_broadcast_weights(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """A ``Concat`` whose weights of batch 1 are repeated for every image."""
        if self.carriers.isdisjoint(node.input) or self._joins_batches(node):
            return node
        for index, name in enumerate(node.input):
            shape = self.new.shape(name)
            if name not in self.carriers and shape and shape[0] == 1:
                repeated = f"{node.output[0]}/repeated{index}"
                target = self._constant(f"{repeated}/shape", [self.new_batch, *shape[1:]])
                self.visit(helper.make_node("Expand", [name, target], [repeated]))
                node = _with_input(node, index, repeated)
        return node

    def _joins_batches(self, concat: onnx.NodeProto) -> bool:
        axis = plain_attributes(concat).get("axis", 0)
        rank = max(len(self.new.shape(name) or ()) for name in concat.input)
        return axis in (0, -rank)

    def _constant(self, name: str, sizes: Sequence[int]) -> str:
        tensor = numpy_helper.from_array(np.array(sizes, dtype=np.int64), name)
        self.new.add_weight(tensor)
        self.result.weights.append(name)
        return name

    def _stands_in_the_way(self, node: onnx.NodeProto, reason: str) -> UnsupportedModelError:
        name = node.name or ", ".join(node.output)
        return UnsupportedModelError(
            f"the file fixes batch {self.old_batch}, and the {node.op_type} node {name!r} stands in the way of batch "
            f"{self.new_batch}: {reason}. Export the model at batch {self.new_batch} or with a dynamic batch."
        )


def _with_input(node: onnx.NodeProto, index: int, name: str) -> onnx.NodeProto:
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    copied.input[index] = name
    return copied
