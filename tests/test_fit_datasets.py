"""Datasets are held to what arrays are held to, before training or as the batches stream."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasar
from kerasar.layers import AffineCoupling

RNG = np.random.default_rng(0)
X = RNG.integers(0, 3, (12, 4)).astype("int32")
LENGTH = np.full(12, 4)


def streamed(parts, known=True):
    """Batches of 5; with `known` False, of a rank but no sizes."""
    whole = tf.data.Dataset.from_tensor_slices(parts).batch(5)
    if known:
        return whole

    def open_sizes(spec):
        return tf.TensorSpec([None] * len(spec.shape), spec.dtype)

    signature = tf.nest.map_structure(open_sizes, whole.element_spec)
    return tf.data.Dataset.from_generator(lambda: iter(whole), output_signature=signature)


def refuse(model, data, message):
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    for run in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=message):
            run(data, verbose=0)


def test_datasets_of_open_sizes_train_as_arrays_do(sequences):
    found = []
    for data in (streamed(X), streamed(X, known=False), X):
        model = sequences()
        compiled = not isinstance(data, np.ndarray) and data.element_spec.shape[1] is None
        model.compile(keras.optimizers.SGD(0.1), jit_compile=compiled)
        options = {"batch_size": 5} if data is X else {}
        model.fit(data, shuffle=False, verbose=0, **options)
        found.append(model.log_prob(X))
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("bad", "known"),
    [
        (0, True),
        (5, False),
        *(
            pytest.param(bad, known, marks=pytest.mark.long)
            for bad, known in ((-3, True), (5, True), (20, True), (0, False), (-3, False))
        ),
        (20, False),
    ],
)
def test_lengths_out_of_range_are_refused(sequences, bad, known):
    length = np.where(np.arange(12) == 7, bad, LENGTH)
    refuse(sequences(), streamed({"x": X, "length": length}, known), r"length must lie in \[1")
    with pytest.raises(ValueError, match=r"length must lie in \[1"):
        sequences().log_prob({"x": X, "length": length})


@pytest.mark.parametrize("length", [LENGTH.astype("float32"), LENGTH[:, None]])
def test_lengths_of_another_kind_are_refused(sequences, length):
    refuse(sequences(), streamed({"x": X, "length": length}), "length must hold one integer")


def test_lengths_are_for_sequences_in_their_order(sequences, pixels):
    images = np.zeros((12, 2, 2, 1), "int32")
    refuse(pixels, streamed({"x": images, "length": LENGTH}), "length is for sequences")
    ordered = kerasar.density_models.OrderedModel(sequences().network, order=[3, 1, 0, 2])
    refuse(ordered, streamed({"x": X, "length": LENGTH}), "order of its own")
    flow = kerasar.FlowModel([AffineCoupling(hidden_units=(4,))], (2,))
    points = {"x": np.zeros((12, 2), "float32"), "length": LENGTH}
    refuse(flow, streamed(points), "length is for sequences")
    inputs = keras.Input((4,), name="x"), keras.Input((4,), dtype="bool", name="known")
    network = keras.Model(inputs, keras.layers.Dense(3)(inputs[0] * inputs[1]))
    masked = kerasar.MaskedInputModel(network, order=[3, 1, 0, 2])
    refuse(masked, streamed({"x": X, "length": LENGTH}), "order is a permutation")


def test_sizes_that_a_dataset_leaves_open_are_checked_as_they_stream(sequences, conditional):
    refuse(sequences(), streamed(X[:, :3], known=False), "x must have the size 4 along axis 1")
    label = np.zeros((12, 3), "float32")
    data = streamed({"x": X, "condition": label}, known=False)
    refuse(
        conditional,
        data,
        "x must have a condition 'label' of size, along axis 1, but its shape is 2",
    )


def test_rows_of_all_parts_must_be_as_many(sequences, conditional):
    rows = {"x": X[:5], "condition": np.zeros((4, 2), "float32")}
    signature = {
        "x": tf.TensorSpec((None, 4), tf.int32),
        "condition": tf.TensorSpec((None, 2), tf.float32),
    }
    data = tf.data.Dataset.from_generator(lambda: [rows], output_signature=signature)
    refuse(
        conditional,
        data,
        "x must have a condition 'label' of size, along axis 0, but its shape is 5",
    )
    rows = {"x": X[:5], "length": LENGTH[:4]}
    lengths = tf.TensorSpec((None,), tf.int64)
    signature = {"x": tf.TensorSpec((None, 4), tf.int32), "length": lengths}
    data = tf.data.Dataset.from_generator(lambda: [rows], output_signature=signature)
    refuse(sequences(), data, "length must hold one integer for each sequence")


@pytest.mark.parametrize(
    ("label", "message"), [(0.5, "whole numbers"), (np.nan, "x must have"), (9, r"in \[0, 5\)")]
)
def test_classes_are_whole_numbers_in_their_table(label, message):
    x = keras.Input((4,), dtype="int32", name="x")
    given = keras.Input((), dtype="int32", name="label")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(3, 6)(x))
    c = keras.layers.Reshape((1, 6))(keras.layers.Embedding(5, 6)(given))
    model = kerasar.AutoregressiveModel(keras.Model([x, given], keras.layers.Dense(3)(h + c)))
    labels = np.where(np.arange(12) == 7, label, 1.0).astype("float32")
    refuse(model, streamed({"x": X, "condition": labels}), message)


def test_words_are_no_data(sequences):
    model = sequences()
    model.compile(jit_compile=False)
    with pytest.raises(TypeError, match="x must hold real numbers, but its dtype is string"):
        model.fit(tf.data.Dataset.from_tensor_slices(X.astype(str)).batch(5), verbose=0)


def test_ragged_parts_and_parts_of_no_rank_are_told(sequences):
    ragged = tf.data.Dataset.from_tensors(tf.ragged.constant([[1, 2, 0], [1, 2]]))
    refuse(sequences(), ragged, r"tf\.data\.Dataset holds RaggedTensors.*padded_batch.*length")
    any_rank = tf.TensorSpec(None, tf.int32)
    data = tf.data.Dataset.from_generator(lambda: [X], output_signature=any_rank)
    refuse(sequences(), data, "known rank.*ensure_shape")
