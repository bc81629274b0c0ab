"""Where exhibits are made: models are trained once and kept, pictures are collected."""

import base64
import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import keras
import numpy as np

import kerasar
from kerasar.cli.gallery.catalog import Item
from kerasar.cli.support.outputs import atomic_write
from kerasar.training.fingerprints import fingerprint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasar.training import DensityModel

    Model = TypeVar("Model", bound=DensityModel)


_DPI = 110
#: The height of a letter's line, in pixels, that can just be read on a phone.
_READABLE = 10
_ENDINGS = {"picture": ".png", "sound": ".wav", "table": ".tsv", "text": ".txt"}


class Studio:
    """What the function `draw` of an exhibit works with.

    Args:
        folder: where trained weights are kept. A model is trained again only if its configuration,
            its data or the settings of its training have changed; a training that was interrupted
            goes on where it was.
        full: whether to spend hours where minutes give an idea, and to use MNIST where it is found.
        say: is told what is being done.
        data_dir: where `tensorflow_datasets` keeps its data.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        full: bool = False,
        say: Callable[[str], None] = lambda text: None,
        data_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.folder, self.full, self.say, self.data_dir = Path(folder), full, say, data_dir
        self.items: list[Item] = []

    @cached_property
    def images(self) -> Any:
        """Handwritten digits: MNIST in the full gallery, where it is found; else those of 8×8."""
        if self.full:
            try:
                return kerasar.data.load_images("mnist", data_dir=self.data_dir)
            except (OSError, ValueError) as error:
                self.say(f"MNIST was not found, so the digits of 8×8 are shown instead: {error}")
        return kerasar.data.load_images("digits")

    def trained(
        self,
        build: "Callable[[], Model]",
        x: Any,
        *,
        epochs: int,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        **data: Any,
    ) -> "Model":
        """A model after so many passes over the data, at a rate that falls to 0 along a cosine.

        Args:
            build: makes the model, whose weights start from seed 0.
            x: the training data, an array or a dict of arrays.
            epochs: passes over it in the quick gallery; the full one makes ten times as many.
            batch_size: examples in a step.
            learning_rate: Adam's, at its highest.
            **data: `condition` or others that `fit` takes.
        """
        keras.utils.set_random_seed(0)
        model = build()
        epochs *= 10 if self.full else 1
        count = len(next(iter(x.values())) if isinstance(x, dict) else x)
        steps = epochs * math.ceil(count / batch_size)
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        model.compile(keras.optimizers.Adam(rate, clipnorm=1.0))
        key = _key(model, x, data, epochs=epochs, batch_size=batch_size)
        weights, unfinished = self.folder / f"{key}.weights.h5", self.folder / f"{key}.unfinished"
        if weights.exists():
            model.optimizer.build(model.trainable_variables)  # the file has its state, too
            model.load_weights(weights)
            return model
        kept = kerasar.training.Checkpoints(unfinished, every_minutes=1, hint="")
        progress = _Progress(self.say, build.__name__, epochs)
        model.fit(
            x, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=[progress, kept], **data
        )
        with atomic_write(weights) as file:
            model.save_weights(file)
        shutil.rmtree(unfinished)
        return model

    def pixelcnn(self, x: Any) -> kerasar.AutoregressiveModel:
        """The PixelCNN of several exhibits, trained on images like `images`, `(n, …)`."""

        def pixelcnn() -> kerasar.AutoregressiveModel:
            return kerasar.models.PixelCNN(x.shape[1:], self.images.levels, filters=24, blocks=4)

        return self.trained(pixelcnn, x, epochs=12, batch_size=8)

    def show(self, figure: "Figure", caption: str) -> None:
        """Hangs a figure."""
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=_DPI)
        address = _address("image/png", file.getvalue())
        self.items.append(Item("picture", caption, address, _least_width(figure)))

    def play(self, wave: Any, sample_rate: int, caption: str) -> None:
        """Makes a recording playable: numbers in [-1, 1], `(time,)`."""
        import soundfile

        file = io.BytesIO()
        soundfile.write(file, np.asarray(wave), sample_rate, format="WAV", subtype="PCM_16")
        self.items.append(Item("sound", caption, _address("audio/wav", file.getvalue())))

    def tabulate(self, rows: list[list[str]], caption: str) -> None:
        """A table, its first row the headings."""
        self.items.append(Item("table", caption, rows))

    def quote(self, text: str, caption: str) -> None:
        """A text, line by line as it is."""
        self.items.append(Item("text", caption, text))

    def save(self, folder: Path | str) -> None:
        """Writes what was shown into a folder, a file each, for code that is pasted from the page.

        Args:
            folder: is made if need be.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for number, item in enumerate(self.items, start=1):
            file = folder / f"{number}{_ENDINGS[item.kind]}"
            if item.kind in ("picture", "sound"):
                file.write_bytes(base64.b64decode(item.content.split(",")[1]))
            else:
                lines = ["\t".join(row) for row in item.content] if item.kind == "table" else []
                file.write_text("\n".join(lines) or item.content, encoding="utf-8")
            self.say(f"{file}: {item.caption}")


def _least_width(figure: "Figure") -> int:
    """Pixels below which the smallest words of a picture cannot be read; 0 if it has none."""
    from matplotlib.text import Text

    words = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    if not words:
        return 0
    smallest = min(float(t.get_fontsize()) for t in words) / 72 * _DPI
    width = figure.get_figwidth() * _DPI
    return round(width * min(1.0, _READABLE / smallest))


class _Progress(keras.callbacks.Callback):
    """Says how far a training is."""

    def __init__(self, say: Callable[[str], None], what: str, epochs: int) -> None:
        super().__init__()
        self._say, self._what, self._epochs = say, what, epochs

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._say(f"training {self._what}, epoch {epoch + 1} of {self._epochs}")


def _key(model: Any, x: Any, data: Any, **settings: Any) -> str:
    """The same for the same training by the same version."""
    parts = fingerprint(model, x, None, settings, {**data, "version": kerasar.__version__})
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _address(kind: str, content: bytes) -> str:
    """A file within the page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
