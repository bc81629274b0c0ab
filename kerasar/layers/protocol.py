"""How a layer declares what it sees: one declaration, from which the proof of causality, the
step-by-step sampler and the conversion of window models all follow.

A layer of your own joins by the decorator `@declares_what_it_sees` on its class and by defining,
next to `call`, one of

*Pointwise*: `taps(position_rank)` returns `POINTWISE`. The layer treats every position alike and by
itself; the engine calls it on single positions. (Every position axis then has size 1, so reshapes
must leave these axes alone.)

*Taps*: `taps(position_rank) -> Taps` and `combine(values, position)`. The output at a position is a
pure function of the input at a few fixed offsets: convolutions, poolings, shifts, crops, paddings.

*Recurrence over time*: `initial(batch)` and `step(x, carry, position) -> (y, carry)`. A layer that
is strictly causal in itself adds `step_offset = -1`: its steps take the input one position before.
One that runs along each row of an image has the same methods, and `along_rows = True`.

*Recurrence over an image*: the methods of `RowRecurrence`.

`position_rank` is the number of position axes: 1 for sequences, 2 for images (rows, columns).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from kerasar.keras_internals import replaces_methods
from kerasar.typing import Tensor

#: An offset for each position axis: (steps,) or (rows, columns). Negative means earlier.
Offset = tuple[int, ...]


class Taps(NamedTuple):
    """At which offsets from the output's position the input is read.

    Attributes:
        offsets: the offsets, each once.
        pad: what is read outside of the input: 0 for a convolution, -inf for max pooling.
        length_change: by how much the output is longer than the input, along each position axis;
            None means not at all.
        combine: `combine(values, position) -> value`; None where the layer has a method of that
            name. `values` has one tensor for each offset, `(batch, *positions, channels)`, all of
            them aligned: a single position, a row, or everything. `position` holds the index on
            each position axis, integers that broadcast against it.
        matrices: for maps that are linear up to `finish`: `matrices()` gives a weight matrix
            `(input channels, output channels)` for each tap, read from the live weights. The map
            is `finish` of the sum of value @ matrix. Called once, outside the sampling loop.
        finish: bias and activation of a linear map.
        linear: whether `finish` only adds a bias, so that sums of such maps are one product.
        moves: whether the one tap's value is passed on as it is: shifts, paddings, crops.
        connects: `(taps, input channels, output channels)` Boolean array of what is connected, for
            layers that order the color channels of the present pixel; None means all of it.
        sources: for each tap the index of the input that it reads; None: there is one input.
            Lengths (`length_change`) are relative to the first input, offsets to the own one.
    """

    offsets: tuple[Offset, ...]
    pad: float = 0.0
    length_change: Offset | None = None
    combine: Callable[[Sequence[Tensor], tuple[Tensor, ...]], Tensor] | None = None
    matrices: Callable[[], Sequence[Tensor]] | None = None
    finish: Callable[[Tensor], Tensor] | None = None
    linear: bool = False
    moves: bool = False
    connects: Tensor | None = None
    sources: tuple[int, ...] | None = None

    def source(self, tap: int) -> int:
        """The index of the input that a tap reads."""
        return 0 if self.sources is None else self.sources[tap]


class Pointwise(NamedTuple):
    """Each position by itself; the engine calls the layer on single positions.

    Attributes:
        whole: the inputs, by index, that have no positions and are handed over as they are, such as
            a matrix; they must not depend on the data. None: those of a lower rank than others.
    """

    whole: tuple[int, ...] | None = None


POINTWISE = Pointwise()


class Recurrence(NamedTuple):
    """A state that goes along the sequence.

    Attributes:
        initial: `initial(batch, *given) -> carry`, the state before the first step; any structure
            of tensors whose first axis is the batch.
        step: `step(x, carry, position) -> (y, carry)` on `(batch, …)`, without the position axis.
            x is a list where several inputs run along with the steps, and y one where there are
            several outputs.
        offset: where a step reads its input: 0 at its own position, -1 one before it (zeros at
            the first).
        given: the indices of the inputs that give the initial state, and do not depend on the
            data. All others run along with the steps, a mask among them.
        connects: as for `RowRecurrence`.
    """

    initial: Callable[..., Any]
    step: Callable[[Any, Any, Tensor], tuple[Any, Any]]
    offset: int = 0
    given: tuple[int, ...] = ()
    connects: Tensor | None = None


class RowRecurrence(NamedTuple):
    """A state that goes over an image: from row to row, and along the row.

    Everything that depends on finished rows only is done by `row`, at full width, once a row;
    `step` then runs once a pixel on what is to its left.

    Attributes:
        sees: `sees(height, width)` gives the offsets (rows, columns) that are seen.
        initial_rows: `initial_rows(batch, width) -> (kept, carry)` before the first row.
        row: `row(above, kept, carry, y) -> (part, carry)`, where `above` is the finished input row
            y - 1, `(batch, width, channels)` (zeros for row 0), `kept` what `step` kept of it, and
            `carry` what `row` gave for the row before. Each tensor of `part` is
            `(batch, width, …)`.
        initial: `initial(batch) -> left`, the state left of the first pixel.
        step: `step(x, left, part, position) -> (y, left, kept)` on `(batch, channels)`, with the
            pixel's own slice of `part`. `position` is (row, column). Where nothing is passed along
            the row, `left` being `()`, it is also called with a whole row,
            `(batch, width, channels)`, and all of its columns.
        connects: `(input channels, output channels)` Boolean array of what of the present pixel is
            connected, for layers that keep the order of its color channels (a method without
            arguments on the layer itself); None means all of it.
    """

    sees: Callable[[int, int], Iterable[Offset]]
    initial_rows: Callable[[Tensor, Tensor], tuple[Any, Any]]
    row: Callable[[Tensor, Any, Any, Tensor], tuple[Any, Any]]
    initial: Callable[[Tensor], Any]
    step: Callable[[Tensor, Any, Any, tuple[Tensor, Tensor]], tuple[Tensor, Any, Any]]
    connects: Tensor | None = None

    def runs_whole_rows(self) -> bool:
        """Whether nothing is passed along the row, so that its pixels may be one step."""
        return self.initial(1) == ()


class Aligned(NamedTuple):
    """Positions on any axes of the tensors, or on two: the pairs of queries and keys of attention.

    Found by the engine; layers of your own do not declare it.

    Attributes:
        axes: for each input, `{its axis: the axis of the output}`; a name instead where it is
            summed over, equal for all inputs that are summed together.
        ahead: for an operation that leaves out masked pairs, the largest offset from a query to a
            key that it reads; None for others.
    """

    axes: tuple[Mapping[int, int | str], ...]
    ahead: int | None = None


class MixesPositions(NamedTuple):
    """Mixes positions in a way that is not causal or that has no step form."""

    reason: str


Declaration = Pointwise | Taps | Recurrence | RowRecurrence | Aligned | MixesPositions

_Layer = TypeVar("_Layer", bound=type)
_DECLARING: set[type] = set()


def declares_what_it_sees(layer_class: _Layer) -> _Layer:
    """Marks a layer class whose methods declare what it sees.

    The mark is for this very class: a subclass that changes `call` would otherwise inherit a
    promise that it breaks. A subclass that keeps it is marked itself.

    Args:
        layer_class: a class of Keras layers; it comes back as it is.

    Raises:
        TypeError: if the class defines none of the methods of a declaration.
    """
    ways = (("taps",), ("initial_rows", "row", "initial", "step"), ("initial", "step"))
    if not any(all(callable(getattr(layer_class, n, None)) for n in names) for names in ways):
        raise TypeError(
            f"{layer_class.__name__} declares nothing: give it a method taps, or initial and step, "
            "as kerasar.layers.protocol describes them."
        )
    _DECLARING.add(layer_class)
    return layer_class


def declares(layer: Any) -> bool:
    """Whether a layer's own class is marked, and its methods are the class's."""
    return type(layer) in _DECLARING and not replaces_methods(layer)
