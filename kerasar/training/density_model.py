"""The base of every model here: a Keras model that learns by making its data likelier.

`fit` takes the data alone and minimizes nats per example. A subclass defines
`negative_log_likelihood`, or an unbiased estimate or a bound of it.
"""

import contextlib
import inspect
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from kerasar.checks import existing_file, is_mapped, new_file, new_keras_file
from kerasar.data.batching import array_batches, array_dtype
from kerasar.function_cache import FunctionCache
from kerasar.keras_internals import reduces_along_rows, strategy_of, take_summed_gradients
from kerasar.replicas import (
    is_shared,
    mean_over_replicas,
    place_in_batch,
    sum_gradients,
    summed,
)
from kerasar.training.averaged_weights import shown_averages, trained_weights_when_stopped
from kerasar.training.batches import Batch, unpack
from kerasar.training.checkpoints import take_checkpoints
from kerasar.training.dataset_checks import (
    assertions_as_value_errors,
    bool_to_int,
    dataset_spec,
    guard_room,
    resolution_assertions,
    shape_assertions,
    value_assertions,
)
from kerasar.training.executions import (
    MOST_COMPILED_SHAPES,
    batch_shapes,
    callback_list,
    count_batches,
    steps_that_divide,
)
from kerasar.training.finite_guard import FiniteGuard, RefuseEmptyEpochs, StopWhenNotFinite
from kerasar.training.keras_arguments import check_loop_arguments, check_optimizer
from kerasar.training.metrics import BitsPerDim, Perplexity
from kerasar.training.quantized_layers import quantization_of, quantize_again
from kerasar.training.workers import lost_workers
from kerasar.typing import Config, Shape, Tensor

#: What Keras' `compile` takes and a likelihood leaves no room for.
_OTHER_OBJECTIVES = ("loss_weights", "metrics", "weighted_metrics")


class DensityModel(keras.Model):
    """Trains by maximum likelihood with `model.fit(x)`.

    A subclass defines `negative_log_likelihood`, `num_dims`, `check_batch` and
    `check_static_shape`, sets `exact`, and may override `default_compilation`.
    """

    #: Whether `log_prob` is exact (True) or a bound.
    exact = True
    #: How many steps run in one execution; `fit` and `evaluate` lower it where they must.
    steps_per_execution: int
    #: Whether XLA compiles training steps.
    jit_compile: bool
    #: Shape of one example; None where a size is open.
    data_shape: Shape
    #: Number of values that discrete data can take; None for real values.
    data_levels: int | None
    #: Whether the data are integers, so that a perplexity makes sense.
    discrete = True
    #: Whether NaN is a value that is missing.
    takes_missing = False
    #: The arguments that are objects of Keras, by name, for the configuration.
    saved_parts: tuple[str, ...] = ()
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
        self._is_stale = False
        self._default_steps = self._default_jit = False
        self._shapes: set[Shape] = set()
        self._traced_steps: dict[str, int] = {}

    def network_changed(self) -> None:
        """Called when a layer has changed: what Keras has traced is traced anew by the next
        `fit`.
        """
        self._is_stale = True

    def _follow_changes(self) -> None:
        """Drops what Keras has traced of layers that have changed since, never in the midst of
        it.
        """
        self.function_cache.refresh()
        if self._is_stale:
            self.train_function = self.test_function = self.predict_function = None
            self._is_stale = False

    @property
    def data_dtype(self) -> str:
        """What the model computes real values in."""
        return str(keras.config.floatx())

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

    def compile(self, optimizer: Any = "adam", loss: None = None, **kwargs: Any) -> None:
        """Configures training. The loss is the negative log-likelihood.

        Args:
            optimizer: as for `keras.Model.compile`. With `use_ema=True` it averages the weights
                over the steps: `fit` then validates with the averages, shows them to callbacks at
                the end of an epoch (`ModelCheckpoint` saves them), and leaves them in the model at
                its end.
            loss: None; there is no other.
            **kwargs: `jit_compile`, `steps_per_execution`, `run_eagerly`, `auto_scale_loss`; the
                first two are chosen for the model where they are not given. XLA is then left again
                after 8 shapes of batches, or for a dataset that leaves an example's shape open.

        Raises:
            TypeError: for `loss`, `metrics` and the like.
            ValueError: for weights of half precision.
        """
        others = {name: kwargs.pop(name, None) for name in _OTHER_OBJECTIVES}
        for name, value in {"loss": loss, **others}.items():
            if value is not None:
                raise TypeError(
                    f"{type(self).__name__} is trained by its own likelihood, so compile() takes "
                    f"no '{name}'. Leave it out."
                )
        check_optimizer(optimizer)
        _check_precision(self.trainable_variables)
        given = check_loop_arguments(_without_none(kwargs), "compile")
        self._default_steps = "steps_per_execution" not in given
        self._default_jit = "jit_compile" not in given
        self._shapes.clear()
        settings = {**self.default_compilation(), **given}
        if settings.get("run_eagerly"):
            settings["jit_compile"] = False
        if self._distribute_strategy is not None:
            settings.update(_for_replicas(given))
            _check_scope(optimizer, self.distribute_strategy)
        with self.distribute_strategy.scope():
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
        super().save(new_keras_file(filepath), overwrite=overwrite, **kwargs)

    def save_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves the weights alone; arguments are those of `keras.Model.save_weights`."""
        path = new_file(filepath, "filepath")
        _check_weights_name(path)
        super().save_weights(path, *args, **kwargs)

    def load_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Loads weights; arguments are those of `keras.Model.load_weights`."""
        path = existing_file(filepath, "filepath")
        _check_weights_name(path)
        try:
            super().load_weights(path, *args, **kwargs)
        except (ValueError, KeyError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"'{path}' does not hold the weights of model '{self.name}', or is damaged: "
                f"{reason}"
            ) from error

    def get_config(self) -> Config:
        quantized = quantization_of(self)
        return {"name": self.name, **({"quantized_layers": quantized} if quantized else {})}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> "DensityModel":
        others, deserialize = dict(config), keras.saving.deserialize_keras_object
        quantized = others.pop("quantized_layers", [])
        parts = {name: deserialize(others.pop(name), custom_objects) for name in cls.saved_parts}
        model = cls(**others, **parts)
        quantize_again(model, quantized)
        return model

    def get_compile_config(self) -> Config:
        if not self.compiled:
            return {}
        steps = None if self._default_steps else self.steps_per_execution
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "jit_compile": None if self._default_jit else self.jit_compile,
            "steps_per_execution": steps,
        }

    def compile_from_config(self, config: Config) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """Trains on `x`: an array, `{"x": …, "condition": …, "length": …}`, or a `tf.data.Dataset`.

        Arguments are those of `keras.Model.fit`, without labels and sample weights;
        `validation_data` is `x` alone too (or a tuple of one). By default several steps run in one
        execution, as many as divide `steps_per_epoch` and `validation_steps`; with callbacks that
        do something at each batch, one.

        Raises:
            ValueError: before training, if the data do not fit the model; for a dataset, as soon
                as a batch does not.
            FloatingPointError: if a batch gives a loss or gradient that is not finite. The
                weights are then those from before that batch.
        """
        self._assert_compile_called("fit")
        self._follow_changes()
        _refuse_labels(y, kwargs)
        _refuse_unknown(kwargs, "fit")
        kwargs = check_loop_arguments(kwargs, "fit")
        batch_size = kwargs.get("batch_size")
        x, example, size = self._prepare(x, batch_size, "x")
        held_out = kwargs.pop("validation_data", None)
        if held_out is not None:
            held_out, _, _ = self._prepare(held_out, batch_size, "validation_data")
            steps = kwargs.get("validation_steps")
            _refuse_endless(held_out, "validation_steps", steps, "validation_data")
        elif kwargs.get("validation_split"):
            if isinstance(x, tf.data.Dataset):
                raise ValueError(
                    "validation_split needs arrays, of which a part can be kept aside, but x is a "
                    "tf.data.Dataset. Divide it: fit(data.skip(n), validation_data=data.take(n))."
                )
            x, held_out = _split(x, kwargs.pop("validation_split"))
        _refuse_endless(x, "steps_per_epoch", kwargs.get("steps_per_epoch"), "x")
        self._bound_compilation(x, batch_size)
        with assertions_as_value_errors():
            self.adapt_to_data(x)
        if not self.trainable_variables:
            raise ValueError(
                f"Model '{self.name}' has no weights that can be trained: all of its layers are "
                "frozen. Set trainable = True on the model or on a layer, and compile it again."
            )
        callbacks = shown_averages(callback_list(kwargs.pop("callbacks", None)), self.optimizer)
        checkpoints, callbacks = take_checkpoints(callbacks)
        steps, resumed = kwargs.get("steps_per_epoch"), 0
        with contextlib.ExitStack() as stack:
            shuffle, seed = kwargs.pop("shuffle", True), None
            if checkpoints is not None:
                settings = {"batch_size": batch_size, "shuffle": shuffle, "steps_per_epoch": steps}
                stack.enter_context(checkpoints.opened(self, x, held_out, settings))
                seed, resumed = checkpoints.seed, checkpoints.steps
            if held_out is not None:
                held_out_size = kwargs.get("validation_batch_size") or batch_size
                self._bound_compilation(held_out, held_out_size)
                kwargs["validation_data"] = self._batches(held_out, held_out_size, shuffle=False)
            x = self._batches(x, batch_size, shuffle, seed)
            kwargs["shuffle"] = False  # that is done
            self._build_optimizer()
            self._arm_guard(example, size)
            kwargs["callbacks"] = [*callbacks, StopWhenNotFinite(), RefuseEmptyEpochs()]
            if checkpoints is not None:
                x = checkpoints.follow(x, self, steps)
                # The last one: it keeps what the others remember, and gives it back after them.
                kwargs["callbacks"] = checkpoints.behind(kwargs["callbacks"])
            asked = steps, kwargs.get("validation_steps"), resumed
            stack.enter_context(self._exact_steps(*asked, callbacks=callbacks))
            stack.enter_context(assertions_as_value_errors())
            stack.enter_context(lost_workers(self.distribute_strategy))
            stack.enter_context(trained_weights_when_stopped(callbacks))
            return super().fit(x, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Loss in nats per example, bits per dimension and (discrete data) perplexity of `x`.

        Arguments are those of `keras.Model.evaluate`, without labels and sample weights.
        """
        if kwargs.get("_use_cached_eval_dataset"):  # fit does, and has checked the data
            return self._evaluate(x, kwargs)
        self._follow_changes()
        _refuse_labels(y, kwargs)
        _refuse_unknown(kwargs, "evaluate")
        kwargs = check_loop_arguments(kwargs, "evaluate")
        x, _, _ = self._prepare(x, kwargs.get("batch_size"), "x")
        _refuse_endless(x, "steps", kwargs.get("steps"), "x")
        self._bound_compilation(x, kwargs.get("batch_size"))
        x = self._batches(x, kwargs.get("batch_size"), shuffle=False)
        callbacks = callback_list(kwargs.get("callbacks"))
        with self._exact_steps(kwargs.get("steps"), callbacks=callbacks):
            return self._evaluate(x, kwargs)

    def _evaluate(self, x: Any, kwargs: Config) -> Any:
        with assertions_as_value_errors():
            found = super().evaluate(x, **kwargs)
        if self.loss_tracker.count == 0:
            raise ValueError(
                "There was not one batch to evaluate: the tf.data.Dataset is empty, or can be read "
                "once only and was read before. Give one that starts anew each time."
            )
        return found

    def _bound_compilation(self, x: Any, batch_size: int | None) -> None:
        """Leaves XLA, where nobody asked for it, if batches come in many shapes."""
        if not (self._default_jit and self.jit_compile):
            return
        self._shapes |= batch_shapes(x, batch_size or 32)
        is_open = any(None in shape[1:] for shape in self._shapes)
        if is_open or len(self._shapes) > MOST_COMPILED_SHAPES:
            self.jit_compile = False
            self.train_function = self.test_function = self.predict_function = None

    @contextlib.contextmanager
    def _exact_steps(self, *asked: int | None, callbacks: Sequence[Any]) -> Iterator[None]:
        """While it lasts, executions hold as many steps as divide what is asked for."""
        whole = self.steps_per_execution
        one = self._default_steps and count_batches(callbacks)
        self.steps_per_execution = 1 if one else steps_that_divide(whole, *asked)
        try:
            yield
        finally:
            self.steps_per_execution = whole

    def make_train_function(self, force: bool = False) -> Any:
        return super().make_train_function(self._steps_changed("train") or force)

    def make_test_function(self, force: bool = False) -> Any:
        return super().make_test_function(self._steps_changed("test") or force)

    def _steps_changed(self, kind: str) -> bool:
        """Whether the function of that kind was traced for executions of other steps."""
        before = self._traced_steps.get(kind)
        self._traced_steps[kind] = self.steps_per_execution
        return before != self.steps_per_execution

    def train_on_batch(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """One step on `x`, as one of `fit`; arguments as for `keras.Model.train_on_batch`."""
        self._assert_compile_called("train_on_batch")
        self._follow_changes()
        _refuse_labels(y, kwargs)
        x, example, size = self._prepare(x, np.iinfo(int).max, "x")
        self._build_optimizer()
        self._arm_guard(example, size)
        logs = super().train_on_batch(x, **kwargs)
        self.finite_guard.report(self.locate_non_finite)
        return logs

    def train_step(self, data: Any) -> dict[str, Tensor]:
        batch = unpack(data)
        # The forward pass itself moves moving statistics.
        before = [(weight, tf.identity(weight.value)) for weight in self.non_trainable_weights]
        with tf.GradientTape() as tape:
            loss, nats = self.objective(batch)
            whole = None
            if is_shared():
                loss, whole = mean_over_replicas(loss, self.losses, tf.shape(nats)[0])
            else:
                for penalty in self.losses:
                    loss += tf.cast(penalty, loss.dtype)
            scaled = self.optimizer.scale_loss(loss)
        weights = self.trainable_weights
        gradients = tape.gradient(scaled, weights)
        if whole is not None:
            loss, gradients = whole, sum_gradients(gradients)

        updated = [*weights, *self.optimizer.variables]
        self.finite_guard.apply(
            loss,
            gradients,
            batch,
            lambda: self.optimizer.apply(gradients, weights),
            before,
            updated,
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
        count, rows = self.loss_tracker.count, tf.shape(batch.x)[0]
        if not is_shared():
            return tf.cast(count, tf.int32) + tf.range(rows)
        first, _ = place_in_batch(rows)
        return tf.cast(summed(tf.identity(count)), tf.int32) + first + tf.range(rows)

    def _update_metrics(self, loss: Tensor, nats: Tensor, batch: Batch) -> dict[str, Tensor]:
        self.loss_tracker.update_state(loss, sample_weight=tf.shape(nats)[0])
        for metric in self.per_dimension:
            metric.update_state(nats, self.num_dims(batch))
        logs = {metric.name: metric.result() for metric in self.metrics}
        if is_shared() and reduces_along_rows(self.distribute_strategy):
            return {name: value[None] for name, value in logs.items()}
        return logs

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.loss_tracker, *self.per_dimension]

    def _build_optimizer(self) -> None:
        """A graph that makes variables, as a step with a new optimizer does, is traced twice."""
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
        if self._distribute_strategy is not None:
            take_summed_gradients(self.optimizer)

    def _arm_guard(self, example: Batch, size: int) -> None:
        """Sets the guard over what is not finite; steps traced for another room are dropped."""
        if self.finite_guard.prepare(example, size, compiled=bool(self.jit_compile)):
            self.train_function = None

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: a model here is built, and Keras would read a batch for it."""

    # Data on their way in.

    def _prepare(self, x: Any, batch_size: int | None, name: str) -> tuple[Any, Batch, int]:
        """The data for Keras, one example of their structure, and the size of a batch."""
        if isinstance(x, tf.data.Dataset):
            batch = dataset_spec(x, name)
            self.check_static_shape(batch, name)
            return x.map(self._check_in_pipeline), *guard_room(batch, self.data_shape)
        batch = self.check_batch(unpack(x), name)
        parts = tree.map_structure(self._as_trained, batch.present())
        example = Batch(
            **tree.map_structure(
                lambda part: tf.cast(part[:1], array_dtype(part, self.data_dtype)), parts
            )
        )
        data = parts["x"] if set(parts) == {"x"} else parts
        return data, example, min(batch_size or 32, len(batch.x))

    def _as_trained(self, part: Any) -> np.ndarray:
        """An array of the dtype that training takes; a memory map is cast batch by batch."""
        part = np.asarray(part)
        if is_mapped(part):
            return part
        return part.astype(array_dtype(part, self.data_dtype), copy=False)

    def _batches(
        self, x: Any, batch_size: int | None, shuffle: bool, seed: int | None = None
    ) -> tf.data.Dataset:
        """Arrays as batches; a dataset as it is."""
        if isinstance(x, tf.data.Dataset):
            return x
        batches = array_batches(x, batch_size or 32, shuffle, seed, dtype=self.data_dtype)
        return batches.map(self._with_open_sizes) if None in self.data_shape else batches

    def _with_open_sizes(self, data: Any) -> Any:
        """The same batch, of whose data nothing is known but the model's shape: traced once."""
        x = data["x"] if isinstance(data, dict) else data
        x = tf.compat.v1.placeholder_with_default(x, (None, *self.data_shape))
        return {**data, "x": x} if isinstance(data, dict) else x

    def _check_in_pipeline(self, *data: Any) -> Any:
        batch = bool_to_int(unpack(data))
        found = [
            *shape_assertions(batch.x, self.data_shape),
            *value_assertions(batch.x, self.data_levels, self.takes_missing),
            *([] if self.discrete else resolution_assertions(batch.x, self.data_dtype)),
            *self.batch_assertions(batch),
        ]
        with tf.control_dependencies(found):
            parts = tree.map_structure(tf.identity, batch.present())
        return parts["x"] if set(parts) == {"x"} else parts


def _check_weights_name(path: Path) -> None:
    """Raises a ValueError unless it is a name that Keras takes for weights."""
    if not path.name.endswith((".weights.h5", ".weights.json", ".keras")):
        raise ValueError(
            f"filepath must be the name of a .weights.h5 file, but got '{path}'. Call it "
            f"'{path.name.split('.')[0]}.weights.h5'."
        )


def _refuse_labels(y: Any, kwargs: Config) -> None:
    for name, value in {"y": y, **kwargs}.items():
        if value is None or name not in ("y", "sample_weight", "class_weight"):
            continue
        advice = (
            'Leave it out, or pass {"x": x, "condition": y} as x if the model is conditional.'
            if name == "y"
            else "A weight would need a weighted likelihood; repeat examples that count more."
        )
        raise ValueError(f"A density model learns from x alone, but got {name}. {advice}")


def _refuse_unknown(kwargs: Config, method: str) -> None:
    known = inspect.signature(getattr(keras.Model, method)).parameters
    for name in kwargs:
        if name in ("condition", "length", "start"):
            raise TypeError(
                f"{method}() takes {name} as a part of x. Pass "
                f'{method}({{"x": x, "{name}": {name}}}).'
            )
        if name not in known:
            raise TypeError(
                f"{method}() has no argument '{name}'. It takes those of keras.Model.{method}: "
                f"{', '.join(k for k in known if k not in ('self', 'y', 'kwargs'))}."
            )


def _refuse_endless(x: Any, argument: str, steps: int | None, name: str) -> None:
    if isinstance(x, tf.data.Dataset) and steps is None:
        if x.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                f"{name} is a tf.data.Dataset without end, so {argument} must say how many batches "
                f"to take. Pass {argument}=…, or leave repeat() out."
            )


def _for_replicas(given: Config) -> Config:
    """The settings of `compile` that replicas can train with.

    Raises:
        ValueError: if others are asked for.
    """
    # Steps of replicas in a loop fail in Keras 3.15 for each model, and XLA knows no exchange
    # between replicas.
    possible = {"steps_per_execution": 1, "jit_compile": False}
    for name, value in possible.items():
        if given.get(name, value) not in (value, "auto"):
            raise ValueError(
                f"A model of a strategy of tf.distribute is compiled with {name}={value}, but got "
                f"{given[name]}. Leave it out."
            )
    return possible


def _check_precision(weights: Sequence[Any]) -> None:
    """Raises a ValueError for weights that are too coarse to be trained."""
    for weight in weights:
        if keras.backend.standardize_dtype(weight.dtype) in ("bfloat16", "float16"):
            raise ValueError(
                f"Weights of {weight.dtype} cannot be trained, for most steps are smaller than "
                f"their resolution, but '{weight.path}' is such. Build the model under the policy "
                "'mixed_bfloat16', which computes in bfloat16 with weights in float32: "
                "keras.config.set_dtype_policy('mixed_bfloat16')."
            )


def _check_scope(optimizer: Any, strategy: Any) -> None:
    """Raises a ValueError for an optimizer that was made outside of the model's strategy."""
    made = isinstance(optimizer, keras.optimizers.Optimizer)
    if made and strategy_of(optimizer) is not strategy:
        raise ValueError(
            "The model was built in the scope of a strategy of tf.distribute, so its optimizer "
            "must be made there too. Make it inside of 'with strategy.scope():'."
        )


def _without_none(kwargs: Config) -> Config:
    return {key: value for key, value in kwargs.items() if value is not None}


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
