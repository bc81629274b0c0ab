"""Three ways to draw.

A full pass for each value computes everything again. The cached sampler, which kerasar derives from
the network, computes what is new; compiled by XLA it runs as one loop. All draw the same numbers
from the same seed.
"""

import time
from typing import Any

import kerasar
from kerasar.cli.gallery.studio import Studio


def draw(studio: Studio) -> None:
    dilations = (1, 2, 4, 8, 16, 32)
    model = kerasar.models.CausalConvNet(None, 32, filters=32, dilations=dilations)
    ways: dict[str, dict[str, Any]] = {
        "a full pass for each value": dict(method="sequential", verbose=False),
        "cached": dict(method="cached", jit_compile=False),
        "cached, compiled": dict(method="cached", jit_compile=True),
    }
    cases = [(1, 128), (16, 128), (16, 512)]
    rows = [["sampler", *(f"batch {n}, length {length}" for n, length in cases)]]
    for name, options in ways.items():
        row = [name]
        for n, length in cases:
            model.sample(n, length=length, seed=0, **options)  # traced once
            start = time.perf_counter()
            model.sample(n, length=length, seed=1, **options)
            row.append(f"{1000 * (time.perf_counter() - start):.0f} ms")
        rows.append(row)
    studio.tabulate(rows, "Milliseconds on this machine.")
