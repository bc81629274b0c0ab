"""The base of every model here: a Keras model that learns by making its data likelier.

`fit` takes the data alone and minimizes nats per example. A subclass defines
`negative_log_likelihood`, or an unbiased estimate or a bound of it.
"""

import contextlib
import math
import os
import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from kerasar.checks import user_path
from kerasar.data.batching import array_batches
from kerasar.function_cache import FunctionCache
from kerasar.training.batches import Batch, unpack
from kerasar.training.finite_guard import FiniteGuard, StopWhenNotFinite
from kerasar.training.metrics import BitsPerDim, Perplexity
from kerasar.typing import Config, Tensor


class DensityModel(keras.Model):
    """Trains by maximum likelihood with `model.fit(x)`.

    A subclass defines `negative_log_likelihood`, `num_dims`, `check_batch` and
    `check_static_shape`, sets `exact`, and may override `default_compilation`.
    """

    #: Whether `log_prob` is exact (True) or a bound.
    exact = True
    #: Whether the data are integers, so that a perplexity makes sense.
    discrete = True
    #: The global norm that gradients are best clipped to; None: they are left as they are.
    clip_norm: float | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.per_dimension = [BitsPerDim(name="bits_per_dim")]
        if self.discrete:
            self.per_dimension.append(Perplexity(name="perplexity"))
        self.finite_guard = FiniteGuard()
        self.function_cache = FunctionCache(self)

    def network_changed(self) -> None:
        """Called when a layer has changed: what Keras has traced is traced anew, too."""
        self.train_function = self.test_function = self.predict_function = None

    # What a subclass defines.

    def negative_log_likelihood(self, batch: Batch, training: bool) -> Tensor:
        """Negative log-likelihood of each example in nats, float32 `(batch,)`: the loss."""
        raise NotImplementedError(f"{type(self).__name__} must define negative_log_likelihood()")

    def objective(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What a training step minimizes, and the nats of each example for the metrics."""
        nats = self.negative_log_likelihood(batch, training=True)
        return tf.reduce_mean(nats), nats

    def num_dims(self, batch: Batch) -> Tensor:
        """Number of dimensions of each example, `(batch,)`, by which bits per dimension divide."""
        raise NotImplementedError(f"{type(self).__name__} must define num_dims()")

    def check_batch(self, batch: Batch, name: str = "x") -> Batch:
        """Returns the data as `negative_log_likelihood` takes them, or raises a clear error."""
        raise NotImplementedError(f"{type(self).__name__} must define check_batch()")

    def check_static_shape(self, batch: Batch, name: str = "x") -> None:
        """The same from shapes alone, for data that stream in."""
        raise NotImplementedError(f"{type(self).__name__} must define check_static_shape()")

    def batch_assertions(self, batch: Batch) -> list[Any]:
        """Graph assertions that fail where data or conditions that stream in do not fit, beyond
        what holds for data of all models."""
        return []

    def locate_non_finite(self, batch: Batch) -> str:
        """A sentence that names where, on this batch, the first NaN or infinity arises."""
        return ""

    def adapt_to_data(self, x: Any) -> None:
        """What `fit` does with the checked data before the first step."""

    def default_compilation(self) -> Config:
        """`jit_compile` and `steps_per_execution` for `compile`, unless the user sets them."""
        return {"jit_compile": False, "steps_per_execution": 20}

    # Keras' training loop.

    def compile(self, optimizer: Any = "adam", **kwargs: Any) -> None:
        """Configures training. The loss is the negative log-likelihood and is not an argument.

        Args:
            optimizer: as for `keras.Model.compile`.
            **kwargs: `jit_compile`, `steps_per_execution`, `run_eagerly`, `auto_scale_loss`; the
                first two are chosen for the model where they are not given.

        Raises:
            TypeError: for `loss`, `metrics` and the like.
        """
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.pop(name, None) is not None:
                raise TypeError(
                    f"{type(self).__name__} is trained by its own likelihood, so compile() takes "
                    f"no '{name}'. Leave it out."
                )
        settings = {**self.default_compilation(), **_without_none(kwargs)}
        if settings.get("run_eagerly"):
            settings["jit_compile"] = False
        super().compile(optimizer=optimizer, **settings)
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            raise ValueError(
                "Loss scaling overflows on purpose and skips such steps, which hides what is not "
                "finite. Use the policy 'mixed_bfloat16', which needs none, or float32."
            )

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any) -> None:
        """Saves the model as a `.keras` file, which `kerasar.load` reads.

        Args:
            filepath: of the file, which ends in .keras.
            overwrite: whether a file of that name is replaced. False asks at the terminal.
            **kwargs: as for `keras.Model.save`.

        Raises:
            ValueError: for another ending. Keras' older formats do not hold models of kerasar.
        """
        path = user_path(filepath, "filepath")
        if path.suffix != ".keras":
            raise ValueError(
                f"A model is saved as a .keras file, but got '{path}'. Call it "
                f"'{path.with_suffix('.keras').name}'; save_weights('name.weights.h5') writes the "
                "weights alone."
            )
        super().save(path, overwrite=overwrite, **kwargs)

    def save_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves the weights alone; arguments are those of `keras.Model.save_weights`."""
        super().save_weights(user_path(filepath, "filepath"), *args, **kwargs)

    def load_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Loads weights; arguments are those of `keras.Model.load_weights`."""
        super().load_weights(user_path(filepath, "filepath"), *args, **kwargs)

    def get_compile_config(self) -> Config:
        if not self.compiled:
            return {}
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "jit_compile": self.jit_compile,
            "steps_per_execution": self.steps_per_execution,
        }

    def compile_from_config(self, config: Config) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """Trains on `x`: an array, `{"x": …, "condition": …, "length": …}`, or a `tf.data.Dataset`.

        Arguments are those of `keras.Model.fit`, without labels and sample weights;
        `validation_data` is `x` alone too (or a tuple of one).

        Raises:
            ValueError: before training, if the data do not fit the model; for a dataset, as soon
                as a batch does not.
            FloatingPointError: if a batch gives a loss or gradient that is not finite. The
                weights are then those from before that batch.
        """
        self._assert_compile_called("fit")
        self.function_cache.refresh()
        _refuse_labels(y, kwargs)
        batch_size = kwargs.get("batch_size")
        x, example, size = self._prepare(x, batch_size, "x")
        held_out = kwargs.pop("validation_data", None)
        if held_out is not None:
            held_out, _, _ = self._prepare(held_out, batch_size, "validation_data")
        elif kwargs.get("validation_split") and not isinstance(x, tf.data.Dataset):
            x, held_out = _split(x, kwargs.pop("validation_split"))
        with _assertions_as_value_errors():
            self.adapt_to_data(x)
        if held_out is not None:
            held_out_size = kwargs.get("validation_batch_size") or batch_size
            kwargs["validation_data"] = _batches(held_out, held_out_size, shuffle=False)
        x = _batches(x, batch_size, kwargs.pop("shuffle", True))
        kwargs["shuffle"] = False  # that is done
        self._arm_guard(example, size)
        callbacks = kwargs.pop("callbacks", None) or []
        if not isinstance(callbacks, (list, tuple)):
            callbacks = [callbacks]
        kwargs["callbacks"] = [*callbacks, StopWhenNotFinite()]
        with _assertions_as_value_errors():
            return super().fit(x, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Loss in nats per example, bits per dimension and (discrete data) perplexity of `x`.

        Arguments are those of `keras.Model.evaluate`, without labels and sample weights.
        """
        if not kwargs.get("_use_cached_eval_dataset"):
            self.function_cache.refresh()
            _refuse_labels(y, kwargs)
            x, _, _ = self._prepare(x, kwargs.get("batch_size"), "x")
            x = _batches(x, kwargs.get("batch_size"), shuffle=False)
        with _assertions_as_value_errors():
            return super().evaluate(x, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """One step on `x`, as one of `fit`; arguments as for `keras.Model.train_on_batch`."""
        self._assert_compile_called("train_on_batch")
        self.function_cache.refresh()
        _refuse_labels(y, kwargs)
        x, example, size = self._prepare(x, np.iinfo(int).max, "x")
        self._arm_guard(example, size)
        logs = super().train_on_batch(x, **kwargs)
        self.finite_guard.report(self.locate_non_finite)
        return logs

    def train_step(self, data: Any) -> dict[str, Tensor]:
        batch = unpack(data)
        # The forward pass itself moves moving statistics.
        state = self.non_trainable_weights
        before = [tf.identity(weight.value) for weight in state]

        def restore() -> None:
            for weight, value in zip(state, before, strict=True):
                weight.assign(value)

        with tf.GradientTape() as tape:
            loss, nats = self.objective(batch)
            for penalty in self.losses:
                loss += tf.cast(penalty, loss.dtype)
            scaled = self.optimizer.scale_loss(loss)
        weights = self.trainable_weights
        gradients = tape.gradient(scaled, weights)
        self.finite_guard.apply(
            loss, gradients, batch, lambda: self.optimizer.apply(gradients, weights), restore
        )
        return self._update_metrics(loss, nats, batch)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        batch = unpack(data)
        nats = self.negative_log_likelihood(batch, training=False)
        return self._update_metrics(tf.reduce_mean(nats), nats, batch)

    def example_indices(self, batch: Batch) -> Tensor:
        """The indices of a batch's examples in an evaluation, int32 `(batch,)`.

        Noise at these indices is that of `log_prob`, whatever the size of the batches.
        """
        first = tf.cast(self.loss_tracker.count, tf.int32)
        return first + tf.range(tf.shape(batch.x)[0])

    def _update_metrics(self, loss: Tensor, nats: Tensor, batch: Batch) -> dict[str, Tensor]:
        self.loss_tracker.update_state(loss, sample_weight=tf.shape(nats)[0])
        for metric in self.per_dimension:
            metric.update_state(nats, self.num_dims(batch))
        return {metric.name: metric.result() for metric in self.metrics}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.loss_tracker, *self.per_dimension]

    def _arm_guard(self, example: Batch, size: int) -> None:
        """Sets the guard over what is not finite; steps traced for another room are dropped."""
        if self.finite_guard.prepare(example, size, compiled=bool(self.jit_compile)):
            self.train_function = None

    # Data on their way in.

    def _prepare(self, x: Any, batch_size: int | None, name: str) -> tuple[Any, Batch, int]:
        """The data for Keras, one example of their structure, and the size of a batch."""
        if isinstance(x, tf.data.Dataset):
            example = next(iter(x.take(1)), None)
            if example is None:
                raise ValueError(f"{name} is an empty dataset. Give at least one batch.")
            batch = _bool_to_int(unpack(example))
            self.check_static_shape(batch, name)
            checked = x.map(self._check_in_pipeline)
            return checked, batch, int(batch.x.shape[0])
        batch = self.check_batch(unpack(x), name)
        parts = tree.map_structure(_to_floatx, batch.present())
        example = Batch(**tree.map_structure(lambda part: tf.convert_to_tensor(part[:1]), parts))
        data = parts["x"] if set(parts) == {"x"} else parts
        return data, example, min(batch_size or 32, len(batch.x))

    def _check_in_pipeline(self, *data: Any) -> Any:
        batch = _bool_to_int(unpack(data))
        levels = getattr(self, "data_levels", None)
        found = value_assertions(batch.x, levels) + self.batch_assertions(batch)
        with tf.control_dependencies(found):
            parts = tree.map_structure(tf.identity, batch.present())
        return parts["x"] if set(parts) == {"x"} else parts


def _bool_to_int(batch: Batch) -> Batch:
    """Tensors that hold False and True, as 0 and 1: as arrays are taken."""
    return batch._replace(x=tf.cast(batch.x, tf.uint8)) if batch.x.dtype == tf.bool else batch


def value_assertions(x: Tensor, levels: int | None) -> list[Any]:
    """Graph assertions that fail where `x` holds something that the model cannot take."""
    some = tf.shape(x)[0] > 0
    found = [tf.debugging.Assert(some, ["x must hold at least one example"])]
    if levels is not None:
        low, high = tf.reduce_min(x), tf.reduce_max(x)
        inside = (low >= tf.cast(0, x.dtype)) & (tf.cast(high, tf.float64) <= levels - 1)
        words = [f"x must lie in [0, {levels}), but its smallest and largest values are"]
        found.append(tf.debugging.Assert(inside, [*words, low, high]))
    if x.dtype.is_floating:
        found.append(
            tf.debugging.Assert(
                tf.reduce_all(tf.equal(x, tf.round(x))), ["x must hold whole numbers"]
            )
            if levels is not None
            else tf.debugging.Assert(tf.reduce_all(tf.math.is_finite(x)), ["x must be finite"])
        )
    return found


@contextlib.contextmanager
def _assertions_as_value_errors() -> Iterator[None]:
    """Turns a failed assertion of the data pipeline into the ValueError that it means."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(r"x must[^\n]*", str(error))
        if found is None:
            raise
        text = found.group().split("[[")[0].strip().replace("] [", " ").rstrip("]")
        raise ValueError(f"A batch of the dataset does not fit the model: {text}.") from error


def _refuse_labels(y: Any, kwargs: Config) -> None:
    for name, value in {"y": y, **kwargs}.items():
        if name in ("y", "sample_weight", "class_weight") and value is not None:
            raise ValueError(
                f"A density model learns from x alone, but got {name}. Leave it out, or pass "
                '{"x": x, "condition": y} as x if the model is conditional.'
            )


def _without_none(kwargs: Config) -> Config:
    return {key: value for key, value in kwargs.items() if value is not None}


def _to_floatx(part: Any) -> np.ndarray:
    """An array, of Keras' default float type if it holds real values."""
    part = np.asarray(part)
    if np.issubdtype(part.dtype, np.floating):
        return part.astype(keras.config.floatx(), copy=False)
    return part


def _batches(x: Any, batch_size: int | None, shuffle: bool) -> tf.data.Dataset:
    """Arrays as batches; a dataset as it is."""
    if isinstance(x, tf.data.Dataset):
        return x
    return array_batches(x, batch_size or 32, shuffle)


def _split(x: Any, share: float) -> tuple[Any, Any]:
    """Arrays without their last part, and that part."""
    count = len(tree.flatten(x)[0])
    kept = math.floor(count * (1 - share))
    if not 0 < kept < count:
        raise ValueError(
            f"validation_split={share} of {count} examples leaves none to learn from or to "
            "validate on. Take a fraction between 0 and 1, or give more data."
        )
    return tuple(
        tree.map_structure(lambda part, rows=rows: part[rows], x)
        for rows in (slice(kept), slice(kept, None))
    )
