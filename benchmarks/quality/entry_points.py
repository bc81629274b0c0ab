"""The public entry points of kerasar, each with a right call, for the sweep of wrong arguments."""

import functools
import itertools
import math
import numbers
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

import kerasar
from benchmarks.quality.argument_sweep import Argument, Entry

#: Larger counts than this fit into no memory where a size is asked for.
_LARGE = 10**9
_RNG = np.random.default_rng(0)
X = _RNG.integers(0, 3, (12, 6))
LONG = _RNG.integers(0, 3, (12, 10))
IMAGES = _RNG.integers(0, 3, (6, 4, 4, 1))
POINTS = _RNG.normal(size=(12, 2)).astype("float32")
REAL = _RNG.normal(size=(3, 4, 4, 3)).astype("float32")
FEATURES = _RNG.normal(size=(3, 4)).astype("float32")
STEPS = _RNG.normal(size=(3, 6, 2)).astype("float32")
_NUMBERS = itertools.count()


# What fits. Each gives an argument from a right value.


def _is_whole(value: Any, least: int, most: float = _LARGE) -> bool:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and least <= value <= most


def count(value: Any, least: int = 1, most: float = _LARGE) -> Argument:
    """A size: what memory does not hold is wrong."""
    return Argument(value, lambda v: _is_whole(v, least, most))


def often(value: Any, least: int = 1) -> Argument:
    """A count of which there may be any number, as nothing is made for each."""
    return Argument(value, lambda v: _is_whole(v, least, math.inf))


def seed(value: int = 0) -> Argument:
    return Argument(value, lambda v: _is_whole(v, 0, 2**31 - 1))


def counts(value: Any, length: int | None = None, least: int = 1) -> Argument:
    """Several sizes."""

    def fits(v: Any) -> bool:
        whole = isinstance(v, (list, tuple, range, np.ndarray)) and len(np.shape(v)) == 1
        if not whole or not len(v) or length not in (None, len(v)):
            return False
        return all(_is_whole(size, least) for size in v)

    return Argument(value, fits)


def flag(value: bool) -> Argument:
    return Argument(value, lambda v: isinstance(v, (bool, np.bool_)))


def number(value: float, low: float = -math.inf, high: float = math.inf) -> Argument:
    """A finite real number in a range without its ends."""

    def fits(v: Any) -> bool:
        real = isinstance(v, numbers.Real) and not isinstance(v, (bool, np.bool_))
        return real and math.isfinite(v) and low < v < high

    return Argument(value, fits)


def numbers_(value: Any) -> Argument:
    """One finite number, or several."""
    kinds = (int, float, list, tuple, range, np.number)

    def fits(v: Any) -> bool:
        if not isinstance(v, kinds) or isinstance(v, bool):
            return False
        return np.asarray(v).dtype.kind in "if" and bool(np.isfinite(v).all()) and np.size(v) > 0

    return Argument(value, fits)


def text(value: str) -> Argument:
    return Argument(value, lambda v: isinstance(v, str))


def texts(value: Any) -> Argument:
    return Argument(value, lambda v: isinstance(v, (list, tuple)) and all(map(_is_text, v)))


def _is_empty(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and not value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def only(value: Any) -> Argument:
    """An object or a choice, of which the sweep has no other."""
    return Argument(value, lambda v: False)


def array(value: Any, *ranks: int) -> Argument:
    """Data: finite numbers of one of some ranks; of none, where no wrong value has the shape."""

    def fits(v: Any) -> bool:
        try:
            found = np.asarray(v)
        except ValueError:
            return False
        whole = found.dtype.kind in "biuf" and bool(np.isfinite(found).all()) and found.size > 0
        return whole and found.ndim in ranks

    return Argument(value, fits)


def _is_audio(value: Any) -> bool:
    """Whether a value holds real numbers in [-1, 1], of any shape; none at all will do."""
    try:
        found = np.asarray(value)
    except ValueError:
        return False
    return found.dtype.kind == "f" and bool((np.abs(found) <= 1).all())


def path(value: Any) -> Argument:
    return Argument(value, lambda v: isinstance(v, (str, Path)) and bool(v))


def or_none(argument: Argument) -> Argument:
    """The same, or None."""
    return Argument(argument.value, lambda v: v is None or argument.fits(v))


def either(first: Argument, second: Argument) -> Argument:
    """What fits one of two; the right value is that of the first."""
    return Argument(first.value, lambda v: first.fits(v) or second.fits(v))


# What entry points are called with.


def _conv(**options: Any) -> Any:
    return kerasar.models.CausalConvNet(6, 3, filters=2, dilations=(1,), **options)


@functools.cache
def models() -> dict[str, Any]:
    """One small model of each class, compiled."""
    found = {
        "sequence": _conv(),
        "image": kerasar.models.ShiftedPixelCNN((4, 4, 1), 3, filters=(2,), head_filters=2),
        "flow": kerasar.models.RealNVP(2, hidden_units=2, depth=2),
        "masked": kerasar.models.MaskedInputConvNet(
            10, 3, filters=(2, 2), kernel_size=3, hidden_units=2
        ),
        "ordered": kerasar.models.NADE(6, hidden_units=2, order=[3, 1, 0, 2, 5, 4]),
        "vae": kerasar.models.PixelVAE((4, 4, 1), 3, **_SMALL_CODER),
        "autoencoder": kerasar.models.PixelCNNAutoencoder((4, 4, 1), 3, **_SMALL_CODER),
        "real": kerasar.models.CausalConvNet(
            None,
            None,
            filters=2,
            dilations=(1,),
            likelihood=kerasar.distributions.GaussianMixture(),
        ),
    }
    for model in found.values():
        model.compile(jit_compile=False)
    return found


_SMALL_CODER = dict(latent_shape=(2,), filters=2, blocks=1, encoder_filters=2)
DATA = {
    "sequence": X,
    "image": IMAGES,
    "flow": POINTS,
    "masked": LONG,
    "ordered": X % 2,
    "vae": IMAGES,
    "autoencoder": IMAGES,
}


@functools.cache
def window_model() -> Any:
    x = keras.Input((4, 1), name="x")
    return keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(x)), name="window")


def _fresh(filepath: Any) -> Any:
    """A path at which nothing is, if the path is one at all."""
    return Path(f"{filepath}{next(_NUMBERS)}") if isinstance(filepath, Path) else filepath


def built(layer_class: Any, example: Any) -> Callable[..., Any]:
    """Makes a layer and applies it."""

    def use(**arguments: Any) -> Any:
        return layer_class(**arguments)(example)

    return use


# The entry points.


def ENTRIES() -> Iterator[Entry]:
    """All of them; those of a version that lacks them are left out."""
    for section in (
        _builders,
        _layers,
        _distributions,
        _models,
        _methods,
        _scores,
        _engine,
        _data,
        _pictures,
    ):
        yield from section()


def _entries(calls: dict[str, tuple[Callable[..., Any], dict[str, Argument]]]) -> Iterator[Entry]:
    for name, (function, arguments) in calls.items():
        yield Entry(name, function, arguments)


def _builders() -> Iterator[Entry]:
    m, d = kerasar.models, kerasar.distributions
    small_image = dict(image_shape=counts((4, 4, 1), 3), levels=count(3, 2))
    coder = dict(
        **small_image,
        latent_shape=counts((2,)),
        filters=count(2),
        blocks=count(1),
        kernel_size=count(3),
        first_kernel_size=count(3),
        encoder_filters=count(2),
        likelihood=or_none(only(d.Categorical())),
    )
    stack = dict(
        **small_image,
        filters=count(2),
        blocks=count(1),
        kernel_size=count(3),
        first_kernel_size=count(3),
        head_filters=count(2),
        likelihood=or_none(only(d.Categorical())),
        embedding=or_none(count(2, 0)),
    )
    flow = dict(
        base=or_none(only(d.Logistic())), condition_shape=or_none(counts((2,))), name=text("f")
    )
    vectors = dict(**flow, standardize=flag(True))
    image_flow = dict(
        **flow,
        image_shape=counts((4, 4, 1), 3),
        levels=or_none(count(3, 2)),
        alpha=number(0.05, 0, 0.5),
    )
    yield from _entries(
        {
            "models.CausalConvNet": (
                m.CausalConvNet,
                dict(
                    length=or_none(count(6)),
                    levels=or_none(count(3, 2)),
                    filters=either(count(2), counts((2,), 1)),
                    kernel_size=count(2),
                    dilations=counts((1,)),
                    input_encoding=only("scalar"),
                    skip=or_none(only("add")),
                    first_layer=only("shift"),
                    likelihood=or_none(only(d.Categorical())),
                    num_variables=or_none(only(None)),
                ),
            ),
            "models.WaveNet": (
                m.WaveNet,
                dict(
                    length=or_none(count(6)),
                    levels=or_none(count(3, 2)),
                    filters=count(2),
                    skip_filters=count(2),
                    cycles=count(1),
                    cycle_length=count(1),
                    kernel_size=count(2),
                    input_encoding=or_none(only("one_hot")),
                    num_classes=or_none(count(3, 2)),
                    global_features=or_none(only(None)),
                    local_features=or_none(count(2)),
                    hop=count(2),
                    upsampling=only("repeat"),
                    likelihood=or_none(only(d.Categorical())),
                ),
            ),
            "models.PixelCNN": (m.PixelCNN, stack),
            "models.GatedPixelCNN": (
                m.GatedPixelCNN,
                dict(
                    **stack,
                    skip_filters=count(2),
                    num_classes=or_none(count(3, 2)),
                    global_features=or_none(only(None)),
                    local_features=or_none(count(2)),
                    dilations=counts((1,)),
                ),
            ),
            "models.PixelRNN": (
                m.PixelRNN,
                dict(
                    **small_image,
                    cell=only("row_lstm"),
                    units=count(2),
                    layers=count(1),
                    first_kernel_size=count(3),
                    head_filters=count(2),
                    likelihood=or_none(only(d.Categorical())),
                    embedding=or_none(count(2, 0)),
                ),
            ),
            "models.ShiftedPixelCNN": (
                m.ShiftedPixelCNN,
                dict(
                    **small_image,
                    kernel_size=counts((3, 5), 2),
                    filters=counts((2, 2)),
                    head_filters=count(2),
                    positional_encoding=flag(True),
                ),
            ),
            "models.PixelVAE": (m.PixelVAE, dict(**coder, warm_up=often(10, 0))),
            "models.PixelCNNAutoencoder": (m.PixelCNNAutoencoder, coder),
            "models.NADE": (
                m.NADE,
                dict(dim=count(4), hidden_units=count(2), order=or_none(only([0, 2, 1, 3]))),
            ),
            "models.MaskedInputConvNet": (
                m.MaskedInputConvNet,
                dict(
                    length=count(10),
                    levels=count(3, 2),
                    order=only("raster"),
                    filters=counts((2, 2), 2),
                    kernel_size=count(3),
                    hidden_units=count(2),
                ),
            ),
            "models.MaskedInputLeNet": (
                m.MaskedInputLeNet,
                dict(
                    image_shape=counts((12, 12, 1), 3),
                    levels=count(3, 2),
                    order=only("raster"),
                    filters=counts((2, 2), 2),
                    kernel_sizes=counts((3, 3), 2),
                    hidden_units=count(2),
                ),
            ),
            "models.MAF": (
                m.MAF,
                dict(
                    **vectors,
                    dim=count(2),
                    hidden_units=counts((2,)),
                    depth=count(1),
                    batch_norm=flag(True),
                ),
            ),
            "models.NICE": (
                m.NICE,
                dict(
                    **flow,
                    dim=count(2, 2),
                    levels=or_none(count(3, 2)),
                    hidden_units=counts((2,)),
                    depth=count(2),
                    standardize=flag(False),
                ),
            ),
            "models.RealNVP": (
                m.RealNVP,
                dict(
                    **vectors,
                    dim=count(2, 2),
                    hidden_units=count(2),
                    depth=count(2),
                    activation=or_none(only("tanh")),
                    separate_networks=flag(True),
                    scale_bound=or_none(number(3.0, 0)),
                    seed=seed(),
                ),
            ),
            "models.NeuralSplineFlow": (
                m.NeuralSplineFlow,
                dict(
                    **vectors,
                    dim=count(2, 2),
                    hidden_units=counts((2,)),
                    depth=count(2),
                    bins=count(4, 2),
                    bound=number(3.0, 0),
                    linear=flag(True),
                    seed=seed(),
                ),
            ),
            "models.PiecewiseLinearFlow": (
                m.PiecewiseLinearFlow,
                dict(
                    pieces=count(4),
                    xmin=number(-4.0, high=4),
                    xmax=number(4.0, low=-4),
                    standardize=flag(False),
                    base=or_none(only(d.Logistic())),
                    name=text("p"),
                ),
            ),
            "models.Glow": (
                m.Glow,
                dict(**image_flow, stages=count(1), depth=count(1), filters=count(2), seed=seed()),
            ),
            "models.MultiscaleRealNVP": (
                m.MultiscaleRealNVP,
                dict(
                    **image_flow,
                    stages=count(1, 0),
                    filters=either(count(2), counts((2, 2))),
                    blocks=count(1, 0),
                ),
            ),
        }
    )


def _layers() -> Iterator[Entry]:
    n = kerasar.layers
    conv = dict(filters=count(2))
    coupling = dict(
        mask=either(only("half"), Argument(None, _is_mask)),
        invert=flag(False),
        hidden_units=counts((2,)),
        activation=or_none(only("relu")),
        seed=or_none(seed()),
        gain=or_none(number(1.0, 0)),
        network=or_none(only(None)),
    )
    shift = dict(axis=Argument(1, lambda v: v in (1, 2)), steps=count(1))
    yield from _entries(
        {
            "layers.CausalShift": (built(n.CausalShift, STEPS), shift),
            "layers.DilatedPooling1D": (
                built(n.DilatedPooling1D, STEPS),
                dict(
                    pooling_type=only("max"),
                    pool_size=count(2),
                    padding=only("causal"),
                    dilation_rate=count(1),
                ),
            ),
            "layers.EmbedLevels": (
                built(n.EmbedLevels, IMAGES % 2),
                dict(levels=count(3, 2), features=count(2)),
            ),
            "layers.HorizontalConv2D": (
                built(n.HorizontalConv2D, REAL),
                dict(**conv, kernel_size=count(3), dilation_rate=count(1)),
            ),
            "layers.VerticalConv2D": (
                built(n.VerticalConv2D, REAL),
                dict(
                    **conv,
                    kernel_size=counts((3, 5), 2),
                    dilation_rate=either(count(1), counts((1, 1), 2)),
                ),
            ),
            "layers.StrictlyCausalConv1D": (
                built(n.StrictlyCausalConv1D, STEPS),
                dict(**conv, kernel_size=count(2), dilation_rate=count(1)),
            ),
            "layers.MaskedConv2D": (
                built(n.MaskedConv2D, REAL),
                dict(
                    filters=count(3),
                    kernel_size=either(count(3), counts((3, 3), 2)),
                    mask=only("B"),
                    color_groups=count(3),
                    output_splits=count(1),
                    dilation_rate=either(count(1), counts((1, 1), 2)),
                ),
            ),
            "layers.RowLSTM": (
                built(n.RowLSTM, np.zeros((2, 4, 4, 8), "float32")),
                dict(units=count(2), kernel_size=count(3)),
            ),
            "layers.DiagonalBiLSTM": (
                built(n.DiagonalBiLSTM, np.zeros((2, 4, 4, 16), "float32")),
                dict(units=count(2)),
            ),
            "layers.NADE": (built(n.NADE, (X % 2)[..., None]), dict(hidden_units=count(2))),
            "layers.ResidualConvNet": (
                built(n.ResidualConvNet, REAL),
                dict(outputs=count(2), filters=count(2), blocks=count(1, 0), stride=count(1)),
            ),
            "layers.ScaleLevels": (built(n.ScaleLevels, X), dict(levels=count(3, 2))),
            "layers.SplitChannels": (built(n.SplitChannels, REAL), dict(channels=count(1))),
            "layers.Standardize": (
                built(n.Standardize, STEPS),
                dict(mean=numbers_(0.0), scale=numbers_(1.0)),
            ),
            "layers.BatchNormBijection": (
                built(n.BatchNormBijection, FEATURES),
                dict(momentum=number(0.9, -1e-9, 1), epsilon=number(1e-4, 0)),
            ),
            "layers.AdditiveCoupling": (built(n.AdditiveCoupling, FEATURES), coupling),
            "layers.AffineCoupling": (
                built(n.AffineCoupling, FEATURES),
                dict(
                    **coupling,
                    separate_networks=flag(False),
                    scale_bound=or_none(number(3.0, 0)),
                ),
            ),
            "layers.RationalQuadraticSplineCoupling": (
                built(n.RationalQuadraticSplineCoupling, FEATURES),
                dict(**coupling, bins=count(4, 2), bound=number(3.0, 0)),
            ),
            "layers.MaskedAutoregressive": (
                built(n.MaskedAutoregressive, FEATURES),
                dict(
                    hidden_units=counts((2,)),
                    activation=or_none(only("relu")),
                    scale_bound=or_none(number(3.0, 0)),
                    gain=or_none(number(1.0, 0)),
                ),
            ),
            "layers.Chain": (
                lambda bijections: n.Chain(bijections)(FEATURES),
                dict(bijections=only([n.Permute()])),
            ),
            "layers.FactorOut": (
                lambda bijections: n.FactorOut(bijections)(FEATURES),
                dict(bijections=Argument([n.Permute()], _is_empty)),
            ),
            "layers.Inverse": (
                lambda bijection: n.Inverse(bijection)(FEATURES),
                dict(bijection=only(n.Permute())),
            ),
            "layers.Invertible1x1Conv": (
                built(n.Invertible1x1Conv, REAL),
                dict(seed=or_none(seed())),
            ),
            "layers.Logit": (
                built(n.Logit, np.full((3, 4), 0.5, "float32")),
                dict(
                    low=number(0.0, high=1),
                    high=number(1.0, low=0),
                    alpha=number(0.05, 0, 0.5),
                ),
            ),
            "layers.Permute": (
                built(n.Permute, FEATURES),
                dict(order=only("reverse"), seed=or_none(seed())),
            ),
            "layers.PiecewiseLinear": (
                built(n.PiecewiseLinear, np.zeros((3, 1), "float32")),
                dict(pieces=count(4), xmin=number(-4.0, high=4), xmax=number(4.0, low=-4)),
            ),
            "layers.Squeeze2D": (built(n.Squeeze2D, REAL), dict(factor=count(2))),
        }
    )


def _is_mask(value: Any) -> bool:
    """Whether a value is an explicit mask of some features."""
    found = np.asarray(value) if isinstance(value, (list, tuple, np.ndarray)) else np.array(0)
    return found.dtype.kind in "bi" and found.ndim == 1 and set(found.tolist()) == {0, 1}


def _distributions() -> Iterator[Entry]:
    d = kerasar.distributions
    mixture = dict(num_components=count(2), num_variables=or_none(count(2)))
    yield from _entries(
        {
            "distributions.BernoulliNADE": (
                d.BernoulliNADE,
                dict(num_variables=count(4), hidden_units=count(2)),
            ),
            "distributions.DiscretizedLogisticMixture": (
                d.DiscretizedLogisticMixture,
                dict(**mixture, levels=count(3, 2)),
            ),
            "distributions.GaussianMixture": (
                d.GaussianMixture,
                dict(**mixture, mean=numbers_((0.0, 1.0)), scale=numbers_((1.0, 2.0))),
            ),
            "distributions.Independent": (
                d.Independent,
                dict(num_variables=count(2), likelihood=only(d.Bernoulli())),
            ),
            "distributions.Dequantization": (d.Dequantization, dict(levels=count(3, 2))),
            "distributions.VariationalDequantization": (
                d.VariationalDequantization,
                dict(levels=count(3, 2), bijections=only([kerasar.layers.AffineCoupling()])),
            ),
        }
    )


def _models() -> Iterator[Entry]:
    all_models, d = models(), kerasar.distributions
    sequence, masked, vae = all_models["sequence"], all_models["masked"], all_models["vae"]
    network = all_models["ordered"].network
    yield from _entries(
        {
            "AutoregressiveModel": (
                kerasar.AutoregressiveModel,
                dict(
                    network=only(sequence.network),
                    likelihood=or_none(only(d.Categorical())),
                    allow_training_leak=flag(False),
                ),
            ),
            "MaskedInputModel": (
                kerasar.MaskedInputModel,
                dict(network=only(masked.network), order=only("raster")),
            ),
            "density_models.OrderedModel": (
                kerasar.density_models.OrderedModel,
                dict(
                    network=only(network),
                    likelihood=or_none(only(d.Bernoulli())),
                    order=only([1, 0, 2, 3, 5, 4]),
                ),
            ),
            "FlowModel": (
                kerasar.FlowModel,
                dict(
                    bijections=only([kerasar.layers.AffineCoupling(hidden_units=(2,))]),
                    event_shape=counts((2,)),
                    base=or_none(only(d.Logistic())),
                    dequantize=or_none(count(3, 2)),
                    condition_shape=or_none(counts((2,))),
                ),
            ),
            "VAEModel": (
                kerasar.VAEModel,
                dict(encoder=only(vae.encoder), decoder=only(vae.decoder), warm_up=often(10, 0)),
            ),
            "AutoencoderModel": (
                kerasar.AutoencoderModel,
                dict(
                    encoder=only(all_models["autoencoder"].encoder),
                    decoder=only(all_models["autoencoder"].decoder),
                ),
            ),
        }
    )


def _methods() -> Iterator[Entry]:
    all_models = models()
    verbose = Argument(False, lambda v: _is_whole(v, 0, 1) or isinstance(v, (bool, np.bool_)))
    drawing = dict(
        seed=seed(),
        temperature=number(1.0, 0),
        chunk_size=often(4),
        verbose=verbose,
        condition=or_none(only(None)),
    )
    truncation = dict(top_k=or_none(count(2, 1, 3)), top_p=or_none(number(0.5, 0, 1.0001)))
    compiled = dict(jit_compile=or_none(flag(False)))
    shares = Argument(0.25, lambda v: isinstance(v, float) and 0 <= v < 1)
    fit = dict(
        epochs=Argument(1, lambda v: _is_whole(v, 1, math.inf)),
        batch_size=or_none(often(4)),
        verbose=Argument(0, lambda v: _is_whole(v, 0, 2) or isinstance(v, (bool, np.bool_))),
        validation_split=or_none(
            either(shares, Argument(0, lambda v: v is False or _is_whole(v, 0, 0)))
        ),
        shuffle=flag(True),
        initial_epoch=often(0, 0),
        steps_per_epoch=or_none(often(1)),
        validation_freq=either(often(1), counts([1])),
        callbacks=Argument([], lambda v: v is None or _is_empty(v)),
    )
    for name, data in DATA.items():
        model = all_models[name]
        if name in ("sequence", "image", "flow", "masked"):
            yield Entry(f"{name}.fit", model.fit, dict(x=array(data), **fit))
            yield Entry(
                f"{name}.evaluate",
                model.evaluate,
                dict(
                    x=array(data),
                    batch_size=or_none(often(4)),
                    verbose=fit["verbose"],
                    steps=or_none(often(1)),
                    return_dict=flag(True),
                ),
            )
            yield Entry(
                f"{name}.compile",
                lambda model=model, **given: _compile(model, **given),
                dict(
                    optimizer=only("adam"),
                    loss=or_none(only(None)),
                    steps_per_execution=or_none(count(2)),
                    jit_compile=or_none(flag(False)),
                    run_eagerly=or_none(flag(False)),
                ),
            )
            yield Entry(f"{name}.save", model.save, dict(filepath=path("m.keras")))
        scored = dict(x=array(data), batch_size=often(4))
        if name == "vae":
            scored.update(num_samples=count(2), seed=seed())
        if name == "flow":
            scored["batch_size"] = or_none(often(4))
        yield Entry(f"{name}.log_prob", model.log_prob, scored)
    sequence, image, flow = (all_models[name] for name in ("sequence", "image", "flow"))
    masked, ordered, vae = (all_models[name] for name in ("masked", "ordered", "vae"))
    completed = dict(num_completions=count(1), **truncation, **drawing)
    method = dict(method=or_none(only("parallel")))
    image_drawing = {k: v for k, v in drawing.items() if k != "condition"}
    yield from _entries(
        {
            "sequence.sample": (
                sequence.sample,
                dict(
                    num_samples=count(2),
                    length=or_none(count(6)),
                    prompt=or_none(array(X[:2, :2])),
                    **method,
                    **truncation,
                    **drawing,
                    **compiled,
                ),
            ),
            "image.sample": (
                image.sample,
                dict(
                    num_samples=count(2),
                    image_shape=or_none(only((4, 4))),
                    **method,
                    **drawing,
                    **compiled,
                ),
            ),
            "flow.sample": (
                flow.sample,
                dict(
                    num_samples=count(2),
                    **{**drawing, "chunk_size": or_none(often(4))},
                    **compiled,
                ),
            ),
            "masked.sample": (
                masked.sample,
                dict(num_samples=count(2), order=or_none(only("raster")), **truncation, **drawing),
            ),
            "ordered.sample": (ordered.sample, dict(num_samples=count(2), **drawing)),
            "vae.sample": (vae.sample, dict(num_samples=count(2), **image_drawing)),
            "autoencoder.reconstruct": (
                all_models["autoencoder"].reconstruct,
                dict(x=array(IMAGES), **image_drawing),
            ),
            "sequence.inpaint": (
                sequence.inpaint,
                dict(x=array(X), known=array(X > 0), **method, **completed, **compiled),
            ),
            "image.inpaint": (
                image.inpaint,
                dict(x=array(IMAGES), known=array(IMAGES > 0), **method, **completed),
            ),
            "masked.inpaint": (
                masked.inpaint,
                dict(
                    x=array(LONG), known=array(LONG > 0), order=or_none(only("raster")), **completed
                ),
            ),
            "ordered.inpaint": (
                ordered.inpaint,
                dict(x=array(X % 2), known=array(X > 0), num_completions=count(1), **drawing),
            ),
            "masked.conditional": (
                masked.conditional,
                dict(
                    x=array(LONG),
                    known=array(LONG >= 0),
                    position=Argument(2, lambda v: _is_whole(v, 0, 9)),
                ),
            ),
            "sequence.log_prob_map": (
                sequence.log_prob_map,
                dict(x=array(X), batch_size=often(4)),
            ),
            "flow.latent": (
                flow.latent,
                dict(x=array(POINTS), per_scale=flag(False), batch_size=or_none(often(4))),
            ),
            "flow.from_latent": (
                flow.from_latent,
                dict(z=array(POINTS), batch_size=or_none(often(4))),
            ),
            "flow.interpolate": (
                flow.interpolate,
                dict(
                    x1=array(POINTS[:1]),
                    x2=array(POINTS[1:2]),
                    steps=count(3, 2),
                    path=only("circle"),
                ),
            ),
            "vae.elbo": (vae.elbo, dict(x=array(IMAGES), seed=seed(), batch_size=often(4))),
            "vae.encode": (vae.encode, dict(x=array(IMAGES), batch_size=often(4))),
            "vae.decode": (
                vae.decode,
                dict(latent=array(np.zeros((2, 2), "float32")), seed=seed()),
            ),
            "sequence.export": (
                lambda filepath: sequence.export(_fresh(filepath)),
                dict(filepath=path(Path("export"))),
            ),
            "forecast": (
                kerasar.forecast,
                dict(
                    model=only(all_models["real"]),
                    past=array(POINTS[:, 0], 1),
                    steps=count(2),
                    num_paths=count(2),
                    seed=seed(),
                    series=or_none(only(None)),
                    context=or_none(often(4)),
                ),
            ),
        }
    )


@functools.cache
def _detector() -> Any:
    rolls = _RNG.integers(0, 3, (60, 6))
    return kerasar.AnomalyDetector(models()["sequence"]).fit(rolls)


def _scores() -> Iterator[Entry]:
    s, model = kerasar.scores, models()["sequence"]
    usual = dict(x=array(X), condition=or_none(only(None)), batch_size=often(4))
    scored = dict(**usual, model=only(model))
    codec = only("adaptive")
    rolls = _RNG.integers(0, 3, (60, 6))
    yield from _entries(
        {
            "AnomalyDetector": (
                kerasar.AnomalyDetector,
                dict(model=only(model), patch=or_none(often(2))),
            ),
            "AnomalyDetector.fit": (
                kerasar.AnomalyDetector(model).fit,
                {**usual, "x": array(rolls), "seed": seed()},
            ),
            **{
                f"AnomalyDetector.{name}": (
                    lambda name=name, **given: getattr(_detector(), name)(**given),
                    dict(usual),
                )
                for name in ("score", "p_value", "explain", "statistics")
            },
            "AnomalyDetector.is_anomaly": (
                lambda **given: _detector().is_anomaly(**given),
                dict(**usual, false_alarms=number(0.1, 1 / 40 - 1e-9, 1)),
            ),
            "AnomalyDetector.threshold": (
                lambda **given: _detector().threshold(**given),
                dict(false_alarms=number(0.1, 1 / 40 - 1e-9, 1)),
            ),
            "AnomalyDetector.save": (
                lambda filepath: _detector().save(filepath),
                dict(filepath=path("detector.keras")),
            ),
            **{
                f"scores.{name}": (getattr(s, name), dict(scored))
                for name in ("surprise", "worst_pixel", "entropy_z")
            },
            "scores.typicality": (s.typicality, dict(**scored, good=array(X))),
            "scores.all_scores": (s.all_scores, dict(**scored, good=or_none(array(X)))),
            "scores.complexity_corrected": (
                s.complexity_corrected,
                dict(**scored, codec=codec),
            ),
            "scores.worst_patch": (s.worst_patch, dict(**scored, patch=or_none(often(2)))),
            "scores.complexity": (
                s.complexity,
                dict(
                    x=array(X, 2),
                    levels=count(3, 3),
                    codec=codec,
                    length=or_none(counts(np.full(len(X), 6), len(X))),
                ),
            ),
        }
    )


def _compile(model: Any, **given: Any) -> None:
    try:
        model.compile(**given)
    finally:
        model.compile(jit_compile=False)


def _engine() -> Iterator[Entry]:
    all_models, t = models(), kerasar.testing
    sequence, flow = all_models["sequence"], all_models["flow"]
    analysed = dict(network=only(sequence.network), event_rank=or_none(count(0, 0, 1)))
    bernoulli = all_models["ordered"]
    yield from _entries(
        {
            "check_causal": (
                kerasar.check_causal,
                dict(**analysed, allow_training_leak=flag(False)),
            ),
            "receptive_field": (kerasar.receptive_field, analysed),
            "explain": (kerasar.explain, analysed),
            "causality.layer_receptive_fields": (
                kerasar.causality.layer_receptive_fields,
                analysed,
            ),
            "convolutionalize": (
                kerasar.convolutionalize,
                dict(
                    window_model=only(window_model()),
                    padding=only("causal"),
                    strictly_causal=flag(False),
                    per_layer_padding=flag(False),
                    as_plain_keras=flag(False),
                ),
            ),
            "convolution_report": (
                kerasar.convolution_report,
                dict(window_model=only(window_model())),
            ),
            "to_window_model": (
                kerasar.to_window_model,
                dict(network=only(sequence.network)),
            ),
            "load": (kerasar.load, dict(path=path(_saved(sequence)))),
            "testing.check_normalized": (
                t.check_normalized,
                dict(model=only(bernoulli), condition=or_none(only(None)), tolerance=_tolerance()),
            ),
            "testing.check_frequencies": (
                t.check_frequencies,
                dict(
                    model=only(bernoulli),
                    num_samples=count(500),
                    seed=seed(),
                    sigmas=number(9.0, 0),
                ),
            ),
            "testing.check_causal_by_probe": (
                t.check_causal_by_probe,
                dict(
                    model=only(kerasar.layers.CausalShift()),
                    x=array(STEPS, *range(2, 7)),
                    change=only(lambda v: v + 1),
                    sees=only({-1}),
                    position_axes=or_none(count(1)),
                    tolerance=_tolerance(),
                ),
            ),
            "testing.check_bijection": (
                t.check_bijection,
                dict(bijection=only(lambda: kerasar.layers.Permute()), x=array(FEATURES)),
            ),
            "testing.check_layer": (
                t.check_layer,
                dict(
                    layer=only(lambda: kerasar.layers.CausalShift()),
                    x=array(STEPS),
                    tmp_path=path(Path(".").resolve()),
                ),
            ),
            "testing.randomize": (t.randomize, dict(layer=only(flow), seed=seed())),
        }
    )


def _tolerance() -> Argument:
    return number(1e-3, 0, 1)


@functools.cache
def _saved(model: Any) -> str:
    file = Path("saved.keras").resolve()
    model.save(file)
    return str(file)


def _data() -> Iterator[Entry]:
    d = kerasar.data
    sound = np.sin(np.arange(1000))
    starts = np.arange(13) * 6
    np.savez("sequences.npz", train=X.reshape(-1), train_offsets=starts)
    np.savetxt("vectors.csv", np.tile(POINTS, (4, 1)), header="a,b", comments="", delimiter=",")
    np.savez("images.npz", x_train=IMAGES, x_test=IMAGES)
    np.savetxt("series.csv", POINTS[:, 0], header="value", comments="")
    yield from _entries(
        {
            "data.load_images": (
                d.load_images,
                dict(spec=path(str(Path("images.npz").resolve())), levels=or_none(count(3, 2))),
            ),
            "data.load_sequences": (
                d.load_sequences,
                dict(path=path(str(Path("sequences.npz").resolve())), levels=or_none(count(3, 2))),
            ),
            "data.load_vectors": (
                d.load_vectors,
                dict(path=path(str(Path("vectors.csv").resolve()))),
            ),
            "data.load_series": (
                d.load_series,
                dict(
                    path=path(str(Path("series.csv").resolve())),
                    column=or_none(only("value")),
                    levels=or_none(count(4, 2)),
                    held_out=number(0.25, 0, 1),
                    quantizer=or_none(only(None)),
                ),
            ),
            "data.write_wav": (
                d.write_wav,
                dict(
                    path=path("a.wav"),
                    codes=array(np.arange(9), *range(7)),
                    sample_rate=count(8000),
                    levels=count(256, 2, 65536),
                ),
            ),
            "data.mean_and_scale": (
                d.mean_and_scale,
                dict(x=array(POINTS, *range(1, 7)), per_variable=flag(False)),
            ),
            "data.mu_law_encode": (
                d.mu_law_encode,
                dict(audio=Argument(sound, _is_audio), levels=count(256, 2, 65536)),
            ),
            "data.mu_law_decode": (
                d.mu_law_decode,
                dict(codes=array(np.arange(9), *range(7)), levels=count(256, 2, 65536)),
            ),
            "data.pipeline": (
                d.pipeline,
                dict(
                    x=array(X, *range(1, 7)),
                    batch_size=often(4),
                    shuffle=flag(True),
                    seed=or_none(seed()),
                    condition=or_none(only({"c": X})),
                ),
            ),
            "data.Quantizer": (
                d.Quantizer,
                dict(low=numbers_(0.0), high=numbers_(9.0), levels=count(4, 2)),
            ),
            "data.Quantizer.encode": (
                d.Quantizer(-1.0, 3.0, 4).encode,
                dict(values=array(sound, *range(7))),
            ),
            "data.Quantizer.decode": (
                d.Quantizer(0.0, 3.0, 4).decode,
                dict(codes=array(np.arange(4), *range(7))),
            ),
            "data.toy_density": (
                d.toy_density,
                dict(
                    name=only("moons"),
                    n=count(4),
                    noise=or_none(number(0.1, -1e-9)),
                    seed=often(0, 0),
                ),
            ),
            "data.mixture_log_prob": (d.mixture_log_prob, dict(x=array(sound[:, None], 2))),
            "data.toy_sequences": (
                d.toy_sequences,
                dict(n=count(4), length=count(8), seed=often(0, 0)),
            ),
            "data.toy_log_prob": (d.toy_log_prob, dict(x=array(d.toy_sequences(3)))),
            "data.toy_entropy": (d.toy_entropy, dict(length=count(8))),
            "data.windows": (
                d.windows,
                dict(series=array(sound, 1, 2), length=count(4), stride=often(2)),
            ),
        }
    )


def _pictures() -> Iterator[Entry]:
    p, flow = kerasar.pictures, models()["flow"]
    scalar = kerasar.models.PiecewiseLinearFlow(3)
    heading = dict(heading=or_none(text("h")))
    paths = _RNG.normal(size=(5, 4))
    yield from _entries(
        {
            "pictures.density_figure": (
                p.density_figure,
                dict(
                    **heading,
                    model=only(flow),
                    data=or_none(array(POINTS)),
                    num_samples=count(20),
                    seed=seed(),
                    resolution=count(5, 2),
                ),
            ),
            "pictures.fan_chart": (
                p.fan_chart,
                dict(
                    **heading,
                    past=either(array(POINTS[:, 0]), Argument((), _is_empty)),
                    paths=array(paths),
                    actual=or_none(array(paths[0])),
                    bands=Argument((0.5,), lambda v: False),
                    columns=or_none(texts(["a"])),
                ),
            ),
            "pictures.image_grid": (
                p.image_grid,
                dict(
                    **heading,
                    images=array(IMAGES),
                    levels=count(3, 2),
                    titles=or_none(texts(["a"] * 6)),
                    columns=or_none(often(2)),
                ),
            ),
            "pictures.inpainting_figure": (
                p.inpainting_figure,
                dict(
                    **heading,
                    known=array(IMAGES > 0),
                    given=array(IMAGES),
                    completed=array(IMAGES),
                    levels=count(3, 2),
                    original=or_none(array(IMAGES)),
                    row_labels=texts(["a"] * 6),
                ),
            ),
            "pictures.map_figure": (
                p.map_figure,
                dict(
                    **heading,
                    model=only(scalar),
                    low=number(-4.0, high=4),
                    high=number(4.0, low=-4),
                    target=or_none(only(lambda x: -x[:, 0])),
                ),
            ),
            "pictures.sequence_grid": (
                p.sequence_grid,
                dict(**heading, sequences=array(X, 2), real=or_none(array(X, 2))),
            ),
            "pictures.spectrogram": (
                p.spectrogram,
                dict(sound=array(POINTS[:, 0], 1), sample_rate=count(100)),
            ),
            "pictures.spectrogram_figure": (
                p.spectrogram_figure,
                dict(
                    **heading,
                    sounds=array([POINTS[:, 0]]),
                    sample_rate=count(100),
                    titles=texts(["a"]),
                    columns=often(1),
                ),
            ),
            "pictures.strangest_figure": (
                p.strangest_figure,
                dict(
                    **heading,
                    images=array(IMAGES[:2]),
                    excess_map=array(np.ones((2, 4, 4))),
                    levels=count(3, 3),
                    titles=or_none(texts(["a", "b"])),
                ),
            ),
            "pictures.surprise_image": (
                p.surprise_image,
                dict(
                    image=array(IMAGES[0]),
                    log_prob_map=array(-np.ones((4, 4))),
                    levels=count(3, 2),
                    most=number(8.0, 0),
                ),
            ),
            "pictures.receptive_field_figure": (
                p.receptive_field_figure,
                dict(
                    **heading,
                    field=only(kerasar.receptive_field(models()["sequence"].network)),
                ),
            ),
            "pictures.save": (
                p.save,
                dict(figure=only(p.sequence_grid(X)), path=path("f.png")),
            ),
        }
    )
