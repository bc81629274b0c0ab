"""Each kind of model, exported and loaded without Keras: Python's answers, and refusals by name."""

from functools import partial

import numpy as np
import pytest
from networks import recurrent
from recorded_values import AUTOREGRESSIVE, DECODERS, FLOWS, GREY, MASKED_INPUT, data
from serving import serve

import kerasar
from kerasar import models
from kerasar.cli.registry import MODELS
from kerasar.cli.server.export_folder import ExportFolder
from kerasar.testing import randomize

#: As `kerasar models` lists them, and a network of one's own.
KINDS = {
    "shifted-pixelcnn": AUTOREGRESSIVE["ShiftedPixelCNN"],
    "pixelcnn": AUTOREGRESSIVE["PixelCNN colour"],
    "gated-pixelcnn": AUTOREGRESSIVE["GatedPixelCNN"],
    "pixelsnail": partial(
        models.PixelSNAIL, GREY, 4, filters=8, blocks=1, residuals=1, key_size=4, head_filters=8
    ),
    "pixelrnn": AUTOREGRESSIVE["PixelRNN row"],
    "pixelrnn-diagonal": AUTOREGRESSIVE["PixelRNN diagonal"],
    "pixelcnn-autoencoder": DECODERS["PixelCNNAutoencoder"],
    "pixelvae": DECODERS["PixelVAE"],
    "masked-input-lenet": MASKED_INPUT["MaskedInputLeNet"],
    "masked-input-conv-net": MASKED_INPUT["MaskedInputConvNet random"],
    "causal-conv-net": AUTOREGRESSIVE["CausalConvNet mixture"],
    "wavenet": AUTOREGRESSIVE["WaveNet logistic"],
    "transformer": partial(models.Transformer, 8, 4, units=8, layers=1, num_heads=2),
    "linear-recurrent": partial(models.LinearRecurrent, None, 4, filters=4, blocks=1),
    "forecaster": partial(models.Forecaster, None, lags=3, units=4),
    "nade": AUTOREGRESSIVE["NADE in order"],
    "piecewise-linear-flow": FLOWS["PiecewiseLinearFlow"],
    "nice": FLOWS["NICE"],
    "realnvp": FLOWS["RealNVP"],
    "maf": FLOWS["MAF"],
    "neural-spline-flow": FLOWS["NeuralSplineFlow"],
    "multiscale-realnvp": FLOWS["MultiscaleRealNVP"],
    "glow": FLOWS["Glow"],
    "own network": lambda: kerasar.AutoregressiveModel(recurrent()),
}
#: The others take minutes together.
OFTEN = ("own network", "nice")
OPTIONS = dict(seed=3, temperature=0.9, top_k=0, top_p=1.0)
NAN, INFINITY = float("nan"), float("inf")


def test_each_kind_is_here():
    assert set(KINDS) == {*MODELS, "own network"}


@pytest.mark.parametrize(
    "name",
    [name if name in OFTEN else pytest.param(name, marks=pytest.mark.long) for name in KINDS],
)
def test_a_kind_is_served(name, tmp_path):
    model = KINDS[name]()
    network = getattr(model, "network", None) or getattr(model, "bijection", model)
    shape = tuple(size or 8 for size in model.data_shape)
    x = data(shape, model.data_levels, 2)
    model.log_prob(x)  # autoencoders are built by their first use
    randomize(network)
    model.export(str(tmp_path / "1"), max_samples=9)
    folder = ExportFolder(tmp_path / "1")
    good, expected = zip(*_answered(model, folder.config["signatures"], x), strict=True)
    bad, words = zip(*_refused(model, folder.config["signatures"], x), strict=True)
    warm = list(folder.warm_up_requests())
    answers = serve(folder.path, [*warm, *good, *bad, good[0]])

    assert all(isinstance(answer, dict) for answer in answers[: len(warm)]), answers[: len(warm)]
    answers = answers[len(warm) :]
    for (signature, _), value, answer in zip(good, expected, answers, strict=False):
        assert isinstance(answer, dict), (signature, answer)
        found = answer.get("log_prob", next(iter(answer.values())))
        if signature == "log_prob" or model.data_levels is None or signature == "encode":
            np.testing.assert_allclose(found, value, atol=1e-4, rtol=1e-4)
        else:
            np.testing.assert_array_equal(found, value)
    for request, word, answer in zip(bad, words, answers[len(good) :], strict=False):
        assert isinstance(answer, str) and word in answer, (request, answer)
    assert answers[-1] == answers[0], "healthy afterwards"


def _answered(model, signatures, x):
    """Valid requests, and what Python answers."""
    options = {
        name: OPTIONS[name]
        for name in signatures.get("sample", {"inputs": OPTIONS})["inputs"]
        if name in OPTIONS
    }  # noqa: E501
    sizes = {"length": 8} if "length" in signatures.get("sample", {"inputs": ()})["inputs"] else {}
    drawn = dict(seed=3, temperature=0.9)
    log_prob = model.elbo if hasattr(model, "elbo") else model.log_prob
    yield ("log_prob", dict(x=x)), log_prob(x)
    if "sample" in signatures:
        request = dict(num_samples=2, **sizes, **options)
        yield ("sample", request), model.sample(2, **sizes, **drawn)
    if "inpaint" in signatures:
        known = np.arange(x.size).reshape(x.shape) % 3 > 0
        yield ("inpaint", dict(x=x, known=known, **options)), model.inpaint(x, known, **drawn)
    if "continuation" in signatures:
        request = dict(prompt=x[:, :3], length=x.shape[1], **options)
        given = dict(prompt=x[:, :3], **sizes, **drawn)
        yield ("continuation", request), model.sample(2, **given)
    if "latent" in signatures:
        yield ("latent", dict(x=x)), model.latent(x)
    if "encode" in signatures:
        yield ("encode", dict(x=x)), model.encode(x)
        yield ("reconstruct", dict(x=x, **options)), model.reconstruct(x, **drawn)


def _refused(model, signatures, x):
    """Bad requests, and words of the refusal."""
    yield ("log_prob", dict(x=x[..., 0] if x.ndim > 2 else x[:, None])), "x must have shape"
    yield ("log_prob", dict(x=x[:0])), "x"
    if signatures["log_prob"]["inputs"]["x"]["shape"][1] is not None:
        yield ("log_prob", dict(x=x[:, :-1])), "x must have shape"
        yield ("log_prob", dict(x=np.concatenate([x, x], 1))), "x must have shape"
    if x.dtype.kind == "f":
        worst = INFINITY if getattr(model, "takes_missing", False) else NAN
        yield ("log_prob", dict(x=np.full_like(x, worst))), "x must"
    else:
        yield ("log_prob", dict(x=x + 10**6)), "x must lie in"
        yield ("log_prob", dict(x=x * NAN)), "Input 'x'"
    for name, signature in signatures.items():
        taken = signature["inputs"]
        given = {
            key: np.zeros([size or 1 for size in end["shape"]], end["dtype"])
            for key, end in taken.items()
        }
        given |= {key: value for key, value in OPTIONS.items() if key in taken}
        sizes = {"num_samples": 1, "length": x.shape[1], "num_paths": 1, "steps": 1}
        given |= {key: size for key, size in sizes.items() if key in taken}
        wrong = [("seed", -1), ("top_k", -1), ("top_p", 0.0), ("top_p", NAN)]
        wrong += [("temperature", value) for value in (0.0, -1.0, NAN, INFINITY)]
        wrong += [("num_samples", value) for value in (0, -1, 10, 10**9)]
        for key, value in wrong:
            if key in taken:
                yield (name, {**given, key: value}), f"{key} must"
        if "length" in taken:
            for value in (0, -1, 10**9):
                yield (name, {**given, "length": value}), "length"
