# %% [markdown]
# # Transformers on text
#
# A small transformer by characters: training, writing, and what surprised it. For a text of your
# own, `kerasar.data.load_text("book.txt")`.

# %%
# %matplotlib inline
import os
from pathlib import Path

import numpy as np

import kerasar

QUICK = bool(os.environ.get("KERASAR_QUICK"))  # set by the tests, to see that everything runs

# %% [markdown]
# ## The data
#
# Sentences of a small grammar. The vocabulary is the set of characters of the file.

# %%
rng = np.random.default_rng(0)
who, does, what = (
    ["the cat", "a dog", "the child"],
    ["sees", "finds", "likes"],
    ["a ball", "the moon", "a fish"],
)
sentences = [f"{rng.choice(who)} {rng.choice(does)} {rng.choice(what)}.\n" for _ in range(1500)]
Path("sentences.txt").write_text("".join(sentences))
text = kerasar.data.load_text("sentences.txt")
print(text.levels, "characters;", len(text.train), "to learn from")

# %% [markdown]
# ## Training
#
# Windows of the text, each predicting all of its characters. The length of the model is open, so
# it can write on for as long as asked.

# %%
size = {"units": 16, "layers": 1, "num_heads": 2} if QUICK else {"units": 64, "layers": 2}
model = kerasar.models.Transformer(None, text.levels, **size)
model.compile()
windows = kerasar.data.windows(text.train, length=64, stride=32)
windows = windows[:8] if QUICK else windows
history = model.fit(windows, batch_size=16, epochs=1 if QUICK else 6, verbose=0)
print([round(value, 2) for value in history.history["bits_per_dim"]])

# %% [markdown]
# ## Writing
#
# `prompt` is continued. Keys and values are kept, so each character costs one step. A lower
# temperature takes fewer chances.

# %%
prompt = text.vocabulary.encode("the cat ")
written = model.sample(3, length=24 if QUICK else 120, prompt=prompt, temperature=0.8, seed=0)
for line in written:
    print(text.vocabulary.decode(line), end="\n---\n")

# %% [markdown]
# ## What surprises it
#
# The bits that each character cost. A word that the grammar does not have is expensive where it
# departs.

# %%
odd = text.vocabulary.encode("the cat finds a moon.\n")
bits = -model.log_prob_map(odd[None])[0] / np.log(2)
for character, cost in zip(text.vocabulary.decode(odd), bits, strict=True):
    print(repr(character), "#" * round(float(min(cost, 20)) * 2))
