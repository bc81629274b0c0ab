"""Masked-input models: the chain rule, its estimate in training, orders, in-painting."""

import functools
import itertools
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some

import kerasar
from kerasar.layers import mask_and_values
from kerasar.noise import uniforms
from kerasar.testing import check_frequencies, check_normalized, check_the_sample, randomize
from kerasar.training.batches import Batch

LEVELS = 3
X = np.random.default_rng(0).integers(0, LEVELS, (7, 4))
ORDERS = ["raster", (2, 0, 3, 1), "random"]
#: The order of the chain rule for each.
VISITS = {"raster": range(4), (2, 0, 3, 1): (2, 0, 3, 1), "random": range(4)}


def network(shape=(4,), levels=LEVELS, told=True, label=False, dtype=None):
    """Two dense layers on everything; whether told which value is asked for."""
    inputs = {
        "x": keras.Input(shape, dtype="int32", name="x"),
        "known": keras.Input(shape, dtype="bool", name="known"),
    }
    if told:
        inputs["position"] = keras.Input((), dtype="int32", name="position")
    h = keras.layers.Flatten(dtype=dtype)(mask_and_values(**inputs, levels=levels))
    if label:
        inputs["label"] = keras.Input((2,), name="label")
        h = keras.layers.Concatenate(dtype=dtype)([h, inputs["label"]])
    h = keras.layers.Dense(8, activation="tanh", dtype=dtype, name="hidden")(h)
    h = keras.layers.Dense(levels, dtype=dtype, name="logits")(h)
    return keras.Model(list(inputs.values()), h, name="net")


def tensors(x=(4,), known=(4,), position=(), output=(3,), name="known"):
    """A network on the raw values, with inputs and output as they are wished."""
    x, known = keras.Input(x, name="x"), keras.Input(known, name=name)
    position = keras.Input(position, name="position")
    size = int(np.prod(output))
    h = keras.layers.Concatenate()([keras.layers.Flatten()(t) for t in (x, known)])
    h = keras.layers.Dense(size)(h) + 0 * keras.layers.Dense(size)(keras.layers.Flatten()(position))
    return keras.Model([x, known, position], keras.layers.Reshape(output)(h), name="net")


def fresh(order="raster", **kwargs):
    model = kerasar.MaskedInputModel(network(**kwargs), order)
    randomize(model.network)
    return model


@functools.cache
def masked(order="raster", **kwargs):
    """A model that a test does not change; its traced graphs serve other tests too."""
    return fresh(order, **kwargs)


def log_conditional(model, x, known, place):
    """log p(value | known) of each value for one example, straight from the network."""
    inputs = dict(
        x=np.where(known, x, 0)[None], known=np.asarray(known)[None], position=np.array([place])
    )
    logits = np.asarray(model.network([inputs[t.name] for t in model.network.inputs]))[0]
    return logits - np.log(np.exp(logits).sum())


def chain(model, x, order):
    """log p of one example by the chain rule, place after place."""
    known, terms = np.zeros(len(x), bool), np.zeros(len(x))
    for place in order:
        terms[place] = log_conditional(model, x, known, place)[x[place]]
        known[place] = True
    return terms


# Log-probability.


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("shape", [(4,), (1, 2, 2)], ids=["sequence", "two channels"])
def test_the_probabilities_of_all_inputs_sum_to_one(order, shape):
    check_normalized(masked(order, shape=shape))


def test_a_network_that_ignores_the_mask_sees_nothing_hidden_either():
    model = kerasar.MaskedInputModel(tensors())
    randomize(model.network)
    check_normalized(model)


@pytest.mark.parametrize(("order", "visits"), list(VISITS.items()), ids=str)
def test_log_prob_is_the_chain_rule_in_that_order(order, visits):
    model = masked(order)
    expected = [chain(model, x, visits) for x in X]
    np.testing.assert_allclose(model.log_prob_map(X), expected, atol=1e-5)
    np.testing.assert_allclose(model.log_prob(X, batch_size=3), np.sum(expected, 1), atol=1e-5)
    assert model.log_prob(X).dtype == np.float32 and model.exact


def test_the_model_itself_gives_all_conditionals():
    model = masked((2, 0, 3, 1))
    parameters = model.compute_parameters(tf.constant(X))
    assert parameters.shape == (7, 4, LEVELS)
    terms = model.likelihood.log_prob(parameters, X)
    np.testing.assert_allclose(terms, model.log_prob_map(X), atol=1e-6)


@pytest.mark.parametrize("order", ["raster", "random"])
def test_positions_past_the_length_count_nothing_and_inform_nobody(order):
    model = masked(order)
    length = np.array([1, 2, 3, 4, 4, 2, 1])
    real = np.arange(4) < length[:, None]
    terms = model.log_prob_map({"x": X, "length": length})
    np.testing.assert_array_equal(terms != 0, real)
    padded = np.where(real, X, 1)
    np.testing.assert_array_equal(model.log_prob_map({"x": padded, "length": length}), terms)
    estimates = []
    for x in (X, padded):
        model.reset_metrics()
        batch = Batch(tf.repeat(x, 300, axis=0), length=tf.repeat(length, 300))
        estimates.append(model.negative_log_likelihood(batch, training=False))
    np.testing.assert_array_equal(estimates[0], estimates[1])
    if order == "raster":
        mean = estimates[0].numpy().reshape(7, 300).mean(1)
        np.testing.assert_allclose(mean, -terms.sum(1), atol=0.1)


# The estimate that is trained.


def expected_nats(model, x):
    """Exact nats of one example; for random orders their mean over all orders."""
    if model.order != "random":
        return -chain(model, x, model.chain_order()).sum()
    orders = itertools.permutations(range(len(x)))
    return -np.mean([chain(model, x, order).sum() for order in orders])


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_the_loss_is_an_unbiased_estimate_of_nats(order, training):
    model = masked(order)
    many = np.repeat(X[:1], 20_000, axis=0)
    nats = (
        model.negative_log_likelihood(Batch(tf.constant(many)), training).numpy().astype("float64")
    )
    assert nats.std() > 0.1  # one position each, not all
    error = nats.std() / len(many) ** 0.5
    assert nats.mean() == pytest.approx(expected_nats(model, X[0]), abs=4.5 * error)


def test_the_mean_over_all_positions_is_exact(monkeypatch):
    model = masked((2, 0, 3, 1))
    total = 0.0
    for turn, place in enumerate(model.order):
        known = np.zeros((7, 4), bool)
        known[:, model.order[:turn]] = True
        monkeypatch.setattr(model, "_draw", lambda *_, k=known, p=place: (k, tf.fill([7], p)))
        total += model.negative_log_likelihood(Batch(tf.constant(X)), training=True).numpy() / 4
    np.testing.assert_allclose(total, -model.log_prob(X), rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_what_is_known_and_asked_for_is_spread_evenly(training):
    model = masked("random")
    known, position = model._draw(model._uniforms(tf.range(24_000), training))
    known, position = known.numpy(), position.numpy()
    assert not known[np.arange(24_000), position].any()
    # How many are known, and which place is asked for, are independent and uniform.
    pairs = np.bincount(known.sum(1) * 4 + position, minlength=16)
    assert np.abs(pairs / 1500 - 1).max() < 0.13  # 5 standard deviations of 1 / √1500
    two = known.sum(1) == 2
    sets = np.unique(np.packbits(known[two], axis=1), return_counts=True)[1]
    assert len(sets) == 6 and np.abs(sets / sets.mean() - 1).max() < 0.16


def test_evaluate_asks_the_same_each_time_whatever_the_batch():
    model = fresh("random")
    model.compile()
    losses = [
        model.evaluate(X, batch_size=size, verbose=0, return_dict=True)["loss"]
        for size in (7, 7, 3)
    ]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)
    history = model.fit(X, validation_data=(X,), epochs=1, verbose=0).history
    after = model.evaluate(X, verbose=0, return_dict=True)["loss"]
    assert history["val_loss"] == [pytest.approx(after, rel=1e-6)]
    assert after != losses[0]  # the weights moved


@pytest.mark.parametrize("order", some(ORDERS[1:], ["random"]), ids=str)
def test_training_learns_what_there_is_to_learn(order):
    """Two sequences only: ln 2 nats, whatever the order."""
    x = np.repeat([[0, 1, 2, 2], [1, 2, 0, 1]], 128, axis=0)
    keras.utils.set_random_seed(0)
    model = kerasar.MaskedInputModel(network(), order)
    model.compile(keras.optimizers.Adam(0.05))
    before = -model.log_prob(x).mean()
    history = model.fit(x, batch_size=64, epochs=30, verbose=0).history
    assert set(history) == {"loss", "bits_per_dim", "perplexity"}
    after = -model.log_prob(x).mean()
    assert before > 3 and np.log(2) - 1e-3 < after < 1.2


def test_a_weight_that_is_not_finite_is_named():
    model = fresh("random")
    model.compile()
    hidden = model.network.get_layer("hidden")
    model.fit(X, verbose=0)
    hidden.kernel.assign(np.full(hidden.kernel.shape, np.nan))
    with pytest.raises(FloatingPointError, match="hidden"):
        model.fit(X, verbose=0)


# Sampling.


@pytest.mark.parametrize("order", ORDERS[:2], ids=str)
def test_samples_follow_log_prob(order):
    check_frequencies(masked(order))


def test_samples_of_random_orders_follow_log_prob_in_raster_order():
    model = masked("random")
    view = SimpleNamespace(
        data_shape=model.data_shape,
        data_levels=model.data_levels,
        log_prob=model.log_prob,
        sample=lambda *args, **kwargs: model.sample(*args, order="raster", **kwargs),
    )
    check_frequencies(view)


@pytest.mark.parametrize("order", ORDERS[:2], ids=str)
def test_a_sample_is_what_the_noise_picks(order):
    model = masked(order, shape=(2, 3, 1) if order == "raster" else (4,))
    options = dict(seed=5, temperature=1.7, top_k=2)
    drawn = model.sample(60, **options)
    assert drawn.dtype == np.int32 and drawn.shape == (60, *model.data_shape)
    check_the_sample(model, drawn, **options)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_the_kth_sample_does_not_depend_on_how_many_are_drawn(order):
    model = masked(order)
    drawn = model.sample(20, seed=1)
    np.testing.assert_array_equal(model.sample(5, seed=1), drawn[:5])
    np.testing.assert_array_equal(model.sample(20, seed=1, chunk_size=3), drawn)
    assert (model.sample(20, seed=2) != drawn).any()


def adaptive_by_hand(model, x, known, example, seed):
    """Draws the value of the lowest entropy first, in NumPy; noise belongs to the place."""
    x, known, order = x.copy(), known.copy(), []
    while not known.all():
        found = {}
        for place in np.flatnonzero(~known):
            log_p = log_conditional(model, x, known, place)
            found[place] = (-(np.exp(log_p) * log_p).sum(), log_p)
        place = min(found, key=lambda place: found[place][0])
        u = uniforms(tf.constant(seed), tf.constant(example), tf.constant(place), LEVELS)
        x[place] = np.argmax(found[place][1] - np.log(-np.log(u.numpy())))
        known[place] = True
        order.append(int(place))
    return x, order


def test_the_surest_value_is_drawn_first():
    model = masked("random")
    drawn = model.sample(12, seed=3)
    orders = set()
    for k in range(12):
        expected, order = adaptive_by_hand(model, np.zeros(4, int), np.zeros(4, bool), k, 3)
        np.testing.assert_array_equal(drawn[k], expected)
        orders.add(tuple(order))
    assert len(orders) > 1  # they differ from example to example
    np.testing.assert_array_equal(model.sample(12, seed=3, order="adaptive"), drawn)
    assert (model.sample(12, seed=3, order="raster") != drawn).any()


def test_any_order_can_be_asked_of_random_orders():
    model = masked("random")
    order = (3, 1, 0, 2)
    drawn = model.sample(5, seed=2, order=order)
    for k in range(5):
        x, known = np.zeros(4, int), np.zeros(4, bool)
        for place in order:
            u = uniforms(tf.constant(2), tf.constant(k), tf.constant(place), LEVELS).numpy()
            x[place] = np.argmax(log_conditional(model, x, known, place) - np.log(-np.log(u)))
            known[place] = True
        np.testing.assert_array_equal(drawn[k], x)


# In-painting.

KNOWN = np.random.default_rng(1).random((40, 4)) < 0.5
GIVEN = np.random.default_rng(2).integers(0, LEVELS, (40, 4))


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_known_values_stay_and_hidden_ones_do_not_matter(order):
    model = masked(order)
    drawn = model.inpaint(GIVEN, KNOWN, seed=3, num_completions=2)
    assert drawn.shape == (40, 2, 4) and drawn.min() >= 0 and drawn.max() < LEVELS
    for version in (0, 1):
        np.testing.assert_array_equal(drawn[:, version][KNOWN], GIVEN[KNOWN])
    assert (drawn[:, 0] != drawn[:, 1]).any()
    rubbish = np.where(KNOWN, GIVEN, np.nan)
    np.testing.assert_array_equal(model.inpaint(rubbish, KNOWN, seed=3), drawn[:, 0])
    np.testing.assert_array_equal(
        model.inpaint(GIVEN, KNOWN, seed=3, num_completions=2, chunk_size=7), drawn
    )


def test_in_a_fixed_order_only_earlier_values_are_used():
    model = masked((2, 0, 3, 1))
    known = np.array([[False, True, True, False]] * 40)  # 1 comes last, 2 first
    drawn = model.inpaint(GIVEN, known, seed=0)
    for place, matters in ((1, False), (2, True)):
        moved = GIVEN.copy()
        moved[:, place] = (moved[:, place] + 1) % LEVELS
        unknown = ~known[0]
        again = model.inpaint(moved, known, seed=0)
        assert (again[:, unknown] != drawn[:, unknown]).any() == matters


@pytest.mark.parametrize("order", [None, "raster"])
def test_with_random_orders_all_known_values_are_used(order):
    model = masked("random")
    known = np.array([[False, True, False, True]] * 40)
    drawn = model.inpaint(GIVEN, known, seed=0, order=order)
    for place in (1, 3):
        moved = GIVEN.copy()
        moved[:, place] = (moved[:, place] + 1) % LEVELS
        again = model.inpaint(moved, known, seed=0, order=order)
        assert (again[:, [0, 2]] != drawn[:, [0, 2]]).any()


def test_one_unknown_value_is_drawn_from_its_conditional():
    model = masked("random")
    known = np.array([[True, False, True, True]])
    drawn = model.inpaint(X[:1], known, num_completions=4000)[0, :, 1]
    expected = np.exp(log_conditional(model, X[0], known[0], 1))
    found = np.bincount(drawn, minlength=LEVELS) / 4000
    deviation = np.sqrt(expected * (1 - expected) / 4000)  # of a binomial
    assert (np.abs(found - expected) < 4.5 * deviation).all()


def test_nothing_known_is_sampling_and_everything_known_comes_back():
    for order in ORDERS:
        model = masked(order)
        np.testing.assert_array_equal(
            model.inpaint(GIVEN[:6], np.zeros((6, 4), bool), seed=8), model.sample(6, seed=8)
        )
        np.testing.assert_array_equal(model.inpaint(GIVEN, np.ones((40, 4), bool)), GIVEN)


# The conditional of one value.


def test_a_conditional_is_the_networks_answer():
    model = masked("random")
    known = np.array([[True, False, False, True]] * 7)
    logits = model.conditional(X, known, 2)
    assert logits.shape == (7, LEVELS) and logits.dtype == np.float32
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = [log_conditional(model, x, k, 2) for x, k in zip(X, known, strict=True)]
    np.testing.assert_allclose(log_p, expected, atol=1e-5)
    itself = known.copy()
    itself[:, 2] = True
    np.testing.assert_array_equal(model.conditional(X, itself, 2), logits)
    hidden = np.where(known, X, np.nan)
    np.testing.assert_array_equal(model.conditional(hidden, known, 2), logits)


def test_conditionals_of_a_fixed_order_make_up_log_prob():
    model = masked((2, 0, 3, 1), shape=(2, 2, 1))
    x = X.reshape(7, 2, 2, 1)
    everything = np.ones(x.shape, bool)
    total = 0.0
    for place in range(4):
        logits = model.conditional(x, everything, (place // 2, place % 2, 0))
        np.testing.assert_array_equal(model.conditional(x, everything, place), logits)
        total += logits[np.arange(7), X[:, place]] - np.log(np.exp(logits).sum(1))
    np.testing.assert_allclose(total, model.log_prob(x), atol=1e-5)


# Conditions, precision, saving.


def test_a_condition_reaches_everything(tmp_path):
    model = fresh("random", label=True)
    label = np.random.default_rng(0).normal(size=(7, 2)).astype("float32")
    assert model.conditions.shapes == {"label": (2,)}
    check_normalized(model, condition=label[:1])
    assert (model.log_prob(X, label) != model.log_prob(X, label + 1)).all()
    assert (model.sample(7, condition=label) != model.sample(7, condition=9 * label)).any()
    known = np.zeros((7, 4), bool)
    assert (
        model.conditional(X, known, 0, label) != model.conditional(X, known, 0, label + 1)
    ).all()
    model.compile()
    model.fit({"x": X, "condition": label}, verbose=0)
    with pytest.raises(ValueError, match="needs the condition"):
        model.log_prob(X)


def test_low_precision_gives_the_same_up_to_rounding():
    exact, low = masked("random"), fresh("random", dtype="mixed_bfloat16")
    low.set_weights(exact.get_weights())
    found = low.log_prob(X)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact.log_prob(X), atol=0.1)  # 8 bits of mantissa
    assert (found != exact.log_prob(X)).any()
    low.compile()
    low.fit(X, verbose=0)


@pytest.mark.parametrize("order", some(ORDERS[1:], ORDERS[1:2]), ids=str)
def test_a_file_gives_the_model_back(order, tmp_path):
    model = fresh(order)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(X, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    assert type(loaded) is kerasar.MaskedInputModel and loaded.order == model.order
    np.testing.assert_array_equal(loaded.log_prob(X), model.log_prob(X))
    np.testing.assert_array_equal(loaded.sample(6, seed=4), model.sample(6, seed=4))
    assert loaded.evaluate(X, verbose=0) == model.evaluate(X, verbose=0)
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.01)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.log_prob(X), model.log_prob(X))


# What is refused.


@pytest.mark.parametrize(
    ("order", "kind", "message"),
    [
        ([0, 1, 2], ValueError, r"each of the integers 0 … 3 once.*shape is \(3,\)"),
        ([0, 1, 2, 2], ValueError, "permutation of the 4 values, but holds 2 more than once"),
        ([0, 1, 2, 4], ValueError, "permutation.*but holds 4"),
        ([0, 1, 2, -1], ValueError, "permutation.*but holds -1"),
        ([[0, 1], [2, 3]], ValueError, r"shape is \(2, 2\)"),
        ([], ValueError, r"shape is \(0,\)"),
        ([0.0, 1.0, 2.0, 3.0], TypeError, "sequence of integers, but holds float64"),
        ("spiral", ValueError, "'raster', 'random' or a permutation.*'spiral'"),
        (None, TypeError, "order must hold numbers"),
    ],
)
def test_an_order_that_is_none(order, kind, message):
    with pytest.raises(kind, match=message):
        kerasar.MaskedInputModel(network(), order)


def test_random_orders_need_a_network_that_is_told_the_position():
    with pytest.raises(ValueError, match=r"no input named 'position'.*keras.Input\(\(\)"):
        kerasar.MaskedInputModel(network(told=False), "random")
    check_normalized(kerasar.MaskedInputModel(network(told=False)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(name="mask"), "inputs named 'x' and 'known'.*'mask'"),
        (dict(known=(3,)), r"of the same shape.*\(3,\)"),
        (dict(position=(1,)), r"position.*one integer for each example.*\('batch', 1\)"),
        (dict(output=(4, 3)), r"one output, \(batch, levels\).*\('batch', 4, 3\)"),
        (dict(output=(1,)), "at least 2"),
    ],
)
def test_a_network_that_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        kerasar.MaskedInputModel(tensors(**arguments))


def test_a_network_that_leaves_its_size_open():
    x, known = keras.Input((None,), name="x"), keras.Input((None,), name="known")
    h = keras.ops.expand_dims(keras.ops.sum(x * known, axis=1), -1)
    with pytest.raises(ValueError, match="needs to know its size"):
        kerasar.MaskedInputModel(keras.Model([x, known], keras.layers.Dense(3)(h)))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda m: m.sample(0), ValueError, "num_samples must be at least 1"),
        (lambda m: m.sample(2, seed=-1), ValueError, "seed must be at least 0"),
        (lambda m: m.sample(2, temperature=0), ValueError, "temperature must be a number above 0"),
        (lambda m: m.sample(2, top_k=4), ValueError, "top_k must be at most.*3"),
        (lambda m: m.sample(2, chunk_size=0), ValueError, "chunk_size must be at least 1"),
        (lambda m: m.sample(2, order="random"), ValueError, "order='random' is for training"),
        (lambda m: m.sample(2, order=[0, 1]), ValueError, r"shape is \(2,\)"),
        (lambda m: m.sample(2, condition=[1]), ValueError, "has no condition"),
        (lambda m: m.inpaint(X, X), TypeError, "known must be Boolean"),
        (lambda m: m.inpaint(X, X[:2] > 0), ValueError, "known must have the shape of x"),
        (lambda m: m.inpaint(X + 3, X >= 0), ValueError, r"x must lie in \[0, 3\)"),
        (
            lambda m: m.inpaint(X, X > 0, num_completions=0),
            ValueError,
            "num_completions must be at least 1",
        ),
        (lambda m: m.conditional(X, X > 0, 4), ValueError, "integer below 4.*got 4"),
        (lambda m: m.conditional(X, X > 0, -1), ValueError, "position must be at least 0"),
        (lambda m: m.conditional(X, X > 0, 1.0), TypeError, "position must be an integer"),
        (lambda m: m.conditional(X, X > 0, (1, 1)), ValueError, r"shape \(4,\).*\(1, 1\)"),
        (lambda m: m.conditional(X, X, 1), TypeError, "known must be Boolean"),
        (lambda m: m.log_prob(X[:, :3]), ValueError, r"\(batch, 4\)"),
        (lambda m: m.log_prob(X + 1), ValueError, r"lie in \[0, 3\)"),
    ],
)
def test_bad_arguments_are_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call(masked("random"))


def test_a_fixed_order_knows_no_other():
    model = masked((2, 0, 3, 1))
    for order in ("raster", (0, 1, 2, 3)):
        with pytest.raises(ValueError, match="trained in a fixed order and knows no other"):
            model.sample(2, order=order)
    with pytest.raises(ValueError, match="order='adaptive' needs"):
        model.sample(2, order="adaptive")
    np.testing.assert_array_equal(model.sample(2, order=(2, 0, 3, 1)), model.sample(2))
    with pytest.raises(ValueError, match="index 3.*known is False at index 0 of example 0"):
        model.conditional(X, np.array([[False, True, True, True]] * 7), 3)
    with pytest.raises(ValueError, match="unequal length need"):
        model.log_prob({"x": X, "length": np.full(7, 2)})
