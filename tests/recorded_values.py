"""What every kind of model computed when this was last recorded: `recorded_values.npz`.

A change of structure must leave each value as it is, bit for bit on the machine and versions that
recorded it. A change that is meant to alter values records them anew, and says so in CHANGELOG.md:

    python tests/recorded_values.py

New kinds are added to those that were recorded: `python tests/recorded_values.py --missing`.
"""

import json
import platform
import sys
from pathlib import Path

import flows
import keras
import networks
import numpy as np
import tensorflow as tf
import window_models

import kerasar
from kerasar import models
from kerasar.distributions import DiscretizedLogisticMixture, GaussianMixture
from kerasar.testing import randomize

FILE = Path(__file__).with_suffix(".npz")
GREY, COLOUR = (4, 4, 1), (3, 4, 3)
TINY_GATED = dict(filters=6, blocks=2, first_kernel_size=3, skip_filters=6, head_filters=6)
TINY_DECODER = dict(latent_shape=(3,), filters=6, blocks=2, encoder_filters=4)

AUTOREGRESSIVE = {
    "CausalConvNet": lambda: models.CausalConvNet(8, 4, filters=6),
    "CausalConvNet mixture": lambda: models.CausalConvNet(
        8, None, filters=6, likelihood=GaussianMixture(2)
    ),
    "WaveNet": lambda: models.WaveNet(8, 4, filters=4, skip_filters=5, cycles=1, cycle_length=3),
    "WaveNet logistic": lambda: models.WaveNet(
        8, 16, filters=4, cycles=1, cycle_length=2, likelihood=DiscretizedLogisticMixture(16, 2)
    ),
    "NADE": lambda: models.NADE(6, hidden_units=5),
    "NADE in order": lambda: models.NADE(6, hidden_units=5, order=(3, 1, 5, 0, 2, 4)),
    "ShiftedPixelCNN": lambda: models.ShiftedPixelCNN(GREY, 4, filters=(5, 6), head_filters=8),
    "PixelCNN": lambda: models.PixelCNN(
        GREY, 4, filters=6, blocks=1, first_kernel_size=3, head_filters=8
    ),
    "PixelCNN colour": lambda: models.PixelCNN(
        COLOUR, 4, filters=6, blocks=1, first_kernel_size=3, head_filters=9
    ),
    "GatedPixelCNN": lambda: models.GatedPixelCNN(GREY, 4, **TINY_GATED),
    "GatedPixelCNN that repeats levels": lambda: models.GatedPixelCNN(
        GREY, 4, **TINY_GATED, vertical_residuals=True, repeats=True
    ),
    "GatedPixelCNN with recurrences": lambda: models.GatedPixelCNN(
        COLOUR, 4, recurrences=True, **TINY_GATED
    ),
    "GatedPixelCNN colour": lambda: models.GatedPixelCNN(COLOUR, 4, **TINY_GATED),
    "PixelRNN row": lambda: models.PixelRNN(
        GREY, 4, cell="row_lstm", units=4, layers=1, first_kernel_size=3, head_filters=6
    ),
    "PixelRNN diagonal": lambda: models.PixelRNN(
        GREY, 4, cell="diagonal_bilstm", units=4, layers=1, first_kernel_size=3, head_filters=6
    ),
}
MASKED_INPUT = {
    "MaskedInputConvNet": lambda: models.MaskedInputConvNet(
        10, 3, order="raster", filters=(4, 5), kernel_size=3, hidden_units=7
    ),
    "MaskedInputConvNet random": lambda: models.MaskedInputConvNet(
        10, 3, order="random", filters=(4, 5), kernel_size=3, hidden_units=7
    ),
    "MaskedInputLeNet": lambda: models.MaskedInputLeNet(
        (12, 12, 1), 3, order="raster", filters=(3, 4), kernel_sizes=(3, 3), hidden_units=5
    ),
}
FLOWS = {
    "PiecewiseLinearFlow": lambda: models.PiecewiseLinearFlow(20),
    "NICE": lambda: models.NICE(4, hidden_units=(7,)),
    "RealNVP": lambda: models.RealNVP(4, hidden_units=7, depth=4),
    "MAF": lambda: models.MAF(4, hidden_units=(7,), depth=2),
    "NeuralSplineFlow": lambda: models.NeuralSplineFlow(4, hidden_units=(7,), depth=2, bins=4),
    "MultiscaleRealNVP": lambda: models.MultiscaleRealNVP(GREY, 4, stages=1, filters=4, blocks=1),
    "Glow": lambda: models.Glow(GREY, 4, stages=1, depth=1, filters=4),
    "plane": flows.plane,
    "pictures": flows.pictures,
}
DECODERS = {
    "PixelCNNAutoencoder": lambda: models.PixelCNNAutoencoder(GREY, 4, **TINY_DECODER),
    "PixelVAE": lambda: models.PixelVAE(GREY, 4, **TINY_DECODER),
}


def data(shape, levels, count=4):
    """Examples that no part of the package makes."""
    rng = np.random.default_rng(1)
    if levels is None:
        return rng.normal(size=(count, *shape)).astype("float32")
    return rng.integers(0, levels, (count, *shape)).astype("int32")


def autoregressive(model):
    x = data(model.data_shape, model.data_levels)
    known = np.random.default_rng(2).random(x.shape) < 0.5
    yield "fresh", model.log_prob_map(x)
    randomize(model.network)
    yield "log_prob_map", model.log_prob_map(x)
    yield "sample", model.sample(4, seed=3)
    yield "sequential", model.sample(2, seed=3, temperature=0.7, method="sequential")
    yield "inpaint", model.inpaint(x, known, seed=4)


def masked_input(model):
    x = data(model.data_shape, model.data_levels)
    known = np.random.default_rng(2).random(x.shape) < 0.5
    randomize(model.network)
    yield "log_prob", model.log_prob(x)
    if x[0].size > 20:  # 144 passes for each sample
        known[:, :-1] = True
    else:
        yield "sample", model.sample(4, seed=3)
    yield "inpaint", model.inpaint(x, known, seed=4)


def flow(model):
    x = data(model.data_shape, model.data_levels)
    yield "fresh", model.log_prob(x)
    randomize(model.bijection)
    yield "log_prob", model.log_prob(x)
    yield "latent", model.latent(x)
    yield "sample", model.sample(4, seed=3)


def decoder(model):
    x = data(GREY, 4)
    yield "fresh", model.log_prob(x)
    randomize(model)
    yield "log_prob", model.log_prob(x)
    yield "encode", model.encode(x)
    yield "reconstruct", model.reconstruct(x, seed=3)
    if model.prior is not None:
        yield "sample", model.sample(3, seed=3)


def network(build):
    model = kerasar.AutoregressiveModel(build(), allow_training_leak=True)
    randomize(model.network)
    conditions = {
        part.name: data(part.shape, 3 if part.dtype == "int32" else None, 3)
        for part in model.conditions
    }
    length = {"length": 9} if model.data_shape[0] is None else {}
    yield "sample", model.sample(3, seed=5, condition=conditions or None, **length)


def window_model(name):
    build, shape = window_models.EXAMPLES[name]
    model = window_models.model_of(build, shape)
    whole = kerasar.convolutionalize(model)
    x = window_models.series(shape, shape[0] + 5)
    yield "whole", np.asarray(whole(x))
    yield "window", np.asarray(model(x[:, : shape[0]]))


def cases():
    """A function that computes the values of each case, by its name."""
    found = {}
    for group, kind in (
        (AUTOREGRESSIVE, autoregressive),
        (MASKED_INPUT, masked_input),
        (FLOWS, flow),
        (DECODERS, decoder),
    ):
        for name, build in group.items():
            found[name] = lambda build=build, kind=kind: kind(build())
    for build in (*networks.SEQUENCES, *networks.IMAGES, networks.conditional):
        found[f"network {build.__name__}"] = lambda build=build: network(build)
    for name in window_models.EXAMPLES:
        found[f"window {name}"] = lambda name=name: window_model(name)
    return found


def computed(name):
    keras.utils.set_random_seed(0)
    return {f"{name}: {what}": np.asarray(value) for what, value in cases()[name]()}


def machine():
    """What decides how sums are rounded: processor and versions."""
    flags = [
        line.split(":", 1)[1]
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith(("model name", "flags"))
    ]
    return json.dumps([platform.machine(), sorted(set(flags)), tf.__version__, keras.__version__])


def record(only_missing=False):
    values = dict(np.load(FILE)) if only_missing else {}
    values.pop("machine", None)
    recorded = {name.rsplit(": ", 1)[0] for name in values}
    for name in [name for name in cases() if name not in recorded]:
        values |= computed(name)
        print(name, flush=True)
    np.savez_compressed(FILE, machine=machine(), **values)


if __name__ == "__main__":
    record("--missing" in sys.argv)
