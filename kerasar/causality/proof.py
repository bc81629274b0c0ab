"""The proof of causality and the receptive field, read off the structure of a network."""

import dataclasses
import warnings
from typing import Any

import keras
import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.causality.analysis import Analysis, analyze
from kerasar.causality.certificate import certify, uses_batch_statistics
from kerasar.causality.dependence import Dependence
from kerasar.causality.explain import BEFORE, FUTURE, PRESENT, explain_leak
from kerasar.causality.flat_pixels import on_image
from kerasar.causality.graph import Edge
from kerasar.causality.offsets import Offsets
from kerasar.causality.probe import probe_causal
from kerasar.layers.protocol import Aligned, Offset

L = keras.layers
#: The lengths at which a network of open length is proven, where layers need to know it.
TRIED_LENGTHS = (24, 40)


@checks_arguments
def check_causal(
    network: keras.Model, event_rank: int | None = None, *, allow_training_leak: bool = False
) -> None:
    """Proves that a network is strictly causal: each output sees earlier positions only.

    The proof follows from the structure and so holds for all weights. Where a layer is unknown
    (it declares nothing, see `kerasar.layers.protocol`), the network is probed numerically
    instead, with a warning. Training is part of the proof: a layer that sees more in training than
    in inference, such as `BatchNormalization`, lets the network learn from what it must not see.

    Args:
        network: functional Keras model; its input named `x` (else its first) is examined.
        event_rank: number of trailing axes of x that are drawn at once; guessed if None.
        allow_training_leak: bool. Warns of layers that see more in training, instead of refusing
            them.

    Returns:
        None, if the network is strictly causal in time (sequences) or in raster-scan order with
        the channels of a pixel in turn (images).

    Raises:
        ValueError: if it is not, naming the layer that leaks; or if it has no graph.
    """
    prove(analyze(network, event_rank), allow_training_leak=allow_training_leak)


def prove(
    analysis: Analysis, num_levels: int | None = None, allow_training_leak: bool = False
) -> None:
    """`check_causal` for a network that is analyzed already.

    Args:
        analysis: of the network.
        num_levels: number of values of discrete data, for probes.
        allow_training_leak: as for `check_causal`.
    """
    graph = analysis.graph
    for node, reason in analysis.mixing:
        raise ValueError(
            f"Network '{graph.name}' cannot be shown to be causal: layer '{node.name}' "
            f"({type(node.operation).__name__}) mixes positions: {reason}."
        )
    _check_training(analysis, allow_training_leak)
    levels = num_levels or graph.output.shape[-1] or 2
    for node, declared in analysis.declarations.items():
        if declared is not None:
            certify(node, declared, graph.position_rank, analysis.data_dependent, levels)
    of_lengths = analyses_of_lengths(analysis)
    if of_lengths:
        for part in of_lengths:
            prove(part, num_levels, allow_training_leak)
        return
    if analysis.unknown:
        layer = analysis.unknown[0]
        tried = probe_causal(graph, num_levels)
        warnings.warn(
            f"Layer '{layer.name}' ({type(layer.operation).__name__}) {layer.unknown_because}, "
            "so the causality of the network was probed numerically and not proven: "
            f"{tried}. See kerasar.layers.protocol for how a layer declares it.",
            stacklevel=3,
        )
        return
    output = analysis.output
    if graph.output in analysis.placed:
        raise ValueError(
            f"The output of network '{graph.name}' does not hold its positions on the axes behind "
            f"the batch: its shape is {graph.output.shape}. Transpose it."
        )
    if output is None:
        raise ValueError(
            f"The output of network '{graph.name}' does not depend on its input '{graph.x.name}'."
        )
    if _leaks(output, graph.output, graph.position_rank, analysis):
        latest = {edge: _latest(seen.offsets) for edge, seen in analysis.dependences.items()}
        for edge, placed in analysis.placed.items():
            latest[edge] = max(_latest(offsets) for offsets in placed.axes.values())
        attending = [n for n, d in analysis.declarations.items() if isinstance(d, Aligned)]
        raise ValueError(explain_leak(graph.name, graph.nodes, latest, attending))


def analyses_of_lengths(analysis: Analysis) -> list[Analysis]:
    """The same network at two lengths, where its length is open and that leaves layers unknown.

    Attention makes its mask from the length. Empty if that is no help, or not needed.
    """
    if not analysis.lacks_length:
        return []
    try:
        found = [analysis.at_length(length) for length in TRIED_LENGTHS]
    except Exception:  # such as conditions that fit other lengths only
        return []
    return [] if any(part.unknown for part in found) else found


def _check_training(analysis: Analysis, allowed: bool) -> None:
    """Refuses layers that see more in training than in inference, or warns of them."""
    for node in analysis.declarations:
        if uses_batch_statistics(node.operation):
            message = (
                f"Layer '{node.name}' (BatchNormalization) of network '{analysis.graph.name}' "
                "normalizes by statistics of the whole batch in training, later positions "
                "included: the network would learn from what it is to predict, and its loss would "
                "be too low. Use keras.layers.LayerNormalization or RMSNormalization, or freeze "
                "the layer (trainable=False)."
            )
            if not allowed:
                raise ValueError(f"{message} allow_training_leak=True takes it all the same.")
            warnings.warn(message, stacklevel=4)


def _leaks(output: Dependence, edge: Edge, position_rank: int, analysis: Analysis) -> bool:
    if output.offsets.strictly_before():
        return False
    here = (0,) * position_rank
    if output.offsets.latest() > here or output.channels is None:
        return True
    # The present may be seen where channels are drawn one after the other: those before.
    channels = len(output.channels)
    by_value = len(edge.shape) == len(analysis.graph.x.shape) + 1
    if not by_value:
        return True
    seen = np.asarray(output.channels).reshape(channels, channels, -1).any(axis=-1)
    return bool(np.tril(seen).any())


def _latest(offsets: Offsets) -> int:
    if offsets.strictly_before():
        return BEFORE
    return PRESENT if offsets.latest() == (0,) * offsets.rank else FUTURE


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """What each output of a network sees, relative to its own position.

    Attributes:
        offsets: all offsets seen: `(steps,)` for sequences, `(rows, columns)` for images;
            negative means earlier.
        reach: the largest lag: an int for sequences, (rows above, columns to either side) for
            images; None if it goes back as far as the data do.
        blind_spot: earlier offsets inside the reach that are not seen.
    """

    offsets: frozenset[Offset]
    reach: Any
    blind_spot: frozenset[Offset]

    def __repr__(self) -> str:
        """Short, however many offsets there are."""
        parts = (f"{name}={_brief(getattr(self, name))}" for name in ("offsets", "blind_spot"))
        return f"ReceptiveField(reach={self.reach}, {', '.join(parts)})"


def _brief(offsets: frozenset[Offset], most: int = 8) -> str:
    """A set of offsets; of many the first and the last ones."""
    ordered = [str(offset) for offset in sorted(offsets)]
    if len(ordered) > most:
        half = most // 2
        ordered = [*ordered[:half], f"… {len(ordered) - most} more …", *ordered[-half:]]
    return "{" + ", ".join(ordered) + "}"


@checks_arguments
def receptive_field(network: keras.Model, event_rank: int | None = None) -> ReceptiveField:
    """The exact receptive field of a network's output.

    Args:
        network: functional Keras model; need not be causal.
        event_rank: as for `check_causal`.

    Raises:
        ValueError: if the network has no graph, or a layer is unknown or mixes positions in a way
            that offsets cannot describe; the layer is named.
    """
    analysis = analyze(network, event_rank)
    seen = [part.output for part in analyses_of_lengths(analysis)]
    if seen and all(part is not None for part in seen):
        return field_of(_of_any_length([part.offsets for part in seen if part]), analysis.sizes)
    for node in analysis.unknown:
        raise ValueError(
            f"The receptive field of network '{network.name}' is unknown, for layer '{node.name}' "
            f"({type(node.operation).__name__}) {node.unknown_because}; "
            "see kerasar.layers.protocol for how."
        )
    for node, reason in analysis.mixing:
        raise ValueError(
            f"The receptive field of network '{network.name}' is not a set of offsets: layer "
            f"'{node.name}' mixes positions: {reason}."
        )
    if analysis.output is None:
        return ReceptiveField(frozenset(), 0, frozenset())
    offsets, image = analysis.output.offsets, analysis.graph.raster
    if image:
        return field_of(on_image(offsets, analysis.sizes, image), image)
    return field_of(offsets, analysis.sizes)


def _of_any_length(found: list[Offsets]) -> Offsets:
    """What is seen at any length, from what is seen at some: what grows with it has no end."""
    if all(offsets == found[0] for offsets in found):
        return found[0]
    last = max(offsets.latest()[0] for offsets in found if offsets)
    return Offsets.up_to_now() + Offsets.of(1, [(last,)])


def field_of(offsets: Offsets, sizes: tuple[int | None, ...]) -> ReceptiveField:
    """The reach and the blind spot of a set of offsets, in data of that size."""
    members = offsets.members(sizes)
    here = (0,) * offsets.rank
    if offsets.rank == 1:
        reach = max([0, *(-lag for (lag,) in members)])
        earlier: set[Offset] = {(-lag,) for lag in range(1, reach + 1)}
        return ReceptiveField(
            members, None if offsets.unbounded else reach, frozenset(earlier - members)
        )
    rows = max([0, *(-row for row, _ in members)])
    columns = max([0, *(abs(column) for _, column in members)])
    box = {(-r, c) for r in range(rows + 1) for c in range(-columns, columns + 1)}
    earlier = {offset for offset in box if offset < here}
    return ReceptiveField(
        members, None if offsets.unbounded else (rows, columns), frozenset(earlier - members)
    )
