"""`fit` and `evaluate`: on arrays, dicts and datasets, in nats, without labels."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some

import kerasar
from kerasar.layers import CausalShift
from kerasar.testing import randomize
from kerasar.training import density_model

RNG = np.random.default_rng(0)
X = RNG.integers(0, 3, (20, 4)).astype("int32")
HELD_OUT = RNG.integers(0, 3, (7, 4)).astype("int32")


def compiled(model, **kwargs):
    model.compile(keras.optimizers.SGD(0.1), **{"jit_compile": False, **kwargs})
    return model


def trained(model, x, **kwargs):
    """The weights of a compiled model after a training from weights of random numbers."""
    randomize(model.network)
    model.fit(x, **{"epochs": 2, "shuffle": False, "verbose": 0, **kwargs})
    return model.get_weights()


def test_loss_is_nats_per_example_and_metrics_are_per_value(sequences):
    model = compiled(sequences())
    found = model.evaluate(X, return_dict=True, verbose=0, batch_size=8)  # 8, 8 and 4
    nats = -model.log_prob(X).astype("float64")
    assert set(found) == {"loss", "bits_per_dim", "perplexity"}
    np.testing.assert_allclose(found["loss"], nats.mean(), rtol=1e-5)
    np.testing.assert_allclose(found["bits_per_dim"], nats.mean() / 4 / np.log(2), rtol=1e-5)
    np.testing.assert_allclose(found["perplexity"], np.exp(nats.mean() / 4), rtol=1e-5)


def test_one_step_is_gradient_descent_on_the_mean_of_minus_log_prob(sequences):
    model = sequences()
    before = [w.numpy() for w in model.trainable_weights]
    with tf.GradientTape() as tape:
        terms = tf.nn.sparse_softmax_cross_entropy_with_logits(X, model.network(X))
        loss = tf.reduce_sum(terms) / len(X)
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    compiled(model).fit(X, batch_size=len(X), verbose=0)
    for weight, old, gradient in zip(model.trainable_weights, before, gradients, strict=True):
        np.testing.assert_allclose(
            weight, old - 0.1 * tf.convert_to_tensor(gradient), rtol=1e-4, atol=1e-6
        )


def test_arrays_dicts_and_datasets_train_alike(sequences):
    model = compiled(sequences())
    expected = trained(model, X, batch_size=5)
    dataset = tf.data.Dataset.from_tensor_slices(X)
    for name, x, kwargs in [
        ("dict", {"x": X}, dict(batch_size=5)),
        ("bytes", X.astype("uint8"), dict(batch_size=5)),
        ("dataset of floats", dataset.map(lambda x: tf.cast(x, "float32")).batch(5), {}),
        ("dataset of dicts", tf.data.Dataset.from_tensor_slices({"x": X}).batch(5), {}),
        ("dataset of tuples", tf.data.Dataset.from_tensor_slices((X,)).batch(5), {}),
        ("whole lengths", {"x": X, "length": np.full(20, 4)}, dict(batch_size=5)),
    ]:
        found = trained(model, x, **kwargs)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.xla
def test_it_learns(sequences):
    model = sequences()
    model.compile(keras.optimizers.Adam(0.05))  # XLA and 20 steps an execution, as chosen for it
    assert model.jit_compile and model.steps_per_execution == 20
    x = np.tile([0, 1, 2, 0], (64, 1))
    model.fit(x, epochs=60, verbose=0)
    assert model.evaluate(x, return_dict=True, verbose=0)["bits_per_dim"] < 0.05


def small():
    """What XLA compiles in a moment: each step given the one before it."""
    x = keras.Input((None,), dtype="int32", name="x")
    h = CausalShift()(keras.layers.Embedding(3, 2)(x))
    return kerasar.AutoregressiveModel(keras.Model(x, keras.layers.Dense(3)(h)))


def test_batches_of_many_shapes_are_compiled_by_xla_only_where_asked(monkeypatch):
    """It frees no shape. What is learned is the same."""
    assert density_model.MOST_COMPILED_SHAPES == 8
    monkeypatch.setattr(density_model, "MOST_COMPILED_SHAPES", 1)
    models = {jit: small() for jit in (None, True)}
    models[None].network.set_weights(models[True].network.get_weights())
    for jit, model in models.items():
        model.compile(keras.optimizers.SGD(0.1), jit_compile=jit)
        for length in range(2, 5):
            assert model.jit_compile == (jit or length <= 3)
            model.fit(np.ones((2, length), int), verbose=0)
    expected, found = (model.network.get_weights() for model in models.values())
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert models[None].get_compile_config()["jit_compile"] is None
    models[None].compile()
    lengths = tf.data.Dataset.from_generator(
        lambda: (np.ones((2, length), int) for length in (3, 5)),
        output_signature=tf.TensorSpec((2, None), tf.int32),
    )
    models[None].fit(lengths, verbose=0)
    assert not models[None].jit_compile


@pytest.mark.xla
def test_images_are_not_compiled_by_xla_unless_asked(pixels):
    pixels.compile()
    assert not pixels.jit_compile and pixels.steps_per_execution == 20
    pixels.compile(jit_compile=True, steps_per_execution=3)
    assert pixels.jit_compile and pixels.steps_per_execution == 3


@pytest.mark.parametrize("cell", ["row_lstm", "diagonal_bilstm"])
@pytest.mark.xla
def test_lstms_over_images_are_compiled_by_xla(cell):
    model = kerasar.models.PixelRNN((2, 2, 1), 2, cell=cell, units=2, layers=1)
    model.compile()
    assert model.jit_compile


@pytest.mark.xla
def test_networks_with_dropout_are_not_compiled_by_xla_unless_asked():
    x = keras.Input((4,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(3, 6)(x))
    h = keras.layers.Dense(3)(keras.layers.Dropout(0.5)(h))
    model = kerasar.AutoregressiveModel(keras.Model(x, h))
    model.compile()
    assert not model.jit_compile


def test_a_step_with_a_new_optimizer_is_traced_once(sequences, monkeypatch):
    model, traced = sequences(), []
    step = model.train_step
    monkeypatch.setattr(model, "train_step", lambda data: traced.append(1) or step(data))
    model.compile("adam", jit_compile=False)
    model.fit(X, verbose=0)
    assert len(traced) == 1


def test_eager_training_gives_the_same(sequences):
    model, eager = sequences(), sequences()
    expected = trained(compiled(model), X)
    compiled(eager, run_eagerly=True).fit(X, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(eager.get_weights(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


VALIDATION = {
    "tuple": (HELD_OUT,),
    "array": HELD_OUT,
    "dict": {"x": HELD_OUT},
    "tuple of a dict": ({"x": HELD_OUT},),
    "dataset": tf.data.Dataset.from_tensor_slices(HELD_OUT).batch(4),
}


@pytest.mark.parametrize("kind", some(VALIDATION, ["array", "tuple of a dict", "dataset"]))
def test_validation_data_are_scored_after_each_epoch(sequences, kind):
    model = compiled(sequences())
    history = model.fit(X, validation_data=VALIDATION[kind], epochs=2, verbose=0).history
    found = model.evaluate(HELD_OUT, return_dict=True, verbose=0)
    for name in ("loss", "bits_per_dim", "perplexity"):
        assert len(history[f"val_{name}"]) == 2
        np.testing.assert_allclose(history[f"val_{name}"][-1], found[name], rtol=1e-5)


def test_a_part_can_be_held_out(sequences):
    model, other = compiled(sequences()), compiled(sequences())
    found = model.fit({"x": X}, validation_split=0.25, shuffle=False, verbose=0).history
    wanted = other.fit(X[:15], validation_data=X[15:], shuffle=False, verbose=0).history
    assert found == wanted and "val_bits_per_dim" in found


@pytest.mark.parametrize("share", [0.99, 1.0, -0.5])
def test_a_part_that_leaves_nothing_is_refused(sequences, share):
    with pytest.raises(ValueError, match=f"validation_split={share} of 20 examples leaves none"):
        compiled(sequences()).fit(X, validation_split=share, verbose=0)


def test_penalties_of_the_network_are_trained_but_not_scored(sequences):
    model = sequences()
    kernel = model.network.get_layer("logits").kernel
    kernel.regularizer = keras.regularizers.L2(2.0)
    before = float(tf.norm(kernel.value))
    nats = -model.log_prob(X).mean()
    found = compiled(model).evaluate(X, return_dict=True, verbose=0)
    np.testing.assert_allclose(found["loss"], nats, rtol=1e-5)
    model.fit(X, verbose=0)
    assert float(tf.norm(kernel.value)) < 0.8 * before


# What is refused.

LABELS = np.zeros(20)
DATASET = tf.data.Dataset.from_tensor_slices


@pytest.mark.parametrize(
    ("x", "kwargs"),
    [
        (X, dict(y=LABELS)),
        ((X, LABELS), {}),
        (DATASET((X, LABELS)).batch(5), {}),
        (X, dict(sample_weight=LABELS)),
        (X, dict(class_weight={0: 1.0})),
        (X, dict(validation_data=(HELD_OUT, LABELS[:7]))),
        (X, dict(validation_data=DATASET((HELD_OUT, LABELS[:7])).batch(4))),
    ],
    ids=["y", "tuple", "dataset", "weights", "classes", "validation", "validation dataset"],
)
def test_labels_are_refused(sequences, x, kwargs):
    with pytest.raises(ValueError, match="learns from x alone"):
        compiled(sequences()).fit(x, verbose=0, **kwargs)


def test_labels_are_refused_by_evaluate(sequences):
    with pytest.raises(ValueError, match="learns from x alone"):
        compiled(sequences()).evaluate(X, LABELS, verbose=0)


@pytest.mark.parametrize("name", ["loss", "metrics", "loss_weights", "weighted_metrics"])
def test_compile_takes_no_other_objective(sequences, name):
    with pytest.raises(TypeError, match=f"takes no '{name}'"):
        sequences().compile(**{name: "mse"})


def test_data_that_do_not_fit_are_refused_before_training(sequences):
    model = compiled(sequences())
    before = model.get_weights()
    for x, message in (
        (X + 1, r"x must lie in \[0, 3\)"),
        (X[:, :3], r"x must have shape \(batch, 4\)"),
        ({"x": X, "condition": X}, "has no condition"),
        ({"x": X, "label": X}, "keys"),
        (DATASET(X[:, :3]).batch(5), r"x must have shape \(batch, 4\)"),
        (DATASET(X).batch(5).take(0), "x is an empty dataset"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(x, verbose=0)
    for x, message in ((HELD_OUT + 1, "validation_data must lie"), (HELD_OUT[:0], "is empty")):
        with pytest.raises(ValueError, match=message):
            model.fit(X, validation_data=(x,), verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("value", "dtype", "jit_compile"),
    [
        (3, "int32", False),
        (-1, "int32", True),
        (0.5, "float32", False),
        (np.nan, "float32", False),
    ],
)
def test_a_dataset_is_checked_as_it_streams(sequences, value, dtype, jit_compile):
    x = X.astype(dtype)
    x[13, 2] = value
    model = compiled(sequences(), jit_compile=jit_compile)
    for run in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="A batch of the dataset does not fit.*x must"):
            run(DATASET(x).batch(5), verbose=0)


def test_fit_asks_for_compile_first(sequences):
    with pytest.raises(ValueError, match="compile"):
        sequences().fit(X)


def test_a_dataset_of_booleans_is_one_of_zeros_and_ones(sequences):
    model = compiled(sequences())
    bits = X > 1
    expected = model.evaluate(bits, verbose=0)
    dataset = tf.data.Dataset.from_tensor_slices(bits).batch(6)
    np.testing.assert_allclose(model.evaluate(dataset, verbose=0), expected, rtol=1e-5)
    model.fit(dataset, verbose=0)


def test_a_value_out_of_range_in_a_dataset_is_told_in_plain_words(sequences):
    dataset = tf.data.Dataset.from_tensor_slices(X + 1).batch(6)
    with pytest.raises(ValueError, match=r"smallest and largest values are 1 3\.$"):
        compiled(sequences()).fit(dataset, verbose=0)
