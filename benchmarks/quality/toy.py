"""The toy problem: how near each network comes to the entropy, which nothing can beat.

Each trains for some minutes on sequences that are drawn anew for every epoch, so nothing is seen
twice, and is then scored on 10,000 others. `excess` is the mean difference from the exact
log-probability of those very sequences, which varies less than the nats themselves. The exact
probability also judges 2,000 samples of each network: how many can occur at all.

    python -m benchmarks.quality.toy --minutes 10 --out results/toy  # an hour on two quiet cores
    python -m benchmarks.quality.toy --only wavenet --clock cpu  # beside other work
    python -m benchmarks.quality.toy --tiny  # seconds, to see that it runs

A network whose result is in the folder is not trained again.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import CPU, WALL, make_parser, parse
from benchmarks.common.report import machine, write_report
from benchmarks.common.time_budget import clock, time_budget

#: name, label, builder, its arguments, batch size, peak learning rate. The lecture's come at its
#: size: 32 channels.
CASES: list[tuple[str, str, str, dict[str, Any], int, float]] = [
    ("wavenet", "WaveNet, 10 layers", "WaveNet",
     dict(filters=64, skip_filters=128, cycles=2, cycle_length=5), 64, 3e-3),
    ("plain", "causal, dilations 1, 1, 1, 1", "CausalConvNet", {}, 64, 3e-3),
    ("dilated", "causal, dilations 2, 4, 8, 16", "CausalConvNet",
     dict(dilations=(2, 4, 8, 16)), 64, 3e-3),
    ("all_lags", "causal, dilations 1, 2, 4, 8, 16", "CausalConvNet",
     dict(dilations=(1, 2, 4, 8, 16)), 64, 3e-3),
    ("masked", "masked input", "MaskedInputConvNet", {}, 256, 2e-3),
    ("masked_random", "masked input, random orders", "MaskedInputConvNet",
     dict(order="random"), 256, 2e-3),
]  # fmt: skip

#: Seeds of the held-out sequences and of those that train: they never meet.
HELD_OUT, FIRST_EPOCH = 0, 1


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "results/toy")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, each network")
    parser.add_argument("--clock", choices=[WALL, CPU], default=WALL, help="what minutes count")
    parser.add_argument("--only", nargs="+", choices=[case[0] for case in CASES])
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser, arguments, minutes=1e-4)

    from kerasar.data import toy_entropy, toy_log_prob, toy_sequences

    length, epoch, held_out_size = (16, 128, 50) if options.tiny else (32, 50_000, 10_000)
    options.out.mkdir(parents=True, exist_ok=True)
    held_out = toy_sequences(held_out_size, length, HELD_OUT)
    exact = toy_log_prob(held_out)
    results = []
    for name, label, builder, arguments, batch_size, rate in CASES:
        if options.only and name not in options.only:
            continue
        path = options.out / f"{name}.json"
        if not path.exists():
            keras.utils.set_random_seed(options.seed)
            model = build(builder, arguments, length)
            trained = train(model, options, epoch, batch_size, rate)
            model.save(options.out / f"{name}.keras")
            found = score(model, held_out, exact, 20 if options.tiny else 2000)
            about = {"name": name, "label": label, **arguments}
            about |= {"batch_size": batch_size, "rate": rate}
            path.write_text(json.dumps({**about, **trained, **found}, indent=1) + "\n")
        results.append(json.loads(path.read_text()))
        print(results[-1], file=sys.stderr, flush=True)
    results.sort(key=lambda result: -result["nats"])
    entropy = toy_entropy(length)
    summary = {"length": length, "entropy": entropy, "held_out": held_out_size,
               "held_out_exact_nats": float(-exact.mean()), "seed": options.seed,
               "machine": machine(), "results": results}  # fmt: skip
    (options.out / "toy.json").write_text(json.dumps(summary, indent=1) + "\n")
    header = ["network", "parameters", "nats", "± error", "excess", "valid samples",
              "nats of valid samples", "minutes", "sequences seen"]  # fmt: skip
    write_report("toy", header, [row(result) for result in results]
                 + [["the exact probability", "", f"{-exact.mean():.3f}", "", "0", "100%",
                     f"{entropy:.3f} (entropy)", "", ""]], options.out)  # fmt: skip
    draw(results, entropy, options.out, length)


def build(builder: str, arguments: dict[str, Any], length: int) -> Any:
    """The model of a case."""
    import kerasar

    return getattr(kerasar.models, builder)(length, 2 * length, **arguments)


def train(model: Any, options: Any, epoch: int, batch_size: int, rate: float) -> dict[str, Any]:
    """Trains until time is up; says how long it took and how much was seen."""
    from kerasar.data import toy_sequences

    # Compiling by XLA takes longer than a tiny run.
    jit_compile = False if options.tiny else None
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), jit_compile=jit_compile)
    budget = time_budget(options.minutes, rate, options.clock)
    length = model.data_shape[0]
    seed, done = FIRST_EPOCH, False
    wall, cpu = time.monotonic(), clock(CPU)
    while not done:
        x = toy_sequences(epoch, length, seed)
        history = model.fit(x, batch_size=batch_size, callbacks=[budget], verbose=0)
        seed, done = seed + 1, model.stop_training
        if seed % 10 == 0 or done:
            minutes, loss = clock(CPU) - cpu, history.history["loss"][-1]
            print(f"  {seed} epochs, {minutes:.1f} min: {loss:.3f}", file=sys.stderr, flush=True)
    return {
        "parameters": model.count_params(),
        "sequences_seen": int(model.optimizer.iterations) * batch_size,
        "wall_minutes": round((time.monotonic() - wall) / 60, 2),
        "processor_minutes_per_core": round(clock(CPU) - cpu, 2),
    }


def score(model: Any, held_out: Any, exact: Any, num_samples: int) -> dict[str, Any]:
    """Nats on held-out sequences, and what the exact probability says of samples."""
    from kerasar.data import toy_log_prob

    nats = -model.log_prob(held_out, batch_size=500).astype("float64")
    excess = nats + exact
    samples = model.sample(num_samples, seed=0, verbose=False)
    judged = toy_log_prob(samples)
    valid = np.isfinite(judged)
    return {
        "nats": float(nats.mean()),
        "error": float(nats.std() / len(nats) ** 0.5),
        "excess": float(excess.mean()),
        "excess_error": float(excess.std() / len(excess) ** 0.5),
        "samples": num_samples,
        "valid_samples": float(valid.mean()),
        "nats_of_valid_samples": float(-judged[valid].mean()) if valid.any() else None,
        "nats_of_samples_by_the_model": float(-model.log_prob(samples, batch_size=500).mean()),
    }


def row(result: dict[str, Any]) -> list[str]:
    """A line of the table."""
    judged = result["nats_of_valid_samples"]
    return [
        result["label"], f"{result['parameters']:,}", f"{result['nats']:.3f}",
        f"{result['error']:.3f}", f"{result['excess']:.3f} ± {result['excess_error']:.3f}",
        f"{result['valid_samples']:.1%}", "" if judged is None else f"{judged:.3f}",
        f"{result['processor_minutes_per_core']:.1f}", f"{result['sequences_seen']:,}",
    ]  # fmt: skip


def draw(results: list[dict[str, Any]], entropy: float, out: Path, length: int) -> None:
    """Bars with the entropy as a line, and the conditionals of a masked-input network."""
    from matplotlib.figure import Figure

    import kerasar
    from kerasar.data import toy_sequences

    figure = Figure(figsize=(8, 0.5 * len(results) + 1.6), layout="constrained")
    axes = figure.add_subplot()
    nats = [result["nats"] for result in results]
    places = np.arange(len(nats))[::-1]
    axes.barh(places, nats, color="#4c78a8", height=0.6)
    for place, value in zip(places, nats, strict=True):
        axes.text(value, place, f" {value:.2f}", va="center")
    axes.axvline(entropy, color="#202020", linewidth=2)
    axes.set_yticks(places, [result["label"] for result in results])
    axes.set_xlim(0, 1.12 * max([*nats, entropy]))
    axes.set_xlabel(f"held-out nats a sequence (line: the entropy, {entropy:.2f})")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    kerasar.pictures.save(figure, out / "toy.png")

    masked = [result["name"] for result in results if result["name"] == "masked"]
    for name in masked:
        model = kerasar.load(out / f"{name}.keras")
        x = toy_sequences(4, length, HELD_OUT)
        positions = [length // 8, length // 4, length // 2, length - 2]
        logits, known = [], np.arange(length) < np.array(positions)[:, None]
        for i, position in enumerate(positions):
            logits.append(model.conditional(x[i : i + 1], known[i : i + 1], position)[0])
        figure = kerasar.pictures.posterior_figure(x, known, positions, np.array(logits))
        kerasar.pictures.save(figure, out / "posterior.png")


if __name__ == "__main__":
    main()
