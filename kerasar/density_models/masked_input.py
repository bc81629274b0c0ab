"""`MaskedInputModel`: any network that predicts a value from those that are known."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_export_options, check_given, check_memory
from kerasar.density_models.masked_input_density import MaskedInputDensity, check_order
from kerasar.density_models.not_coded import NotCoded
from kerasar.sampling.order_samplers import FixedOrder, LowestEntropyFirst
from kerasar.sampling.sampler import Sampler, SamplingRequest
from kerasar.serving.archive import Endpoint, export_model
from kerasar.serving.bounds import Bounds
from kerasar.serving.export import masked_input_endpoints


@keras.saving.register_keras_serializable(package="kerasar")
class MaskedInputModel(NotCoded, MaskedInputDensity):
    """A density model from a network that is given values and a mask of what is known.

    The network predicts one value in a pass, so it may be of any kind: strides, pooling, dense
    layers. `log_prob` is exact, by the chain rule, and takes T passes for T values; so does
    sampling. Training takes one pass: `fit` and `evaluate` report T × the cross-entropy at one
    position of each example, an unbiased estimate of nats (`evaluate`: always the same position).

    With a fixed order, values are drawn, scored and trained in that order, and each prediction
    sees the values before it. With random orders the network learns to predict any value from any
    others. Sampling then draws the value of the lowest entropy first, and in-painting uses all that
    is known. `log_prob` is that of one order, the raster order: it is what
    `sample(order="raster")` draws from; another order gives another, similar distribution.

    Args:
        network: functional Keras model with the inputs `x` (integers) and `known` (Boolean, same
            shape) and one output, `(batch, levels)`: the logits of the next value. It is given
            zeros where `x` is not known. An input `position`, integers `(batch,)`, is the index of
            the value to predict, in raster order; random orders need it. All other inputs are
            conditions. `kerasar.layers.mask_and_values` stacks the first three.
        order: "raster" (in memory's order: rows, columns, channels), "random", or a permutation
            of the values' indices, a sequence of integers.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: if `network` is not a Keras model, or `order` holds something else than integers.
        ValueError: if the network has no graph or not these inputs and output, if `order` is not a
            permutation, or random for a network without `position`.

    References:
        Fleuret. Deep Learning course (EPFL / UNIGE), lecture 10.1, Auto-regression.
        https://fleuret.org/dlc/

    Example:
        >>> import keras, kerasar
        >>> x = keras.Input((6,), dtype="int32", name="x")
        >>> known = keras.Input((6,), dtype="bool", name="known")
        >>> h = keras.layers.Flatten()(kerasar.layers.mask_and_values(x, known, levels=4))
        >>> h = keras.layers.Dense(16, activation="relu")(h)
        >>> network = keras.Model([x, known], keras.layers.Dense(4)(h))
        >>> model = kerasar.MaskedInputModel(network)
        >>> model.sample(3, seed=0).shape
        (3, 6)
    """

    @checks_arguments
    def sample(
        self,
        num_samples: int = 1,
        seed: int = 0,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        condition: Any = None,
        order: str | Sequence[int] | None = None,
        chunk_size: int = 256,
        verbose: bool | int | str = "auto",
    ) -> np.ndarray:
        """Draws examples from the model, in T passes for each chunk.

        Args:
            num_samples: how many.
            seed: integer from 0 to 2³¹ - 1. The k-th sample of a seed does not depend on
                `num_samples` or `chunk_size`.
            temperature: above 0; divides the logits.
            top_k: draw among this many likeliest values only.
            top_p: draw among the likeliest values that together have this probability.
            condition: what the network is conditioned on, one row for each sample.
            order: for a model of random orders: "adaptive" (also None) draws in each example the
                value of the lowest entropy first, which takes T² / 2 passes; "raster" and
                permutations take T. A model of a fixed order has no other.
            chunk_size: how many are drawn at once, which bounds the memory.
            verbose: whether long work is announced and shown on stderr; "auto": on a terminal.

        Returns:
            int32, `(num_samples, *data shape)`.

        Raises:
            ValueError, TypeError: for arguments out of range, before any work is done.
        """
        check_count(num_samples, "num_samples")
        check_memory("num_samples", num_samples, (num_samples, *self.data_shape))
        values = np.zeros((num_samples, *self.data_shape), "int32")
        request = SamplingRequest.checked(
            self,
            values,
            np.zeros(values.shape, bool),
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            condition=condition,
            chunk_size=chunk_size,
            verbose=verbose,
        )
        return self.sampler(order).run(request)[:, 0]

    @checks_arguments
    def inpaint(
        self,
        x: Any,
        known: Any,
        seed: int = 0,
        num_completions: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        condition: Any = None,
        order: str | Sequence[int] | None = None,
        chunk_size: int = 256,
        verbose: bool | int | str = "auto",
    ) -> np.ndarray:
        """Fills in what is not known.

        A model of random orders draws each value given *all* known values, wherever they are. A
        model of a fixed order has learned to use the values before it in that order; known values
        that come later stay untouched but do not influence it.

        Args:
            x: examples, `(batch, *data shape)`; unknown values may be anything.
            known: Boolean, shape of `x`, True where the value is given.
            num_completions: how many completions of each example.
            seed, temperature, top_k, top_p, condition, order, chunk_size, verbose: as for
                `sample`.

        Returns:
            int32, `(batch, *data shape)`; for `num_completions` above 1 `(batch, num_completions,
            *data shape)`.

        Raises:
            ValueError, TypeError: for arguments that do not fit, before any work is done.
        """
        values, known = check_given(x, known, self.data_shape, self.data_levels, "x")
        request = SamplingRequest.checked(
            self,
            values.astype("int32"),
            known,
            seed=seed,
            num_completions=num_completions,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            condition=condition,
            chunk_size=chunk_size,
            verbose=verbose,
        )
        drawn = self.sampler(order).run(request)
        return drawn if num_completions > 1 else drawn[:, 0]

    def conditional(
        self, x: Any, known: Any, position: int | tuple[int, ...], condition: Any = None
    ) -> np.ndarray:
        """The logits of one value given what is known, as in the lecture's posterior figure.

        Args:
            x: `(batch, *data shape)`; unknown values may be anything.
            known: Boolean, shape of `x`. With a fixed order all values before `position` must be
                known, and later ones are not used; with random orders all are used. Whether the
                value at `position` itself is known makes no difference.
            position: which value: its index in raster order, or in an example, `(row, column,
                channel)` for images.
            condition: what the network is conditioned on, one row for each example.

        Returns:
            float32, `(batch, levels)`; `kerasar.pictures.posterior_figure` draws them.

        Raises:
            ValueError, TypeError: for arguments that do not fit.
        """
        values, known = check_given(x, known, self.data_shape, self.data_levels, "x")
        index = self._check_position(position)
        condition = self.conditions.check(condition, len(values))
        values, known = values.reshape(len(values), -1), known.reshape(len(values), -1).copy()
        known[:, index] = False
        if self.order != "random":
            rank_of = np.argsort(self.chain_order())
            before = rank_of < rank_of[index]
            if not known[:, before].all():
                example, missing = np.argwhere(before & ~known)[0]
                raise ValueError(
                    f"With a fixed order the value at index {index} is predicted from all those "
                    f"before it, but known is False at index {missing} of example {example}. "
                    "Train with order='random' to condition on any values."
                )
            known &= before
        positions = tf.fill([len(values)], index)
        logits = self.compute_conditional(
            tf.constant(values), tf.constant(known), positions, condition, training=False
        )
        return np.asarray(logits)

    def export(self, filepath: str, **kwargs: Any) -> None:
        """Writes a SavedModel that TensorFlow Serving runs.

        Signatures: `serving_default` = `log_prob`, `sample` and `inpaint`; the whole loop runs
        inside, in the model's own order (adaptive for a model of random orders).

        Args:
            filepath: a folder that does not exist yet, for example `exported/1`.
            **kwargs: `verbose`, as for `keras.Model.export`; `max_samples` (4096) and
                `max_positions` (2**22, or one example if that has more values), what a request may
                ask for at most.

        Raises:
            FileExistsError: if something is there already.
        """
        options = check_export_options(kwargs)
        export_model(self, self.endpoints, filepath, **options)

    def endpoints(self, bounds: Bounds, **options: Any) -> dict[str, Endpoint]:
        """What `export` writes: functions on tensors by name."""
        return masked_input_endpoints(self, bounds, **options)

    def sampler(self, order: str | Sequence[int] | None = None) -> Sampler:
        """The sampler of an order that the model was trained for; `order` as for `sample`.

        Raises:
            ValueError, TypeError: if `order` is not an order, or not one of these.
        """
        is_random = self.order == "random"
        own = None if is_random else tuple(self.chain_order().tolist())
        if order is None or (isinstance(order, str) and order == "adaptive"):
            if own is None:
                return LowestEntropyFirst(self)
            if order is None:
                return FixedOrder(self, own, use_all=False)
            raise ValueError(
                "order='adaptive' needs a network that predicts any value from any others, but "
                "this model was trained in a fixed order. Build it with order='random'."
            )
        chosen = check_order(order, self.num_values)
        if chosen == "random":
            raise ValueError(
                "order='random' is for training. Sample with order='adaptive', 'raster' or a "
                "permutation, for example numpy.random.permutation."
            )
        if isinstance(chosen, str):
            chosen = tuple(range(self.num_values))
        if own not in (None, chosen):
            raise ValueError(
                "This model was trained in a fixed order and knows no other, but got another "
                "order. Leave order out, or build the model with order='random'."
            )
        return FixedOrder(self, chosen, use_all=is_random)

    def _check_position(self, position: Any) -> int:
        if isinstance(position, (tuple, list)):
            index, sizes = tuple(position), self.data_shape
        else:
            index, sizes = (position,), (self.num_values,)
        for i in index:
            check_count(i, "position", least=0)
        if len(index) != len(sizes) or any(i >= n for i, n in zip(index, sizes, strict=True)):
            raise ValueError(
                f"position must be an integer below {self.num_values} or an index into an example "
                f"of shape {self.data_shape}, but got {position!r}."
            )
        return int(np.ravel_multi_index(index, sizes))
