"""Samples of the trained speech model as WAV files, and their spectrograms beside real ones.

python -m benchmarks.quality.spoken_digits_samples --run results/speech --data-dir ../shared/data
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.arguments import DATA_DIR, parse
from benchmarks.quality.spoken_digits import load, noise, split


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--run", type=Path, default=Path("results/speech"))
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR)
    parser.add_argument("--picture", type=Path, help="default: spectrograms.png in the run")
    parser.add_argument("--digits", type=int, nargs="+", default=[1, 6, 8])
    parser.add_argument("--samples", type=int, default=4000, help="length, in audio samples")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="on noise, as in training")
    options = parse(parser, arguments, digits=[0, 1])

    import kerasar

    model = kerasar.load(options.run / "best.keras")
    data = noise() if options.tiny else load(options.data_dir)
    held_out = split(data)["test"]
    digits = np.array(options.digits)
    drawn = model.sample(
        len(digits),
        length=options.samples,
        condition=digits,
        seed=options.seed,
        temperature=options.temperature,
    )
    sounds, titles = [], []
    for digit, codes in zip(digits, drawn, strict=True):
        file = options.run / f"sample_{digit}.wav"
        kerasar.data.write_wav(file, codes, data.sample_rate, data.levels)
        real = int(np.flatnonzero(held_out.labels == digit)[options.seed])
        sounds += [held_out.sound(real), kerasar.data.mu_law_decode(codes, data.levels)]
        titles += [f"“{digit}”, held out", f"“{digit}”, sampled"]
    figure = kerasar.pictures.spectrogram_figure(sounds, data.sample_rate, titles)
    picture = options.picture or options.run / "spectrograms.png"
    kerasar.pictures.save(figure, picture)
    print(f"{len(digits)} WAV files in '{options.run}', spectrograms in '{picture}'")


if __name__ == "__main__":
    main()
