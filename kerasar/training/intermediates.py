"""Every tensor that a functional network computes on the way, in order, with its layer's name."""

from typing import Any, NamedTuple

import keras

from kerasar.typing import Tensor


class Intermediate(NamedTuple):
    """A tensor of a functional graph: the operation that makes it, and what it is made from."""

    name: str
    tensor: Tensor
    sources: tuple[Tensor, ...]


def functional_graph(network: keras.Model) -> Any:
    """The functional model that a network is or (a built `keras.Sequential`) holds, else None."""
    if isinstance(network, keras.Sequential):
        network = network._functional
    return network if hasattr(network, "_nodes_by_depth") else None


def intermediates(network: keras.Model) -> list[Intermediate]:
    """The tensors of a functional network from input to output, the inputs left out.

    Raises:
        ValueError: if the network is no functional model and so has no graph to read.
    """
    graph = functional_graph(network)
    if graph is None:
        raise ValueError(
            f"Network '{getattr(network, 'name', network)}' has no graph to read: it is a "
            f"{type(network).__name__}. Build it with the functional API, keras.Model(inputs, "
            "outputs), or keras.Sequential with an Input."
        )
    found = []
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input:
                continue
            for tensor in node.outputs:
                found.append(Intermediate(node.operation.name, tensor, tuple(node.input_tensors)))
    return found
