"""Trains a model of each family on `digits` in float32 and in mixed bfloat16, by the command.

    python -m benchmarks.quality.precision
    python -m benchmarks.quality.precision --tiny

The targets are 0.01 bits/dim of difference on the test images. Models of sequences take the pixels
of an image row by row. The seed decides weights and orders, which are the same in both.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import machine, write_report

TARGET = 0.01
#: Family -> model, whether it takes images, and options.
_MODELS = {
    "images": ("shifted-pixelcnn", True, ()),
    "images, gated": ("gated-pixelcnn", True, ()),
    "sequences": ("causal-conv-net", False, ()),
    "sequences, attention": ("transformer", False, ()),
    "masked input": ("masked-input-conv-net", False, ()),
    "flow": ("multiscale-realnvp", True, ("--epochs", "3")),
    "flow, Glow": ("glow", True, ("--epochs", "3")),
    "VAE": ("pixelvae", True, ()),
}
_PRECISIONS = ("float32", "mixed_bfloat16")
_COLUMNS = ["family", "model", "float32", "mixed_bfloat16", "difference", "s", "s in bfloat16"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--families", nargs="*", default=list(_MODELS), choices=list(_MODELS))
    parser.add_argument("--epochs", type=int, help="of each training; by default the command's")
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser, arguments, families=["flow"], epochs=1)
    rows, differences = [], {}
    with tempfile.TemporaryDirectory(prefix="precision-") as folder:
        sequences = _digits_as_sequences(Path(folder))
        for family in options.families:
            model, takes_images, more = _MODELS[family]
            data = "digits" if takes_images else str(sequences)
            limits = [*more, *(("--epochs", str(options.epochs)) if options.epochs else ())]
            command = [model, "--data", data, *limits, "--seed", str(options.seed)]
            found = [_train(command, precision, Path(folder)) for precision in _PRECISIONS]
            bits, seconds = zip(*found, strict=True)
            differences[family] = bits[1] - bits[0]
            measured = [*(f"{b:.4f}" for b in bits), f"{differences[family]:+.4f}"]
            rows.append([family, model, *measured, *(f"{s:.0f}" for s in seconds)])
            print(*rows[-1], sep=" | ", flush=True)
    write_report("precision", _COLUMNS, rows, options.out)
    largest = max(differences.values(), key=abs)
    summary = {"largest": largest, "target": TARGET, "machine": machine()}
    (options.out / "precision.json").write_text(json.dumps(summary) + "\n")


def _digits_as_sequences(folder: Path) -> Path:
    from kerasar.data import load_digits

    (train, _), (test, _) = load_digits()
    path = folder / "digits.npz"
    np.savez(path, train=train.reshape(len(train), -1), test=test.reshape(len(test), -1))
    return path


def _train(command: Sequence[str], precision: str, folder: Path) -> tuple[float, float]:
    """Bits/dim on the test examples, and the seconds of the training."""
    run = folder / f"{command[0]}-{precision}"
    arguments = ["train", *command, "--precision", precision, "--out", str(run)]
    done = subprocess.run(
        [sys.executable, "-m", "kerasar", *arguments], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} failed: {(done.stdout + done.stderr)[-1000:]}")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    return config["test"]["bits_per_dim"], config["training"]["seconds"]


if __name__ == "__main__":
    main()
