"""Feeds and arguments that Keras takes and a density model does not: one sentence each."""

import keras
import numpy as np
import pytest
import tensorflow as tf

X = np.random.default_rng(0).integers(0, 3, (12, 4)).astype("int32")
READ = []


class Feed(keras.utils.PyDataset):
    def __len__(self):
        return 1000

    def __getitem__(self, index):
        READ.append(index)
        return X


def rows():
    while True:
        READ.append(0)
        yield X


@pytest.mark.parametrize("make", [Feed, rows, lambda: iter([X])])
def test_feeds_in_python_are_refused_before_they_are_read(sequences, make):
    model = sequences()
    model.compile(jit_compile=False)
    for use in (model.fit, model.evaluate, model.log_prob, lambda x: model.fit({"x": x})):
        with pytest.raises(TypeError, match=r"Wrap it: tf\.data\.Dataset\.from_generator"):
            use(make())
    with pytest.raises(TypeError, match="Wrap it"):
        model.fit(X, validation_data=make())
    assert not READ


def test_ragged_tensors_are_to_be_padded(sequences):
    model = sequences()
    model.compile(jit_compile=False)
    with pytest.raises(TypeError, match="RaggedTensor.*to_tensor.*length"):
        model.fit(tf.ragged.constant([[1, 2, 0], [1, 2]]))


def test_log_prob_of_a_dataset_goes_batch_by_batch(sequences):
    with pytest.raises(TypeError, match="for each batch"):
        sequences().log_prob(tf.data.Dataset.from_tensor_slices(X).batch(4))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda m: m.fit(X, condition=X), TypeError, r'fit\(\{"x": x, "condition": condition\}\)'),
        (lambda m: m.evaluate(X, length=X), TypeError, r'\{"x": x, "length": length\}'),
        (lambda m: m.fit(X, epoch=3), TypeError, "no argument 'epoch'.*epochs"),
        (lambda m: m.compile("adam", "mse"), TypeError, "takes no 'loss'"),
        (lambda m: m.export("x", format="onnx"), ValueError, "SavedModel.*format='onnx'"),
        (lambda m: m.export("x", input_signature=[]), TypeError, "no option 'input_signature'"),
        (lambda m: m.fit(X, sample_weight=X), ValueError, "weighted likelihood"),
        (lambda m: m.fit(X, class_weight={}), ValueError, "weighted likelihood"),
    ],
)
def test_arguments_of_keras_that_do_not_fit_are_told(sequences, call, kind, message):
    model = sequences()
    model.compile(jit_compile=False)
    with pytest.raises(kind, match=message):
        call(model)


def test_a_part_of_a_dataset_is_taken_with_skip_and_take(sequences):
    model = sequences()
    model.compile(jit_compile=False)
    with pytest.raises(ValueError, match="validation_split needs arrays.*skip.*take"):
        model.fit(tf.data.Dataset.from_tensor_slices(X).batch(4), validation_split=0.2)
