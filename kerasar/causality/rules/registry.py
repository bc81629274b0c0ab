"""Finds the declaration of an operation: its own, or the rule for its kind."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasar.causality.graph import Node
from kerasar.layers.protocol import Declaration, Recurrence, RowRecurrence, Taps

Rule = Callable[[Node, int], Declaration | None]
RULES: dict[type, Rule] = {}


def declaration(node: Node, position_rank: int) -> Declaration | None:
    """What an operation declares about itself or is known to see; None if unknown."""
    operation = node.operation
    if hasattr(operation, "taps"):
        taps = operation.taps(position_rank)
        if isinstance(taps, Taps) and taps.combine is None and taps.matrices is None:
            taps = taps._replace(combine=getattr(operation, "combine", None))
        return _without_masked(taps) if isinstance(taps, Taps) else taps
    if hasattr(operation, "initial_rows"):
        return RowRecurrence(
            operation.sees,
            operation.initial_rows,
            operation.row,
            operation.initial,
            operation.step,
            operation.connects() if hasattr(operation, "connects") else None,
        )
    if hasattr(operation, "initial") and hasattr(operation, "step"):
        return Recurrence(operation.initial, operation.step, getattr(operation, "step_offset", 0))
    rule = RULES.get(type(operation))
    return None if rule is None else rule(node, position_rank)


def _without_masked(taps: Taps) -> Taps:
    """The same without the taps of a linear map of which the mask leaves nothing."""
    if taps.connects is None or taps.matrices is None:
        return taps
    links, whole = np.asarray(taps.connects), taps.matrices
    kept = [tap for tap, link in enumerate(links) if link.any()]
    return taps._replace(
        offsets=tuple(taps.offsets[tap] for tap in kept),
        matrices=lambda: [matrix for n, matrix in enumerate(whole()) if n in kept],
        connects=links[kept],
    )


def rule(*kinds: Any) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        for kind in kinds:
            RULES[kind] = rule
        return rule

    return register
