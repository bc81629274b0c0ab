"""Says in a sentence which layer lets a network see what it must not."""

from collections.abc import Callable, Container, Sequence

import keras

from kerasar.causality.graph import Edge, Node
from kerasar.layers.protocol import declares

#: When a tensor sees its data at the latest: before the position, at it, after it.
BEFORE, PRESENT, FUTURE = -1, 0, 1

_ATTENTION = (
    keras.layers.Attention,  # and with it AdditiveAttention
    keras.layers.GroupQueryAttention,
    keras.layers.MultiHeadAttention,
)


def explain_leak(
    network: str,
    nodes: Sequence[Node],
    latest: dict[Edge, int],
    attending: Container[Node] = (),
) -> str:
    """The message for a network whose output sees the present or the future.

    Args:
        network: its name.
        nodes: its operations from input to output.
        latest: for each tensor that sees the data, BEFORE, PRESENT or FUTURE.
        attending: those that are attention, or work on its tensors.
    """

    def first(fits: Callable[[int, list[int]], bool]) -> tuple[Node, int] | None:
        for node in nodes:
            sources = [latest[edge] for edge in node.inputs if edge in latest]
            for edge in node.outputs:
                if sources and edge in latest and fits(latest[edge], sources):
                    return node, latest[edge]
        return None

    intro = f"Network '{network}' is not strictly causal: "
    # First whoever spoils what was strictly causal; next whoever looks ahead before the shift.
    found = first(lambda own, sources: own > BEFORE and max(sources) == BEFORE)
    found = found or first(lambda own, sources: own == FUTURE and max(sources) < FUTURE)
    if found is not None:
        node, when = found
        what = "the present" if when == PRESENT else "the future"
        if node in attending:
            return (
                f"{intro}layer '{node.name}' is the first to see {what}: for some query no mask "
                "takes out later keys. Pass use_causal_mask=True (is_causal=True to "
                "keras.ops.dot_product_attention), or a mask that is True where the key is not "
                "later than the query and leaves each query at least one key."
            )
        if node.why_closed and "mixes positions" in node.why_closed:
            return f"{intro}layer '{node.name}' is the first to see {what}: {node.why_closed}."
        return f"{intro}layer '{node.name}' is the first to see {what}. {_advice(node)}"
    joint = first(lambda own, sources: own > BEFORE and min(sources) == BEFORE)
    if joint is not None:
        return (
            f"{intro}layer '{joint[0].name}' joins a branch that still sees the present. Put "
            "kerasar.layers.CausalShift into that branch."
        )
    return (
        f"{intro}nothing hides the present from its output '{nodes[-1].name}'. Put "
        "kerasar.layers.CausalShift behind the input."
    )


def _advice(node: Node) -> str:
    """What to do about an operation that looks ahead."""
    if isinstance(node.operation, _ATTENTION):
        return "Pass use_causal_mask=True."
    if declares(node.operation):  # such as VerticalConv2D, which sees all of its own row
        return (
            "Put kerasar.layers.CausalShift behind it, along the axis on which what it sees must "
            "be finished (axis=1 for rows), or in front of what it reads too early."
        )
    if hasattr(node.operation, "padding"):
        return "Give it padding='causal', or use its causal counterpart in kerasar.layers."
    return (
        "Put kerasar.layers.CausalShift in front of what it reads too early, mask that, or leave "
        "the operation out."
    )
