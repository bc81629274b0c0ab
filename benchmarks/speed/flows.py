"""Flows beside zuko's and normflows': held-out nats on moons, training steps, sampling.

Affine couplings (RealNVP) and spline couplings of the same kind, size and number of training
steps, from the same 10,000 points; all sides alternate in one run. Then the lecture's piecewise
linear map on its mixture, beside the true entropy.

    python -m benchmarks.speed.flows  # needs the peers: benchmarks/peers/README.md
    python -m benchmarks.speed.flows --tiny  # seconds, to see that it runs; no peers needed
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median
from benchmarks.common.speed_report import SpeedReport, rest
from benchmarks.peers.client import Peer

LIBRARIES = ("zuko", "normflows")
POINTS, BATCH, DRAWN, NOISE = 10_000, 256, 10_000, 0.05

#: kind -> couplings, hidden units, steps of the training
KINDS = {"real_nvp": (8, 64, 4000), "spline": (4, 64, 4000)}


def build(kind: str, couplings: int, hidden: int) -> Any:
    """kerasar's flow of that kind, with networks as the peers have them."""
    import kerasar

    if kind == "real_nvp":
        return kerasar.models.RealNVP(
            2, hidden_units=hidden, depth=couplings, activation="relu", separate_networks=False
        )
    return kerasar.models.NeuralSplineFlow(
        2, hidden_units=(hidden, hidden), depth=couplings, linear=False
    )


def compile_flow(model: Any, optimizer: Any, tiny: bool) -> None:
    """`compile` as by default, but without XLA in a tiny run, which takes longer than the run."""
    model.compile(optimizer, jit_compile=False if tiny else None)


def fit(model: Any, points: np.ndarray, steps: int, tiny: bool) -> None:
    """Adam, with a learning rate that falls from 1e-3 to 0 along half a cosine, as the peers'."""
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    compile_flow(model, keras.optimizers.Adam(rate, epsilon=1e-8), tiny)
    whole = points[: len(points) // BATCH * BATCH]
    epochs = -(-steps * BATCH // len(whole))
    model.fit(whole, batch_size=BATCH, epochs=epochs, verbose=0)


def seconds(work: Callable[[], Any], units: int) -> float:
    """Seconds of one of `units`, while the other side is asleep."""
    rest()
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) / units


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=5)
    parser.add_argument("--only", choices=["nats", "speed", "mixture"])
    options = parse(parser, arguments)

    header = ["case", "kerasar", *LIBRARIES, "ratio", "target"]
    report = SpeedReport("flows", header, "Flows, medians of alternating runs", options)
    with nullcontext() if options.tiny else Peer() as peer:
        for kind, (couplings, hidden, steps) in KINDS.items():
            if options.tiny:
                couplings, hidden, steps = 2, 4, 5
            if options.only in (None, "nats"):
                report.rows += nats(kind, couplings, hidden, steps, options.tiny, peer)
            if options.only in (None, "speed"):
                speed(report, kind, couplings, hidden, options, peer)
    if options.only in (None, "mixture"):
        report.rows.append(mixture(1 if options.tiny else 40, options.tiny))
    report.write(picture=not options.tiny)


def nats(
    kind: str, couplings: int, hidden: int, steps: int, tiny: bool, peer: Peer | None
) -> list[list[str]]:
    """Held-out nats on moons, and the numbers of weights."""
    from kerasar.data import toy_density

    # Points of seeds 0 and 1 chose how networks start (benchmarks/NOTEBOOK.md).
    train, test = (toy_density("moons", POINTS, NOISE, seed) for seed in (2, 3))
    keras.utils.set_random_seed(0)
    model = build(kind, couplings, hidden)
    fit(model, train, steps, tiny)
    ours = -float(model.log_prob(test).astype("float64").mean())
    theirs = []
    if peer is not None:
        with tempfile.TemporaryDirectory() as folder:
            paths = {name: f"{folder}/{name}.npy" for name in ("train", "test")}
            np.save(paths["train"], train)
            np.save(paths["test"], test)
            settings = dict(kind=kind, couplings=couplings, hidden=hidden, n=BATCH, **paths)
            theirs = [
                peer.request("flow/fit", library=name, steps=steps, **settings)["result"]
                for name in LIBRARIES
            ]
    best = min((one["nats"] for one in theirs), default=float("nan"))
    return [
        [f"{kind}: held-out nats, {steps} steps", f"{ours:.4f}",
         *(f"{one['nats']:.4f}" for one in theirs or [{"nats": best}] * 2),
         f"{ours - best:+.4f}", "at most 0"],
        [f"{kind}: weights", str(model.count_params()),
         *(str(one["parameters"]) for one in theirs or [{"parameters": ""}] * 2), "", ""],
    ]  # fmt: skip


def speed(
    report: SpeedReport,
    kind: str,
    couplings: int,
    hidden: int,
    options: argparse.Namespace,
    peer: Peer | None,
) -> None:
    """Milliseconds of a training step through `fit`, and of a draw, against the faster peer."""
    steps, draws = (2, 1) if options.tiny else (200, 10)
    model = build(kind, couplings, hidden)
    compile_flow(model, keras.optimizers.Adam(1e-3), options.tiny)
    x = np.random.default_rng(0).normal(size=(steps * BATCH, 2)).astype("float32")

    def train() -> None:
        model.fit(x, batch_size=BATCH, epochs=1, verbose=0)

    def sample() -> None:
        for seed in range(draws):
            model.sample(DRAWN, seed=seed, jit_compile=not options.tiny)

    for name, work, units, case, target in (
        ("training step, ms", train, steps, "flow/train", 1.5),
        (f"{DRAWN} samples, ms", sample, draws, "flow/sample", 2.0),
    ):
        work()
        size = BATCH if case == "flow/train" else DRAWN
        ours: list[float] = []
        theirs: dict[str, list[float]] = {library: [] for library in LIBRARIES}
        for _ in range(options.repeat):
            ours.append(seconds(work, units) * 1e3)
            for library in LIBRARIES if peer is not None else ():
                settings = dict(kind=kind, couplings=couplings, hidden=hidden, n=size)
                # Small networks can be faster on one thread: the peers get the better of both.
                once = [
                    peer.time(case, library=library, steps=units, threads=threads, **settings)
                    for threads in (1, 2)
                ]
                theirs[library].append(min(once) * 1e3)
        times = [median(theirs[library]) if peer else float("nan") for library in LIBRARIES]
        ratio = min(times) / median(ours)
        row = [f"{kind}: {name}", f"{median(ours):.2f}", *(f"{t:.2f}" for t in times),
               f"{ratio:.2f}", f"{target:g}"]  # fmt: skip
        report.add(row, ratio, target, label=f"{kind}, {name.split(', ')[0]}")


def mixture(epochs: int, tiny: bool) -> list[str]:
    """The lecture's map on its mixture: held-out nats above the true density's."""
    import kerasar
    from kerasar.data import mixture_entropy, mixture_log_prob, toy_density

    keras.utils.set_random_seed(0)
    model = kerasar.models.PiecewiseLinearFlow(100)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 100 * epochs)
    compile_flow(model, keras.optimizers.Adam(rate), tiny)
    model.fit(toy_density("mixture", 25_000), batch_size=250, epochs=epochs, verbose=0)
    held_out = toy_density("mixture", 200_000, seed=1)
    found = -model.log_prob(held_out).astype("float64")
    above = float((found + mixture_log_prob(held_out)).mean())
    name = f"piecewise linear: held-out nats (true entropy {mixture_entropy():.4f})"
    return [name, f"{found.mean():.4f}", "", "", f"{above:+.4f}", "within 0.01"]


if __name__ == "__main__":
    main()
