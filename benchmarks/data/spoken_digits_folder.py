"""Turns the packed spoken digits into a folder of 3,000 WAV files, named as they once were.

python -m benchmarks.data.spoken_digits_folder --data-dir ../shared/data --out /tmp/spoken_digits
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.arguments import DATA_DIR

FILE = Path("free_spoken_digits", "fsdd_8khz_int16.npz")


def unpack(packed: Path, folder: Path) -> int:
    """Writes `{digit}_{speaker}_{take}.wav` for each recording; returns how many there are."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    with np.load(packed) as data:
        parts = {name: data[name] for name in data.files}
    offsets, speakers = parts["offsets"], parts["speaker_names"]
    for i, digit in enumerate(parts["digit"]):
        name = f"{digit}_{speakers[parts['speaker'][i]]}_{parts['take'][i]}.wav"
        sound = parts["audio"][offsets[i] : offsets[i + 1]]
        soundfile.write(folder / name, sound, int(parts["sample_rate"]), subtype="PCM_16")
    return len(parts["digit"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR)
    parser.add_argument("--out", type=Path, default=Path("spoken_digits"))
    options = parser.parse_args(arguments)
    print(f"{unpack(options.data_dir / FILE, options.out)} recordings in '{options.out}'")


if __name__ == "__main__":
    main()
