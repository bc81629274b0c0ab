"""Averages of weights that an optimizer keeps: what is judged, kept and left by `fit`."""

import keras
import numpy as np
import pytest
from flows import POINTS, plane

import kerasar
from kerasar.models import CausalConvNet, PixelVAE
from kerasar.training import AveragedWeights

LEVELS = 4
TOKENS = np.random.default_rng(0).integers(0, LEVELS, (12, 6))
IMAGES = np.random.default_rng(0).integers(0, LEVELS, (12, 4, 4, 1))


def sequences():
    return CausalConvNet(6, LEVELS, filters=4, dilations=(1,)), TOKENS


def points():
    return plane(), POINTS


def latents():
    size = {"filters": 4, "blocks": 1, "encoder_filters": 4}
    return PixelVAE((4, 4, 1), LEVELS, latent_shape=(2,), **size), IMAGES


OPTIONS = {"batch_size": 4, "shuffle": False, "verbose": 0}
KINDS = [sequences, points, latents]


def compiled(kind, **averages):
    keras.utils.set_random_seed(0)
    model, x = kind()
    optimizer = keras.optimizers.SGD(0.05, **averages)
    model.compile(optimizer, jit_compile=False, steps_per_execution=1)
    return model, x


def nats(model, x):
    """What `fit` validates."""
    return model.evaluate(x, verbose=0, return_dict=True)["loss"]


class Trained(keras.callbacks.Callback):
    """Keeps the weights after each step of the training."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.model.get_weights())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_averages_are_validated_and_kept(kind):
    model, x = compiled(kind, use_ema=True, ema_momentum=0.5)
    shown, trained = [], Trained()
    look = keras.callbacks.LambdaCallback(
        on_test_begin=lambda logs: shown.append(model.get_weights()),
        on_epoch_end=lambda epoch, logs: shown.append(model.get_weights()),
    )
    model.fit(x, batch_size=4, validation_data=x, verbose=0, callbacks=[look, trained])
    assert len(shown) == 2
    for n, values in enumerate(zip(*trained.seen, model.get_weights(), *shown, strict=True)):
        *steps, left, validated, at_the_end = values
        if not any(model.weights[n] is weight for weight in model.trainable_weights):
            continue
        average = steps[0]  # Keras begins with the first step's weights
        for step in steps[1:]:
            average = 0.5 * average + 0.5 * step
        for found in (left, validated, at_the_end):
            np.testing.assert_allclose(found, average, rtol=1e-4, atol=1e-6)
    assert not all(map(np.array_equal, trained.seen[-1], model.get_weights()))


@pytest.mark.parametrize("kind", [sequences, points], ids=lambda kind: kind.__name__)
def test_callbacks_at_the_end_of_an_epoch_see_averages_wherever_training_ends(kind, tmp_path):
    model, x = compiled(kind, use_ema=True, ema_momentum=0.9)
    last = keras.callbacks.ModelCheckpoint(tmp_path / "last.weights.h5", save_weights_only=True)
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 1)
    )
    options = {"validation_data": x, "epochs": 5, "batch_size": 2, "verbose": 0}
    history = model.fit(x, **options, callbacks=[last, stop]).history
    assert len(history["val_loss"]) == 2
    assert nats(model, x) == pytest.approx(history["val_loss"][-1], rel=1e-5)
    model.load_weights(tmp_path / "last.weights.h5")
    assert nats(model, x) == pytest.approx(history["val_loss"][-1], rel=1e-5)


@pytest.mark.parametrize("given", [[], [AveragedWeights]], ids=["none", "one"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_they_do_not_disturb_training(kind, given):
    def trained(callbacks=(), **averages):
        model, x = compiled(kind, **averages)
        look = Trained()
        model.fit(x, **OPTIONS, epochs=3, validation_data=x, callbacks=[*callbacks, look])
        return look.seen

    averaged = trained([callback() for callback in given], use_ema=True, ema_momentum=0.9)
    for plain, found in zip(trained(), averaged, strict=True):
        for a, b in zip(plain, found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_the_callback_of_keras_is_left_alone():
    model, x = compiled(sequences, use_ema=True)
    shown = []
    show, swap = AveragedWeights._show, keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AveragedWeights, "_show", lambda self: (shown.append(1), show(self)))
        model.fit(x, callbacks=[swap], verbose=0)
        assert not shown
        model.fit(x, verbose=0)
        assert shown


@pytest.mark.parametrize("second", [AveragedWeights, keras.callbacks.SwapEMAWeights])
def test_two_that_show_them_are_refused(second):
    model, x = compiled(sequences, use_ema=True)
    with pytest.raises(ValueError, match=f"AveragedWeights and {second.__name__} both show"):
        model.fit(x, callbacks=[AveragedWeights(), second()], verbose=0)


class Stop(keras.callbacks.Callback):
    """Stops a training by Ctrl-C, once, where it is asked to."""

    def __init__(self, where):
        super().__init__()
        setattr(self, where, self.stop)

    def stop(self, *args, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["on_train_batch_end", "on_test_batch_end", "on_epoch_end"])
def test_a_training_that_is_stopped_goes_on_from_what_was_trained(where):
    model, x = compiled(sequences, use_ema=True, ema_momentum=0.9)
    look = Trained()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, **OPTIONS, validation_data=x, callbacks=[look, Stop(where)])
    for found, trained in zip(model.get_weights(), look.seen[-1], strict=True):
        np.testing.assert_array_equal(found, trained)


def test_what_keras_backs_up_is_what_was_trained(tmp_path):
    def fit(model, x, *callbacks):
        backup = keras.callbacks.BackupAndRestore(tmp_path)
        look = Trained()
        model.fit(x, **OPTIONS, epochs=3, callbacks=[*callbacks, look, backup])
        return look.seen

    averages = {"use_ema": True, "ema_momentum": 0.9}
    whole = fit(*compiled(sequences, **averages))
    stop = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: 1 // (2 - epoch))
    with pytest.raises(ZeroDivisionError):
        fit(*compiled(sequences, **averages), stop)
    for found, trained in zip(fit(*compiled(sequences, **averages))[-1], whole[-1], strict=True):
        np.testing.assert_allclose(found, trained, rtol=1e-5, atol=1e-7)


def test_averages_that_nobody_keeps_are_refused():
    model, x = compiled(sequences)
    with pytest.raises(ValueError, match="keeps none. Compile with use_ema=True"):
        model.fit(x, callbacks=[AveragedWeights()], verbose=0)


def test_they_are_saved_and_go_on(tmp_path):
    model, x = compiled(sequences, use_ema=True, ema_momentum=0.9)
    model.fit(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.log_prob(x), model.log_prob(x))
    for one in (model, loaded):
        one.fit(x, verbose=0, shuffle=False)
    np.testing.assert_allclose(loaded.log_prob(x), model.log_prob(x), rtol=1e-5)
