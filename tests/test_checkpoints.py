"""Training that is resumed: weights as if nothing had ended it, and what is refused."""

import errno
import os
import resource
import shutil
import signal
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some

import kerasar
from kerasar.training import AveragedWeights, Checkpoints, TimeBudget

X = np.random.default_rng(0).integers(3, size=(22, 4))


class End(Exception):
    """What ends a training in these tests, as a kill would: nothing is saved."""


class Killer(keras.callbacks.Callback):
    """Ends training after so many executions, wherever it is; counts them."""

    per_execution = True

    def __init__(self, after=None):
        super().__init__()
        self.after, self.seen = after, 0

    def on_train_batch_end(self, batch, logs=None):
        if self.seen == self.after:
            raise End
        self.seen += 1


def dropout_network(units=6):
    keras.utils.set_random_seed(3)
    x = keras.Input((4,), dtype="int32", name="x")
    h = keras.layers.Embedding(3, units, name="embedding")(x)
    h = kerasar.layers.CausalShift(name="shift")(h)
    h = keras.layers.Conv1D(6, 3, padding="causal", activation="tanh", name="conv")(h)
    h = keras.layers.Dropout(0.3, name="dropout")(h)
    model = kerasar.AutoregressiveModel(keras.Model(x, keras.layers.Dense(3, name="logits")(h)))
    model.compile(keras.optimizers.Adam(0.01, use_ema=True), steps_per_execution=1)
    return model


def trained(path, after=None, model=None, others=(), x=X, **options):
    """A model after a training that may be ended; what ended it is let through."""
    model = dropout_network() if model is None else model
    kept = Checkpoints(path, every_steps=options.pop("every_steps", 2), every_minutes=None)
    options = {"epochs": 3, "batch_size": 4, "verbose": 0, **options}
    model.fit(x, callbacks=[*others, kept, Killer(after)], **options)
    return model


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training of arrays, with validation, that nothing ended."""
    return trained(tmp_path_factory.mktemp("whole"), **of_arrays())


@pytest.fixture
def begun(begun_once, tmp_path):
    """The folder of the same one, ended in its second epoch."""
    return Path(shutil.copytree(begun_once, tmp_path / "begun"))


@pytest.fixture(scope="module")
def begun_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("begun")
    ended(folder, 9, **of_arrays())
    return folder


def ended(path, after, **options):
    with pytest.raises(End):
        trained(path, after, **options)


def assert_same(a, b):
    for one, other in zip(_state(a), _state(b), strict=True):
        np.testing.assert_array_equal(one, other)


def _state(model):
    return [np.asarray(v.value) for v in (*model.variables, *model.optimizer.variables)]


def of_arrays(**options):
    return {"validation_data": X[:8], **options}


def shuffled():
    keras.utils.set_random_seed(3)  # which its order follows, too
    options = tf.data.Options()
    options.autotune.enabled = False  # for which TensorFlow may wait a minute
    return tf.data.Dataset.from_tensor_slices(X).shuffle(22, seed=1).with_options(options)


def of_a_dataset():
    return {"x": shuffled().batch(4), "batch_size": None}


def of_unknown_length():
    return {"x": shuffled().filter(lambda x: x[0] < 2).batch(4), "batch_size": None}


def without_end():
    data = kerasar.data.pipeline(X, 4, seed=2).repeat()
    return {"x": data, "batch_size": None, "steps_per_epoch": 5}


@pytest.mark.parametrize(
    "options",
    some([of_a_dataset, of_unknown_length, without_end], [of_unknown_length]),
    ids=lambda f: f.__name__,
)
@pytest.mark.filterwarnings("ignore:.*ran out of data")
def test_a_training_that_was_ended_twice_is_the_one_that_was_not(tmp_path, options):
    whole = trained(tmp_path / "whole", **options())
    ended(tmp_path / "kept", 3, **options())
    ended(tmp_path / "kept", 9, **options())
    resumed = trained(tmp_path / "kept", **options())
    assert_same(whole, resumed)
    assert whole.history.history == resumed.history.history
    assert len(whole.history.history["loss"]) == 3


def test_arrays_come_in_the_orders_that_they_would_have_come_in(begun, whole):
    resumed = trained(begun, **of_arrays())
    assert_same(whole, resumed)
    assert whole.history.history == resumed.history.history


def test_what_is_between_two_epochs_is_resumed_too(tmp_path, whole):
    ended(tmp_path, 7, every_steps=6, **of_arrays())
    assert_same(whole, trained(tmp_path, every_steps=6, **of_arrays()))


def test_several_steps_run_in_an_execution_by_another_optimizer(tmp_path):
    def model():
        model = dropout_network()
        model.compile(kerasar.training.Muon(0.01), steps_per_execution=4)
        return model

    whole = trained(tmp_path / "whole", model=model())
    ended(tmp_path / "kept", 3, model=model())
    assert_same(whole, trained(tmp_path / "kept", model=model()))


def test_a_flow_draws_the_noise_that_it_would_have_drawn(tmp_path):
    def model():
        keras.utils.set_random_seed(0)
        model = kerasar.models.NICE(4, 3, hidden_units=(4,), depth=2)
        model.compile("adam", steps_per_execution=1)
        return model

    def best():  # it keeps weights, of which some are scalars
        return [keras.callbacks.EarlyStopping("loss", patience=0, restore_best_weights=True)]

    whole = trained(tmp_path / "whole", model=model(), others=best())
    ended(tmp_path / "kept", 8, model=model(), others=best())
    assert_same(whole, trained(tmp_path / "kept", model=model(), others=best()))


def test_callbacks_go_on_with_what_they_remembered(tmp_path):
    def others():
        return [
            AveragedWeights(),
            keras.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=10.0),
        ]

    options = {"epochs": 4, "validation_data": X[:6]}
    first, last = others(), others()
    whole = trained(tmp_path / "whole", others=first, **options)
    for after in (6, 13):
        ended(tmp_path / "kept", after, others=others(), every_steps=1, **options)
    assert_same(whole, trained(tmp_path / "kept", others=last, every_steps=1, **options))
    assert last[1].best == first[1].best and last[2].wait == first[2].wait


def test_a_training_by_the_clock_goes_on_with_the_time_that_is_left(tmp_path):
    now = [0.0]

    def budget():
        return TimeBudget(10.0, 0.01, clock=lambda: now.__setitem__(0, now[0] + 0.1) or now[0])

    def model():
        model = dropout_network()
        model.compile("adam", steps_per_execution=1)
        return model

    ended(tmp_path, 20, model=model(), others=[budget()], epochs=1000)
    now[0] = 1000.0
    last = budget()
    trained(tmp_path, model=model(), others=[last], epochs=1000)
    assert 1000.0 + 6.0 < now[0] < 1000.0 + 11.0


@pytest.mark.parametrize(
    ("number", "during"),
    [
        (signal.SIGINT, "on_test_batch_end"),
        (signal.SIGTERM, "on_train_batch_end"),
        pytest.param(signal.SIGTERM, "on_epoch_end", marks=pytest.mark.long),
        pytest.param(signal.SIGINT, "on_train_batch_end", marks=pytest.mark.long),
        pytest.param(signal.SIGINT, "on_epoch_end", marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, "on_test_batch_end", marks=pytest.mark.long),
    ],
)
def test_a_signal_saves_first_and_then_does_what_it_does(tmp_path, capsys, whole, during, number):
    class Signals(Killer):
        def on_train_batch_end(self, batch, logs=None):
            pass

    def send(self, *arguments, **options):
        self.seen += 1
        if self.seen == 2:
            signal.raise_signal(number)

    setattr(Signals, during, send)

    class Arrived(BaseException):
        pass

    def arrive(*arguments):
        raise Arrived

    before = signal.signal(number, arrive)
    try:
        with pytest.raises(Arrived):
            trained(tmp_path / "kept", others=[Signals()], every_steps=1000, **of_arrays())
        assert signal.getsignal(number) is arrive
    finally:
        signal.signal(number, before)
    assert f"is saved in '{tmp_path / 'kept'}'" in capsys.readouterr().err
    assert_same(whole, trained(tmp_path / "kept", every_steps=1000, **of_arrays()))


def test_a_finished_training_trains_no_more_and_more_epochs_go_on(tmp_path, whole):
    model = trained(tmp_path, epochs=2, **of_arrays())
    with pytest.warns(UserWarning, match="was finished"):
        assert_same(model, trained(tmp_path, epochs=2, **of_arrays()))
    assert_same(whole, trained(tmp_path, **of_arrays()))


def test_a_model_goes_on_in_its_own_process(tmp_path):
    whole = trained(tmp_path / "whole", others=[Falling()])
    model = dropout_network()
    ended(tmp_path / "kept", 9, model=model, others=[Falling()])
    assert_same(whole, trained(tmp_path / "kept", model=model, others=[Falling()]))


class Falling(keras.callbacks.Callback):
    """A learning rate that falls."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate.assign(0.01 / (epoch + 2))


# What is there is not what it should be.


def files(path):
    return sorted(name for name in os.listdir(path) if name.startswith("step"))


def test_a_damaged_newest_is_told_and_the_one_before_is_used(begun, whole):
    assert len(files(begun)) == 2
    newest = begun / files(begun)[-1]
    bytes_ = bytearray(newest.read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    newest.write_bytes(bytes_)
    with pytest.warns(UserWarning, match=f"{newest.name}' is damaged.*resumes from"):
        assert_same(whole, trained(begun, **of_arrays()))


def test_nothing_but_damaged_files_is_an_error(tmp_path):
    (tmp_path / "step-000000004.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="No checkpoint can be read: .*step-000000004"):
        trained(tmp_path)


OTHERS = {
    "a network": ({"model": lambda: dropout_network(units=7)}, r"output_dim was 6 and is 7"),
    "a rate": (
        {"model": lambda: _compiled(keras.optimizers.Adam(0.02, use_ema=True))},
        r"learning_rate was 0.0\d+ and is 0.02",
    ),
    "values": ({"x": (X + 1) % 3}, r"data.x was int\d+ of shape \(22, 4\).*and is"),
    "numbers": ({"x": X[:20]}, r"data.x was .*\(22, 4\).* and is .*\(20, 4\)"),
    "a batch": ({"batch_size": 5}, r"fit.batch_size was 4 and is 5"),
    "a seed": ({"model": lambda: _seeded(4)}, r"set_random_seed was 3 and is 4"),
}


def _compiled(optimizer):
    model = dropout_network()
    model.compile(optimizer, steps_per_execution=1)
    return model


def _seeded(seed):
    model = dropout_network()
    tf.random.set_seed(seed)
    return model


@pytest.mark.parametrize("change, message", OTHERS.values(), ids=OTHERS)
def test_another_training_is_refused_and_the_difference_named(begun, change, message):
    before = files(begun)
    if "model" in change:
        change = {**change, "model": change["model"]()}
    with pytest.raises(ValueError, match=f"not this one: .*{message}"):
        trained(begun, **of_arrays(**change))
    assert files(begun) == before


def test_callbacks_that_are_missing_are_named(tmp_path):
    ended(tmp_path, 5, others=[TimeBudget(9.0, 0.01)])
    with pytest.raises(ValueError, match="what the callback TimeBudget remembers"):
        trained(tmp_path)


def test_two_trainings_do_not_share_a_folder(tmp_path):
    class Second(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            with pytest.raises(BlockingIOError, match="another process trains"):
                trained(tmp_path)

    trained(tmp_path, others=[Second()])


def test_a_folder_that_cannot_be_written_is_named_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        trained(tmp_path / "file" / "kept")


def test_a_full_disk_keeps_the_last_good_state(begun, whole, monkeypatch):
    before = files(begun)
    savez = np.savez

    def full(file, **arrays):
        savez(file, **arrays)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="cannot be written: no space left"):
        trained(begun, **of_arrays())
    assert files(begun) == before
    assert not [name for name in os.listdir(begun) if name.startswith(".")]
    monkeypatch.undo()
    assert_same(whole, trained(begun, **of_arrays()))


def test_a_file_that_may_not_grow_keeps_the_last_good_state(begun, whole):
    before, limits = files(begun), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="npz' cannot be written: file too large"):
            trained(begun, **of_arrays())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(begun) == before
    assert not [name for name in os.listdir(begun) if name.startswith(".")]
    assert_same(whole, trained(begun, **of_arrays()))


def test_a_folder_that_may_only_be_read_is_named_before_training(begun, monkeypatch):
    def refuse(path, *arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    seen = Killer()
    with pytest.raises(OSError, match="begun' cannot be written: read-only file system"):
        trained(begun, others=[seen], **of_arrays())
    assert seen.seen == 0


def test_keras_own_fit_is_told_what_to_take(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="a model of kerasar.*is a Sequential.*BackupAndRestore"):
        model.fit(X, X[:, :1], callbacks=[Checkpoints(tmp_path)], verbose=0)


class TwoOptimizers(kerasar.AutoregressiveModel):
    """A second optimizer moves the weights, too, by a gradient of its own."""

    def train_step(self, data):
        logs = super().train_step(data)
        weights = self.trainable_weights
        self.others["decay"].apply([0.1 * weight.value for weight in weights], weights)
        return logs


def two_optimizers(is_built):
    network = dropout_network().network
    model = TwoOptimizers(network)
    model.others = {"decay": keras.optimizers.Adam(0.01)}
    if is_built:
        model.others["decay"].build(model.trainable_variables)
    model.compile(keras.optimizers.Adam(0.01), steps_per_execution=1)
    return model


def test_a_second_optimizer_is_resumed_too(tmp_path):
    whole = trained(tmp_path / "whole", model=two_optimizers(True))
    ended(tmp_path / "kept", 9, model=two_optimizers(True))
    with pytest.raises(ValueError, match="Build each optimizer before"):
        trained(tmp_path / "kept", model=two_optimizers(False))
    resumed = trained(tmp_path / "kept", model=two_optimizers(True))
    assert_same(whole, resumed)
    moments = [m.others["decay"].variables for m in (whole, resumed)]
    assert all(np.array_equal(one, other) for one, other in zip(*moments, strict=True))


def test_steps_of_data_that_end_are_refused(tmp_path):
    with pytest.raises(ValueError, match="without end"):
        trained(tmp_path, steps_per_epoch=2)


def test_two_of_them_are_refused(tmp_path):
    with pytest.raises(ValueError, match="one Checkpoints, but got 2"):
        trained(tmp_path, others=[Checkpoints(tmp_path)])


@pytest.mark.parametrize("wrong", [{"every_minutes": 0.0}, {"every_steps": 0}, {"keep": 0}])
def test_settings_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Checkpoints(tmp_path, **wrong)


def test_as_many_are_kept_as_asked(tmp_path):
    kept = Checkpoints(tmp_path, every_steps=1, keep=3)
    with warnings.catch_warnings(action="error"):
        dropout_network().fit(X, batch_size=4, callbacks=[kept], verbose=0)
    assert [int(name[5:-4]) for name in files(tmp_path)] == [4, 5, 6]
