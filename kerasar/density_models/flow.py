"""`FlowModel`: bijections and a base distribution, trained, sampled from and served."""

import math
import os
from collections.abc import Sequence
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import (
    as_array,
    check_choice,
    check_count,
    check_export_options,
    check_memory,
    check_numbers,
    check_seed,
)
from kerasar.density_models.flow_density import FlowDensity
from kerasar.density_models.not_coded import NotCoded
from kerasar.distributions.base_distributions import BaseDistribution
from kerasar.distributions.dequantization import Dequantization
from kerasar.layers import Bijection
from kerasar.noise import uniforms
from kerasar.sampling.flow_sampler import FlowSampler, compute_data
from kerasar.sampling.options import check_temperature
from kerasar.sampling.progress import VERBOSE
from kerasar.serving.archive import Endpoint, export_model
from kerasar.serving.bounds import Bounds
from kerasar.serving.export_flow import flow_endpoints
from kerasar.statistics import log_mean_exp
from kerasar.training.batches import Batch, unpack
from kerasar.typing import Tensor

#: How many elements go through the bijections at once by default.
_BATCH_ELEMENTS = 2**17
_PATHS = ("circle", "line")


@keras.saving.register_keras_serializable(package="kerasar")
class FlowModel(NotCoded, FlowDensity):
    """A normalizing flow: an invertible map from data to latents of a simple distribution.

    Without `dequantize` the data are real values and `log_prob` is their exact log density. With
    it they are integers, and `log_prob` is a lower bound of their log probability (`exact` is
    False). The bijections then get (x + u) / levels, in [0, 1), with noise u.

    Args:
        bijections: a bijection of `kerasar.layers`, or a list of them, from data to latents.
        event_shape: the shape of one example: `(dim,)` or `(height, width, channels)`.
        base: the latents' distribution, `StandardNormal()` if None; also `Logistic()`, `Uniform()`
            (`kerasar.distributions`).
        dequantize: None for real values; for integers in `[0, levels)` the number of levels, or
            a `kerasar.distributions.Dequantization`.
        condition_shape: the shape of one condition, without the batch; None without condition.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: for bijections, base or dequantize of another kind.
        ValueError: if a shape is open, or does not fit the bijections.

    Example:
        >>> import kerasar
        >>> from kerasar.layers import AffineCoupling, StandardizeBijection
        >>> couplings = [AffineCoupling(invert=bool(i % 2)) for i in range(4)]
        >>> model = kerasar.FlowModel([StandardizeBijection(), *couplings], event_shape=(2,))
        >>> model.compile()
        >>> moons = kerasar.data.toy_density("moons", 1000)
        >>> history = model.fit(moons, epochs=1, verbose=0)
        >>> model.sample(5, seed=0).shape, model.log_prob(moons[:3]).shape
        ((5, 2), (3,))

    References:
        Papamakarios et al. Normalizing Flows for Probabilistic Modeling and Inference. JMLR 2021.
        https://arxiv.org/abs/1912.02762
    """

    def __init__(
        self,
        bijections: Bijection | Sequence[Bijection],
        event_shape: Sequence[int],
        base: BaseDistribution | None = None,
        dequantize: int | Dequantization | None = None,
        condition_shape: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(bijections, event_shape, base, dequantize, condition_shape, **kwargs)

    def uniforms(self, seed: Any, examples: Tensor, draw: Any, size: int) -> Tensor:
        return uniforms(tf.convert_to_tensor(seed), examples, tf.convert_to_tensor(draw), size)

    @checks_arguments
    def log_prob(
        self,
        x: Any,
        condition: Any = None,
        num_samples: int = 1,
        seed: int = 0,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Natural-log density of each example; for integers a bound of the log probability.

        Args:
            x: `(batch, *event_shape)`, or `{"x": …, "condition": …}`.
            condition: one row for each example, for conditional models.
            num_samples: for integers, how many draws of the noise make one estimate: the bound
                grows with it, towards the log probability (importance sampling).
            seed: of that noise. Example k of x always gets the same noise.
            batch_size: how many examples go through the bijections at once.

        Returns:
            float32 (float64 for a model of float64), `(batch,)`, in nats.

        Raises:
            ValueError, TypeError: if the data do not fit the model, or a log-probability is NaN.
        """
        check_count(num_samples, "num_samples")
        check_memory("num_samples", num_samples, (num_samples, self.dim))
        seed = check_seed(seed)
        if self.exact and num_samples > 1:
            raise ValueError(
                f"Model '{self.name}' has an exact density, which needs no samples of noise, but "
                f"got num_samples={num_samples}. Leave num_samples out."
            )
        batch = self._checked(x, condition)
        graph = self.function_cache.traced("log_prob", self._log_prob_of_draw)
        found = []
        for rows in self._slices(len(batch.x), batch_size):
            part = _rows(batch, rows)
            examples = tf.range(rows.start, rows.start + len(part.x))
            draws = [
                graph(part, tf.constant(seed), examples, tf.constant(k)).numpy()
                for k in range(num_samples)
            ]
            found.append(draws[0] if num_samples == 1 else log_mean_exp(np.stack(draws)))
        log_prob = np.concatenate(found)
        self._refuse_nan(log_prob, "log-probability", batch)
        return log_prob

    def log_prob_map(self, x: Any, condition: Any = None) -> NoReturn:
        """Raises: a flow gives one density for the whole example, not one for each event."""
        raise NotImplementedError(
            f"Model '{self.name}' is a flow: it has no events whose log-probabilities add up. Use "
            "log_prob."
        )

    @checks_arguments
    def sample(
        self,
        num_samples: int = 1,
        seed: int = 0,
        temperature: float = 1.0,
        condition: Any = None,
        chunk_size: int | None = None,
        jit_compile: bool | None = None,
        verbose: bool | int | str = "auto",
    ) -> np.ndarray:
        """Draws examples from the model.

        Args:
            num_samples: how many.
            seed: integer from 0 to 2³¹ - 1. The k-th sample of a seed does not depend on
                `num_samples` or `chunk_size`, up to rounding.
            temperature: above 0; spreads the latents by this factor.
            condition: one row for each sample, for conditional models.
            chunk_size: how many are drawn at once, which bounds the memory.
            jit_compile: whether XLA compiles it, which takes seconds at first; None compiles once
                enough has been sampled for that to pay.
            verbose: whether long work is shown on stderr; "auto": on a terminal.

        Returns:
            `(num_samples, *event_shape)`, int32 for integers.

        Raises:
            ValueError, TypeError: for arguments out of range, before any work is done.
        """
        check_count(num_samples, "num_samples")
        check_memory("num_samples", num_samples, (num_samples, self.dim))
        check_choice(verbose, "verbose", VERBOSE)
        seed = check_seed(seed)
        check_temperature(temperature)
        self.base.check_temperature(temperature)
        if chunk_size is not None:
            check_count(chunk_size, "chunk_size", most=None)
        condition = self.check_condition(condition, num_samples)
        sampler = self.function_cache.get(FlowSampler, lambda: FlowSampler(self))
        drawn = sampler.run(
            num_samples,
            seed=seed,
            temperature=temperature,
            condition=condition,
            chunk_size=chunk_size,
            jit_compile=jit_compile,
            verbose=verbose,
        )
        return self._data(drawn, f"sample {{k}} of model '{self.name}'")

    @checks_arguments
    def latent(
        self,
        x: Any,
        condition: Any = None,
        per_scale: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """The latents of data; integers are taken as the middle of their cells, x + 1/2.

        Args:
            x, condition, batch_size: as for `log_prob`.
            per_scale: whether the latents of a multi-scale flow are returned apart.

        Returns:
            `(batch, dim)`, or with `per_scale` a list of `(batch, size)`, the finest scale first.
        """
        batch = self._checked(x, condition)
        graph = self.function_cache.traced("latent", self._latent_of_data)
        found = [graph(_rows(batch, rows)) for rows in self._slices(len(batch.x), batch_size)]
        z = np.concatenate([part.numpy() for part in found])
        self._refuse_nan(z, "latent", batch)
        return np.split(z, np.cumsum(self.scales)[:-1], axis=1) if per_scale else z

    @checks_arguments
    def from_latent(
        self, z: Any, condition: Any = None, batch_size: int | None = None
    ) -> np.ndarray:
        """The data of latents: the inverse of `latent`.

        Args:
            z: `(batch, dim)`, or one such array for each scale, as `latent` gives them.
            condition: one row for each latent, for conditional models.
            batch_size: how many latents go through the bijections at once.

        Returns:
            `(batch, *event_shape)`, int32 for integers.

        Raises:
            ValueError, TypeError: if the latents do not fit the model.
        """
        z = self._joined(z)
        condition = self.check_condition(condition, len(z))
        graph = self.function_cache.traced("from_latent", self._data_of_latent)
        batch = Batch(z, condition)
        data = np.concatenate(
            [graph(_rows(batch, rows)).numpy() for rows in self._slices(len(z), batch_size)]
        )
        return self._data(data, f"the latent z[{{k}}] of model '{self.name}'")

    @checks_arguments
    def interpolate(
        self, x1: Any, x2: Any, steps: int = 8, path: str = "circle", condition: Any = None
    ) -> np.ndarray:
        """Data between one example and another, through the latents between theirs.

        Args:
            x1, x2: where to start and end, `(*event_shape)` each, or `(batch, *event_shape)`.
            steps: how many points on the way, both ends included; at least 2.
            path: "circle", cos(φ) z1 + sin(φ) z2, keeps the length that latents of a normal base
                have; "line" is straight, and what a `Uniform` base takes.
            condition: of the whole way: one row for each pair.

        Returns:
            `(steps, *event_shape)`, or `(batch, steps, *event_shape)`.

        Raises:
            ValueError, TypeError: if the data do not fit the model, or for another path.

        References:
            Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017,
            appendix C. https://arxiv.org/abs/1605.08803
        """
        check_count(steps, "steps", least=2)
        if path not in _PATHS:
            raise ValueError(f"path must be one of {', '.join(_PATHS)}, but got {path!r}.")
        if path == "circle" and math.isfinite(self.base.largest_temperature):
            raise ValueError(
                f"A circle leaves the domain of a base of {type(self.base).__name__}. Pass "
                "path='line'."
            )
        single = np.ndim(x1) == len(self.data_shape)
        if single:
            x1, x2 = as_array(x1, "x1")[None], as_array(x2, "x2")[None]
        if np.shape(x1) != np.shape(x2):
            raise ValueError(
                f"x1 and x2 must have the same shape, but have {np.shape(x1)} and {np.shape(x2)}."
            )
        z1, z2 = (self.latent(x, condition)[:, None] for x in (x1, x2))
        share = np.linspace(0, 1, steps, dtype=z1.dtype)[:, None]
        if path == "circle":
            z = np.cos(share * math.pi / 2) * z1 + np.sin(share * math.pi / 2) * z2
        else:
            z = (1 - share) * z1 + share * z2
        rows = (
            None
            if condition is None
            else np.repeat(as_array(condition, "condition"), steps, axis=0)
        )
        way = self.from_latent(z.reshape(-1, self.dim), rows)
        way = way.reshape(len(z1), steps, *way.shape[1:])
        return way[0] if single else way

    def export(self, filepath: str | os.PathLike[str], **kwargs: Any) -> None:
        """Writes a SavedModel that TensorFlow Serving runs.

        Signatures: `serving_default` = `log_prob`, `sample` and `latent`. For integers the
        bound is that of one draw of the noise with seed 0.

        Args:
            filepath: a folder that does not exist yet, for example `exported/1`.
            **kwargs: `verbose`, as for `keras.Model.export`; `max_samples` (4096) and
                `max_positions` (2**22, or one example if that has more values), what a request may
                ask for at most; `jit_compile` (False), whether XLA compiles `sample` on the
                server, which must then be started with XLA (`kerasar serve` does so by itself).

        Raises:
            FileExistsError: if something is there already.
        """
        options = check_export_options(kwargs)
        export_model(self, self.endpoints, filepath, **options)

    def endpoints(self, bounds: Bounds, **options: Any) -> dict[str, Endpoint]:
        """What `export` writes: functions on tensors by name."""
        return flow_endpoints(self, bounds, **options)

    def _checked(self, x: Any, condition: Any) -> Batch:
        batch = unpack(x)
        if condition is not None:
            batch = batch._replace(condition=condition)
        return self.check_batch(batch)

    def _refuse_nan(self, found: np.ndarray, what: str, batch: Batch) -> None:
        """Raises a ValueError that names the layer, if one of the values found for x is NaN."""
        k = _first_nan(found)
        if k is not None:
            cause = self.locate_non_finite(_rows(batch, slice(k, k + 1)))
            raise ValueError(
                f"The {what} of x[{k}] is NaN. {cause} Values outside of a bounded "
                "layer's domain do that: put such a layer first, or an Inverse(Logit()) in front "
                "of it; or fix the weights."
            )

    def _data(self, data: np.ndarray, whose: str) -> np.ndarray:
        """Data that came out of the bijections, refused if they hold NaN."""
        k = _first_nan(data)
        if k is not None:
            raise ValueError(
                f"The data of {whose.format(k=k)} hold NaN: in the inverse direction a bounded "
                "layer gets latents from outside of its bounds. A flow that ends with an "
                "Inverse(Logit()) goes with a Uniform() base; else fix the weights."
            )
        return data

    def _joined(self, z: Any) -> np.ndarray:
        scales = self.scales
        if isinstance(z, (list, tuple)) and len(z) == len(scales) and np.ndim(z[0]) == 2:
            parts = [
                check_numbers(part, (size,), f"z[{i}]")
                for i, (part, size) in enumerate(zip(z, scales, strict=True))
            ]
            z = np.concatenate(parts, axis=1)
        return check_numbers(z, (self.dim,), "z").astype(self.bijection.flow_dtype)

    def _slices(self, count: int, batch_size: int | None) -> list[slice]:
        if batch_size is None:
            batch_size = max(_BATCH_ELEMENTS // self.dim, 1)
        check_count(batch_size, "batch_size", most=None)
        return [slice(start, start + batch_size) for start in range(0, count, batch_size)]

    def _log_prob_of_draw(
        self, part: Batch, seed: Tensor, examples: Tensor, draw: Tensor
    ) -> Tensor:
        noise = None if self.exact else self.uniforms(seed, examples, draw, self.dim)
        return self.compute_log_prob(part, noise)

    def _latent_of_data(self, part: Batch) -> Tensor:
        return self.compute_latent(self.dequantize_midpoint(part.x), part.condition)[0]

    def _data_of_latent(self, part: Batch) -> Tensor:
        return compute_data(self, part.x, part.condition)


def _first_nan(found: np.ndarray) -> int | None:
    """The first row that holds a NaN."""
    bad = np.isnan(found)
    return int(np.argwhere(bad)[0][0]) if bad.any() else None


def _rows(batch: Batch, rows: slice) -> Batch:
    condition = None if batch.condition is None else tf.constant(batch.condition[rows])
    return Batch(tf.constant(batch.x[rows]), condition)
