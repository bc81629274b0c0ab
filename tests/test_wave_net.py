"""WaveNet: its equations, what it sees, its conditions, and what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some
from serving import serve

import kerasar
from kerasar.distributions.likelihoods import DiscretizedLogisticMixture, GaussianMixture
from kerasar.models import WaveNet
from kerasar.testing import (
    check_causal_by_probe,
    check_normalized,
    check_samples,
    check_the_sample,
    randomize,
)

SMALL = dict(filters=4, skip_filters=6, cycles=2, cycle_length=3)
TINY = dict(filters=4, skip_filters=4, cycles=1, cycle_length=2)


def fresh(length, levels=5, **options):
    model = WaveNet(length, levels, **(SMALL | options))
    randomize(model.network)
    return model


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


CONDITIONS = {
    "none": ({}, None),
    "class": (dict(num_classes=3), np.array([2])),
    "vector": (dict(global_features=3), noise(1, 3)),
    "local": (dict(local_features=2, hop=2), noise(1, 2, 2)),
    "learned": (dict(local_features=2, hop=4, upsampling="learned"), noise(1, 1, 2)),
    "both": (
        dict(num_classes=3, local_features=2),
        {"global": np.array([1]), "local": noise(1, 4, 2)},
    ),
}


@pytest.mark.parametrize(("inputs", "size"), [("one_hot", 2), ("embedding", 3), ("scalar", 2)])
def test_it_sees_all_steps_up_to_its_reach_and_no_further(inputs, size):
    options = dict(filters=12, skip_filters=12, cycles=2, cycle_length=2, kernel_size=size)
    model = fresh(19, input_encoding=inputs, **options)
    reach = (size - 1) * (1 + 2 * (2**2 - 1)) + 1
    assert kerasar.receptive_field(model.network).reach == reach
    x = np.random.default_rng(0).integers(5, size=(12, 19))
    seen = {-lag for lag in range(1, reach + 1)}
    check_causal_by_probe(model.network, x, lambda v: (v + 1) % 5, seen)


def test_cycles_begin_again_at_one():
    model = WaveNet(32, 4, **SMALL)
    rates = [model.network.get_layer(f"conv{i}").dilation_rate[0] for i in range(6)]
    assert rates == [1, 2, 4, 1, 2, 4]


def test_it_computes_the_equations_of_the_paper():
    """One example, step by step, with loops over taps: equations 2 and 3 and figure 4."""
    options = dict(num_classes=3, local_features=2, hop=3)
    model = fresh(12, **options)
    local, label = noise(1, 4, 2), np.array([1])
    x = np.random.default_rng(0).integers(5, size=(1, 12))
    expected = model.network({"x": x, "global": label, "local": local})[0]

    weights = {layer.name: layer.get_weights() for layer in model.network.layers if layer.weights}

    def conv(name, h, rate=1):
        kernel, bias = weights[name]
        padded = np.concatenate([np.zeros((rate, h.shape[1])), h])
        return np.array(
            [padded[t] @ kernel[0] + padded[t + rate] @ kernel[1] + bias for t in range(len(h))]
        )

    def dense(name, h):
        return h @ weights[name][0] + (weights[name][1] if len(weights[name]) > 1 else 0)

    past = np.concatenate([np.zeros((1, 5)), np.eye(5)[x[0, :-1]]])
    h = conv("causal", past)
    skips = weights["skips"][1]
    for i in range(6):
        both = conv(f"conv{i}", h, 2 ** (i % 3))
        both += dense(f"global{i}", weights["class"][0][1])
        both += np.array([dense(f"local{i}", local[0, t // 3]) for t in range(12)])
        z = np.tanh(both[:, :4]) / (1 + np.exp(-both[:, 4:]))
        skips = skips + z @ weights["skips"][0][4 * i : 4 * i + 4]
        if i < 5:
            h = h + dense(f"residual{i}", z)
    head = np.maximum(dense("head", np.maximum(skips, 0)), 0)
    np.testing.assert_allclose(dense("parameters", head), expected, atol=1e-4)


@pytest.mark.parametrize("name", CONDITIONS)
def test_its_probabilities_sum_to_one(name):
    options, condition = CONDITIONS[name]
    check_normalized(fresh(4, 4, **TINY, **options), condition)


@pytest.mark.parametrize("name", some(["class", "learned", "both"], ["learned", "both"]))
def test_it_is_drawn_from_its_caches(name):
    options, condition = CONDITIONS[name]
    model = fresh(4, 4, **TINY, **options)
    check_samples(model, num_samples=8, condition=condition, methods=["cached"])


def test_compiled_it_draws_the_same():
    model = fresh(24, num_classes=3, local_features=2, hop=4, **TINY)
    condition = {"global": np.arange(8) % 3, "local": noise(8, 6, 2)}
    drawn = model.sample(8, condition=condition, jit_compile=True)
    check_the_sample(model, drawn, condition=condition)


def test_the_class_reaches_every_step_and_only_its_own_example():
    model = fresh(9, num_classes=3)
    x = np.random.default_rng(0).integers(5, size=(2, 9))
    before = np.asarray(model.network({"x": x, "global": np.array([0, 1])}))
    after = np.asarray(model.network({"x": x, "global": np.array([2, 1])}))
    assert (np.abs(after[0] - before[0]).max(axis=-1) > 1e-4).all()
    np.testing.assert_array_equal(after[1], before[1])


@pytest.mark.parametrize("upsampling", ["repeat", "learned"])
def test_a_local_step_begins_to_work_where_it_lies(upsampling):
    model = fresh(16, local_features=2, hop=4, upsampling=upsampling)
    x = np.random.default_rng(0).integers(5, size=(4, 16))
    series = noise(4, 4, 2)
    moved = series.copy()
    moved[:, 2] += 1.0
    outputs = [np.asarray(model.network({"x": x, "local": part})) for part in (series, moved)]
    changed = np.flatnonzero(np.abs(outputs[0] - outputs[1]).max(axis=(0, 2)) > 1e-4)
    # A learned upsampling reaches half a hop to either side.
    assert changed[0] == (8 if upsampling == "repeat" else 6)


def test_wrong_conditions_are_refused_with_both_lengths():
    model = fresh(None, local_features=2, hop=4)
    x = np.zeros((3, 16), int)
    with pytest.raises(
        ValueError, match=r"'local' has 3 steps.*3 × 4 = 12.*length 16.*Give 4 steps"
    ):
        model.log_prob(x, condition=noise(3, 3, 2))
    with pytest.raises(ValueError, match="length 18.*multiple of 4"):
        model.sample(3, length=18, condition=noise(3, 4, 2))
    fixed = fresh(16, local_features=2, hop=4)
    fixed.compile()
    with pytest.raises(ValueError, match=r"3 × 4 = 12.*length 16"):
        fixed.fit({"x": x, "condition": noise(3, 3, 2)})


def test_a_class_that_the_network_does_not_know_is_refused():
    model = fresh(6, num_classes=3)
    with pytest.raises(ValueError, match=r"'global' must lie in \[0, 3\).*holds 3"):
        model.sample(1, condition=[3])


def test_saved_it_gives_equal_numbers(tmp_path):
    model = fresh(8, num_classes=3, local_features=2, hop=2, upsampling="learned")
    x = np.random.default_rng(0).integers(5, size=(3, 8))
    condition = {"global": np.array([0, 1, 2]), "local": noise(3, 4, 2)}
    model.save(tmp_path / "model.keras")
    again = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.log_prob(x, condition), model.log_prob(x, condition))


@pytest.mark.long  # tests/test_served_kinds.py has all kinds
def test_served_it_gives_equal_numbers_and_samples(tmp_path):
    model = fresh(None, num_classes=3, local_features=2, hop=2, **TINY)
    x = np.random.default_rng(0).integers(5, size=(3, 8)).astype("int32")
    label, local = np.array([0, 1, 2], "int32"), noise(3, 4, 2)
    condition = {"global": label, "local": local}
    model.export(tmp_path / "1")
    options = dict(num_samples=3, length=8, seed=4, temperature=1.0, top_k=0, top_p=1.0)
    given, drawn, unknown, short = serve(
        tmp_path / "1",
        [
            ("serving_default", dict(x=x, global_=label, local=local)),
            ("sample", dict(global_=label, local=local, **options)),
            ("serving_default", dict(x=x, global_=label + 1, local=local)),
            ("sample", dict(global_=label, local=local[:, 1:], **options)),
        ],
    )
    assert "condition global in [0, 3)" in unknown
    assert "2 steps for each of condition local" in short
    np.testing.assert_allclose(given["log_prob"], model.log_prob(x, condition), atol=1e-5)
    expected = model.sample(3, length=8, seed=4, condition=condition)
    np.testing.assert_array_equal(drawn["samples"], expected)


def test_conditions_that_stream_in_are_checked():
    model = fresh(8, num_classes=3, **TINY)
    model.compile(jit_compile=False)
    data = {"x": np.zeros((8, 8), "int32"), "condition": np.array([0, 1, 2, 0, 1, 2, 0, 7])}
    stream = tf.data.Dataset.from_tensor_slices(data).batch(4)
    with pytest.raises(ValueError, match=r"condition global in \[0, 3\)"):
        model.fit(stream, verbose=0)


@pytest.mark.parametrize("inputs", some(["one_hot", "scalar"], ["scalar"]))
def test_a_mixture_of_logistics_is_a_likelihood_for_audio(inputs):
    check_normalized(
        fresh(2, 256, input_encoding=inputs, likelihood=DiscretizedLogisticMixture(256, 2)),
        tolerance=1e-4,
    )


def test_real_numbers_come_as_a_scalar_of_their_own_accord():
    model = fresh(8, None, likelihood=GaussianMixture(2, mean=5.0, scale=2.0))
    assert model.sample(2).dtype == np.float32
    assert np.isfinite(model.log_prob(np.full((1, 8), 5.0))).all()


def test_in_low_precision_it_is_nearly_the_same():
    model = fresh(16)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        low = WaveNet(16, 5, **SMALL)
    finally:
        keras.config.set_dtype_policy(before)
    low.network.set_weights(model.network.get_weights())
    x = np.random.default_rng(0).integers(5, size=(4, 16))
    # 8 bits of mantissa through seven layers.
    np.testing.assert_allclose(low.log_prob(x), model.log_prob(x), rtol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(num_classes=2, global_features=3), "both num_classes=2 and global_features=3"),
        (dict(upsampling="linear"), "upsampling 'repeat' or 'learned'.*'linear'"),
        (dict(hop=4), "hop=4.*got none.*local_features"),
        (dict(local_features=2, hop=3), "multiple of 3, but WaveNet got length=16. Take length=15"),
        (dict(cycles=0), "cycles must be at least 1, but got 0"),
        (dict(num_classes=0), "classes must be at least 2, but got 0"),
        (dict(input_encoding="bits"), "input_encoding='bits'"),
    ],
)
def test_it_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        WaveNet(**(dict(length=16, levels=4) | SMALL | options))
