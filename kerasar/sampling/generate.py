"""Sampling, in-painting and continuation from Python: checks, chunks, progress, one answer."""

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.checks import check_count
from kerasar.noise import fold_in
from kerasar.sampling.cached import CachedSampler, NotSteppable, cached
from kerasar.sampling.draft import Options, PartialBatch
from kerasar.sampling.parallel import parallel
from kerasar.sampling.progress import Progress
from kerasar.sampling.sequential import sequential
from kerasar.typing import Tensor

METHODS = ("sequential", "parallel", "cached")


def check_options(
    model: Any, temperature: float, top_k: int | None, top_p: float | None
) -> Options:
    """The sampling options as tensors.

    Raises:
        ValueError: if one is out of its range, or does not suit the model's likelihood.
    """
    check_temperature(temperature)
    if top_k is not None:
        check_count(top_k, "top_k")
        if model.data_levels is not None and top_k > model.data_levels:
            raise ValueError(
                f"top_k must be at most the number of levels, {model.data_levels}, but got {top_k}."
            )
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], but got {top_p!r}.")
    if top_k is not None or top_p is not None:
        # Likelihoods without single likeliest values refuse here, before any work.
        model.likelihood.apply_top_k_top_p(
            tf.zeros((1, model.network.output_shape[-1])), top_k=top_k, top_p=top_p
        )
    return Options(
        None if temperature == 1 else tf.constant(temperature, tf.float32),
        None if top_k is None else tf.constant(top_k, tf.int32),
        None if top_p is None else tf.constant(top_p, tf.float32),
    )


def check_temperature(temperature: float) -> None:
    """Raises a ValueError for anything but a finite number above 0."""
    if not isinstance(temperature, (int, float, np.number)) or not 0 < temperature < np.inf:
        raise ValueError(
            f"temperature must be a number above 0, but got {temperature!r}. 1 leaves the model's "
            "distribution, small values approach the likeliest value."
        )


def check_method(model: Any, method: str | None) -> str:
    """The name of a sampler; the best that the model has for None.

    Raises:
        ValueError: for an unknown name, or for "cached" where a layer cannot be run step by step;
            the layer is named.
    """
    if method is not None and method not in METHODS:
        close = difflib.get_close_matches(str(method), METHODS, 1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise ValueError(
            f"method must be one of {', '.join(METHODS)}, or None for the best, but got "
            f"{method!r}.{hint}"
        )
    if method in (None, "cached"):
        try:
            cached_sampler(model)
        except NotSteppable as reason:
            if method is None:
                return "parallel"
            raise ValueError(
                f"Model '{model.name}' has no cached sampler: {reason}. Use method=\"parallel\", "
                "which gives the same samples for any causal network."
            ) from None
    return method or "cached"


def cached_sampler(model: Any) -> CachedSampler:
    """The model's cached sampler, built and checked when it is first asked for."""
    return model.function_cache.get(CachedSampler, lambda: CachedSampler(model))


def exportable_sampler(
    model: Any, draft: PartialBatch, options: Options, data_shape: Tensor
) -> Tensor:
    """The model's best sampler as graph operations on a draft of any size, for a SavedModel."""
    if check_method(model, None) == "cached":
        steps = cached_sampler(model).steps
        sizes = tf.unstack(data_shape, num=len(model.data_shape))
        shape = [own or size for own, size in zip(model.data_shape, sizes, strict=True)]
        return cached(model, steps, draft, options, shape, compiled=False)
    return parallel(model, draft, options, data_shape)


def generate(
    model: Any,
    values: np.ndarray,
    known: np.ndarray,
    seed: int,
    options: Options,
    condition: Any = None,
    num: int = 1,
    method: str | Callable[..., Tensor] = "cached",
    chunk_size: int = 256,
    jit_compile: bool | None = None,
    verbose: bool | str = "auto",
) -> np.ndarray:
    """Completes `num` versions of each example; checked arguments only.

    Args:
        model: an `AutoregressiveDensity`.
        values: `(examples, *data shape)`.
        known: Boolean, shape of `values`.
        seed: the noise is a function of it, the example's index, its version and the position.
        options: from `check_options`.
        condition: arrays by input name, from `check_condition`, or None.
        num: versions of each example.
        method: from `check_method`, or a function as `sequential`, for other kinds of models.
        chunk_size: how many are completed at once.
        jit_compile: whether the cached loop is compiled by XLA; None: when that pays.
        verbose: as for `Progress`.

    Returns:
        `(examples, num, *data shape)`.
    """
    shape: tuple[int, ...] = values.shape[1:]
    event = shape[len(shape) - model.likelihood.event_rank :]
    places = int(np.prod(shape[: len(shape) - len(event)]))
    rows = np.repeat(np.arange(len(values)), num)
    versions = np.tile(np.arange(num), len(values))
    finished = np.zeros((len(rows), *shape), values.dtype)
    what = f"Sampling {len(rows)} examples of {places} positions"
    with Progress(what, len(rows) * places, verbose) as progress:
        for start in range(0, len(rows), chunk_size):
            chunk = slice(start, start + chunk_size)
            some = rows[chunk]
            flat = (len(some), places, *event)
            draft = PartialBatch(
                values=tf.constant(values[some].reshape(flat)),
                known=tf.constant(known[some].reshape(flat)),
                seeds=_seeds(seed, versions[chunk]),
                examples=tf.constant(some, tf.int32),
                condition=condition
                and {n: tf.constant(part[some]) for n, part in condition.items()},
            )
            result = _complete(model, method, draft, options, shape, jit_compile, progress)
            finished[chunk] = result.numpy().reshape(finished[chunk].shape)
    return finished.reshape(len(values), num, *shape)


def _seeds(seed: int, versions: np.ndarray) -> Tensor:
    """The noise key of each row; the first version of an example has the seed itself."""
    if not versions.any():
        return tf.fill((len(versions),), tf.constant(seed, tf.uint32))
    return fold_in(tf.constant(seed), tf.constant(versions, tf.int32))


def _complete(
    model: Any,
    method: str | Callable[..., Tensor],
    draft: PartialBatch,
    options: Options,
    shape: tuple[int, ...],
    jit_compile: bool | None,
    progress: Progress,
) -> Tensor:
    examples, places = draft.values.shape[:2]
    if method == "cached":
        values = cached_sampler(model).run(draft, options, shape, jit_compile)
        progress.advance(examples * places)
        return values
    data_shape = tf.constant(shape, tf.int32)
    if method == "parallel":
        values = _graph(model, parallel)(draft, options, data_shape)
        progress.advance(examples * places)
        return values
    sampler = sequential if method == "sequential" else method
    # In pieces, so that the progress line moves; the first is short, for an early estimate.
    bounds = sorted({0, min(2, places), *np.linspace(0, places, 21).astype(int).tolist()})
    values = draft.values
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        values = _graph(model, sampler)(
            draft._replace(values=values),
            options,
            data_shape,
            tf.constant(start),
            tf.constant(stop),
        )
        progress.advance(examples * (stop - start))
    return values


def _graph(model: Any, sampler: Any) -> Any:
    """The sampler as one compiled graph, traced once for a model and kind of arguments."""
    return model.function_cache.traced(sampler, lambda *arguments: sampler(model, *arguments))
