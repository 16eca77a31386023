"""Reads the structure of an ONNX file and leaves the weights on disk.

A model file is one protobuf message.  Parsing it whole costs time and memory in proportion to its weights,
of which a cost model needs the shapes only.  So the file is mapped into memory and walked field by field
(https://protobuf.dev/programming-guides/encoding/): messages that are small are copied as they stand, tensors
that are large lose their elements, everything else that is large is entered.  What is left is a small model
message with every node, shape and small constant in place.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import onnx
from google.protobuf.descriptor import Descriptor  # type: ignore[import-untyped]  # ships no types
from google.protobuf.message import (  # type: ignore[import-untyped]  # ships no types
    DecodeError,
    EncodeError,
)

from costmodel.errors import ModelFileError

__all__ = ["SMALL_MESSAGE_BYTES", "skim"]

SMALL_MESSAGE_BYTES = 12 * 1024
"""Messages up to this size are kept whole: 1,024 integers of 10 bytes, protobuf's longest, and a name."""

_MAX_DEPTH = 100  # protobuf's own limit on nesting
_MAX_VARINT_BYTES = 10
_FIXED_WIDTH = {1: 8, 5: 4}  # wire type -> bytes
_VARINT, _LENGTH_DELIMITED = 0, 2

_PAYLOAD_FIELDS = (
    "raw_data",
    "float_data",
    "double_data",
    "int32_data",
    "int64_data",
    "uint64_data",
    "string_data",
)


class _Plan(NamedTuple):
    """What to do with the fields of one kind of message: the fields to cut, and those to enter."""

    cut: frozenset[int]
    enter: Mapping[int, str]


def _plan(message: Descriptor, cut: tuple[str, ...] = (), **enter: str) -> _Plan:
    numbers = {field.name: field.number for field in message.fields}
    return _Plan(frozenset(numbers[name] for name in cut), {numbers[name]: kind for name, kind in enter.items()})


_PLANS: dict[str, _Plan] = {
    "model": _plan(onnx.ModelProto.DESCRIPTOR, ("training_info",), graph="graph", functions="function"),
    "graph": _plan(onnx.GraphProto.DESCRIPTOR, node="node", initializer="tensor", sparse_initializer="sparse"),
    "function": _plan(onnx.FunctionProto.DESCRIPTOR, node="node", attribute_proto="attribute"),
    "node": _plan(onnx.NodeProto.DESCRIPTOR, ("doc_string",), attribute="attribute"),
    "attribute": _plan(
        onnx.AttributeProto.DESCRIPTOR,
        t="tensor",
        tensors="tensor",
        g="graph",
        graphs="graph",
        sparse_tensor="sparse",
        sparse_tensors="sparse",
    ),
    "sparse": _plan(onnx.SparseTensorProto.DESCRIPTOR, values="tensor", indices="tensor"),
    "tensor": _plan(onnx.TensorProto.DESCRIPTOR, _PAYLOAD_FIELDS),
}


def skim(model: str | os.PathLike[str] | bytes | onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` without the elements of its large tensors.

    Names, dims and element types of those tensors stay.  External data is never opened.

    Args:
        model: Path of a file, the content of one, or a model, which is left as it is.

    Raises:
        ModelFileError: The file cannot be read, is empty, is cut short or is not an ONNX model.
    """
    if isinstance(model, onnx.ModelProto):
        return _parsed(_serialized(model), "the model")
    if isinstance(model, bytes):
        return _parsed(model, "the model")
    with _mapped(Path(model)) as data:
        return _parsed(data, f"{os.fspath(model)!r}")


def _serialized(model: onnx.ModelProto) -> bytes:
    try:
        return bytes(model.SerializeToString())
    except (EncodeError, ValueError) as error:
        raise ModelFileError(
            "the model is larger than the 2 GiB that protobuf can serialise. "
            "Save it with onnx.save(model, path, save_as_external_data=True) and pass the path."
        ) from error


@contextmanager
def _mapped(path: Path) -> Iterator[bytes | mmap.mmap]:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                yield b""
            else:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    yield data
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileError(
            f"cannot read {os.fspath(path)!r}: {reason}. Expected the path of an ONNX file."
        ) from error


def _parsed(data: bytes | mmap.mmap, what: str) -> onnx.ModelProto:
    if not len(data):
        raise ModelFileError(f"{what} is empty (0 bytes); expected an ONNX model. Export or download it again.")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(_skimmed(data, 0, len(data), "model", 0))
    except (_NotProtobufError, DecodeError) as error:
        raise ModelFileError(
            f"{what} is cut short or is not an ONNX model ({len(data):,} bytes: {error}). "
            "Check it with onnx.checker.check_model(path), or export it again."
        ) from error
    if not model.HasField("graph"):
        raise ModelFileError(f"{what} holds no graph, so it is not an ONNX model. Check that it is the right file.")
    return model


class _NotProtobufError(Exception):
    """The bytes do not follow protobuf's wire format."""


def _skimmed(data: bytes | mmap.mmap, start: int, end: int, kind: str, depth: int) -> bytes:
    """The message of ``kind`` in ``data[start:end]``, without the payloads of large tensors."""
    if depth > _MAX_DEPTH:
        raise _NotProtobufError(f"messages nested more than {_MAX_DEPTH} deep")
    plan = _PLANS[kind]
    chunks: list[bytes] = []
    copied_to = start
    for field in _fields(data, start, end):
        inner_kind = plan.enter.get(field.number)
        is_large = inner_kind is not None and field.end - field.payload > SMALL_MESSAGE_BYTES
        if field.number not in plan.cut and not is_large:
            continue
        chunks.append(data[copied_to : field.start])
        copied_to = field.end
        if inner_kind is not None and is_large:
            inner = _skimmed(data, field.payload, field.end, inner_kind, depth + 1)
            chunks += [_varint(field.number << 3 | _LENGTH_DELIMITED), _varint(len(inner)), inner]
    chunks.append(data[copied_to:end])
    return b"".join(chunks)


class _Field(NamedTuple):
    number: int
    start: int
    payload: int
    end: int


def _fields(data: bytes | mmap.mmap, position: int, end: int) -> Iterator[_Field]:
    while position < end:
        start = position
        tag = data[position]
        position += 1
        if tag >= 0x80:  # rare: fields up to number 15 take one byte
            tag, position = _read_varint(data, start, end)
        number, wire_type = tag >> 3, tag & 7
        payload = position
        if wire_type == _LENGTH_DELIMITED:
            length, payload = _read_varint(data, position, end)
            position = payload + length
        elif wire_type == _VARINT:
            _, position = _read_varint(data, position, end)
        elif wire_type in _FIXED_WIDTH:
            position += _FIXED_WIDTH[wire_type]
        else:
            raise _NotProtobufError(f"unknown wire type {wire_type} at byte {start:,}")
        if number == 0:
            raise _NotProtobufError(f"field number 0 at byte {start:,}")
        if position > end:
            raise _NotProtobufError(f"a field that starts at byte {start:,} should end at {position:,}, past {end:,}")
        yield _Field(number, start, payload, position)


def _read_varint(data: bytes | mmap.mmap, position: int, end: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if position + index >= end:
            raise _NotProtobufError(f"the message ends inside a number at byte {position:,}")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise _NotProtobufError(f"a number longer than {_MAX_VARINT_BYTES} bytes at byte {position:,}")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
