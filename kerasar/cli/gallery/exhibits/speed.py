"""Three ways to draw.

A full pass for each value computes everything again. The cached sampler, which kerasar derives from
the network, computes what is new; compiled by XLA it runs as one loop. All draw the same numbers
from the same seed.
"""

import time
from typing import Any

from matplotlib.figure import Figure

import kerasar
from kerasar.cli.gallery.studio import Studio

WAYS: dict[str, dict[str, Any]] = {
    "a full pass for each value": dict(method="sequential", verbose=False),
    "cached": dict(method="cached", jit_compile=False),
    "cached, compiled": dict(method="cached", jit_compile=True),
}
BATCHES, LENGTHS = (1, 4, 16, 64), (32, 128, 512)


def draw(studio: Studio) -> None:
    dilations = (1, 2, 4, 8, 16, 32)
    model = kerasar.models.CausalConvNet(None, 32, filters=32, dilations=dilations)
    cases = [(n, 128) for n in BATCHES] + [(16, length) for length in LENGTHS if length != 128]
    seconds, drawn = {}, {}
    for name, options in WAYS.items():
        for n, length in cases:
            model.sample(n, length=length, seed=0, **options)  # traced once
            times = []
            for _ in range(3):  # the shortest: other programs only make it longer
                start = time.perf_counter()
                drawn[name, n, length] = model.sample(n, length=length, seed=1, **options)
                times.append(time.perf_counter() - start)
            seconds[name, n, length] = min(times)

    figure = Figure(figsize=(8, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for name, marker, color in zip(WAYS, "osD", ("#1f4e79", "#d9720b", "#222222"), strict=True):
        look: dict[str, Any] = dict(marker=marker, color=color, label=name)
        left.plot(BATCHES, [1000 * seconds[name, n, 128] for n in BATCHES], **look)
        right.plot(LENGTHS, [1000 * seconds[name, 16, length] for length in LENGTHS], **look)
    for axes, ticks in ((left, BATCHES), (right, LENGTHS)):
        axes.set(xscale="log", yscale="log")
        axes.set_xticks(ticks, map(str, ticks))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    left.set(xlabel="sequences of 128 steps", ylabel="milliseconds for all of them")
    right.set(xlabel="steps of each of 16 sequences")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    first, *others = WAYS
    same = all((drawn[first, *c] == drawn[name, *c]).all() for name in others for c in cases)
    studio.show(
        figure,
        "Time to draw, the shortest of three, over the batch and over the length. From one seed "
        f"the three drew {'the same numbers' if same else 'different numbers'}.",
    )

    rows = [["sampler", *(f"batch {n}, length {length}" for n, length in cases)]]
    for name in WAYS:
        rows.append([name, *(f"{1000 * seconds[name, *case]:.0f} ms" for case in cases)])
    ratios = [seconds[first, *case] / seconds["cached, compiled", *case] for case in cases]
    studio.tabulate(
        rows,
        f"The same times. Compiled, the cached sampler is {min(ratios):.0f} to "
        f"{max(ratios):.0f} times as fast as full passes.",
    )
