"""A transformer writes.

It reads characters of the manual that comes with Python, and has to guess the next one. What it
writes is spelled better than it is meant: that takes a larger network, and longer. Sampling keeps
the keys and values of all characters so far.
"""

import tempfile
from pathlib import Path
from pydoc_data.topics import topics

import kerasar
from kerasar.cli.gallery.studio import Studio


def draw(studio: Studio) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "manual.txt")
        file.write_text("\n".join(topics.values()), encoding="utf-8")
        text = kerasar.data.load_text(file)

    def transformer() -> kerasar.AutoregressiveModel:
        return kerasar.models.Transformer(96, text.levels, units=96, layers=3, num_heads=4)

    x = kerasar.data.windows(text.train, length=96, stride=48)
    model = studio.trained(transformer, x, epochs=2, batch_size=16, learning_rate=2e-3)
    test = kerasar.data.windows(text.test, length=96)[:500]
    nats = -model.log_prob(test).mean() / 96
    prompt = text.vocabulary.encode("The statement")
    drawn = model.sample(3, seed=0, prompt=prompt, temperature=0.8)
    for sequence in drawn:
        caption = f"Continued from “The statement” at temperature 0.8; {nats:.2f} nats a character."
        studio.quote(text.vocabulary.decode(sequence), caption)
