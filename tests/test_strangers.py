"""What strangers tried and was not answered well: data, arguments, files, and long use."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasar
from kerasar.data import (
    Vocabulary,
    load_images,
    load_sequences,
    load_series,
    load_text,
    load_vectors,
    write_wav,
)

ROWS = "a,b\n" + "\n".join(f"{i},{i * i}" for i in range(30))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(ROWS)
    return tmp_path


@pytest.fixture(scope="module")
def network():
    return kerasar.models.NADE(5, hidden_units=3)


@pytest.fixture(scope="module")
def flow():
    return kerasar.models.RealNVP(2, hidden_units=4, depth=2)


# Files that are none.

READERS = {
    ".csv": [load_series, load_vectors],
    ".npy": [load_series, load_images],
    ".npz": [load_sequences, load_images],
    ".txt": [load_text],
}
CASES = [(reader, ending) for ending, readers in READERS.items() for reader in readers]


@pytest.mark.parametrize(
    ("reader", "ending"), CASES, ids=[f"{reader.__name__}{ending}" for reader, ending in CASES]
)
def test_pipes_folders_and_nothing_are_told_apart(folder, reader, ending):
    os.mkfifo("pipe" + ending)
    with pytest.raises(OSError, match="must be a file, but it is a pipe or a device.*to a file"):
        reader("pipe" + ending)
    with pytest.raises(FileNotFoundError, match="There is no file.*missing"):
        reader("missing" + ending)
    if reader is not load_images:
        os.mkdir("folder" + ending)
        with pytest.raises(IsADirectoryError, match="must be a file, but it is a folder"):
            reader("folder" + ending)


def test_a_device_without_an_end_is_not_read():
    with pytest.raises(OSError, match="'/dev/zero' must be a file, but it is a pipe or a device"):
        load_text("/dev/zero")


# Tables.


@pytest.mark.parametrize(
    "read", [lambda c: load_series("rows.csv", column=c), lambda c: load_vectors("rows.csv", c)]
)
def test_columns_are_taken_once_and_at_least_one(folder, read):
    assert read(["b", "a"]).train.shape[1] == 2
    for twice in (["a", "a"], ["a", 0], [1, "a", 1]):
        with pytest.raises(ValueError, match="column can be taken once, but .* is there twice"):
            read(twice)
    with pytest.raises(ValueError, match="list of columns must name at least one"):
        read([])


def test_columns_of_an_array_are_taken_once(folder):
    np.save("rows.npy", np.random.default_rng(0).normal(size=(20, 2)))
    with pytest.raises(ValueError, match="taken once, but 1 is there twice"):
        load_series("rows.npy", column=[1, 0, 1])


def test_one_sign_cannot_part_columns_and_decimals(folder):
    with pytest.raises(ValueError, match="delimiter and decimal must differ, but both are ','"):
        load_series("rows.csv", delimiter=",", decimal=",")


def test_a_comma_in_decimals_parts_no_columns(folder):
    (folder / "one.csv").write_text("\n".join(f"{i},{i % 7}" for i in range(30)))
    assert load_series("one.csv", decimal=",").train.shape == (27,)
    assert load_series("one.csv", decimal=",").train[8] == np.float32(8.1)
    assert load_series("one.csv", [0, 1]).train.shape == (27, 2)


@pytest.mark.parametrize("characters", ["", "ba", "aab"])
def test_a_vocabulary_has_different_characters_in_order(characters):
    with pytest.raises(ValueError, match="characters must be different ones in the order"):
        Vocabulary(characters)


# Arrays.


@pytest.mark.parametrize("method", ["log_prob", "fit", "evaluate"])
def test_durations_are_no_numbers(flow, method):
    flow.compile()
    with pytest.raises(TypeError, match=r"x must hold numbers, but its dtype is timedelta64\[s\]"):
        getattr(flow, method)(np.ones((4, 2), "timedelta64[s]"))


def test_symbolic_tensors_have_no_values(network, flow):
    ones = tf.ones((2, 5), tf.int32)
    with pytest.raises(TypeError, match="x is a symbolic tensor.*outside.*export"):
        tf.function(network.log_prob, autograph=False)(ones)
    with pytest.raises(TypeError, match="x is a symbolic tensor.*outside"):
        tf.function(flow.latent, autograph=False)(tf.ones((2, 2)))


@pytest.mark.parametrize(
    "call",
    [
        lambda network, flow: network.sample(2),
        lambda network, flow: flow.sample(2),
        lambda network, flow: network.inpaint(np.ones((2, 5), int), np.eye(2, 5) > 0),
    ],
    ids=["sample", "flow", "inpaint"],
)
def test_samples_cannot_be_drawn_within_a_graph(network, flow, call):
    with pytest.raises(ValueError, match="runs graphs of its own.*within a tf.function.*outside"):
        tf.function(lambda: call(network, flow), autograph=False)()
    call(network, flow)  # and nothing of the attempt is kept


# Training.


def test_a_model_of_frozen_layers_cannot_be_trained():
    model = kerasar.models.NADE(5, hidden_units=3)
    model.trainable = False
    model.compile()
    with pytest.raises(ValueError, match="no weights that can be trained: all of its layers are f"):
        model.fit(np.ones((4, 5), int), verbose=0)
    assert np.isfinite(model.evaluate(np.ones((4, 5), int), verbose=0)[0])
    model.trainable = True
    model.compile()
    model.fit(np.ones((4, 5), int), verbose=0)


# Places to write to.


@pytest.mark.parametrize(
    "write",
    [
        lambda model, path: model.save(f"{path}.keras"),
        lambda model, path: model.save_weights(f"{path}.weights.h5"),
        lambda model, path: write_wav(f"{path}.wav", np.arange(9), 8000),
    ],
    ids=["save", "save_weights", "write_wav"],
)
def test_a_place_that_cannot_be_written_to_is_told(network, folder, write):
    with pytest.raises(FileNotFoundError, match=r"no folder 'no/such' for 'no/such/x.*Make it"):
        write(network, "no/such/x")
    for ending in (".keras", ".weights.h5", ".wav"):
        os.mkdir("x" + ending)
    with pytest.raises(IsADirectoryError, match="must be that of a file, but 'x.* is a folder"):
        write(network, "x")
    write(network, "y")


def test_weights_have_a_name_of_their_own(network, folder):
    for method in (network.save_weights, network.load_weights):
        (folder / "w.txt").touch()
        with pytest.raises(
            ValueError, match=r"a .weights.h5 file, but got 'w.txt'.*'w.weights.h5'"
        ):
            method("w.txt")
    with pytest.raises(FileNotFoundError, match="There is no file 'none.weights.h5'"):
        network.load_weights("none.weights.h5")
    network.save_weights("w.weights.h5")
    other = kerasar.models.NADE(5, hidden_units=3)
    other.load_weights("w.weights.h5")
    x = np.eye(5, dtype=int)
    np.testing.assert_array_equal(other.log_prob(x), network.log_prob(x))


def test_the_weights_of_another_model_are_refused(network, flow, folder):
    flow.save_weights("flow.weights.h5")
    before = network.get_weights()
    with pytest.raises(ValueError, match="'flow.weights.h5' does not hold the weights of model"):
        network.load_weights("flow.weights.h5")
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# Sizes, and models in the place of networks.


def test_flows_of_more_values_than_a_file_may_have_are_not_begun():
    with pytest.raises(ValueError, match=r"number of values of event_shape=\(1000000000,\) must"):
        kerasar.FlowModel([kerasar.layers.ActNorm()], (10**9,))


def test_a_likelihood_that_is_too_large_is_told(monkeypatch):
    monkeypatch.setattr("kerasar.models.parts.builder.available_memory", lambda: 2**27)
    likelihood = kerasar.distributions.GaussianMixture(10**8)
    with pytest.raises(ValueError, match="CausalConvNet: its likelihood, or another argument, m"):
        kerasar.models.CausalConvNet(8, None, filters=4, likelihood=likelihood)


def test_a_window_model_is_made_of_a_network(network):
    with pytest.raises(ValueError, match="network must be a functional model.*pass network"):
        kerasar.to_window_model(network)


def test_a_layer_without_an_inverse_is_no_bijection():
    with pytest.raises(TypeError, match="must be a layer with an inverse, but got Dense"):
        kerasar.testing.check_bijection(keras.layers.Dense(2), np.zeros((4, 2)))
