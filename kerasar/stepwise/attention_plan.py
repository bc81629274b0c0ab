"""How the operations of attention run one position at a time.

Of a pair of positions (query, key) the query's axis is the one that goes on to the output: it has
size 1 in a step. The other axis stays whole, so what lies on it, keys and values, is kept for all
positions:

    step t     query (b, 1, d)      the position's own
               keys  (b, n, d)      a cache; slot t is written in step t, before it is read
               mask  (1, n)         row t of the mask
               scores (b, 1, n) --> weights (b, 1, n) --> sum over n --> (b, 1, d)

Slots that are not written yet are zero, or low where scores are, and masked.
"""

import dataclasses

from kerasar.causality.analysis import Analysis
from kerasar.causality.graph import Edge, Node
from kerasar.causality.pairs.values import centers, is_low
from kerasar.layers.protocol import Aligned
from kerasar.stepwise.axis_program import NotSteppable, Part
from kerasar.stepwise.caches import CachePlan, multiplied_groups


@dataclasses.dataclass
class AttentionPlan:
    """The parts of every operation, and which tensors are kept.

    Attributes:
        parts: of each operation, one for each input.
        caches: how tensors are kept for all positions.
        step_axis: of each tensor whose positions are not on the first axes, the one of size 1.
        ahead: how far beyond its own position an operation reads what is kept.
        folds: how many rows of the first axis belong to one example, if not 1.
    """

    parts: dict[Node, tuple[Part, ...]] = dataclasses.field(default_factory=dict)
    caches: dict[Edge, CachePlan] = dataclasses.field(default_factory=dict)
    step_axis: dict[Edge, int] = dataclasses.field(default_factory=dict)
    ahead: dict[Node, int] = dataclasses.field(default_factory=dict)
    folds: dict[Edge, int] = dataclasses.field(default_factory=dict)


def plan_attention(analysis: Analysis) -> AttentionPlan:
    """Plans the operations on tensors whose positions lie on any axes, from the output backwards.

    Raises:
        NotSteppable: if an operation cannot be run position by position.
    """
    plan = AttentionPlan()
    plan.folds = {edge: placed.fold for edge, placed in analysis.placed.items() if placed.fold > 1}
    pair_ahead: dict[Edge, int] = {}
    for node, declared in reversed(analysis.declarations.items()):
        if isinstance(declared, Aligned):
            _plan(node, declared, analysis, plan, pair_ahead)
    return plan


def _plan(
    node: Node,
    declared: Aligned,
    analysis: Analysis,
    plan: AttentionPlan,
    pair_ahead: dict[Edge, int],
) -> None:
    steps = {plan.step_axis.get(made, 1) for made in node.outputs if _is_read(made, plan, analysis)}
    if len(steps) > 1:
        raise NotSteppable(f"layer '{node.name}' has outputs that go on along different axes")
    step: int | str = steps.pop() if steps else 1
    ahead = declared.ahead
    if ahead is None:
        ahead = max([pair_ahead[made] for made in node.outputs if made in pair_ahead], default=0)
    held = [_position_axes(edge, analysis) for edge in node.inputs]
    whole = {
        axes[axis]
        for axes, own in zip(declared.axes, held, strict=True)
        for axis in own
        if axes[axis] != step
    }
    parts = []
    for index, (edge, axes, own) in enumerate(zip(node.inputs, declared.axes, held, strict=True)):
        if not own:
            sizes = {axis: edge.shape[axis] for axis in axes if edge.shape[axis] != 1}
            cut = next((axis for axis in sizes if axes[axis] == step), None)
            parts.append(Part(edge, cut=cut, whole=tuple(a for a in sizes if axes[a] in whole)))
            continue
        stepped = [axis for axis in own if axes[axis] == step]
        others = tuple(axis for axis in own if axis not in stepped)
        if not stepped and len(own) == 1:
            groups = multiplied_groups(declared, index, len(edge.shape), own[0])
            fold = plan.folds.get(edge, 1)
            fill = _fill(edge, node, analysis)
            plan.caches.setdefault(edge, CachePlan(edge, own[0], fold, groups, fill))
            # Where queries do not depend on the data, each has its row in what is kept.
            rows = (axis for axis in axes if axes[axis] == step and edge.shape[axis] != 1)
            parts.append(Part(edge, kept=own[0], cut=next(rows, None), whole=own))
            plan.step_axis.setdefault(edge, own[0])
            continue
        if len(stepped) != 1 or plan.step_axis.setdefault(edge, stepped[0]) != stepped[0]:
            raise NotSteppable(f"layer '{node.name}' reads pairs of positions along both axes")
        if others:
            pair_ahead[edge] = max(pair_ahead.get(edge, ahead), ahead)
        parts.append(Part(edge, whole=others))
    plan.parts[node], plan.ahead[node] = tuple(parts), ahead


def _fill(edge: Edge, node: Node, analysis: Analysis) -> float:
    """What stands for keys that are not there yet; masked scores must be as low as all others."""
    values = analysis.placed[edge].values if edge in analysis.placed else None
    if values is None or not is_low(values).any():
        return 0.0
    if not is_low(values).all():
        raise NotSteppable(f"layer '{node.name}' reads scores of which some are masked before")
    return float(centers(values).max())


def _position_axes(edge: Edge, analysis: Analysis) -> tuple[int, ...]:
    if edge in analysis.placed:
        return tuple(sorted(analysis.placed[edge].axes))
    return (1,) if edge in analysis.data_dependent else ()


def _is_read(edge: Edge, plan: AttentionPlan, analysis: Analysis) -> bool:
    return edge in plan.step_axis or edge not in analysis.placed
