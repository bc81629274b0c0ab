"""Dilated convolutions.

Each layer skips twice as many values as the one below: four layers see 16 values, where four
layers without dilations would see 5. The figure of the WaveNet paper, drawn from the receptive
fields that kerasar finds in a network.
"""

from matplotlib.figure import Figure

import kerasar
from kerasar.cli.gallery.studio import Studio


def draw(studio: Studio) -> None:
    model = kerasar.models.CausalConvNet(None, 4, filters=2, dilations=(1, 2, 4, 8))
    field = kerasar.receptive_field(model.network)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.add_subplot()
    steps, dilations = 17, (1, 2, 4, 8)
    for row in range(len(dilations) + 1):
        axes.plot(range(steps), [row] * steps, "o", color="#bbbbbb", markersize=8)
    reached = {steps - 1}
    for row in range(len(dilations), 0, -1):
        lag = dilations[row - 1]
        axes.plot(sorted(reached), [row] * len(reached), "o", color="#4c78a8", markersize=8)
        for t in reached:
            for source in (t, t - lag):
                axes.plot([source, t], [row - 1, row], color="#4c78a8", linewidth=1)
        reached |= {t - lag for t in reached}
    axes.plot(sorted(reached), [0] * len(reached), "o", color="#4c78a8", markersize=8)
    axes.set_yticks(range(5), ["input", *(f"dilation {d}" for d in dilations)])
    axes.set_xlabel("step")
    axes.spines[:].set_visible(False)
    caption = (
        f"One prediction and all that it sees, {field.reach} values: what comes out above at step "
        "16 is the distribution of the value at step 17."
    )
    studio.show(figure, caption)
