"""The agent network on the CPU, forward and backward: two loops over time that are compiled.

A time step has few rows, so that calls of PyTorch would cost more than their arithmetic. Each of them also takes
Python's lock: compiled, the networks of several agents are computed at the same time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.gru import activate, differentiate
from learning.products import add_product, add_product_over_rows, add_rows, fused, fused_entry

_Array = NDArray[Any]
_ZERO = np.float32(0)
_LINE = 16  # values in a cache line of 64 bytes, if they are float32
_ENOUGH = 32  # rows from which on gradients of the parameters are computed: they stay in the first-level cache


class Weights:
    """The network's 8 parameters on the CPU, in the order in which agents exchange them, as the loops take them."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self._parameters = tuple(parameters)
        self._seen_at = 0  # where the first parameter was in memory when their arrays were made
        self._arrays: _Layers | None = None

    @property
    def layers(self) -> _Layers:
        """Their arrays, which see what the parameters become."""
        at = self._parameters[0].data_ptr()
        if self._arrays is None or at != self._seen_at:  # they have moved: a learner puts them in one array
            self._arrays = _Layers(*(parameter.detach().numpy() for parameter in self._parameters))
            self._seen_at = at
        return self._arrays

    @property
    def versions(self) -> list[int]:
        """Numbers that differ after PyTorch has changed a parameter."""
        return [parameter._version for parameter in self._parameters]


def packed_values(weights: Weights, inputs: Tensor, sizes: Tensor) -> Tensor:
    """Run the agent network over whole sequences, from a zero hidden state: ``fc1 -> ReLU -> GRU -> fc2``.

    Args:
        weights: of the network.
        inputs: packed [rows, in], longest sequence first.
        sizes: int64 [T]: sequences that have a row of each step (``Packing.sizes``).

    Returns:
        Q-values [rows, a].
    """
    layers, of_steps = weights.layers, sizes.numpy()
    return _run(layers, of_steps, _course(inputs.numpy(), of_steps[0], len(layers.fc1)))


class PackedRun:
    """A run of the agent network over whole sequences, from which gradients can be carried back.

    Attributes:
        values: see ``packed_values``.
    """

    def __init__(self, weights: Weights, inputs: Tensor, sizes: Tensor) -> None:
        """See ``packed_values``."""
        self._weights, self._versions = weights, weights.versions
        self._layers, self._sizes = weights.layers, sizes.numpy()
        self._course = _course(inputs.numpy(), len(inputs), len(self._layers.fc1))
        self.values = _run(self._layers, self._sizes, self._course)

    def gradient(self, slopes: Tensor) -> Tensor:
        """Carry slopes of the values [rows, a] back; return those of all parameters, one after the other, [P].

        Raises:
            RuntimeError: the parameters have changed since.
        """
        if self._weights.versions != self._versions:
            raise RuntimeError("the agent network's parameters have changed since it was run")
        course, layers = self._course, self._layers
        (of_states,) = _zeros(course.hidden, course.hidden.shape)
        of_gates = _empty(course.gates, course.gates.shape, course.gates.shape)
        carried = _Slopes(slopes.contiguous().numpy(), of_states, *of_gates)
        # Transposed, but for fc2: products are faster where their longer side is inside.
        shapes = layers._replace(fc2=layers.fc2.T)
        gradients = _Layers(*_zeros(layers.fc1, *(each.shape[::-1] for each in shapes)))
        _backward(self._sizes, layers, course, carried, gradients)
        turned = gradients._replace(fc2=gradients.fc2.T)
        return torch.from_numpy(np.concatenate([each.T.ravel() for each in turned]))


class StepwiseNetwork:
    """The agent network run step by step over E battles, without gradients; it sees what its parameters become.

    Attributes:
        inputs: [E, in], to be filled in before each step.
    """

    def __init__(self, weights: Weights, battles: int) -> None:
        """The weights change where they are."""
        self._layers = weights.layers
        hidden, size = self._layers.fc1.shape
        self.inputs, self._past = _zeros(self._layers.fc1, (battles, size), (battles, hidden))
        self._sizes = np.array([battles])
        self._room = _room(self._layers, battles)
        self._course = _course(self.inputs, battles, hidden)
        (self._values,) = _empty(self._layers.fc2, (battles, len(self._layers.fc2)))

    def forget(self, mask: NDArray[np.bool_]) -> None:
        """Forget what came before in the battles of the mask [E]."""
        self._past[mask] = 0.0

    def step(self) -> _Array:
        """Take a step with the inputs; return Q-values [E, a], in an array that the next step overwrites."""
        _forward(self._sizes, self._past, self._layers, self._room, self._course, self._values)
        self._past[:] = self._course.hidden
        return self._values


class _Layers(NamedTuple):
    """The network's 8 tensors, or arrays of the same shapes."""

    fc1: _Array
    fc1_bias: _Array
    weight_ih: _Array
    weight_hh: _Array
    bias_ih: _Array
    bias_hh: _Array
    fc2: _Array
    fc2_bias: _Array


class _Course(NamedTuple):
    """What becomes of packed inputs on their way forward, as going back needs it: of all rows, or of one step's."""

    inputs: _Array  # [rows, in], always of all
    features: _Array  # [rows, h], after fc1 and ReLU
    gates: _Array  # [rows, 3h], r, z and n
    u_new: _Array  # [rows, h], the part of n in h U
    past: _Array  # [rows, h], the state before each step
    hidden: _Array  # [rows, h], the state after it


class _Room(NamedTuple):
    """What only the way forward uses: the matrices, transposed, and h U of one step, [B, 3h]."""

    fc1: _Array
    weight_ih: _Array
    weight_hh: _Array
    fc2: _Array
    of_hidden: _Array


class _Slopes(NamedTuple):
    """The values' gradients carried back: to the values, to states or features, to x W and to h U."""

    values: _Array  # [rows, a]
    state: _Array  # [rows, h]
    of_input: _Array  # [rows, 3h]
    of_hidden: _Array  # [rows, 3h]


def _run(layers: _Layers, sizes: _Array, course: _Course) -> Tensor:
    (values,) = _empty(layers.fc2, (len(course.inputs), len(layers.fc2)))
    (start,) = _zeros(layers.fc1, (sizes[0], len(layers.fc1)))
    _forward(sizes, start, layers, _room(layers, sizes[0]), course, values)
    return torch.from_numpy(values)


def _course(inputs: _Array, rows: int, h: int) -> _Course:
    return _Course(inputs, *_empty(inputs, *((rows, width) for width in (h, 3 * h, h, h, h))))


def _room(layers: _Layers, battles: int) -> _Room:
    matrices = (layers.fc1, layers.weight_ih, layers.weight_hh, layers.fc2)
    shapes = (each.shape[::-1] for each in matrices)
    return _Room(*_empty(layers.fc1, *shapes, (battles, len(layers.weight_hh))))


def _empty(like: _Array, *shapes: tuple[int, ...]) -> list[_Array]:
    """Arrays of these shapes, of the type of ``like``.

    They are parts of one that PyTorch has made, because each call of PyTorch takes Python's lock again. Each begins
    where a cache line does, or it would be slower to load.
    """
    sizes = [math.prod(shape) for shape in shapes]
    room = [-(-size // _LINE) * _LINE for size in sizes]
    whole = torch.from_numpy(like).new_empty(sum(room)).numpy()
    first = [0, *itertools.accumulate(room)]
    return [whole[at : at + size].reshape(shape) for at, size, shape in zip(first, sizes, shapes, strict=False)]


def _zeros(like: _Array, *shapes: tuple[int, ...]) -> list[_Array]:
    arrays = _empty(like, *shapes)
    for array in arrays:
        array.fill(0.0)
    return arrays


@fused_entry
def _forward(sizes: _Array, start: _Array, layers: _Layers, room: _Room, course: _Course, values: _Array) -> None:
    """Fill in the course and the values [rows, a] of sequences whose states before their first step are ``start``.

    Where the course has room for the rows of one step only, it is the last step's.
    """
    h = start.shape[1]
    _transpose(layers.fc1, room.fc1)
    _transpose(layers.weight_ih, room.weight_ih)
    _transpose(layers.weight_hh, room.weight_hh)
    _transpose(layers.fc2, room.fc2)
    row = kept = before = 0  # the step's first row, where it is kept in the course, where that of the step before is
    keeps_all = len(course.hidden) == len(values)
    for n in sizes:
        rows = slice(kept, kept + n)
        past, hidden, features = course.past[rows], course.hidden[rows], course.features[rows]
        gates, u_new, of_hidden = course.gates[rows], course.u_new[rows], room.of_hidden[:n]
        for i in range(n):
            for j in range(h):
                past[i, j] = course.hidden[before + i, j] if row else start[i, j]
        _linear(features, course.inputs[row : row + n], room.fc1, layers.fc1_bias)
        for i in range(n):
            for j in range(h):
                features[i, j] = max(features[i, j], _ZERO)
        _linear(gates, features, room.weight_ih, layers.bias_ih)
        _linear(of_hidden, past, room.weight_hh, layers.bias_hh)
        for i in range(n):
            for j in range(h):
                u_new[i, j] = of_hidden[i, 2 * h + j]
            activate(gates[i], of_hidden[i], past[i], hidden[i])
        _linear(values[row : row + n], hidden, room.fc2, layers.fc2_bias)
        row, before = row + n, kept
        kept = row if keeps_all else 0


@fused
def _transpose(matrix: _Array, out: _Array) -> None:
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            out[j, i] = matrix[i, j]


@fused
def _linear(out: _Array, rows: _Array, weight: _Array, bias: _Array) -> None:
    """Fill in out [n, m] from rows [n, k], weight [k, m] and bias [m]."""
    for i in range(len(out)):
        for j in range(len(bias)):
            out[i, j] = bias[j]
    add_product(out, rows, weight)


@fused_entry
def _backward(sizes: _Array, layers: _Layers, course: _Course, slopes: _Slopes, gradients: _Layers) -> None:
    """Carry the values' slopes back, last step first, and add to the gradients.

    The slopes of states are zeros before. The gradients are transposed but for those of fc2.
    """
    h = course.past.shape[1]
    row = done = len(course.past)
    for step in range(len(sizes) - 1, -1, -1):
        n, before = sizes[step], sizes[step - 1]
        row -= n
        rows = slice(row, row + n)
        add_product(slopes.state[rows], slopes.values[rows], layers.fc2)
        for i in range(row, row + n):
            differentiate(
                course.gates[i],
                course.u_new[i],
                course.past[i],
                slopes.state[i],
                slopes.of_input[i],
                slopes.of_hidden[i],
            )
        if step:
            earlier = slopes.state[row - before : row - before + n]
            for i in range(n):
                for j in range(h):
                    earlier[i, j] += slopes.state[row + i, j] * course.gates[row + i, h + j]
            add_product(earlier, slopes.of_hidden[rows], layers.weight_hh)
        if done - row >= _ENOUGH or not step:
            _add_gradients(row, done, layers, course, slopes, gradients)
            done = row


@fused
def _add_gradients(
    first: int, last: int, layers: _Layers, course: _Course, slopes: _Slopes, gradients: _Layers
) -> None:
    """Add what comes from some rows to the gradients; the rows' slopes of states are overwritten."""
    rows = slice(first, last)
    add_product_over_rows(gradients.fc2, slopes.values[rows], course.hidden[rows])
    add_product_over_rows(gradients.weight_hh, course.past[rows], slopes.of_hidden[rows])
    add_product_over_rows(gradients.weight_ih, course.features[rows], slopes.of_input[rows])
    add_rows(gradients.fc2_bias, slopes.values[rows])
    add_rows(gradients.bias_hh, slopes.of_hidden[rows])
    add_rows(gradients.bias_ih, slopes.of_input[rows])
    of_features = slopes.state[rows]
    for i in range(last - first):
        for j in range(of_features.shape[1]):
            of_features[i, j] = _ZERO
    add_product(of_features, slopes.of_input[rows], layers.weight_ih)
    for i in range(last - first):
        for j in range(of_features.shape[1]):
            of_features[i, j] *= course.features[first + i, j] > _ZERO
    add_product_over_rows(gradients.fc1, course.inputs[rows], of_features)
    add_rows(gradients.fc1_bias, of_features)
