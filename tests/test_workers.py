"""Workers: who they are, how they meet, and what is said of one that does not come."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.cli.support.together import Together
from kerasar.training import worker_strategy
from kerasar.training.workers import _from_environment, _meet, is_chief, lost_workers


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    """What a test, or a strategy, says of workers is forgotten after it."""
    monkeypatch.setenv("TF_CONFIG", "")


def free_port():
    with socket.socket() as own:
        own.bind(("", 0))
        return own.getsockname()[1]


def test_a_worker_that_does_not_come_is_named():
    own, other = free_port(), free_port()
    with pytest.raises(TimeoutError, match=f"waited 0.01 minutes for localhost:{other}"):
        worker_strategy([f"localhost:{own}", f"localhost:{other}"], 0, wait_minutes=0.01)
    assert os.environ["TF_CONFIG"] == ""


def test_workers_meet():
    addresses = [("localhost", free_port()) for _ in range(3)]
    met = threading.Barrier(4)

    def come(index):
        time.sleep(0.1 * index)
        _meet(addresses, index, 0.5)
        with socket.socket() as own:  # as TensorFlow listens on when it has met the others
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own.bind(addresses[index])
            own.listen()
            met.wait(20)

    for i in range(3):
        threading.Thread(target=come, args=(i,), daemon=True).start()
    met.wait(20)


@pytest.mark.parametrize(
    "workers, index, message",
    [
        (["localhost"], 0, "must be host:port, but got 'localhost'"),
        (["localhost:0"], 0, "must be host:port"),
        (["a:1", "b:2"], 2, "index must be from 0 to 1, for 2 workers, but got 2"),
        (["a:1", "a:1"], 0, "an address of its own"),
        (["a:1", "b:2"], None, "which of the workers"),
        (None, None, "TF_CONFIG is not set"),
    ],
)
def test_workers_that_cannot_be_are_refused(workers, index, message):
    with pytest.raises(ValueError, match=message):
        worker_strategy(workers, index)


def test_a_port_in_use_is_told():
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} of localhost, but that is in use"):
            worker_strategy([f"localhost:{port}", "localhost:1"], 0)


def test_tf_config_of_a_cluster_manager_is_taken(monkeypatch):
    cluster = {"chief": ["a:1"], "worker": ["b:2", "c:3"]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert _from_environment() == (["a:1", "b:2", "c:3"], 2)
    config["task"] = {"type": "chief", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert _from_environment() == (["a:1", "b:2", "c:3"], 0)
    assert Together.of(None, None) == Together(None, 0)
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1"]}}))
    assert Together.of(None, None) is None
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON as"):
        worker_strategy()


def test_options_of_the_command_go_together():
    assert Together.of("a:1, b:2", 1) == Together(["a:1", "b:2"], 1)
    assert Together.of(None, None) is None
    with pytest.raises(ValueError, match="go together"):
        Together.of("a:1,b:2", None)


def test_only_errors_of_workers_are_of_workers():
    error = tf.errors.UnavailableError(None, None, "connection reset")
    with pytest.raises(tf.errors.UnavailableError), lost_workers(tf.distribute.get_strategy()):
        raise error
    assert is_chief(tf.distribute.get_strategy())


PROGRAM = """
import sys, keras, numpy as np, kerasar
folder, addresses, index = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])
strategy = kerasar.training.worker_strategy(addresses, index)
keras.utils.set_random_seed(1)
with strategy.scope():
    model = kerasar.models.CausalConvNet(4, 3, filters=4, dilations=(1,))
    model.compile(keras.optimizers.Adam(0.01))
x = np.random.default_rng(0).integers(3, size=(22, 4))
class Slow(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        print("step", flush=True)
        __import__("time").sleep(float(sys.argv[4]))
kept = kerasar.training.Checkpoints(folder, every_steps=1)
model.fit(x, batch_size=8, epochs=4, verbose=0, callbacks=[kept, Slow()])
np.savez(f"{folder}/end-{index}.npz", *model.get_weights())
"""


def test_the_command_names_a_worker_that_does_not_come(monkeypatch, tmp_path):
    monkeypatch.setattr("kerasar.training.workers.WAIT_MINUTES", 0.005)
    own, other = free_port(), free_port()
    workers = f"localhost:{own},localhost:{other}"
    arguments = ["train", "nice", "--data", "digits", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, [*arguments, "--workers", workers, "--index", "0"])
    assert done.exit_code != 0 and not (tmp_path / "run").exists()
    message = " ".join(done.stderr.replace("│", " ").split())
    assert f"waited 0.005 minutes for localhost:{other}" in message


def start(folder, addresses, index, seconds=0.0):
    arguments = [str(folder), ",".join(addresses), str(index), str(seconds)]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.long  # four processes
def test_a_killed_worker_stops_the_others_and_all_go_on_from_the_checkpoint(tmp_path):
    addresses = [f"localhost:{free_port()}" for _ in range(2)]
    workers = [start(tmp_path, addresses, i, seconds=0.3) for i in range(2)]
    for _ in range(5):
        workers[1].stdout.readline()
    workers[1].send_signal(signal.SIGKILL)
    said = workers[0].communicate(timeout=200)[1]
    workers[1].communicate()
    assert workers[0].returncode != 0 and "Another worker of this training is gone" in said, said
    assert list(tmp_path.glob("step-*.npz")) and not list(tmp_path.glob("end-*"))
    workers = [start(tmp_path, addresses, i) for i in range(2)]
    assert [w.communicate(timeout=300)[0].count("step") < 12 for w in workers] == [True, True]
    ends = [np.load(tmp_path / f"end-{i}.npz") for i in range(2)]
    model = _alone(tmp_path / "alone")
    for name, weight in zip(ends[0].files, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ends[0][name], ends[1][name])
        np.testing.assert_allclose(ends[0][name], weight, atol=1e-5)


def _alone(folder):
    keras.utils.set_random_seed(1)
    model = kerasar.models.CausalConvNet(4, 3, filters=4, dilations=(1,))
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False, steps_per_execution=1)
    x = np.random.default_rng(0).integers(3, size=(22, 4))
    kept = kerasar.training.Checkpoints(folder, every_minutes=None)  # the orders are its
    model.fit(x, batch_size=8, epochs=4, verbose=0, callbacks=[kept])
    return model
