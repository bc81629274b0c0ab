# %% [markdown]
# # Images
#
# A PixelCNN on digits of 8×8 pixels: training, samples, in-painting, what a pixel sees, and where
# an image is surprising. The digits are part of kerasar; `kerasar.data.load_images` reads your
# own.

# %%
# %matplotlib inline
import os

import numpy as np

import kerasar
from kerasar.pictures import image_grid, inpainting_figure, receptive_field_figure, strangest_figure

QUICK = bool(os.environ.get("KERASAR_QUICK"))  # set by the tests, to see that everything runs

# %% [markdown]
# Images are integers, here from 0 to 16. The last axis holds the color channels.

# %%
(images, labels), (test, _) = kerasar.data.load_digits()
print(images.shape, images.min(), images.max())

# %% [markdown]
# ## Training
#
# `GatedPixelCNN` predicts each pixel from the pixels above it and to its left. With `num_classes`
# it is also given the digit.

# %%
size = {"filters": 4, "blocks": 2} if QUICK else {"filters": 24, "blocks": 4}
model = kerasar.models.GatedPixelCNN(
    (8, 8, 1), levels=17, first_kernel_size=5, num_classes=10, **size
)
model.compile()
shown = slice(16) if QUICK else slice(None)
history = model.fit(
    {"x": images[shown], "condition": labels[shown]},
    batch_size=16,
    epochs=1 if QUICK else 15,
    verbose=0,
)
print([round(value, 2) for value in history.history["bits_per_dim"]])

# %% [markdown]
# ## Samples
#
# Ten rows, one for each digit. The sampler computes each intermediate result once.

# %%
wanted = np.repeat(np.arange(10), 1 if QUICK else 8)
drawn = model.sample(len(wanted), condition=wanted, seed=0)
grid = image_grid(drawn, levels=17, columns=1 if QUICK else 8)
grid

# %% [markdown]
# ## What a pixel sees
#
# The receptive field is computed from the network, for any weights.

# %%
field = receptive_field_figure(kerasar.receptive_field(model.network))
field

# %% [markdown]
# ## In-painting
#
# Half of each image is hidden and drawn again, given the other half and the digit. `known` is True
# where the pixel is given.

# %%
few = test[:2] if QUICK else test[:8]
digits = kerasar.data.load_digits()[1][1][: len(few)]
known = np.ones(few.shape, bool)
known[:, 4:] = False
completed = model.inpaint(few, known, condition=digits, num_completions=2, seed=0)
completions = inpainting_figure(known, few, completed, levels=17, original=few)
completions

# %% [markdown]
# ## Where is an image surprising?
#
# `log_prob_map` gives the log probability of each pixel, given those before it. A damaged pixel
# costs many bits.

# %%
damaged = few.copy()
damaged[:, 1, 1] = 16
nats = -model.log_prob_map(damaged, condition=digits)[..., 0]
titles = [f"{total / np.log(2):.0f} bits" for total in nats.sum(axis=(1, 2))]
strange = strangest_figure(damaged, nats, 17, titles)
strange
