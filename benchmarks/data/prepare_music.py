"""Turns the piano-rolls of polyphonic_music/*.mat into the .npz that `load_sequences` reads.

Needs scipy, which kerasar does not; any environment that has it will do:

    python -m benchmarks.data.prepare_music ../shared/data/polyphonic_music results/music
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

PARTS = {"train": "traindata", "valid": "validdata", "test": "testdata"}


def convert(source: Path, target: Path) -> None:
    """Writes one file: each part end to end, with the offsets of its pieces."""
    from scipy.io import loadmat

    rolls = loadmat(source)
    arrays = {}
    for part, name in PARTS.items():
        pieces = list(rolls[name][0])
        arrays[part] = np.concatenate(pieces).astype("uint8")
        arrays[f"{part}_offsets"] = np.cumsum([0, *map(len, pieces)])
        print(f"{target.name}: {part} {len(pieces)} pieces, {len(arrays[part])} steps")
    np.savez_compressed(target, **arrays)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source", type=Path, help="folder with JSB_Chorales.mat, Nottingham.mat")
    parser.add_argument("target", type=Path, help="folder for jsb.npz, nottingham.npz")
    options = parser.parse_args(arguments)
    options.target.mkdir(parents=True, exist_ok=True)
    convert(options.source / "JSB_Chorales.mat", options.target / "jsb.npz")
    convert(options.source / "Nottingham.mat", options.target / "nottingham.npz")


if __name__ == "__main__":
    main()
