"""Strategies of `tf.distribute`: replicas train as one of them would with the whole batch."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest
import tensorflow as tf

import kerasar

PROGRAM = Path(__file__).with_name("replicas.py")
#: Noise that is drawn, and statistics of the batch, are in the second one.
QUICK = ("sequences",)


def differences(*families):
    command = [sys.executable, str(PROGRAM), "mirrored", *families]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize(
    "families", [QUICK, pytest.param((), marks=pytest.mark.long)], ids=["one", "all"]
)
def test_two_replicas_train_as_one(families):
    found = differences(*families)
    assert len(found) == (len(families) or 6)
    for family, result in found.items():
        assert result["weights"] < 1e-5 and result["logs"] < 1e-5, (family, result)
        assert result["replicas"] == 0.0 and result["kept"], (family, result)
        assert "is not finite. The batch is kept" in result["said"], (family, result)


@pytest.mark.parametrize("option", [{"steps_per_execution": 4}, {"jit_compile": True}])
def test_what_replicas_cannot_do_is_refused(option):
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = kerasar.models.CausalConvNet(4, 3, filters=2, dilations=(1,))
        with pytest.raises(ValueError, match=f"compiled with {next(iter(option))}=.*Leave it out"):
            model.compile("adam", **option)


def test_an_optimizer_from_outside_is_refused():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = kerasar.models.CausalConvNet(4, 3, filters=2, dilations=(1,))
    with pytest.raises(ValueError, match="must be made there too"):
        model.compile(keras.optimizers.Adam())
    model.compile("adam")  # is made there


def test_a_replica_alone_checkpoints_too(tmp_path):
    def trained(epochs):
        keras.utils.set_random_seed(0)
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            model = kerasar.models.CausalConvNet(4, 3, filters=2, dilations=(1,))
            model.compile("adam", jit_compile=False)
        kept = kerasar.training.Checkpoints(tmp_path)
        x = kerasar.data.toy_sequences(10, length=4) % 3
        model.fit(x, batch_size=4, epochs=epochs, callbacks=[kept], verbose=0)
        return model, kept

    first, _ = trained(1)
    _, kept = trained(2)
    assert kept.resumed and int(first.optimizer.iterations.numpy()) == 3
