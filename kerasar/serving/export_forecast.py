"""The signature `forecast`: from a raw history to paths, in the units of the file.

What `kerasar.forecast` does, for clients that have neither Keras nor kerasar: the history may be of
any length and have gaps (NaN), and as much of its end is used as the model can use.
"""

from typing import Any

import tensorflow as tf

from kerasar.forecasting.draw import longest_context
from kerasar.sampling.prompt import split_prompt
from kerasar.serving.archive import Endpoint
from kerasar.serving.models import ServedAutoregressive
from kerasar.typing import Tensor


class ForecastSignature:
    """The function that is exported.

    Args:
        model: of sequences, of real values and of open length.
        signatures: the other functions that are exported of it.
    """

    def __init__(self, model: ServedAutoregressive, signatures: Any) -> None:
        self.model, self.signatures = model, signatures
        self.context = longest_context(model)
        self.conditions = list(model.conditions)

    @staticmethod
    def suits(model: ServedAutoregressive) -> bool:
        """Whether a model has such a signature."""
        shape = model.data_shape
        return len(shape) < 3 and shape[0] is None and model.data_levels is None

    def all(self) -> dict[str, Endpoint]:
        """The endpoint, by name."""
        specs = [
            tf.TensorSpec((None, *self.model.data_shape[1:]), tf.float32, name="past"),
            tf.TensorSpec((), tf.int32, name="steps"),
            tf.TensorSpec((), tf.int32, name="num_paths"),
            tf.TensorSpec((), tf.int32, name="seed"),
            tf.TensorSpec((), tf.float32, name="temperature"),
            # Of the one series, so without the axis of examples.
            *(
                tf.TensorSpec(spec.shape[1:], spec.dtype, name=spec.name)
                for spec in self.model.conditions.specs()
            ),
        ]
        return {"forecast": (self.forecast, specs)}

    def forecast(
        self,
        past: Tensor,
        steps: Tensor,
        num_paths: Tensor,
        seed: Tensor,
        temperature: Tensor,
        *conditions: Tensor,
    ) -> dict[str, Tensor]:
        bounds, known = self.signatures.bounds, tf.shape(past)[0]
        shape = (None, *self.model.data_shape[1:])
        checks = [
            tf.debugging.Assert(known >= 1, ["past must have at least 1 step, but has", known]),
            *bounds.assertions(num_paths, {"steps": steps}, shape, "num_paths"),
            *self.signatures.value_assertions(past, "past"),
        ]
        with tf.control_dependencies(checks):
            values, given = (part[0] for part in split_prompt(past[None]))
            kept = known
            if self.context is not None:  # what is drawn again at the end comes besides
                gap = tf.reduce_sum(tf.cast(~tf.reshape(given, (known, -1))[:, 0], tf.int32))
                kept = tf.minimum(known, self.context + gap)
            length = kept + steps
        together = bounds.assertions(
            num_paths, {"(context + steps)": length}, shape, counted="num_paths"
        )
        with tf.control_dependencies(together):
            steps = tf.identity(steps)
            ahead = [[0, steps], *[[0, 0]] * (past.shape.rank - 1)]
            values, given = (tf.pad(part[known - kept :], ahead) for part in (values, given))
        parts = [
            self._repeated(part, tensor, num_paths, known - kept)
            for part, tensor in zip(self.conditions, conditions, strict=True)
        ]
        most = tf.constant(0, tf.int32), tf.constant(1.0)  # no top-k, no top-p
        drawn = self.signatures.run_sampler(
            _times(values, num_paths),
            _times(given, num_paths),
            seed,
            temperature,
            *most,
            *parts,
        )["samples"]
        paths = drawn[:, kept:]
        finite = tf.reduce_all(tf.math.is_finite(paths))
        words = ["paths are not finite: the model has run away. Ask for fewer steps."]
        with tf.control_dependencies([tf.debugging.Assert(finite, words)]):
            return {"paths": tf.identity(paths)}

    def _repeated(self, part: Any, condition: Tensor, count: Tensor, dropped: Tensor) -> Tensor:
        """A condition for each path; of one that goes along with the series, the same steps."""
        return _times(condition[dropped:] if 0 in part.limits.beside else condition, count)


def _times(one: Tensor, count: Tensor) -> Tensor:
    return tf.repeat(one[None], count, axis=0)
