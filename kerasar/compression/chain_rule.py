"""Coding by p(x) = ∏ p(value | values before it): one stream, from the first value to the last.

References:
    Martin. Range encoding: an algorithm for removing redundancy from a digitised message. 1979.
"""

from typing import Any

import numpy as np

from kerasar.compression.coders import Coder, Decoder, Encoder, Recorder
from kerasar.compression.coding_loop import CodingLoop
from kerasar.compression.content import Content, padded, rows_of, values_of_step
from kerasar.compression.file_format import Header, best_batch_power
from kerasar.compression.fingerprint import Fingerprints, model_digest
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.progress import Progress

#: How many steps of a sequence of open length show what a machine computes, where that is less
#: work than tracing the loop for another length.
_TRIED, _LONG = 512, 2048


class ChainRule:
    """Codes the data of an `AutoregressiveModel`.

    Args:
        model: of discrete data.
    """

    def __init__(self, model: SampledAutoregressive) -> None:
        self.model = model
        self.discrete = model.likelihood.discrete

    def batch_power(self, count: int, shape: tuple[int, ...]) -> int:
        """How many examples are coded at once, as a power of two."""
        return best_batch_power(count)

    def fingerprint(self) -> bytes:
        """Of the model."""
        return model_digest(self.model.weights, self.model.likelihood, self.model.data_levels)

    def machine(self, header: Header, condition: Any) -> bytes:
        """Of the tables that this machine computes.

        Args:
            header: of a file; its shape and its size of a batch are used.
            condition: that is given to read it, or None.
        """
        loop, size = self._loop(self._tried_shape(header.shape)), header.batch_size
        given = rows_of(condition, 0, size)
        if header.has_classes:
            given = {name: np.zeros(size, "int32") for name in self.model.conditions.shapes}

        def run() -> bytes:
            recorder = Recorder()
            loop.run(loop.some_values(size), given, recorder)
            return recorder.digest.digest()

        key = header.model, size
        found = self.model.function_cache.get(
            (Fingerprints, loop.shape), Fingerprints, is_fresh=True
        )
        return found.get(key if condition is None else None, run)

    def write(self, content: Content, size: int, progress: Progress) -> bytes:
        """The stream of some examples, in batches of `size`."""
        encoder = Encoder()
        self._code(content, encoder, size, progress)
        return encoder.stream()

    def read(self, stream: bytes, header: Header, condition: Any, progress: Progress) -> Content:
        """The examples of a stream; as `write`."""
        count = header.count
        names = self.model.conditions.shapes if header.has_classes else {}
        blank = Content(
            np.zeros((count, *header.shape), "int32"),
            np.zeros(count, "int32") if header.has_lengths else None,
            {name: np.zeros(count, "int32") for name in names} or None,
            condition,
        )
        return self._code(blank, Decoder(stream), header.batch_size, progress)

    def _code(self, content: Content, coder: Coder, size: int, progress: Progress) -> Content:
        """Passes everything that is kept through a coder, which takes it, or gives it."""
        count, shape = len(content.values), content.values.shape[1:]
        lengths, classes = content.lengths, content.classes
        if lengths is not None:
            lengths = coder.pass_on_integers(lengths, shape[0] + 1)
        if classes:
            limits = self.model.conditions.limits
            classes = {
                name: coder.pass_on_integers(part, limits[name].num_classes or 1)
                for name, part in classes.items()
            }
        values, loop = np.zeros_like(content.values), self._loop(shape)
        condition = classes or content.condition
        for start in range(0, count, size):
            examples = min(count - start, size)
            part = None if lengths is None else lengths[start : start + examples]
            coder.begin(examples, part, values_of_step(shape))
            batch, rows = padded(content.values, start, size), rows_of(condition, start, size)
            values[start : start + size] = loop.run(batch, rows, coder)[:examples]
            progress.advance(examples)
        return Content(values, lengths, classes, content.condition)

    def _tried_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of examples that show what a machine computes: of long sequences a part."""
        is_open = self.model.data_shape[0] is None and len(self.model.data_shape) < 3
        if not is_open or shape[0] < _LONG or any(self.model.conditions.shapes.values()):
            return shape
        return _TRIED, *shape[1:]

    def _loop(self, shape: tuple[int, ...]) -> CodingLoop:
        """The loop for examples of a shape, traced once."""
        return self.model.function_cache.get(
            (CodingLoop, shape), lambda: CodingLoop(self.model, shape)
        )
