"""WaveNet plays.

Plucked strings of random pitch, made on the spot: a stack of dilated convolutions learns the wave,
sample by sample, in 64 levels by the µ-law. Below each wave its spectrogram shows a fundamental
tone and its overtones.
"""

import numpy as np

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import spectrogram_figure

RATE, LENGTH, LEVELS = 4000, 1024, 64


def plucked(count: int, seed: int) -> np.ndarray:
    """Strings by Karplus and Strong: noise in a loop, a little duller each time around."""
    rng = np.random.default_rng(seed)
    waves = np.zeros((count, LENGTH))
    for wave in waves:
        period = rng.integers(10, 30)
        loop = rng.uniform(-1, 1, period)
        for t in range(LENGTH):
            wave[t] = loop[t % period]
            loop[t % period] = 0.498 * (loop[t % period] + loop[(t + 1) % period])
    return waves


def draw(studio: Studio) -> None:
    real = plucked(600, seed=0)
    x = kerasar.data.mu_law_encode(real, LEVELS)

    def wavenet() -> kerasar.AutoregressiveModel:
        return kerasar.models.WaveNet(LENGTH, LEVELS, filters=24, cycles=1, cycle_length=8)

    model = studio.trained(wavenet, x, epochs=6, batch_size=4)
    test = kerasar.data.mu_law_encode(plucked(50, seed=1), LEVELS)
    bits = -model.log_prob(test).mean() / LENGTH / np.log(2)
    drawn = kerasar.data.mu_law_decode(model.sample(4, seed=0), LEVELS)
    caption = f"Above two real strings, below two that WaveNet drew, at {bits:.2f} bits a sample."
    titles = ["real", "real", "drawn", "drawn"]
    studio.show(spectrogram_figure([*real[:2], *drawn[:2]], RATE, titles), caption)
    pause = np.zeros(RATE // 8)
    for waves, name in ((real, "Real strings"), (drawn, "Strings that WaveNet drew")):
        sound = np.concatenate([part for wave in waves[:4] for part in (wave, pause)])
        studio.play(sound, RATE, f"{name}, four of them.")
