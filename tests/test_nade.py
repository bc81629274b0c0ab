"""NADE: its formula and gradient, what it sees, and the model with and without an order."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some
from serving import serve

import kerasar
from kerasar.layers import NADE
from kerasar.layers.nade_logits import nade_logits
from kerasar.testing import (
    check_causal_by_probe,
    check_normalized,
    check_samples,
    randomize,
)

RNG = np.random.default_rng(0)
X = RNG.integers(0, 2, (20, 5))
ORDER = [3, 0, 4, 1, 2]
OPTIONS = dict(seed=3, temperature=1.0, top_k=0, top_p=1.0)


def by_the_paper(x, start, inward, outward):
    """One variable after the other, one example at a time (Larochelle & Murray, 2011)."""
    logits = np.zeros(x.shape)
    for row, one in enumerate(x):
        sums = start[row].copy()
        for i, value in enumerate(one):
            logits[row, i] = outward[i] @ (1 / (1 + np.exp(-sums)))
            sums += value * inward[i]
    return logits


def arguments(variables, batch=3, hidden_units=4, dtype="float64"):
    shapes = (
        (batch, variables),
        (batch, hidden_units),
        (variables, hidden_units),
        (variables, hidden_units),
    )
    return [tf.constant(RNG.normal(size=shape), dtype) for shape in shapes]


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("variables", [1, 5, 16, 17, 40])
def test_the_logits_are_those_of_the_paper(variables, jit_compile):
    given = arguments(variables)
    found = tf.function(nade_logits, jit_compile=jit_compile, autograph=False)(*given)
    # float64: nothing but the order of summation differs.
    np.testing.assert_allclose(found, by_the_paper(*map(np.asarray, given)), atol=1e-12)


def in_one_piece(x, start, inward, outward):
    """The same as ordinary operations, for autodiff."""
    before = tf.cumsum(x[..., None] * inward, axis=1, exclusive=True)
    return tf.reduce_sum(tf.sigmoid(start[:, None] + before) * outward, axis=-1)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("variables", some([1, 5, 17, 40], [1, 17]))
def test_the_gradient_is_that_of_autodiff(variables, jit_compile):
    given = arguments(variables)
    direction = tf.constant(RNG.normal(size=given[0].shape))

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(given)
            total = tf.reduce_sum(direction * function(*given))
        return tape.gradient(total, given)

    ours = tf.function(lambda: gradients(nade_logits), jit_compile=jit_compile, autograph=False)()
    for found, expected in zip(ours, gradients(in_one_piece), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_integers_have_no_gradient_but_the_weights_do():
    x, *rest = arguments(5)
    with tf.GradientTape() as tape:
        tape.watch(rest)
        total = tf.reduce_sum(nade_logits(tf.cast(x > 0, tf.int32), *rest))
    assert all(np.abs(gradient).max() > 0 for gradient in tape.gradient(total, rest))


def test_a_layer_adds_the_biases():
    layer = NADE(4)
    layer.build((None, 5, 1))
    randomize(layer)
    inward, outward, hidden_bias, bias = layer.get_weights()
    expected = by_the_paper(X, np.tile(hidden_bias, (20, 1)), inward, outward) + bias
    np.testing.assert_allclose(layer(X[..., None])[..., 0], expected, atol=1e-5)


def test_sums_keep_their_precision_in_bfloat16():
    """Of 300 ones bfloat16 would lose the last ones: it has 8 bits."""
    layer = NADE(1, dtype="mixed_bfloat16")
    layer.build((None, 300, 1))
    inward = np.full((300, 1), 0.01, "float32")
    layer.set_weights([inward, np.ones((300, 1)), np.zeros(1), np.zeros(300)])
    output = np.asarray(layer(np.ones((1, 300, 1), "int32"))).astype("float64")
    expected = 1 / (1 + np.exp(-0.01 * np.arange(300)))
    np.testing.assert_allclose(output[0, :, 0], expected, rtol=2**-8)  # the output's own rounding


def test_it_sees_everything_before_and_nothing_else():
    layer = NADE(6)
    x = RNG.normal(size=(4, 18, 1)).astype("float32")
    layer.build(x.shape)
    randomize(layer)
    check_causal_by_probe(layer, x, lambda v: v + 1.0, lambda i, j: j < i)


def test_its_proof_needs_no_shift():
    model = kerasar.models.NADE(5, hidden_units=4)
    kerasar.check_causal(model.network)
    field = kerasar.receptive_field(model.network)
    assert field.offsets == {(-1,), (-2,), (-3,), (-4,)} and field.reach is None


@pytest.fixture(scope="module")
def model():
    model = kerasar.models.NADE(5, hidden_units=4)
    randomize(model.network)
    return model


@pytest.fixture(scope="module")
def ordered(model):
    ordered = kerasar.models.NADE(5, hidden_units=4, order=ORDER)
    ordered.network.set_weights(model.network.get_weights())
    return ordered


def test_it_is_a_distribution_from_which_all_samplers_draw(model):
    check_normalized(model)
    check_samples(model)


def test_compiled_sampling_is_the_same(model):
    drawn = model.sample(20, seed=2, jit_compile=True)
    np.testing.assert_array_equal(drawn, model.sample(20, seed=2, jit_compile=False))


def test_one_variable_is_a_coin():
    model = kerasar.models.NADE(1, hidden_units=3)
    randomize(model.network)
    check_normalized(model)
    check_samples(model, num_samples=8)


def test_training_learns_that_bits_repeat():
    """Bits 0 to 3 are random, bits 4 to 7 repeat them: the entropy is 4 ln 2 = 2.77 nats."""
    keras.utils.set_random_seed(0)
    bits = RNG.integers(0, 2, (2000, 4))
    x = np.concatenate([bits, bits], axis=1)
    model = kerasar.models.NADE(8, hidden_units=16)
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(x, batch_size=100, epochs=15, verbose=0)
    assert 4 * np.log(2) - 0.1 < -model.log_prob(x).mean() < 3.2


def served_as_in_python(model, path):
    """And in-painted; from the model saved and loaded."""
    model.save(path / "model.keras")
    loaded = kerasar.load(path / "model.keras")
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.log_prob(X), model.log_prob(X))
    loaded.export(path / "1")
    scores, drawn, filled = serve(
        path / "1",
        [
            ("log_prob", dict(x=X)),
            ("sample", dict(num_samples=9, **OPTIONS)),
            ("inpaint", dict(x=X, known=X > 0, **OPTIONS)),
        ],
    )
    np.testing.assert_allclose(scores["log_prob_map"], model.log_prob_map(X), atol=1e-5)
    np.testing.assert_array_equal(drawn["samples"], model.sample(9, seed=3))
    np.testing.assert_array_equal(filled["samples"], model.inpaint(X, X > 0, seed=3))


@pytest.mark.long
def test_files_and_servers_give_equal_numbers(model, tmp_path):
    served_as_in_python(model, tmp_path)


# Orders.


def test_files_and_servers_keep_the_order(ordered, tmp_path):
    served_as_in_python(ordered, tmp_path)
    signatures = tf.saved_model.load(tmp_path / "1").signatures
    assert set(signatures) == {"serving_default", "log_prob", "sample", "inpaint"}


def test_an_order_is_a_permutation_of_the_data(model, ordered):
    np.testing.assert_allclose(ordered.log_prob(X), model.log_prob(X[:, ORDER]), rtol=1e-6)
    terms = ordered.log_prob_map(X)
    np.testing.assert_allclose(terms[:, ORDER], model.log_prob_map(X[:, ORDER]), rtol=1e-6)
    logits = np.asarray(ordered(X))
    np.testing.assert_allclose(logits[:, ORDER], model(X[:, ORDER]), rtol=1e-6)
    drawn = ordered.sample(9, seed=2)
    np.testing.assert_array_equal(drawn[:, ORDER], model.sample(9, seed=2))


@pytest.mark.parametrize("num", [1, 3])
def test_what_is_filled_in_follows_the_order(model, ordered, num):
    known = RNG.random(X.shape) < 0.5
    drawn = ordered.inpaint(X, known, num_completions=num)
    expected = model.inpaint(X[:, ORDER], known[:, ORDER], num_completions=num)
    np.testing.assert_array_equal(drawn[..., ORDER], expected)


def test_an_ordered_model_keeps_all_promises(ordered):
    check_normalized(ordered)
    check_samples(ordered)


def test_an_ordered_model_is_trained_on_what_it_scores(ordered):
    ordered.compile(jit_compile=False)
    found = ordered.evaluate(X, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["loss"], -ordered.log_prob(X).mean(), rtol=1e-5)


BAD_ORDERS = {
    "twice": ([0, 1, 2, 3, 3], ValueError, "permutation .*holds 3 more than once"),
    "too short": ([0, 1], ValueError, r"permutation .*shape is \(2,\)"),
    "outside": ([0, 1, 2, 3, 5], ValueError, "permutation .*holds 5"),
    "floats": ([0.0, 1.0, 2.0, 3.0, 4.0], TypeError, "order must be .*float64"),
    "a name": ("random", ValueError, "one fixed order.*order='random'.*MaskedInputModel"),
}


@pytest.mark.parametrize("name", BAD_ORDERS)
def test_what_is_no_permutation_is_refused(name):
    order, error, message = BAD_ORDERS[name]
    with pytest.raises(error, match=message):
        kerasar.models.NADE(5, hidden_units=4, order=order)


def test_an_ordered_model_has_no_beginning_and_no_end(ordered):
    with pytest.raises(ValueError, match=r"order of its own.*Use inpaint\(\)"):
        ordered.sample(2, prompt=X[:2, :2])
    with pytest.raises(ValueError, match="order of its own.*length. Leave it out"):
        ordered.log_prob({"x": X, "length": np.full(20, 3)})


# Bad input.


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: NADE(0), ValueError, "hidden_units of .* at least 1, but got 0"),
        (lambda: NADE(3, name="n")(X), ValueError, r"'n' got input shape \(20, 5\).*Reshape"),
        (
            lambda: NADE(3, name="n")(keras.Input((None, 1))),
            ValueError,
            r"number of variables known.*\(None, None, 1\)",
        ),
        (lambda: kerasar.models.NADE(0), ValueError, "dim must be at least 1, but got 0"),
        (
            lambda: kerasar.models.NADE(5, hidden_units=2.5),
            TypeError,
            "hidden_units must be an integer.*2.5",
        ),
    ],
)
def test_it_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_what_is_not_binary_is_refused(model):
    with pytest.raises(ValueError, match=r"x must lie in \[0, 2\), but holds 2"):
        model.log_prob(X + 1)
