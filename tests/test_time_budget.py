"""Training by the clock: it ends in time, at a rate of 0, with validation at regular times."""

import keras
import numpy as np
import pytest

import kerasar
from kerasar.training import TimeBudget


class Recorded(keras.callbacks.Callback):
    """The rate after each step, and when validation came."""

    per_execution = True

    def __init__(self, clock):
        super().__init__()
        self.clock, self.rates, self.validated = clock, [], []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch, logs=None):
        assert np.isfinite(logs["val_loss"])
        self.validated.append(self.clock.now)


class Clock:
    """A minute passes whenever it is looked at."""

    now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def trained(sequences, budget, clock, **options):
    model = sequences()
    model.compile("adam", steps_per_execution=1)
    x = np.random.default_rng(0).integers(3, size=(80, 4))
    data = kerasar.data.pipeline(x, 4)
    if budget.rounds:
        data, options = data.repeat(), {**options, "steps_per_epoch": 10**6}
    recorded = Recorded(clock)
    model.fit(
        data,
        epochs=10**6,
        validation_data=x[:4],
        callbacks=[budget, recorded],
        verbose=0,
        **options,
    )
    return recorded


def test_training_ends_in_time_at_a_rate_of_zero(sequences):
    clock = Clock()
    recorded = trained(sequences, TimeBudget(300, 1e-2, clock=clock), clock)
    assert 250 < clock.now <= 300 + 10  # the last validation takes a look or two
    assert max(recorded.rates) == pytest.approx(1e-2, rel=0.1)
    assert recorded.rates[0] < 1e-3 and recorded.rates[-1] < 1e-5
    falling = recorded.rates[np.argmax(recorded.rates) :]
    assert (np.diff(falling) <= 0).all()


def test_validation_comes_at_regular_times(sequences):
    clock = Clock()
    recorded = trained(sequences, TimeBudget(500, 1e-2, rounds=5, clock=clock), clock)
    np.testing.assert_allclose(recorded.validated, [100, 200, 300, 400, 500], atol=15)


def test_one_training_may_be_several_fits(sequences):
    model, clock = sequences(), Clock()
    model.compile("adam", steps_per_execution=1)
    budget, fits = TimeBudget(24, 1e-2, clock=clock), 0
    x = np.zeros((4, 4), "int32")
    model.stop_training = False
    while not model.stop_training:
        model.fit(x, callbacks=[budget], verbose=0)
        fits += 1
    assert 5 < fits <= 24


def test_arguments_that_make_no_sense(sequences):
    with pytest.raises(ValueError, match="minutes must be a finite number above 0, but got 0"):
        TimeBudget(0, 1e-3)
    with pytest.raises(ValueError, match="learning_rate must be a finite number above 0"):
        TimeBudget(1, -1e-3)
    with pytest.raises(ValueError, match="rounds must be at least 1"):
        TimeBudget(1, 1e-3, rounds=0)
    model = sequences()
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 10)))
    with pytest.raises(ValueError, match="schedule of its own, CosineDecay"):
        model.fit(np.zeros((4, 4), "int32"), callbacks=[TimeBudget(1, 1e-3)], verbose=0)
