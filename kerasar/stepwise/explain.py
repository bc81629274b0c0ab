"""Everything the engine knows of a network, as a text: `kerasar.explain`."""

import warnings

import keras

from kerasar.arguments import checks_arguments
from kerasar.causality.analysis import Analysis, analyze
from kerasar.causality.layer_report import describe, report_layers
from kerasar.causality.proof import analyses_of_lengths, prove
from kerasar.stepwise.axis_program import NotSteppable
from kerasar.stepwise.make_stepper import make_stepper


@checks_arguments
def explain(network: keras.Model, event_rank: int | None = None) -> None:
    """Prints what each layer sees, whether the network is causal and why, and its samplers.

    Args:
        network: functional Keras model; need not be causal.
        event_rank: as for `check_causal`.

    Raises:
        ValueError: if the network has no graph.

    Example:
        >>> import keras, kerasar
        >>> x = keras.Input((8,), dtype="int32", name="x")
        >>> h = keras.layers.Embedding(4, 16, name="embedding")(x)
        >>> h = kerasar.layers.CausalShift(name="shift")(h)
        >>> h = keras.layers.Conv1D(4, 3, padding="causal", name="logits")(h)
        >>> kerasar.explain(keras.Model(x, h, name="net"))
        Network 'net' is proven strictly causal.
        <BLANKLINE>
        layer      class        sees
        embedding  Embedding    now
        shift      CausalShift  t-1
        logits     Conv1D       t-3 to t-1
        <BLANKLINE>
        The output sees t-3 to t-1.
        Samplers: cached, parallel, sequential.
    """
    print(explanation(analyze(network, event_rank)))


def explanation(analysis: Analysis) -> str:
    """The text of `explain`."""
    verdict, causal = _verdict(analysis)
    of_lengths = analyses_of_lengths(analysis)
    if of_lengths:
        analysis = of_lengths[-1]
        verdict += f" What follows is for a length of {analysis.sizes[0]}."
    if analysis.graph.raster:
        height, width = analysis.graph.raster
        what = "pixels" if analysis.sizes[0] == height * width else "values of all pixels"
        verdict += f" It is one on sequences: t counts the {what} in raster order."
    rows = [("layer", "class", "sees")]
    rows += [(layer.name, layer.kind, layer.text) for layer in report_layers(analysis)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    table = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows]
    lines = [verdict, "", *table, ""]
    if analysis.output is not None:
        lines.append(f"The output sees {describe(analysis.output.offsets, analysis.sizes)}.")
    lines.append(_samplers(analysis) if causal else "Samplers: none, for it is not causal.")
    return "\n".join(lines)


def _verdict(analysis: Analysis) -> tuple[str, bool]:
    name = analysis.graph.name
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            prove(analysis, allow_training_leak=True)
        except ValueError as error:
            return f"Refused. {error}", False
    notes = [str(warning.message) for warning in caught]
    known = not analysis.unknown or analyses_of_lengths(analysis)
    how = "is proven" if known else "was probed, not proven, to be"
    return "\n".join([f"Network '{name}' {how} strictly causal.", *notes]), True


def _samplers(analysis: Analysis) -> str:
    try:
        make_stepper(analysis)
    except NotSteppable as reason:
        return f"Samplers: parallel, sequential. No cached one: {reason}."
    return "Samplers: cached, parallel, sequential."
