"""Single scores of examples, each a function of a model and data.

None of them alone finds every anomaly: `AnomalyDetector` joins them. All are in nats or pure
numbers, float64 `(examples,)`, and take data as `model.log_prob` takes them.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import as_array, check_choice, check_count, check_data
from kerasar.scores.adaptive_code import adaptive_code_nats
from kerasar.scores.codecs import CODECS, codec_nats
from kerasar.scores.compute import checked_batch, is_map, run_over
from kerasar.scores.models import ScoredModel
from kerasar.scores.statistics import Example, patch_size, patch_sums, totals, worst_events
from kerasar.typing import Tensor

_ADAPTIVE = "adaptive"


@checks_arguments
def surprise(model: Any, x: Any, condition: Any = None, batch_size: int = 128) -> np.ndarray:
    """-ln p(x), in nats: what an example costs the model.

    It misleads where examples differ in complexity. To a model of clothes, digits are likelier than
    clothes, and a blank image is likelier than both.

    Args:
        model: a density model.
        x: examples.
        condition: for conditional models.
        batch_size: how many examples go through the model at once.

    Returns:
        Nats of each example, `(batch,)`.
    """
    return _of_one_pass(model, x, condition, batch_size)["surprise"]


@checks_arguments
def typicality(
    model: Any, x: Any, good: Any, condition: Any = None, batch_size: int = 128
) -> np.ndarray:
    """How far the nats of each example are from the mean of good ones, on either side.

    Args:
        model: a density model.
        x: examples.
        good: good examples that the model was not trained on; a dict if they have conditions.
        condition: of `x`, for conditional models.
        batch_size: how many examples go through the model at once.

    References:
        Nalisnick, Matsukawa, Teh & Lakshminarayanan. Detecting Out-of-Distribution Inputs to Deep
        Generative Models Using Typicality. 2019. https://arxiv.org/abs/1906.02994
    """
    mean = _mean_nats(model, good, batch_size)
    return np.abs(surprise(model, x, condition, batch_size) - mean)


@checks_arguments
def complexity(x: Any, levels: int, codec: str = _ADAPTIVE, length: Any = None) -> np.ndarray:
    """The length of each example under a lossless code that knows no model, in nats.

    Args:
        x: integers in `[0, levels)`, `(examples, …)`; images with an axis of channels.
        levels: int. Number of values.
        codec: "adaptive" (a code without headers, so that small examples count too), "png" or
            "webp" for images, "flac" for recordings, or "zlib".
        length: of sequences that are padded, `(examples,)`.

    Raises:
        ValueError: for data that a format does not take.
        ImportError: if the library that writes it is missing here.
    """
    check_choice(codec, "codec", (_ADAPTIVE, *CODECS))
    check_count(levels, "levels", least=2)
    shape = np.shape(x)[1:] if np.ndim(x) > 1 else (None,)
    values = check_data(x, shape, levels)
    if length is not None:
        length = _checked_length(length, values)
    if codec == _ADAPTIVE:
        real = None if length is None else tf.sequence_mask(length, values.shape[1])
        rank = 2 if values.ndim == 4 else 1
        return np.asarray(adaptive_code_nats(tf.constant(values), levels, rank, real))
    if length is None:
        return codec_nats(values, levels, codec)
    rows = zip(values, length, strict=True)
    return np.concatenate([codec_nats(row[None, :end], levels, codec) for row, end in rows])


@checks_arguments
def complexity_corrected(
    model: Any, x: Any, condition: Any = None, codec: str = _ADAPTIVE, batch_size: int = 128
) -> np.ndarray:
    """Surprise minus complexity: the nats by which the model does worse than a code without one.

    Args:
        model: a density model of discrete data.
        x: examples.
        condition: for conditional models.
        codec: as for `complexity`.
        batch_size: how many examples go through the model at once.

    Raises:
        ValueError: for real values, which no code of a finite length holds.

    References:
        Serrà, Álvarez, Gómez, Slizovskaia, Núñez & Luque. Input Complexity and Out-of-distribution
        Detection with Likelihood-based Generative Models. ICLR 2020.
        https://arxiv.org/abs/1909.11480
    """
    batch = checked_batch(model, x, condition)
    if model.data_levels is None:
        raise ValueError(
            f"Complexity is the length of a code of integers, but model '{model.name}' is of real "
            "numbers. Quantize the data, or use surprise, typicality or entropy_z."
        )
    shorter = complexity(batch.x, model.data_levels, codec, batch.length)
    return surprise(model, x, condition, batch_size) - shorter


@checks_arguments
def worst_pixel(model: Any, x: Any, condition: Any = None, batch_size: int = 128) -> np.ndarray:
    """The nats of the most surprising event of each example: a pixel, a step, or a latent.

    Args:
        model: a density model.
        x: examples.
        condition: for conditional models.
        batch_size: how many examples go through the model at once.

    Returns:
        Nats, `(batch,)`.
    """
    return _of_one_pass(model, x, condition, batch_size)["worst_pixel"]


@checks_arguments
def worst_patch(
    model: Any,
    x: Any,
    condition: Any = None,
    patch: int | None = None,
    batch_size: int = 128,
) -> np.ndarray:
    """The nats of the most surprising patch, beyond what the model expected there.

    Args:
        model: a density model with a map, which a flow has not.
        x: examples.
        condition: for conditional models.
        patch: int. Side of the patch in positions; None: 5, or a thirtieth of the longest axis.
        batch_size: how many examples go through the model at once.
    """
    if hasattr(model, "compute_surprise") and not is_map(model):
        raise ValueError(
            f"A patch lies in a map, but model '{model.name}' is a flow, whose events are its "
            "latents. Use worst_pixel or surprise."
        )
    return _of_one_pass(model, x, condition, batch_size, patch)["worst_patch"]


@checks_arguments
def entropy_z(model: Any, x: Any, condition: Any = None, batch_size: int = 128) -> np.ndarray:
    """(nats - the model's own expected nats) / their standard deviation.

    Expectation and variance are those of the model given the events before, summed. Of examples
    that the model itself draws it has mean 0 and variance 1; of others it says how much they
    disagree with the model, whatever their complexity.

    Args:
        model: a density model.
        x: examples.
        condition: for conditional models.
        batch_size: how many examples go through the model at once.

    Returns:
        Numbers of standard deviations, `(batch,)`.
    """
    return _of_one_pass(model, x, condition, batch_size)["entropy_z"]


@checks_arguments
def all_scores(
    model: Any, x: Any, condition: Any = None, good: Any = None, batch_size: int = 128
) -> dict[str, np.ndarray]:
    """All scores that the model and the data allow, by name, from one pass of the model over `x`.

    Args:
        model: a density model.
        x: examples.
        condition: of `x`, for conditional models.
        good: good examples that the model was not trained on, for `typicality`; a dict if they
            have conditions.
        batch_size: how many examples go through the model at once.

    Returns:
        Arrays `(batch,)` by the names of the functions here. Those of complexity are there for
        discrete data only, `worst_patch` for models with a map.
    """
    found = _of_one_pass(model, x, condition, batch_size)
    if not is_map(model):
        del found["worst_patch"]
    if good is not None:
        found["typicality"] = np.abs(found["surprise"] - _mean_nats(model, good, batch_size))
    if "complexity" in found:
        found["complexity_corrected"] = found["surprise"] - found["complexity"]
    return found


def _mean_nats(model: ScoredModel, good: Any, batch_size: int) -> float:
    found = _of_one_pass(model, good, None, batch_size, name="good")
    return float(found["surprise"].mean())


def _checked_length(length: Any, values: np.ndarray) -> np.ndarray:
    found = as_array(length, "length")
    whole = np.issubdtype(found.dtype, np.integer)
    if not whole or found.shape != values.shape[:1] or values.ndim > 3:
        raise ValueError(
            f"length must hold one integer for each of the {len(values)} sequences, but has dtype "
            f"{found.dtype} and shape {found.shape}, and x has shape {values.shape}."
        )
    if found.min() < 1 or found.max() > values.shape[1]:
        raise ValueError(
            f"length must lie in [1, {values.shape[1]}], the padded length, but holds "
            f"{found.min()} … {found.max()}."
        )
    return found


def _of_one_pass(
    model: ScoredModel,
    x: Any,
    condition: Any,
    batch_size: int,
    patch: int | None = None,
    name: str = "x",
) -> dict[str, np.ndarray]:
    batch = checked_batch(model, x, condition, name)
    side = patch_size(model.data_shape) if patch is None else check_count(patch, "patch")

    def compute(example: Example) -> dict[str, Tensor]:
        nats, expected, _ = example.surprise
        t = totals(example)
        excess = t["nats"] - t["expected"]
        found = {
            "surprise": t["nats"],
            "expected_nats": t["expected"],
            # Where nothing is left to chance, a rounding error is no surprise.
            "entropy_z": excess / tf.sqrt(tf.maximum(t["variance"], 1e-6)),
            "worst_pixel": worst_events(nats),
            "worst_patch": worst_events(patch_sums(nats - expected, side)),
        }
        if model.data_levels is not None:
            rank = 2 if example.x.shape.rank == 4 else 1
            found["complexity"] = adaptive_code_nats(
                example.x, model.data_levels, rank, example.known[..., 0]
            )
        return found

    return run_over(model, batch, compute, f"scores with patches of {side}", batch_size)
