"""Recurrent layers and cells."""

from __future__ import annotations

from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.aten_generic import generic
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []

_OPERATORS = {
    "lstm": "LSTM",
    "lstm_cell": "LSTM",
    "gru": "GRU",
    "gru_cell": "GRU",
    "rnn_tanh": "RNN",
    "rnn_tanh_cell": "RNN",
    "rnn_relu": "RNN",
    "rnn_relu_cell": "RNN",
}


@lowers("lstm", "gru", "rnn_tanh", "rnn_relu")
def recurrent(call: Call) -> Names:
    """One ``LSTM``, ``GRU`` or ``RNN`` a layer, on sequences laid out (length, batch, width) as ONNX wants them.

    What ONNX cannot say stays a generic operation: packed sequences, whose lengths are data, and projected states.
    """
    if not call.has("batch_first") or _has_projections(call):
        return generic(call)
    sequence = _swap_batch(call, call.first) if call.flag("batch_first") else call.first
    states = call.tensor_list("hx") if call.name == "lstm" else [call.tensor("hx")]
    layers = call.integer("num_layers")
    last_states: list[list[str]] = []
    for layer in range(layers):
        sequence, made = _layer(call, sequence, [_rows(call, state, layer, layers) for state in states], layer)
        last_states.append(made)
    if call.flag("batch_first"):
        sequence = _swap_batch(call, sequence)
    return sequence, *(_joined(call, list(of_layers)) for of_layers in zip(*last_states, strict=True))


@lowers("lstm_cell")
def lstm_cell(call: Call) -> Names:
    """One step of an ``LSTM``: the new hidden state and the new cell state."""
    return _cell(call, call.tensor_list("hx"))


@lowers("gru_cell")
def gru_cell(call: Call) -> Names:
    """One step of a ``GRU``."""
    return _cell(call, [call.tensor("hx")])[0]


@lowers("rnn_tanh_cell", "rnn_relu_cell")
def rnn_cell(call: Call) -> Names:
    """One step of an ``RNN``."""
    return _cell(call, [call.tensor("hx")])[0]


def _layer(call: Call, sequence: str, states: list[str], layer: int) -> tuple[str, list[str]]:
    """One layer over the whole sequence: (length, batch, directions · hidden) and the last state of each kind."""
    directions = 2 if call.flag("bidirectional") else 1
    per_direction = 4 if call.flag("has_biases") else 2
    start = layer * directions * per_direction
    parameters = call.tensor_list("params")[start : start + directions * per_direction]
    weights = [_packed(call, parameters[index::per_direction]) for index in range(2)]
    biases = _packed_biases(call, parameters, directions) if per_direction == 4 else ""
    length, batch, _ = call.shape(sequence)
    hidden = call.shape(states[0])[-1]
    every, *last = call.steps(
        _OPERATORS[call.name],
        [sequence, *weights, biases, "", *states],
        [(length, directions, batch, hidden), *[(directions, batch, hidden)] * len(states)],
        _attributes(call, hidden, directions),
    )
    return _directions_last(call, every), last


def _cell(call: Call, states: list[str]) -> tuple[str, ...]:
    """A recurrent layer of a single step, without the dimensions for length and direction."""
    weights = [_packed(call, [parameter]) for parameter in call.tensors("w_ih", "w_hh")]
    biases = call.tensors("b_ih", "b_hh")
    packed = _packed_biases(call, ["", "", *biases], 1) if all(biases) else ""
    batch, hidden = call.shape(states[0])
    before = [call.unsqueeze(state, 0) for state in states]
    inputs = [call.unsqueeze(call.tensor("input"), 0), *weights, packed, "", *before]
    shapes = [(1, 1, batch, hidden), *[(1, batch, hidden)] * len(states)]
    _, *after = call.steps(_OPERATORS[call.name], inputs, shapes, _attributes(call, hidden, 1))
    return tuple(call.step("Squeeze", [state, call.constant([0])], (batch, hidden)) for state in after)


def _attributes(call: Call, hidden: int, directions: int) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {"hidden_size": hidden}
    if directions == 2:
        attributes["direction"] = "bidirectional"
    if call.name.startswith("gru"):
        attributes["linear_before_reset"] = 1
    if call.name.startswith("rnn_relu"):
        attributes["activations"] = ("Relu",) * directions
    return attributes


def _has_projections(call: Call) -> bool:
    """Whether the hidden state is projected to another width, by one more weight a direction."""
    return call.name == "lstm" and len({call.shape(state)[-1] for state in call.tensor_list("hx")}) > 1


def _packed(call: Call, weights: list[str]) -> str:
    """The weights of all directions as one, with the direction as a new first dimension."""
    return call.weight(f"{weights[0]}.packed", (len(weights), *call.shape(weights[0])), call.dtype(weights[0]))


def _packed_biases(call: Call, parameters: list[str], directions: int) -> str:
    """Input and recurrent biases side by side, one row a direction."""
    (size,) = call.shape(parameters[2])
    return call.weight(f"{parameters[2]}.packed", (directions, 2 * size), call.dtype(parameters[2]))


def _rows(call: Call, state: str, layer: int, layers: int) -> str:
    """The initial state of one layer out of the stack of all of them."""
    if layers == 1:
        return state
    count, *rest = call.shape(state)
    each = count // layers
    bounds = [call.constant([number]) for number in (layer * each, (layer + 1) * each, 0)]
    return call.step("Slice", [state, *bounds], (each, *rest))


def _joined(call: Call, states: list[str]) -> str:
    """The last states of all layers, stacked."""
    if len(states) == 1:
        return states[0]
    each, *rest = call.shape(states[0])
    return call.step("Concat", states, (each * len(states), *rest), {"axis": 0})


def _directions_last(call: Call, every: str) -> str:
    """(length, directions, batch, hidden) → (length, batch, directions · hidden)."""
    length, directions, batch, hidden = call.shape(every)
    if directions == 1:
        return call.step("Squeeze", [every, call.constant([1])], (length, batch, hidden))
    swapped = call.transpose(every, (0, 2, 1, 3))
    return call.reshape(swapped, (length, batch, directions * hidden))


def _swap_batch(call: Call, sequence: str) -> str:
    """Exchange length and batch."""
    return call.transpose(sequence, (1, 0, 2))
