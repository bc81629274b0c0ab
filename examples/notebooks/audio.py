# %% [markdown]
# # Audio
#
# WaveNet on short tones: from waves to µ-law codes and back, conditioned on the pitch. For
# recordings of your own, `kerasar.data.load_audio("folder")` reads WAV and FLAC files.

# %%
# %matplotlib inline
import os

import numpy as np

import kerasar
from kerasar.pictures import spectrogram_figure

QUICK = bool(os.environ.get("KERASAR_QUICK"))  # set by the tests, to see that everything runs
RATE = 4000

# %% [markdown]
# ## The data
#
# Plucked strings of four pitches, of random loudness and decay. `mu_law_encode` gives integers,
# which resolve quiet sounds finely.

# %%
rng = np.random.default_rng(0)
count, length = (8, 64) if QUICK else (1200, 320)
pitch = rng.integers(0, 4, count)
t = np.arange(length) / RATE
loudness = rng.uniform(0.3, 0.8, (count, 1))
decay = rng.uniform(5, 15, (count, 1))
angle = 2 * np.pi * np.array([200.0, 280.0, 370.0, 490.0])[pitch][:, None] * t
waves = loudness * np.exp(-decay * t) * (np.sin(angle) + 0.4 * np.sin(2 * angle)) / 1.4
codes = kerasar.data.mu_law_encode(waves, 64)
print(codes.shape, codes.min(), codes.max())

# %% [markdown]
# ## WaveNet
#
# Dilations double from layer to layer, so a few layers hear far back. `receptive_field` says how
# far.

# %%
layers = 3 if QUICK else 8
model = kerasar.models.WaveNet(
    None, levels=64, filters=4 if QUICK else 24, skip_filters=8 if QUICK else 64,
    cycles=1, cycle_length=layers, num_classes=4,
)  # fmt: skip
print(kerasar.receptive_field(model.network).reach / RATE, "seconds")
model.compile()
history = model.fit(
    {"x": codes, "condition": pitch}, batch_size=8, epochs=1 if QUICK else 12, verbose=0
)
print([round(value, 2) for value in history.history["bits_per_dim"]])

# %% [markdown]
# ## Listening
#
# One tone of each pitch. `write_wav` writes a file to listen to.

# %%
drawn = model.sample(4, length=2 * length, condition=np.arange(4), seed=0)
sound = kerasar.data.mu_law_decode(drawn, 64)
kerasar.data.write_wav("tones.wav", drawn.reshape(-1), RATE, levels=64)
tones = spectrogram_figure(list(sound), RATE, [f"{f} Hz" for f in (200, 280, 370, 490)])
tones
