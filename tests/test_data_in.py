"""Data on their way in: what float32 cannot hold, masked arrays, memory maps."""

from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some

import kerasar
from kerasar.checks import check_data, is_mapped
from kerasar.data.batching import array_batches
from kerasar.layers import AffineCoupling, StandardizeBijection

RNG = np.random.default_rng(0)
FAR = np.stack([1e8 + RNG.normal(size=400), RNG.normal(size=400)], 1)
X = RNG.integers(0, 3, (12, 4)).astype("int32")


def flow(dtype="float32", **kwargs):
    couplings = [AffineCoupling(hidden_units=(4,), dtype=dtype)]
    model = kerasar.FlowModel([StandardizeBijection(dtype=dtype), *couplings], (2,), **kwargs)
    model.compile(jit_compile=False)
    return model


# What float32 cannot hold.


@pytest.mark.parametrize(
    "x", [FAR, FAR.astype("int64"), np.stack([1.6e9 + np.arange(400), FAR[:, 1]], 1)]
)
def test_values_that_float32_rounds_to_a_few_are_refused(x):
    words = r"float32, which near .* resolves steps of .*, but x\[\.\.\., 0\] varies by"
    for run in (lambda: flow().fit(x, verbose=0), lambda: flow().log_prob(x)):
        with pytest.raises(ValueError, match=words):
            run()
    with pytest.raises(ValueError, match="x must be what float32 can hold"):
        flow().fit(tf.data.Dataset.from_tensor_slices(x).batch(100), verbose=0)
    with pytest.raises(ValueError, match="feature 0 varies"):
        flow().bijection.bijections[0].adapt(x.astype("float64"))


def test_values_beyond_float32_are_refused():
    with pytest.raises(ValueError, match="1e\\+39, which is more than float32 can hold"):
        flow().fit(np.where(FAR > 1e6, 1e39, FAR), verbose=0)


def test_sequences_that_float32_cannot_hold_are_refused():
    likelihood = kerasar.distributions.GaussianMixture(mean=1e8, scale=1.0)
    model = kerasar.models.CausalConvNet(None, None, likelihood=likelihood, dilations=(1,))
    model.compile(jit_compile=False)
    with pytest.raises(ValueError, match="resolves steps of"):
        model.fit(FAR[:, :1].reshape(40, 10), verbose=0)


def test_a_model_of_float64_keeps_every_digit():
    model = flow("float64")
    model.fit(FAR, epochs=2, verbose=0)
    np.testing.assert_allclose(model.bijection.bijections[0].mean[0], FAR[:, 0].mean(), rtol=1e-14)
    found = model.evaluate(FAR, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["loss"], -model.log_prob(FAR).mean(), rtol=1e-6)


def test_a_column_that_float32_cannot_hold_is_named(tmp_path):
    path = tmp_path / "far.csv"
    np.savetxt(path, FAR, "%.6f", ",", header="t,v", comments="")
    for load in (kerasar.data.load_vectors, kerasar.data.load_series):
        with pytest.raises(ValueError, match="column 't' of '.*far.csv' varies by"):
            load(path)


@pytest.mark.parametrize("x", [1e3 + FAR[:, 1:], np.full((9, 1), 0.1), FAR[:3, :1]])
def test_values_that_float32_holds_are_taken(x):
    assert check_data(x, (1,), None).dtype == np.float64


# Masked arrays.

MASKED = np.ma.masked_equal(X, 2)


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.fit(MASKED, verbose=0),
        lambda model: model.fit({"x": MASKED}, verbose=0),
        lambda model: model.fit(X, validation_data=MASKED, verbose=0),
        lambda model: model.evaluate(MASKED, verbose=0),
        lambda model: model.log_prob(MASKED),
        lambda model: model.log_prob(list(MASKED)),
        lambda model: model.log_prob({"x": X, "length": np.ma.masked_equal([4] * 12, 4)}),
        lambda model: model.sample(12, prompt=MASKED[:, :2]),
        lambda model: model.inpaint(MASKED, np.ones(X.shape, bool)),
        lambda model: kerasar.forecast(model, np.ma.masked_equal([0, 1, 2], 1), 1),
        lambda model: kerasar.data.windows(MASKED.ravel(), 3),
        lambda model: kerasar.data.pipeline(MASKED, 4),
        lambda model: kerasar.data.pipeline(X, 4, condition=MASKED),
        lambda model: kerasar.data.Quantizer(0, 2, 3).encode(MASKED),
        lambda model: flow().log_prob(np.ma.masked_less(FAR[:, ::-1], 0)),
    ],
)
def test_a_masked_value_is_never_the_one_under_the_mask(sequences, use):
    model = sequences()
    model.compile(jit_compile=False)
    with pytest.raises(ValueError, match=r"is a masked array.*filled\(…\).*length"):
        use(model)


def test_a_masked_array_without_a_masked_value_is_an_array(sequences):
    model = sequences()
    np.testing.assert_array_equal(model.log_prob(np.ma.array(X)), model.log_prob(X))


# Memory maps.


MAPPED = list(product([True, False], ["uint8", "int64", "float32"]))


@pytest.mark.parametrize("case", some(MAPPED, [(True, "uint8"), (False, "float32")]), ids=str)
def test_a_memory_map_trains_as_an_array_and_stays_on_its_disk(sequences, tmp_path, case):
    shuffle, dtype = case
    np.save(tmp_path / "x.npy", X.astype(dtype))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    found = []
    for x in (mapped, X):
        keras.utils.set_random_seed(1)
        model = sequences()
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        model.fit(x, batch_size=5, validation_split=0.25, shuffle=shuffle, epochs=2, verbose=0)
        found.append([model.log_prob(x), *model.get_weights()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_checks_of_a_memory_map_copy_nothing(tmp_path):
    np.save(tmp_path / "x.npy", FAR)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert is_mapped(check_data(mapped, (2,), None, dtype="float64"))
    assert is_mapped(np.asarray(mapped)[3:]) and not is_mapped(FAR[3:])
    first = next(iter(array_batches(mapped, 4, shuffle=False, dtype="float32")))
    assert first.dtype == tf.float32
    np.testing.assert_array_equal(first, FAR[:4].astype("float32"))


def test_a_value_deep_in_a_memory_map_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasar.checks._BLOCK", 16)
    x = RNG.normal(size=(50, 2))
    x[33, 1] = np.nan
    with pytest.raises(ValueError, match=r"x\[33, 1\] is nan"):
        check_data(x, (2,), None)
    with pytest.raises(ValueError, match=r"x\[0, 0\] is"):
        check_data(np.abs(np.nan_to_num(x)) % 2, (2,), 3)
