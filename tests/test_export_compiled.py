"""`export(jit_compile=True)`: samplers that XLA compiles on the server, for few sizes."""

import json
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from networks import LEVELS
from recorded_values import AUTOREGRESSIVE, FLOWS, MASKED_INPUT, data
from serving import serve
from test_streams import open_series, open_text

import kerasar
from kerasar import models
from kerasar.cli.server.guide import serving_guide
from kerasar.distributions import GaussianMixture
from kerasar.layers import CausalShift, SplitChannels
from kerasar.sampling.shares import in_shares, next_power
from kerasar.testing import randomize

OPTIONS = dict(seed=3, temperature=0.9, top_k=0, top_p=1.0)


def own_image():
    """The pixels above and to the left, and a class."""
    x = keras.Input((3, 2, 1), dtype="int32", name="x")
    label = keras.Input((2,), name="label")
    h = kerasar.layers.MaskedConv2D(5, 3, "A")(L.Embedding(LEVELS, 3)(x[..., 0]))
    h = keras.ops.tanh(h + keras.ops.reshape(L.Dense(5)(label), (-1, 1, 1, 5)))
    return kerasar.AutoregressiveModel(keras.Model([x, label], L.Dense(LEVELS)(h)[..., None, :]))


def vectors():
    """Real vectors, drawn in turn within a step."""
    x = keras.Input((6, 2), name="x")
    h = L.GRU(4, return_sequences=True)(CausalShift()(x))
    head = keras.ops.reshape(L.Dense(12)(h), (-1, 6, 2, 6))
    return kerasar.AutoregressiveModel(keras.Model(x, head), GaussianMixture(2))


def open_vectors():
    x = keras.Input((None, 2), dtype="int32", name="x")
    h = L.GRU(4, return_sequences=True)(CausalShift()(keras.ops.cast(x, "float32")))
    return kerasar.AutoregressiveModel(keras.Model(x, SplitChannels(2)(L.Dense(2 * LEVELS)(h))))


KINDS = {
    "images with a class": own_image,
    "text of any length": lambda: kerasar.AutoregressiveModel(open_text()),
    "vectors": vectors,
    "vectors of any length": open_vectors,
    "attention": partial(models.Transformer, 9, LEVELS, units=4, layers=1, num_heads=1),
    "values in another order": AUTOREGRESSIVE["NADE in order"],
    "points": FLOWS["RealNVP"],
}


#: XLA takes seconds for each.
OFTEN = ("images with a class",)


@pytest.mark.parametrize(
    "name",
    [name if name in OFTEN else pytest.param(name, marks=pytest.mark.long) for name in KINDS],
)
def test_a_compiled_sampler_draws_what_python_draws(name, tmp_path):
    model = KINDS[name]()
    randomize(getattr(model, "network", None) or model.bijection)
    model.export(tmp_path / "1", jit_compile=True)
    config = json.loads((tmp_path / "1" / "assets" / "config.json").read_text())
    assert config["jit_compile"]
    assert "serving --xla_cpu_compilation_enabled=true" in serving_guide(tmp_path / "1")
    given = {"length": 5} if model.data_shape[0] is None else {}
    request = {k: OPTIONS[k] for k in config["signatures"]["sample"]["inputs"] if k in OPTIONS}
    condition = {}
    if "label" in config["signatures"]["sample"]["inputs"]:
        condition["label"] = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")
    requests = [
        ("sample", dict(num_samples=6, **given, **request, **condition)),
        ("sample", dict(num_samples=0, **given, **request, **condition)),
    ]
    python = {"condition": condition["label"]} if condition else {}
    drawn = model.sample(6, 3, temperature=0.9, **given, **python)
    expected = [drawn]
    if "inpaint" in config["signatures"]:
        x = data(tuple(size or 7 for size in model.data_shape), model.data_levels, 3)
        known = np.arange(x.size).reshape(x.shape) % 3 > 0
        parts = {key: part[:3] for key, part in condition.items()}
        requests.append(("inpaint", dict(x=x, known=known, **request, **parts)))
        python = {key: part[:3] for key, part in python.items()}
        expected.append(model.inpaint(x, known, 3, temperature=0.9, **python))
    found, refusal, *others = serve(tmp_path / "1", requests, allow_xla=True)
    assert "num_samples must lie in [1, 4096]" in refusal
    for answer, value in zip([found, *others], expected, strict=True):
        if model.data_levels is None:
            np.testing.assert_allclose(answer["samples"], value, atol=1e-4, rtol=1e-4)
        else:
            np.testing.assert_array_equal(answer["samples"], value)


def test_a_server_without_xla_says_so_and_still_scores(tmp_path):
    model = kerasar.AutoregressiveModel(open_text())
    model.export(tmp_path / "1", jit_compile=True)
    x = data((4,), LEVELS, 2)
    sample, scored = serve(
        tmp_path / "1",
        [("sample", dict(num_samples=1, length=3, **OPTIONS)), ("log_prob", dict(x=x))],
    )
    assert "XLA compilation disabled" in sample
    np.testing.assert_allclose(scored["log_prob"], model.log_prob(x), atol=1e-4)


def test_what_would_be_compiled_for_each_size_is_refused(tmp_path):
    def open_image():
        x = keras.Input((None, None, 1), dtype="int32", name="x")
        h = kerasar.layers.MaskedConv2D(4, 3, "A")(L.Embedding(LEVELS, 3)(x[..., 0]))
        return keras.Model(x, L.Dense(LEVELS)(h)[..., None, :])

    for network in (open_image(), open_series()):
        with pytest.raises(ValueError, match="jit_compile=True: its size is open.*one size"):
            kerasar.AutoregressiveModel(network).export(tmp_path / "1", jit_compile=True)
    model = MASKED_INPUT["MaskedInputConvNet random"]()
    with pytest.raises(ValueError, match="jit_compile=True: it has no cached sampler"):
        model.export(tmp_path / "1", jit_compile=True)
    with pytest.raises(TypeError, match="jit_compile"):
        models.NICE(2, hidden_units=(4,)).export(tmp_path / "1", jit_compile="yes")
    assert not (tmp_path / "1").exists()


def test_shares_have_few_sizes_and_keep_all_rows_in_order(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    spec = tf.TensorSpec((None, 2), tf.int32)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32)])
    def run(rows):
        # What each row is, and in how large a share.
        return in_shares(
            lambda part: tf.stack([part[0], tf.fill(tf.shape(part[0]), tf.size(part[0]))], 1),
            spec,
            (rows, None),
            least=4,
            most=16,
        )

    sizes = set()
    for count in range(1, 70):
        found = run(tf.range(count)).numpy()
        np.testing.assert_array_equal(found[:, 0], np.arange(count))
        assert len(set(found[:, 1])) == 1
        sizes.add(int(found[0, 1]))
        assert count > 4 or found[0, 1] < 2 * count, "few examples are one share"
    assert sizes == {1, 2, 4, 8, 16}
    assert [int(next_power(n)) for n in (1, 2, 3, 5, 64, 65)] == [1, 2, 4, 8, 64, 128]
