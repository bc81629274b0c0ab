"""Writes scalars and images for TensorBoard, without the package tensorboard.

`tf.summary.scalar` and `tf.summary.image`, and with them Keras' own callback, need that package,
which is not a dependency of ours. They write a tensor, and the name of the plugin that shows it.
"""

from pathlib import Path
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from kerasar.disk import disk_errors

_Metadata = tf.compat.v1.SummaryMetadata


class EventWriter:
    """Writes event files into a folder; `tensorboard --logdir FOLDER` shows them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with disk_errors(folder):
            self._writer = tf.summary.create_file_writer(str(folder))

    def scalar(self, name: str, value: float, step: int) -> None:
        """A point of the curve `name`."""
        self._write(name, tf.constant(value, tf.float32), step, "scalars", 1)

    def image(self, name: str, rgb: NDArray[Any], step: int) -> None:
        """A picture, uint8 `(height, width, 3)`."""
        height, width, _ = rgb.shape
        png = tf.io.encode_png(rgb)
        parts = tf.stack([tf.constant(str(width)), tf.constant(str(height)), png])
        self._write(name, parts, step, "images", 3)

    def flush(self) -> None:
        """Makes everything written so far visible."""
        with disk_errors(self._folder):
            self._writer.flush()

    def close(self) -> None:
        """Closes the file."""
        with disk_errors(self._folder):
            self._writer.close()

    def _write(self, name: str, value: Any, step: int, plugin: str, data_class: int) -> None:
        metadata = _Metadata(
            plugin_data=_Metadata.PluginData(plugin_name=plugin), data_class=data_class
        )
        with disk_errors(self._folder), self._writer.as_default():
            tf.summary.write(name, value, step=step, metadata=metadata)
