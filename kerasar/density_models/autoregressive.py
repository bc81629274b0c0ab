"""`AutoregressiveModel`: any strictly causal network, trained, sampled from and served."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.causality.proof import analyses_of_lengths, prove
from kerasar.checks import (
    as_array,
    check_count,
    check_data,
    check_export_options,
    check_given,
    check_memory,
)
from kerasar.compression import ChainRule, Content, Header, NotReadable, compress, decompress
from kerasar.density_models.autoregressive_density import AutoregressiveDensity
from kerasar.distributions.likelihoods import Likelihood
from kerasar.sampling.methods import find_sampler
from kerasar.sampling.prompt import split_prompt
from kerasar.sampling.sampler import Sampler, SamplingRequest
from kerasar.sampling.stream import Stream
from kerasar.sampling.streams import begin_stream
from kerasar.serving.archive import Endpoint, export_model
from kerasar.serving.bounds import Bounds
from kerasar.serving.export import autoregressive_endpoints
from kerasar.training.batches import Batch, unpack
from kerasar.training.short_convolutions import ShortConvForward
from kerasar.typing import Config, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class AutoregressiveModel(AutoregressiveDensity):
    """An autoregressive model from any strictly causal functional network.

    Output i of the network holds the parameters of event i and must depend on events before i
    only: in time for sequences, in raster-scan order for images. This is checked here, once.

    Args:
        network: functional Keras model from data (its input named `x`, else its first) and
            conditions (its other inputs) to the parameters of each event.
        likelihood: a `kerasar.distributions.Likelihood`; `Categorical()` if None.
        allow_training_leak: bool. Takes layers that see more in training than in inference, such as
            `BatchNormalization`, with a warning instead of an error.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: if `network` is not a Keras model.
        ValueError: if the network has no graph, leaks (the layer is named), or has an output that
            does not fit the data and the likelihood.

    Example:
        >>> import keras, kerasar
        >>> x = keras.Input((8,), dtype="int32", name="x")
        >>> h = keras.layers.Embedding(4, 16)(x)
        >>> h = kerasar.layers.CausalShift()(h)
        >>> h = keras.layers.Conv1D(16, 3, padding="causal", activation="relu")(h)
        >>> model = kerasar.AutoregressiveModel(keras.Model(x, keras.layers.Dense(4)(h)))
        >>> model.sample(3, seed=0).shape
        (3, 8)
    """

    @checks_arguments
    def __init__(
        self,
        network: keras.Model,
        likelihood: Likelihood | None = None,
        *,
        allow_training_leak: bool = False,
        **kwargs: Any,
    ) -> None:
        self.allow_training_leak = allow_training_leak
        super().__init__(network, likelihood, **kwargs)

    def _analyze(self) -> None:
        super()._analyze()
        prove(self.analysis, self.data_levels, self.allow_training_leak)
        self._whole = ShortConvForward(self.analysis)
        self._proven_lengths: set[int] = set()
        self._has_proof_of_lengths: bool | None = None

    def check_batch(self, batch: Batch, name: str = "x") -> Batch:
        checked = super().check_batch(batch, name)
        self._prove_at(checked.x.shape[1])
        return checked

    def _prove_at(self, length: int) -> None:
        """Proves the network again at a length, where its layers make masks of one."""
        if not self.analysis.lacks_length or length in self._proven_lengths:
            return
        if self._has_proof_of_lengths is None:  # else it was probed, whatever the length
            self._has_proof_of_lengths = bool(analyses_of_lengths(self.analysis))
        if self._has_proof_of_lengths:
            analysis = self.analysis.at_length(length)
            if not analysis.unknown:
                prove(analysis, self.data_levels, self.allow_training_leak)
        self._proven_lengths.add(length)

    def get_config(self) -> Config:
        leak = {"allow_training_leak": True} if self.allow_training_leak else {}
        return {**super().get_config(), **leak}

    def compute_parameters(
        self, x: Tensor, condition: Any = None, training: bool | None = None
    ) -> Tensor:
        pays = training and self.jit_compile and self._whole.products
        if not pays and not self._whole.has_scans:
            return super().compute_parameters(x, condition, training)
        return self._whole(self.network_inputs(x, condition), training=bool(training))

    @checks_arguments
    def sample(
        self,
        num_samples: int = 1,
        seed: int = 0,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        condition: Any = None,
        method: str | None = None,
        length: int | None = None,
        image_shape: tuple[int, int] | None = None,
        prompt: Any = None,
        chunk_size: int = 256,
        jit_compile: bool | None = None,
        verbose: bool | int | str = "auto",
    ) -> np.ndarray:
        """Draws examples from the model.

        Args:
            num_samples: how many.
            seed: integer from 0 to 2³¹ - 1. The k-th sample of a seed does not depend on
                `num_samples`, `chunk_size` or `method`; real values, and networks in half
                precision, up to rounding.
            temperature: above 0; divides the logits.
            top_k: draw among this many likeliest values only.
            top_p: draw among the likeliest values that together have this probability.
            condition: what the network is conditioned on, one row for each sample.
            method: "cached" computes nothing twice; "parallel" redraws everything from the full
                network until nothing changes; "sequential" takes one full pass for each position.
                All give the same samples; None takes the best the model has.
            length: steps to draw where the network leaves its length open.
            image_shape: (height, width) to draw where the network leaves its size open.
            prompt: the beginning of each sequence, `(num_samples, steps, …)`, or one for all,
                `(steps, …)`; the result contains it. Missing steps (NaN) at its end are drawn, for
                models that take such.
            chunk_size: how many are drawn at once, which bounds the memory.
            jit_compile: whether the cached loop is compiled by XLA, which takes seconds at first;
                None compiles once enough has been sampled for that to pay.
            verbose: whether long work is announced and shown on stderr; "auto": on a terminal.

        Returns:
            `(num_samples, *data shape)`, int32 for discrete data.

        Raises:
            ValueError, TypeError: for arguments out of range, before any work is done.
        """
        check_count(num_samples, "num_samples")
        shape = (num_samples, *self._sampled_shape(length, image_shape))
        check_memory("num_samples", num_samples, shape)
        self._prove_at(shape[1])
        values = np.zeros(shape, "int32" if self.discrete else "float32")
        known = np.zeros(values.shape, bool)
        if prompt is not None:
            prompt = self._check_prompt(prompt, values.shape)
            given = split_prompt(tf.constant(prompt))
            values[:, : prompt.shape[1]], known[:, : prompt.shape[1]] = given
        request = SamplingRequest.checked(
            self,
            values,
            known,
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            condition=condition,
            chunk_size=chunk_size,
            jit_compile=jit_compile,
            verbose=verbose,
        )
        return self.sampler(method).run(request)[:, 0]

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
        method: str | None = None,
        chunk_size: int = 256,
        jit_compile: bool | None = None,
        verbose: bool | int | str = "auto",
    ) -> np.ndarray:
        """Fills in what is not known, one position after the other.

        Each value is drawn given all values *before* it in the autoregressive order. Known values
        that come later in the order stay untouched but do not influence earlier draws. Where an
        event is a vector (`likelihood.event_rank` 1), it is drawn whole: what is known of it stays,
        but does not influence the rest of the same event.

        Args:
            x: `(batch, *data shape)`; unknown values may be anything.
            known: Boolean, shape of `x`, True where the value is given.
            num_completions: how many completions of each example.
            seed, temperature, top_k, top_p, condition, method, chunk_size, jit_compile, verbose:
                as for `sample`.

        Returns:
            `(batch, *data shape)`; for `num_completions` above 1 `(batch, num_completions, *data
            shape)`.

        Raises:
            ValueError, TypeError: for arguments that do not fit, before any work is done.
        """
        values, known = check_given(
            x, known, self.data_shape, self.data_levels, "x", self.takes_missing
        )
        self.likelihood.check_values(np.where(known, values, np.nan), "x")
        request = SamplingRequest.checked(
            self,
            values.astype("int32" if self.discrete else "float32"),
            known,
            seed=seed,
            num_completions=num_completions,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            condition=condition,
            chunk_size=chunk_size,
            jit_compile=jit_compile,
            verbose=verbose,
        )
        drawn = self.sampler(method).run(request)
        return drawn if num_completions > 1 else drawn[:, 0]

    @checks_arguments
    def stream(
        self, batch_size: int = 1, condition: Any = None, length: int | None = None
    ) -> Stream:
        """Begins sequences that are scored, or drawn, one step after the other.

        `stream.score(x_t)` gives the log-probability of the next step, `stream.draw()` draws it,
        `stream.parameters()` looks at its distribution; `stream.state` can be copied and saved.
        Nothing is computed twice, and the memory does not grow.

        Args:
            batch_size: number of sequences, which go on side by side.
            condition: what the network is conditioned on, one row for each sequence.
            length: for how many steps there is room, where the network leaves its length open and
                needs to know it, as attention does; else there is no end.

        Raises:
            ValueError: if the model draws images, has a layer that cannot be run step by step (it
                is named), or needs a length.
            ValueError, TypeError: for arguments that do not fit.

        Example:
            >>> import keras, kerasar
            >>> x = keras.Input((None,), dtype="int32", name="x")
            >>> h = kerasar.layers.CausalShift()(keras.layers.Embedding(4, 16)(x))
            >>> h = keras.layers.Conv1D(16, 3, padding="causal", activation="relu")(h)
            >>> model = kerasar.AutoregressiveModel(keras.Model(x, keras.layers.Dense(4)(h)))
            >>> stream = model.stream(batch_size=2)
            >>> stream.score([0, 3]).shape, stream.draw(seed=1).shape, stream.step
            ((2,), (2,), 2)
        """
        return begin_stream(self, batch_size, condition, length)

    @checks_arguments
    def compress(
        self, x: Any, condition: Any = None, *, verbose: bool | int | str = "auto"
    ) -> bytes:
        """Examples of discrete data as bytes, from which `decompress` makes the same again.

        What an example takes is its nats, by `log_prob`, in bits: the better the model, the fewer.
        All examples share one stream behind a header of at most 64 bytes. Needs the package
        constriction: `pip install 'kerasar[compress]'`.

        Args:
            x: `(batch, *data shape)`, integers. A dict, `{"x": …, "length": …, "condition": …}`,
                comes back as a dict: lengths of sequences, and conditions that are classes, are
                kept in the bytes.
            condition: what the network is conditioned on, one row for each example. It is not part
                of the bytes: `decompress` must be given it too.
            verbose: whether long work is announced and shown on stderr; "auto": on a terminal.

        Raises:
            ValueError, TypeError: for data that do not fit, and for models of real numbers.
            ImportError: if constriction is not installed.

        Example:
            >>> import kerasar
            >>> model = kerasar.models.PixelCNN((8, 8, 1), 17, filters=4, blocks=1)
            >>> images = kerasar.data.load_digits()[0][0][:3]
            >>> bool((model.decompress(model.compress(images)) == images).all())
            True

        References:
            Witten, Neal & Cleary. Arithmetic Coding for Data Compression. Communications of the
            ACM 30(6), 1987.
        """
        batch = unpack(x)
        is_kept = condition is None and batch.condition is not None
        if condition is not None:
            batch = batch._replace(condition=condition)
        batch = self.check_batch(batch)
        if batch.start is not None:
            raise ValueError(
                "compress() codes sequences from their first step, but got a start. Leave it out."
            )
        if is_kept and not self.conditions.are_classes:
            raise ValueError(
                f"compress() keeps classes, but the conditions {list(self.conditions.shapes)} of "
                f"model '{self.name}' are more than one class for each example. Pass condition=… "
                "beside x, to compress() and to decompress()."
            )
        kept, given = (batch.condition, None) if is_kept else (None, batch.condition)
        content = Content(np.asarray(batch.x), batch.length, kept, given)
        return compress(ChainRule(self), content, verbose)

    @checks_arguments
    def decompress(
        self,
        data: bytes,
        condition: Any = None,
        *,
        force: bool = False,
        verbose: bool | int | str = "auto",
    ) -> Any:
        """The examples in what `compress` made, bit by bit as they were.

        The model must be the one that compressed them, on a machine that computes the same bits:
        both are checked first, and the examples by their checksum at the end.

        Args:
            data: what `compress` returned.
            condition: as for `compress`; classes that the bytes hold are not given again.
            force: whether to try with another model or machine. The checksum still decides.
            verbose: as for `compress`.

        Returns:
            `(batch, *data shape)`, int32; or `{"x": …, "length": …, "condition": …}`, with what
            was compressed beside x, and zeros behind the end of each sequence.

        Raises:
            kerasar.NotReadable: a ValueError, if `data` are something else, are damaged, or belong
                to another model or machine.
            ValueError, TypeError: if the condition does not fit.
            ImportError: if constriction is not installed.
        """

        def given(header: Header) -> Any:
            if not header.has_classes:
                return self.conditions.check(condition, header.count, header.shape)
            if not self.conditions.are_classes:
                raise NotReadable("The file holds classes, which this model does not take.")
            if condition is not None:
                raise ValueError("The file holds the class of each example: leave condition out.")
            return None

        content = decompress(ChainRule(self), data, given, verbose, force)
        found: dict[str, Any] = {"x": content.values}
        if content.lengths is not None:
            found["length"] = content.lengths
        if content.classes is not None:
            (*parts,) = content.classes.values()
            found["condition"] = parts[0] if len(parts) == 1 else content.classes
        return found if len(found) > 1 else content.values

    def sampler(self, method: str | None = None) -> Sampler:
        """The sampler of that name, from "cached", "parallel" and "sequential"; None: the best.

        Raises:
            ValueError: for an unknown name, or for "cached" where a layer cannot be run step by
                step; the layer is named.
        """
        return find_sampler(self, method)

    def export(self, filepath: str, **kwargs: Any) -> None:
        """Writes a SavedModel that TensorFlow Serving runs.

        Signatures: `serving_default` = `log_prob`, `sample`, `inpaint` and, for sequences,
        `continuation`; the whole sampling loop runs inside. See docs/serving.md.

        Args:
            filepath: a folder that does not exist yet, for example `exported/1`.
            **kwargs: `verbose`, as for `keras.Model.export`; `max_samples` (4096) and
                `max_positions` (2**22, or one example if that has more values), what a request may
                ask for at most; `streaming` (False), whether there are the signatures `begin`,
                `score_step` and `draw_step` too, which run sequences step by step, as `stream`;
                `jit_compile` (False), whether XLA compiles the sampling loop on the server, which
                must then be started with XLA (`kerasar serve` does so by itself).

        Raises:
            FileExistsError: if something is there already.
            ValueError: for streaming, if the model has no `stream`, or one that needs a length;
                for `jit_compile`, if it has no cached sampler, or one that XLA would compile for
                each size that is asked for.
        """
        options = check_export_options(kwargs, streams=True)
        export_model(self, self.endpoints, filepath, **options)

    def endpoints(self, bounds: Bounds, **options: Any) -> dict[str, Endpoint]:
        """What `export` writes: functions on tensors by name."""
        return autoregressive_endpoints(self, bounds, **options)

    def _check_prompt(self, prompt: Any, shape: tuple[int, ...]) -> np.ndarray:
        if len(self.data_shape) == 3:
            raise ValueError(
                "prompt is the beginning of a sequence, but this model draws images. Use inpaint() "
                "to give parts of an image."
            )
        prompt = as_array(prompt, "prompt")
        if prompt.ndim == len(shape) - 1:
            prompt = np.repeat(prompt[None], shape[0], axis=0)
        prompt = check_data(
            prompt,
            (None, *shape[2:]),
            self.data_levels,
            "prompt",
            self.data_dtype,
            self.takes_missing,
        )
        self.likelihood.check_values(prompt, "prompt")
        if prompt.shape[1] > shape[1] or len(prompt) != shape[0]:
            raise ValueError(
                f"prompt must hold {shape[0]} sequences (num_samples) of at most {shape[1]} steps "
                f"(the length), but its shape is {prompt.shape}."
            )
        return prompt

    def _sampled_shape(
        self, length: int | None, image_shape: tuple[int, int] | None
    ) -> tuple[int, ...]:
        """The shape of one sample: the network's, with what it leaves open as the user gives it."""
        is_image = len(self.data_shape) == 3
        names = ("image_shape", "length") if is_image else ("length", "image_shape")
        given, other = (image_shape, length) if is_image else (length, image_shape)
        sizes = self.data_shape[: 2 if is_image else 1]
        if other is not None:
            raise ValueError(
                f"Model '{self.name}' draws {'images' if is_image else 'sequences'}: pass "
                f"{names[0]}, not {names[1]}."
            )
        if given is None and None in sizes:
            raise ValueError(
                f"Model '{self.name}' leaves its size open, {self.data_shape}: pass {names[0]}=…"
            )
        chosen = sizes if given is None else _as_sizes(given, len(sizes), names[0])
        if any(own not in (None, size) for size, own in zip(chosen, sizes, strict=True)):
            raise ValueError(
                f"Model '{self.name}' is built for the size {sizes}, but got {names[0]}={given}. "
                f"Leave {names[0]} out."
            )
        return (*chosen, *self.data_shape[len(chosen) :])  # type: ignore[arg-type]


def _as_sizes(given: Any, count: int, name: str) -> tuple[int, ...]:
    sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if len(sizes) != count:
        raise ValueError(f"{name} must give {count} size(s), but is {given!r}.")
    return tuple(check_count(size, name) for size in sizes)
