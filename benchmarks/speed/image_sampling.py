"""Seconds to draw an image: cached, which computes nothing twice, against a full pass a pixel.

Untrained networks on 28×28 grey images of 2 levels, 16 at once; the same samples both ways.

    python -m benchmarks.speed.image_sampling  # several minutes
    python -m benchmarks.speed.image_sampling --tiny  # seconds, to see that it runs
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median, write_report
from benchmarks.quality.images import MODELS

#: Untrained outputs are near ½, where rounding decides more often; the rest must be the same.
_SAME = 0.9


def models(tiny: bool) -> list[tuple[str, Any]]:
    """Each model with its name, as `draw(**options)`."""
    import kerasar
    from kerasar.distributions import Bernoulli
    from kerasar.testing import randomize

    shape = (6, 6, 1) if tiny else (28, 28, 1)
    found = []
    for name, (builder, size) in list(MODELS.items())[: 1 if tiny else None]:
        if tiny:
            size = {**size, "layers" if builder == "PixelRNN" else "blocks": 1}
        model = getattr(kerasar.models, builder)(shape, 2, likelihood=Bernoulli(), **size)
        randomize(model.network)
        found.append((name, model.sample))
    vae = kerasar.models.PixelVAE(
        shape, 2, likelihood=Bernoulli(), **(dict(blocks=1) if tiny else {})
    )
    randomize(vae.decoder.network)
    return [*found, ("pixel_vae", vae.sample)]


def seconds(draw: Any, count: int, **options: Any) -> tuple[float, np.ndarray]:
    """How long one call takes, and what it gives."""
    start = time.perf_counter()
    samples = draw(count, verbose=False, **options)
    return time.perf_counter() - start, samples


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=3)
    parser.add_argument("--num", type=int, default=16, help="images at once")
    options = parse(parser, arguments)

    header = ["model", "cached ms an image", "parallel ms", "full passes ms", "ratio", "same"]
    rows = []
    cached = dict(method="cached", jit_compile=not options.tiny)
    for name, draw in models(options.tiny):
        draw(options.num, verbose=False, **cached)  # traced and compiled
        draw(1, method="sequential", verbose=False)
        ours, parallel, full, same = [], [], [], []
        for turn in range(options.repeat):
            taken, drawn = seconds(draw, options.num, seed=turn, **cached)
            ours.append(taken)
            parallel.append(seconds(draw, options.num, seed=turn, method="parallel")[0])
            if turn == 0:  # minutes for some
                taken, expected = seconds(draw, options.num, seed=turn, method="sequential")
                full.append(taken)
                same.append((drawn == expected).all(axis=(1, 2, 3)).mean())
        each = [1000 * median(times) / options.num for times in (ours, parallel, full)]
        rows.append(
            [name, *(f"{ms:.1f}" for ms in each), f"{each[2] / each[0]:.0f}×", f"{same[0]:.0%}"]
        )
        assert same[0] >= _SAME, f"{name}: the samplers disagree"
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    write_report("image_sampling", header, rows, options.out)


if __name__ == "__main__":
    main()
