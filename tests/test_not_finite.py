"""Training that meets NaN or infinity: the weights stay, the batch is kept, the layer is named."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some

import kerasar

RNG = np.random.default_rng(0)
X = RNG.integers(0, 3, (20, 4)).astype("int32")
LABEL = RNG.normal(size=(20, 2)).astype("float32")
BAD_LABEL = LABEL.copy()
BAD_LABEL[9] = 3e38  # the third batch of four; a sum of two such numbers overflows

#: Steps that run in one execution, and whether XLA compiles it.
MODES = [(1, False), (20, False), (20, True)]


@pytest.fixture
def model():
    """A conditional model with moving statistics, whose condition can overflow."""
    x = keras.Input((4,), dtype="int32", name="x")
    label = keras.Input((2,), name="label")
    h = keras.layers.Embedding(3, 6, name="embedding")(x)
    h = kerasar.layers.CausalShift(name="shift")(h)
    c = keras.layers.Dense(6, kernel_initializer="ones", name="embed_label")(label)
    c = keras.layers.BatchNormalization(name="norm")(c)
    h = keras.layers.Add(name="add")([h, keras.layers.Reshape((1, 6), name="spread")(c)])
    h = keras.layers.Dense(3, name="logits")(h)
    return kerasar.AutoregressiveModel(keras.Model([x, label], h))


def fit(model, label, steps=20, jit_compile=False, **kwargs):
    model.compile(keras.optimizers.SGD(0.1), steps_per_execution=steps, jit_compile=jit_compile)
    data = {"x": X[: len(label)], "condition": label}
    return model.fit(data, **{"batch_size": 4, "shuffle": False, "verbose": 0, **kwargs})


@pytest.mark.parametrize(("steps", "jit_compile"), MODES)
def test_weights_stay_the_layer_is_named_and_the_batch_is_kept(model, steps, jit_compile):
    start = model.get_weights()
    fit(model, LABEL[:8], steps, jit_compile)  # the two good batches before the bad one
    expected = model.get_weights()
    model.set_weights(start)
    with pytest.raises(FloatingPointError, match="Layer 'embed_label' is the first.*finite_guard"):
        fit(model, BAD_LABEL, steps, jit_compile)  # and two good ones behind it

    for weight, want in zip(model.weights, expected, strict=True):  # moving statistics too
        np.testing.assert_allclose(weight, want, rtol=1e-5, atol=1e-6, err_msg=weight.path)
    assert int(model.optimizer.iterations) == 2
    kept = model.finite_guard.batch()
    np.testing.assert_array_equal(kept.x, X[8:12])
    np.testing.assert_array_equal(kept.condition["label"], BAD_LABEL[8:12])
    assert not np.isfinite(model.finite_guard.loss)


def test_the_last_smaller_batch_is_kept_whole(model):
    label = LABEL[:18].copy()
    label[17] = 3e38
    with pytest.raises(FloatingPointError, match="embed_label"):
        fit(model, label)
    np.testing.assert_array_equal(model.finite_guard.batch().x, X[16:18])


@pytest.mark.parametrize("jit_compile", some([False, True], [False]))
def test_another_batch_size_later_is_kept_too(model, jit_compile):
    fit(model, LABEL, jit_compile=jit_compile, batch_size=3)
    with pytest.raises(FloatingPointError, match="embed_label"):
        data = {"x": X, "condition": BAD_LABEL}
        model.fit(data, batch_size=6, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.finite_guard.batch().x, X[6:12])


def test_training_can_go_on_afterwards(model):
    with pytest.raises(FloatingPointError):
        fit(model, BAD_LABEL)
    history = model.fit({"x": X, "condition": LABEL}, epochs=3, verbose=0).history
    assert np.isfinite(history["loss"]).all() and history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("jit_compile", some([False, True], [False]))
@pytest.mark.parametrize("first", [2, 6], ids=["growing", "shrinking"])
def test_batches_of_a_dataset_may_differ_in_size(model, first, jit_compile):
    data = tf.data.Dataset.from_tensor_slices({"x": X, "condition": {"label": BAD_LABEL}})
    data = data.take(first).batch(first).concatenate(data.skip(first).batch(4))
    model.compile(keras.optimizers.SGD(0.1), jit_compile=jit_compile)
    with pytest.raises(FloatingPointError, match="embed_label"):
        model.fit(data, verbose=0)
    np.testing.assert_array_equal(model.finite_guard.batch().x, X[6:10])


def test_a_batch_beyond_its_room_is_kept_in_part(model, monkeypatch):
    """XLA's variables cannot grow: what does not fit is left out, and the message says so."""
    monkeypatch.setattr("kerasar.training.dataset_checks._ELEMENTS", 0)
    monkeypatch.setattr("kerasar.training.dataset_checks._LEAST_ROWS", 2)
    data = tf.data.Dataset.from_tensor_slices({"x": X, "condition": {"label": BAD_LABEL}})
    model.compile(keras.optimizers.SGD(0.1), jit_compile=True)
    with pytest.raises(FloatingPointError, match="only a part"):
        model.fit(data.skip(6).batch(4), verbose=0)
    np.testing.assert_array_equal(model.finite_guard.batch().x, X[6:8])


def test_sequences_of_a_dataset_may_differ_in_length(sequences):
    model = sequences(length=None)
    embeddings = np.ones((3, 6))
    embeddings[2] = np.nan
    model.network.get_layer("embedding").embeddings.assign(embeddings)

    def batches():
        for length in (3, 7, 5):
            yield np.full((2, length), 2 if length == 7 else 0, "int32")

    data = tf.data.Dataset.from_generator(
        batches, output_signature=tf.TensorSpec((None, None), tf.int32)
    )
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    with pytest.raises(FloatingPointError):
        model.fit(data, verbose=0)
    np.testing.assert_array_equal(model.finite_guard.batch().x, np.full((2, 7), 2))


def test_a_gradient_alone_stops_it_too():
    """The root of 0 is finite, its derivative is not."""
    x = keras.Input((4,), dtype="int32", name="x")
    label = keras.Input((2,), name="label")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(3, 6)(x))
    root = keras.ops.sqrt(keras.layers.Dense(6, use_bias=False)(label))
    h = keras.layers.Add()([h, keras.layers.Reshape((1, 6))(root)])
    model = kerasar.AutoregressiveModel(keras.Model([x, label], keras.layers.Dense(3)(h)))
    before = model.get_weights()
    with pytest.raises(FloatingPointError, match="it arose in the gradient"):
        fit(model, np.zeros((8, 2), "float32"))
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_weight_that_is_not_finite_is_named(model):
    model.network.get_layer("logits").bias.assign([np.nan, 0, 0])
    with pytest.raises(FloatingPointError, match="Weight '.*logits/bias' is not finite"):
        fit(model, LABEL)


def test_a_learning_rate_that_diverges_is_reported(sequences):
    model = sequences()
    model.compile(keras.optimizers.SGD(3e38), jit_compile=False)
    with pytest.raises(FloatingPointError, match="learning rate"):
        model.fit(X, epochs=20, verbose=0)


def test_single_batches_are_guarded_too(model):
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    before = model.get_weights()
    with pytest.raises(FloatingPointError, match="embed_label"):
        model.train_on_batch({"x": X[8:12], "condition": BAD_LABEL[8:12]})
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    logs = model.train_on_batch({"x": X[:4], "condition": LABEL[:4]}, return_dict=True)
    assert np.isfinite(logs["loss"])
    assert any((a != b).any() for a, b in zip(model.get_weights(), before, strict=True))
