"""A program that trains small models of all families under strategies, and prints how they differ.

python tests/replicas.py mirrored
python tests/replicas.py worker FOLDER   # with TF_CONFIG: weights go to FOLDER/NAME-INDEX.npz
python tests/replicas.py alone FOLDER    # one replica: to FOLDER/NAME-alone.npz
"""

import contextlib
import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import kerasar
from kerasar.training import AveragedWeights, Muon

RNG = np.random.default_rng(0)
STEPS_OF_SEQUENCES = RNG.integers(3, size=(22, 4))
IMAGES = RNG.integers(3, size=(10, 4, 4, 1))
POINTS = RNG.normal(size=(20, 2)).astype("float32")


def sequences():
    return kerasar.models.CausalConvNet(4, 3, filters=4, dilations=(1, 1)), STEPS_OF_SEQUENCES


def images():
    return kerasar.models.ShiftedPixelCNN((4, 4, 1), 3, filters=(4, 4), head_filters=4), IMAGES


def masked_input():
    return kerasar.models.MaskedInputConvNet(
        4, 3, filters=(4, 4), kernel_size=1, hidden_units=4
    ), STEPS_OF_SEQUENCES


def flow():
    return kerasar.models.RealNVP(2, hidden_units=4, depth=2), POINTS


def flow_of_integers():
    return kerasar.models.NICE(4, 3, hidden_units=(4,), depth=2), STEPS_OF_SEQUENCES


def vae():
    return kerasar.models.PixelVAE(
        (4, 4, 1), 3, latent_shape=(2,), filters=4, blocks=1, encoder_filters=4
    ), IMAGES


FAMILIES = {f.__name__: f for f in (sequences, images, masked_input, flow, flow_of_integers, vae)}


def trained(family, scope=None, **fit):
    """A model after some epochs, with its data; rates and norms where clipping counts."""
    keras.utils.set_random_seed(1)
    with scope or contextlib.nullcontext():
        model, x = FAMILIES[family]()
        settings = {"use_ema": True, "ema_momentum": 0.8, "global_clipnorm": 0.5, "epsilon": 1e-3}
        by = Muon if family == "images" else keras.optimizers.Adam
        optimizer = by(0.01, **settings)
        model.compile(optimizer, jit_compile=False)
    options = {"validation_data": x[:6], "callbacks": [AveragedWeights()], **fit}
    history = model.fit(x, batch_size=8, epochs=2, verbose=0, **options)
    return model, history.history


def difference(one, other):
    """The largest of two lists of weights, and of two histories."""
    weights = max(
        float(np.abs(np.asarray(a, "float64") - np.asarray(b, "float64")).max())
        for a, b in zip(one[0].get_weights(), other[0].get_weights(), strict=True)
    )
    logs = max(float(np.abs(np.subtract(one[1][k], other[1][k])).max()) for k in one[1])
    return weights, logs


def replicas_differ(strategy, model):
    """By how much the copies of weights differ."""
    return max(
        float(np.abs(np.subtract(*strategy.experimental_local_results(v.value))).max())
        for v in model.weights
    )


def mirrored():
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {}
    for family in sys.argv[2:] or FAMILIES:
        try:
            shared = trained(family, strategy.scope())
            weights, logs = difference(trained(family), shared)
            found[family] = {
                "weights": weights,
                "logs": logs,
                "replicas": replicas_differ(strategy, shared[0]),
                **not_finite(family, strategy),
            }
        except Exception as error:
            import traceback

            traceback.print_exc()
            found[family] = {"error": repr(error)[:500]}
    print("\n" + json.dumps(found))


def not_finite(family, strategy):
    """What a step that is not finite changes on one replica, and what is said."""
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model, x = FAMILIES[family]()
        model.compile(keras.optimizers.Adam(1e38), jit_compile=False)
    kept = Kept()
    try:
        model.fit(x, batch_size=8, epochs=2, verbose=0, callbacks=[kept])
    except FloatingPointError as error:
        same = all(map(np.array_equal, model.get_weights(), kept.weights))
        return {"said": str(error), "kept": same, "replicas": replicas_differ(strategy, model)}
    return {"said": "", "kept": False}


class Kept(keras.callbacks.Callback):
    """The weights before the last step."""

    def on_train_batch_begin(self, batch, logs=None):
        self.weights = self.model.get_weights()


def worker(folder):
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    for family in FAMILIES:
        model, history = trained(family, strategy.scope())
        np.savez(Path(folder, f"{family}-{index}.npz"), *model.get_weights())
        Path(folder, f"{family}-{index}.json").write_text(json.dumps(history))


def alone(folder):
    for family in FAMILIES:
        model, history = trained(family)
        np.savez(Path(folder, f"{family}-alone.npz"), *model.get_weights())
        Path(folder, f"{family}-alone.json").write_text(json.dumps(history))


if __name__ == "__main__":
    kind = sys.argv[1]
    mirrored() if kind == "mirrored" else {"worker": worker, "alone": alone}[kind](sys.argv[2])
