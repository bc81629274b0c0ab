"""Steps are those asked for: updates, evaluated batches, and calls of callbacks at batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasar.training.executions import count_batches, steps_that_divide

X = np.random.default_rng(0).integers(0, 3, (28, 4)).astype("int32")
DATA = tf.data.Dataset.from_tensor_slices(X).batch(4)  # 7 batches


@pytest.fixture
def model(sequences):
    made = sequences()
    made.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    return made


@pytest.mark.parametrize(
    ("asked", "steps"),
    [((), 20), ((5,), 5), ((40,), 20), ((21,), 7), ((101,), 1), ((30, 8), 2), ((None, 10), 10)],
)
def test_steps_of_an_execution_divide_what_is_asked_for(asked, steps):
    assert steps_that_divide(20, *asked) == steps


@pytest.mark.parametrize("steps", [1, 3, 5, 23, 40])
def test_an_epoch_makes_the_steps_asked_for(model, steps):
    model.fit(DATA.repeat(), steps_per_epoch=steps, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 2 * steps
    assert model.steps_per_execution == 20


def test_another_count_of_steps_later_is_made_too(model):
    for steps, total in ((5, 5), (3, 8), (40, 48), (5, 53)):
        model.fit(DATA.repeat(), steps_per_epoch=steps, verbose=0)
        assert int(model.optimizer.iterations) == total


def test_steps_that_the_user_set_for_an_execution_do_not_change_what_is_asked_for(sequences):
    model = sequences()
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False, steps_per_execution=3)
    model.fit(DATA.repeat(), steps_per_epoch=5, verbose=0)
    assert int(model.optimizer.iterations) == 5 and model.steps_per_execution == 3


def test_an_evaluation_judges_the_batches_asked_for(model):
    found = model.evaluate(DATA.repeat(), steps=3, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["loss"], -model.log_prob(X[:12]).mean(), rtol=1e-5)


def test_a_validation_judges_the_batches_asked_for(model):
    steps = dict(steps_per_epoch=3, validation_steps=2)
    found = model.fit(DATA.repeat(), validation_data=DATA.repeat(), verbose=0, **steps).history
    assert int(model.optimizer.iterations) == 3
    np.testing.assert_allclose(found["val_loss"], -model.log_prob(X[:8]).mean(), rtol=1e-5)


def test_callbacks_at_batches_are_called_at_each(model):
    seen = []

    class Count(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    model.fit(DATA, epochs=2, callbacks=Count(), verbose=0)
    assert seen == [*range(7), *range(7)]


def test_an_evaluation_calls_callbacks_at_each_batch(model):
    seen = []
    hook = keras.callbacks.LambdaCallback(on_test_batch_end=lambda batch, logs=None: seen.append(1))
    model.evaluate(DATA, callbacks=[hook], verbose=0)
    assert len(seen) == 7


def test_checkpoints_come_as_often_as_asked(model, tmp_path):
    file = str(tmp_path / "{batch}.weights.h5")
    keep = keras.callbacks.ModelCheckpoint(file, save_freq=2, save_weights_only=True)
    model.fit(DATA, callbacks=[keep], verbose=0)
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["2", "4", "6"]


@pytest.mark.parametrize(
    ("callback", "counts"),
    [
        (lambda folder: keras.callbacks.EarlyStopping(), False),
        (lambda folder: keras.callbacks.LearningRateScheduler(lambda epoch: 0.1), False),
        (lambda folder: keras.callbacks.LambdaCallback(on_epoch_end=print), False),
        (lambda folder: keras.callbacks.LambdaCallback(on_train_batch_end=print), True),
        (lambda folder: keras.callbacks.ModelCheckpoint(f"{folder}/a.keras"), False),
        (lambda folder: keras.callbacks.ModelCheckpoint(f"{folder}/a.keras", save_freq=9), True),
        (lambda folder: keras.callbacks.BackupAndRestore(folder, save_freq=9), True),
        (lambda folder: keras.callbacks.TensorBoard(folder), False),
        (lambda folder: keras.callbacks.TensorBoard(folder, update_freq="batch"), True),
        (lambda folder: keras.callbacks.TerminateOnNaN(), True),
    ],
)
def test_only_callbacks_that_act_at_batches_cost_speed(callback, counts, tmp_path):
    assert count_batches([callback(str(tmp_path))]) == counts


def test_a_list_of_callbacks_of_keras_is_taken(model):
    seen = []
    hook = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    callbacks = keras.callbacks.CallbackList([hook], model=model)
    model.fit(DATA, callbacks=callbacks, verbose=0)
    assert seen == [0]


def test_a_dataset_without_end_asks_for_steps(model):
    endless = DATA.repeat()
    for name, run in (
        ("steps_per_epoch", lambda: model.fit(endless, verbose=0)),
        ("steps", lambda: model.evaluate(endless, verbose=0)),
        ("validation_steps", lambda: model.fit(X, validation_data=endless, verbose=0)),
    ):
        with pytest.raises(ValueError, match=f"without end, so {name} must say"):
            run()


def once(batches=7):
    """A dataset that can be read once."""
    stream = iter(DATA.take(batches).as_numpy_iterator())
    signature = tf.TensorSpec((None, 4), tf.int32)
    return tf.data.Dataset.from_generator(lambda: stream, output_signature=signature)


def test_a_dataset_that_can_be_read_once_gives_all_its_batches(model):
    expected = model.evaluate(X, verbose=0)
    np.testing.assert_allclose(model.evaluate(once(), verbose=0), expected, rtol=1e-5)
    model.fit(once(), verbose=0)
    assert int(model.optimizer.iterations) == 7


def test_an_epoch_without_a_batch_is_no_loss_of_zero(model):
    with pytest.raises(ValueError, match="no batch left for epoch 2.*read once"):
        model.fit(once(), epochs=2, verbose=0)
    with pytest.raises(ValueError, match="no batch left for epoch 1"):
        model.fit(once(0), verbose=0)
    with pytest.raises(ValueError, match="not one batch to evaluate"):
        model.evaluate(once(0), verbose=0)
