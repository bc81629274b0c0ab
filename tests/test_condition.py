"""Networks with two inputs: the condition reaches everything, and is asked for where missing."""

import keras
import numpy as np
import pytest

import kerasar
from kerasar.testing import check_normalized, check_samples, randomize

RNG = np.random.default_rng(0)
X = RNG.integers(0, 3, (8, 4))
LABEL = RNG.normal(size=(8, 2)).astype("float32")


def test_the_condition_matters_row_by_row(conditional):
    nats = conditional.log_prob(X, condition=LABEL)
    for i in range(8):
        alone = conditional.log_prob(X[i : i + 1], condition=LABEL[i : i + 1])
        np.testing.assert_allclose(alone, nats[i : i + 1], rtol=1e-5)
    assert np.abs(conditional.log_prob(X, condition=LABEL[::-1]) - nats).max() > 0.01


def test_a_tensor_a_dict_and_a_part_of_the_data_are_the_same(conditional):
    nats = conditional.log_prob(X, condition=LABEL)
    for x, condition in (
        (X, {"label": LABEL}),
        ({"x": X, "condition": LABEL}, None),
        ({"x": X, "condition": {"label": LABEL}}, None),
        (X, LABEL.astype("float64")),
        (X, LABEL.tolist()),
    ):
        np.testing.assert_allclose(conditional.log_prob(x, condition), nats, rtol=1e-6)


def test_it_is_normalised_and_samples_what_it_scores(conditional):
    for row in LABEL[:2, None]:
        check_normalized(conditional, row)
    check_samples(conditional, condition=LABEL[:1])


def test_samples_have_a_condition_each(conditional):
    together = conditional.sample(8, seed=3, condition=LABEL)
    for i in (0, 7):
        alone = conditional.sample(i + 1, seed=3, condition=LABEL[: i + 1])
        np.testing.assert_array_equal(alone, together[: i + 1])
    assert (together != conditional.sample(8, seed=3, condition=LABEL[::-1])).any()


def test_it_trains(conditional):
    conditional.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    x = np.repeat(np.arange(2)[:, None], 4, 1).repeat(16, 0)  # the label tells the symbol
    data = {"x": x, "condition": np.stack([x[:, 0], 1 - x[:, 0]], -1).astype("float32")}
    history = conditional.fit(data, validation_data=(data,), epochs=30, verbose=0).history
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    found = conditional.evaluate(data, return_dict=True, verbose=0)
    np.testing.assert_allclose(found["loss"], -conditional.log_prob(data).mean(), rtol=1e-4)
    np.testing.assert_allclose(history["val_loss"][-1], found["loss"], rtol=1e-4)


def two_conditions():
    x = keras.Input((4,), dtype="int32", name="x")
    kind = keras.Input((), dtype="int32", name="kind")
    local = keras.Input((4, 2), name="local")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(3, 6)(x))
    h = keras.layers.Concatenate()([h, local])
    h = keras.layers.Conv1D(6, 2, padding="causal", activation="tanh")(h)
    spread = keras.layers.Reshape((1, 6))(keras.layers.Embedding(5, 6)(kind))
    logits = keras.layers.Dense(3)(keras.layers.Add()([h, spread]))
    # The data need not be the first input, if it is named x.
    model = kerasar.AutoregressiveModel(keras.Model([kind, x, local], logits))
    randomize(model.network)
    return model


def test_there_may_be_several_by_name():
    model = two_conditions()
    condition = {"kind": np.arange(8) % 5, "local": RNG.normal(size=(8, 4, 2)).astype("float32")}
    nats = model.log_prob(X, condition)
    shuffled = dict(reversed(condition.items()))
    np.testing.assert_allclose(model.log_prob({"x": X, "condition": shuffled}), nats, rtol=1e-6)
    first = {name: part[:1] for name, part in condition.items()}
    check_normalized(model, first)
    check_samples(model, condition=first)
    with pytest.raises(ValueError, match="pass a dict"):
        model.log_prob(X, condition["kind"])


BAD = {
    "missing": (None, "needs the condition.*label.*Pass condition="),
    "wrong rank": (LABEL[:, 0], r"condition 'label' must have shape \(batch, 2\).*\(8,\)"),
    "wrong count": (
        LABEL[:3],
        "condition 'label' must have one row for each of the 8 examples.* 3",
    ),
    "unknown name": ({"lable": LABEL}, r"takes the conditions \['label'\], but got \['lable'\]"),
    "one too many": ({"label": LABEL, "b": LABEL}, r"got \['b', 'label'\]"),
    "NaN": (np.full((8, 2), np.nan), r"condition 'label' must be finite.*is nan"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_condition_that_does_not_fit_is_refused(conditional, name):
    condition, message = BAD[name]
    for call in (
        lambda: conditional.log_prob(X, condition=condition),
        lambda: conditional.sample(8, condition=condition),
        lambda: conditional.inpaint(X, X > 0, condition=condition),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_superfluous_condition_is_refused(sequences):
    for call in (
        lambda: sequences().log_prob(X, condition=LABEL),
        lambda: sequences().sample(8, condition=LABEL),
    ):
        with pytest.raises(ValueError, match="has no condition, but got one"):
            call()


def test_a_condition_of_integers_stays_whole():
    model = two_conditions()
    condition = {"kind": np.full(8, 1.5), "local": np.zeros((8, 4, 2))}
    with pytest.raises(ValueError, match="'kind'.*whole"):
        model.log_prob(X, condition)
