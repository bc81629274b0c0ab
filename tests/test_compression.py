"""Examples as bytes and back: the same bits, as few as the model says, or a refusal."""

import dataclasses
import subprocess
import sys
import time
import zlib

import drawing
import keras
import numpy as np
import pytest
import tensorflow as tf
from small_layers import Undeclared

import kerasar
from benchmarks.quality.compression import mean_of
from kerasar import models
from kerasar.compression import chain_rule, file_format
from kerasar.compression.coders import Encoder
from kerasar.compression.fingerprint import Fingerprints
from kerasar.distributions import Bernoulli, BernoulliNADE, Categorical, Independent
from kerasar.distributions.frequency_table import PRECISION, frequency_table
from kerasar.testing import randomize

pytest.importorskip("constriction")

GRAY, COLOR = (4, 4, 1), (3, 3, 3)
ROLL = dict(num_variables=5)
SMALL = dict(filters=4, blocks=1)
STACK = dict(filters=4, skip_filters=4, cycles=1, cycle_length=3)

#: For each kind a model, the shape of an example, and its levels.
KINDS = {
    "PixelCNN": (lambda: models.PixelCNN(GRAY, 5, **SMALL), GRAY, 5),
    "colors in turn": (lambda: models.PixelCNN(COLOR, 5, filters=6, blocks=1), COLOR, 5),
    "whole pixels": (lambda: models.PixelSNAIL(COLOR, 16, **SMALL), COLOR, 16),
    "GatedPixelCNN": (lambda: models.GatedPixelCNN(GRAY, 3, **SMALL, skip_filters=4), GRAY, 3),
    "ShiftedPixelCNN": (lambda: models.ShiftedPixelCNN(GRAY, 4, filters=(4, 4)), GRAY, 4),
    "PixelRNN": (lambda: models.PixelRNN(GRAY, 4, units=4, layers=1), GRAY, 4),
    "WaveNet": (lambda: models.WaveNet(20, 8, **STACK), (20,), 8),
    "open length": (lambda: models.WaveNet(None, 8, **STACK), (12,), 8),
    "Transformer": (lambda: models.Transformer(10, 7, units=8, layers=1, num_heads=2), (10,), 7),
    "NADE": (lambda: models.NADE(9), (9,), 2),
    "joint vectors": (
        lambda: models.CausalConvNet(6, 2, likelihood=BernoulliNADE(5, 4), **ROLL), (6, 5), 2,
    ),
    "independent values": (
        lambda: models.CausalConvNet(6, 2, likelihood=Independent(5, Bernoulli()), **ROLL),
        (6, 5), 2,
    ),
    "pixels without steps": (lambda: probed(), (4,), 4),
}  # fmt: skip

#: And those that need more than one table for a value.
LONG = {"PixelRNN", "ShiftedPixelCNN", "GatedPixelCNN", "open length"}
MANY = {**KINDS, "PixelVAE": (lambda: latent_images(), GRAY, 5)}


def latent_images():
    return models.PixelVAE(GRAY, 5, **SMALL, latent_shape=(3,), encoder_filters=4)


def probed():
    """A network of which nothing is known, so that it runs whole for each value."""
    x = keras.Input((4,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(4, 5)(x))
    h = Undeclared()(keras.layers.LSTM(5, return_sequences=True)(h))
    with pytest.warns(UserWarning, match="probed"):
        return kerasar.AutoregressiveModel(keras.Model(x, keras.layers.Dense(4)(h)))


def drawn_weights(kind):
    make, shape, levels = MANY[kind]
    model = make()
    randomize(model)
    return model, shape, levels


def some(shape, levels, count=5, seed=0):
    return np.random.default_rng(seed).integers(levels, size=(count, *shape)).astype("int32")


def stream_bytes(data):
    return len(file_format.read(data)[1])


def ideal_bytes(model, x):
    return -model.log_prob(x).sum(dtype="float64") / np.log(2) / 8


@pytest.fixture(scope="module")
def pixels():
    return drawn_weights("PixelCNN")[0]


@pytest.fixture(scope="module")
def packed(pixels):
    """Examples that are not noise to the model, and their file."""
    # As the tests read it (tests/conftest.py), for graphs that TensorFlow rewrites give other bits.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    x = pixels.sample(70, seed=3)
    return x, pixels.compress(x)


@pytest.mark.parametrize("kind", drawing.some(KINDS, KINDS.keys() - LONG))
def test_examples_come_back_and_take_what_the_model_says(kind):
    model, shape, levels = drawn_weights(kind)
    x = some(shape, levels)
    data = model.compress(x)
    found = model.decompress(data)
    assert found.dtype == "int32"
    np.testing.assert_array_equal(found, x)
    ideal = ideal_bytes(model, x)
    assert ideal - 1 < stream_bytes(data) <= 1.001 * ideal + 8
    assert len(data) - stream_bytes(data) <= 64


@pytest.mark.parametrize("count", [1, 2, 63, 65, 130])
def test_any_number_of_examples(pixels, count):
    x = some(GRAY, 5, count)
    np.testing.assert_array_equal(pixels.decompress(pixels.compress(x)), x)


def test_attention_in_float64_is_proven_and_compresses():
    """Keras fills masks with -1e308 there, which is no float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        x = keras.Input((6,), dtype="int32", name="x")
        h = kerasar.layers.CausalShift()(keras.layers.Embedding(5, 4)(x))
        h = keras.layers.MultiHeadAttention(2, 3)(h, h, use_causal_mask=True)
        model = kerasar.AutoregressiveModel(keras.Model(x, keras.layers.Dense(5)(h)))
    finally:
        keras.config.set_dtype_policy(before)
    randomize(model)
    values = some((6,), 5)
    np.testing.assert_array_equal(model.decompress(model.compress(values)), values)


def test_the_mean_of_models_is_a_model_that_compresses():
    """Several runs in the benchmark: their probabilities are averaged, value by value."""
    members = [models.PixelCNN((2, 3, 1), 4, **SMALL) for _ in range(2)]
    for seed, member in enumerate(members):
        randomize(member, seed=seed)
    mean, x = mean_of(members), some((2, 3, 1), 4)
    shares = [tf.nn.softmax(tf.squeeze(member.network(x), 3)).numpy() for member in members]
    found = tf.nn.softmax(tf.reshape(mean.network(x), shares[0].shape)).numpy()
    np.testing.assert_allclose(found, np.mean(shares, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(mean.decompress(mean.compress(x)), x)


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 257, 300, 10_000])
def test_batches_are_few_and_hold_little_padding(count):
    size = 1 << file_format.best_batch_power(count)
    assert size <= 256
    batches = -(-count // size)
    assert batches * size <= max(2 * count - 1, 1.25 * count + 64)
    assert batches == 1 or size >= 32


def test_what_is_likely_takes_little(packed, pixels):
    x, data = packed
    np.testing.assert_array_equal(pixels.decompress(data), x)
    assert stream_bytes(data) <= 1.001 * ideal_bytes(pixels, x) + 8
    assert stream_bytes(data) < stream_bytes(pixels.compress(some(GRAY, 5, 70)))


def test_values_that_hardly_occur_are_written_too():
    """A network that is sure of one value: the others cost 24 bits, and no more."""
    x = keras.Input((4,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(3, 3)(x))
    bias = keras.initializers.Constant([200.0, -200.0, 0.0])
    model = kerasar.AutoregressiveModel(
        keras.Model(x, keras.layers.Dense(3, bias_initializer=bias)(h))
    )
    rare, likely = np.ones((8, 4), "int32"), np.zeros((8, 4), "int32")
    np.testing.assert_array_equal(model.decompress(model.compress(rare)), rare)
    assert stream_bytes(model.compress(rare)) <= 8 * 4 * 24 / 8 + 8
    assert stream_bytes(model.compress(likely)) <= 8


@pytest.fixture(scope="module")
def classed():
    model = models.GatedPixelCNN(GRAY, 3, **SMALL, skip_filters=4, num_classes=3)
    randomize(model)
    return model


def test_classes_that_come_with_the_data_are_kept(classed):
    """At log2(3) bits each, and neither asked for again nor taken."""
    x, classes = some(GRAY, 3, 70), np.arange(70) % 3
    data = classed.compress({"x": x, "condition": classes})
    found = classed.decompress(data)
    assert list(found) == ["x", "condition"]
    np.testing.assert_array_equal(found["x"], x)
    np.testing.assert_array_equal(found["condition"], classes)
    beside = stream_bytes(classed.compress(x, condition=classes))
    assert abs(stream_bytes(data) - beside - 70 * np.log2(3) / 8) <= 4
    with pytest.raises(ValueError, match="leave condition out"):
        classed.decompress(data, condition=classes)


def test_only_classes_are_kept():
    model = models.GatedPixelCNN(GRAY, 3, **SMALL, skip_filters=4, local_features=2)
    batch = {"x": some(GRAY, 3), "condition": np.zeros((5, 4, 4, 2), "float32")}
    with pytest.raises(ValueError, match="more than one class for each example"):
        model.compress(batch)


def test_a_file_with_classes_is_not_for_a_model_without(pixels, packed):
    kind = packed[1][8 + 17]
    with pytest.raises(kerasar.NotReadable, match="holds classes"):
        pixels.decompress(rewritten(packed[1], 17, kind + 128))


def test_conditions_are_given_again(classed):
    model = classed
    x, classes = some(GRAY, 3, 5), np.arange(5) % 3
    data = model.compress(x, condition=classes)
    np.testing.assert_array_equal(model.decompress(data, condition=classes), x)
    with pytest.raises(kerasar.NotReadable, match="condition"):
        model.decompress(data, condition=(classes + 1) % 3)
    with pytest.raises(kerasar.NotReadable, match="checksum differs"):
        model.decompress(data, condition=(classes + 1) % 3, force=True)
    with pytest.raises(ValueError, match="condition"):
        model.decompress(data)


@pytest.mark.parametrize("kind", ["WaveNet", "open length", "joint vectors"])
def test_sequences_of_unequal_length(kind):
    model, shape, levels = drawn_weights(kind)
    x, length = some(shape, levels, 5), np.array([1, 6, 3, 6, 2], "int32")
    data = model.compress({"x": x, "length": length})
    found = model.decompress(data)
    np.testing.assert_array_equal(found["length"], length)
    inside = np.arange(shape[0]) < length[:, None]
    inside = inside.reshape(*inside.shape, *[1] * (x.ndim - 2))
    np.testing.assert_array_equal(found["x"], np.where(inside, x, 0))
    ideal = ideal_bytes(model, {"x": x, "length": length})
    assert ideal - 1 < stream_bytes(data) <= 1.001 * ideal + 8
    with pytest.raises(ValueError, match="start"):
        model.compress({"x": x, "start": length - 1})


def test_long_sequences_come_back(monkeypatch):
    """Of these a part alone shows whether the machine fits."""
    monkeypatch.setattr(chain_rule, "_TRIED", 3)
    monkeypatch.setattr(chain_rule, "_LONG", 8)
    model, x = models.CausalConvNet(None, 4, filters=4, dilations=(1,)), some((9,), 4)
    randomize(model)
    np.testing.assert_array_equal(model.decompress(model.compress(x)), x)
    with pytest.raises(kerasar.NotReadable, match="last bits"):
        data = model.compress(x)
        model.decompress(rewritten(data, 12, data[20] ^ 1))


@pytest.mark.long
def test_another_process_reads_it(tmp_path):
    model, shape, levels = drawn_weights("Transformer")
    x = some(shape, levels, 9)
    model.save(tmp_path / "model.keras")
    (tmp_path / "x.ksr").write_bytes(model.compress(x))
    script = (
        "import keras, kerasar, numpy as np, pathlib\n"
        "model = kerasar.load('model.keras')\n"
        "np.save('x.npy', model.decompress(pathlib.Path('x.ksr').read_bytes()))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), x)


@pytest.mark.long
@pytest.mark.rewritten
@pytest.mark.parametrize("kind", MANY)
def test_hundreds_of_files_of_each_kind(kind, tmp_path):
    """10,000 in all, of 1 to 300 examples; another process on one core reads some of them."""
    model, shape, levels = drawn_weights(kind)
    rng = np.random.default_rng(0)
    for number in range(770):
        count = int(rng.integers(1, 9 if number % 40 else 301))
        x = some(shape, levels, count, seed=number)
        data = model.compress(x)
        np.testing.assert_array_equal(model.decompress(data), x)
        if number % 20 == 0:
            np.save(tmp_path / f"{number}.npy", x)
            (tmp_path / f"{number}.ksr").write_bytes(data)
    if kind == "pixels without steps":
        return  # its layer is known to this process alone
    model.save(tmp_path / "model.keras")
    script = (
        "import os; os.sched_setaffinity(0, {0})\n"
        "import kerasar, numpy as np, pathlib\n"
        "model = kerasar.load('model.keras')\n"
        "for file in pathlib.Path('.').glob('*.ksr'):\n"
        "    found = model.decompress(file.read_bytes())\n"
        "    np.testing.assert_array_equal(found, np.load(file.with_suffix('.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


# Refusals.


def rewritten(data, place, value):
    """A file with another byte, and the checksum that goes with it."""
    body = bytearray(data[8:])
    body[place] = value
    return data[:4] + zlib.crc32(bytes(body)).to_bytes(4, "little") + bytes(body)


def test_damage_is_found(packed, pixels):
    _, data = packed
    rng = np.random.default_rng(0)
    for _ in range(200):
        bad = bytearray(data)
        bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        with pytest.raises(kerasar.NotReadable):
            pixels.decompress(bytes(bad))
        with pytest.raises(kerasar.NotReadable):
            pixels.decompress(data[: rng.integers(len(data))])


BAD = {
    "another format": (lambda d: b"\x89PNG" + d[4:], "no file of compress"),
    "nothing": (lambda d: b"", "no file of compress"),
    "a later version": (lambda d: d[:3] + b"\x09" + d[4:], "version 9 of the format"),
    "cut": (lambda d: d[:-4], "damaged"),
    "a bomb": (lambda d: bomb(d), "more than there is"),
    "other weights": (lambda d: rewritten(d, 4, d[12] ^ 1), "other weights"),
    "another machine": (lambda d: rewritten(d, 12, d[20] ^ 1), "last bits"),
    "another content": (lambda d: rewritten(d, 0, d[8] ^ 1), "checksum differs"),
    "more examples": (lambda d: rewritten(d, 21, d[29] + 1), "checksum differs"),
    "many axes": (lambda d: rewritten(d, 17, 9), "damaged"),
}


def bomb(data):
    header, stream = file_format.read(data)
    return file_format.write(dataclasses.replace(header, count=10**9), stream)


@pytest.mark.parametrize("damage", BAD)
def test_what_cannot_be_read_is_refused(packed, pixels, damage):
    change, message = BAD[damage]
    with pytest.raises(kerasar.NotReadable, match=message):
        pixels.decompress(change(packed[1]))


def test_force_leaves_it_to_the_checksum(packed, pixels):
    x, data = packed
    other = rewritten(rewritten(data, 4, data[12] ^ 1), 12, data[20] ^ 1)
    np.testing.assert_array_equal(pixels.decompress(other, force=True), x)
    changed, *_ = drawn_weights("PixelCNN")
    randomize(changed, seed=1)
    with pytest.raises(kerasar.NotReadable, match="other weights"):
        changed.decompress(data)
    with pytest.raises(kerasar.NotReadable, match="checksum differs"):
        changed.decompress(data, force=True)


def test_streams_that_no_model_wrote_are_refused(packed, pixels):
    """Of any content, and with the checksums that go with it."""
    header, stream = file_format.read(packed[1])
    for seed in range(20):
        noise = np.random.default_rng(seed).bytes(len(stream))
        with pytest.raises(kerasar.NotReadable):
            pixels.decompress(file_format.write(header, noise), force=bool(seed % 2))


def test_weights_that_change_between_are_noticed(pixels, packed):
    x, data = packed
    before = pixels.get_weights()
    pixels.set_weights([weight + 0.1 for weight in before])
    with pytest.raises(kerasar.NotReadable, match="other weights"):
        pixels.decompress(data)
    pixels.set_weights(before)
    np.testing.assert_array_equal(pixels.decompress(data), x)


def test_another_shape_is_refused(packed):
    other = models.PixelCNN((5, 4, 1), 5, **SMALL)
    with pytest.raises(kerasar.NotReadable, match=r"shape \(4, 4, 1\)"):
        other.decompress(packed[1])


def test_real_numbers_are_refused():
    likelihood = kerasar.distributions.GaussianMixture(2)
    model = models.WaveNet(length=8, levels=None, likelihood=likelihood)
    with pytest.raises(ValueError, match="real numbers"):
        model.compress(np.zeros((1, 8), "float32"))


def test_models_without_an_order_of_values_say_what_does_compress():
    flow = models.RealNVP(2)
    with pytest.raises(ValueError, match=r"real numbers.*PixelCNN"):
        flow.compress(np.zeros((1, 2), "float32"))
    with pytest.raises(ValueError, match="cannot compress"):
        flow.decompress(b"")
    coder = models.PixelCNNAutoencoder(GRAY, 4, latent_shape=(2,), filters=4, blocks=1)
    with pytest.raises(ValueError, match="PixelVAE"):
        coder.compress(some(GRAY, 4))


def test_values_outside_the_levels_are_refused(pixels):
    with pytest.raises(ValueError, match="levels"):
        pixels.compress(np.full((1, *GRAY), 5))


def test_weights_that_saving_would_merge_are_refused():
    x = keras.Input((4,), dtype="int32", name="x")
    dense = keras.layers.Dense(3)
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(3, 5)(x))
    model = kerasar.AutoregressiveModel(keras.Model(x, dense(h)))
    dense.enable_lora(2)
    with pytest.raises(ValueError, match=r"'dense.*LoRA weights.*kerasar.load"):
        model.compress(some((4,), 3))


def test_ctrl_c_ends_within_a_batch(pixels, monkeypatch):
    """At the next value, and the model is as before."""
    import _thread

    calls = []
    pass_on = Encoder.pass_on

    def interrupting(self, table, given):
        calls.append(None)
        if len(calls) == 2:
            _thread.interrupt_main()
            time.sleep(0.5)  # until the main thread has heard it
        return pass_on(self, table, given)

    x = some(GRAY, 5)
    pixels.compress(x)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Encoder, "pass_on", interrupting)
        pixels.compress(x)
    assert len(calls) < 16
    np.testing.assert_array_equal(pixels.decompress(pixels.compress(x)), x)


def test_settings_that_change_within_a_process_are_noticed(pixels, packed):
    """The fingerprint of a machine is taken again where TensorFlow may compute other bits."""
    found = Fingerprints()
    ran = []
    take = lambda: found.get("key", lambda: ran.append(None) or b"1234")  # noqa: E731
    take(), take()
    assert len(ran) == 1
    options = tf.config.optimizer.get_experimental_options()
    try:
        tf.config.optimizer.set_experimental_options({"constant_folding": False})
        take()
    finally:
        tf.config.optimizer.set_experimental_options({"constant_folding": True, **options})
    assert len(ran) == 2


def test_a_network_of_nan_is_refused(pixels):
    before = pixels.get_weights()
    pixels.set_weights([weight * np.nan for weight in before])
    with pytest.raises(ValueError, match="gives NaN"):
        pixels.compress(some(GRAY, 5))
    pixels.set_weights(before)


def test_a_missing_library_is_named(pixels, monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(ImportError, match=r"pip install 'kerasar\[compress\]'"):
        pixels.compress(some(GRAY, 5))


# Tables.


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_tables_sum_to_a_power_of_two(levels):
    logits = 30 * np.random.default_rng(0).normal(size=(50, levels)).astype("float32")
    table = frequency_table(tf.constant(logits)).numpy()
    assert table.min() >= 1 and (table.sum(axis=-1, dtype="int64") == 2**PRECISION).all()
    shares = tf.nn.softmax(tf.cast(logits, tf.float64)).numpy()
    cost = np.log2(shares) - np.log2(table / 2**PRECISION)
    assert cost[shares > 1e-3].max() < 2 * levels / 2**PRECISION / 1e-3
    assert (np.argmax(table, -1) == np.argmax(logits, -1)).all()


@pytest.mark.parametrize(
    "likelihood, levels",
    [
        (Categorical(), 5),
        (Bernoulli(), 2),
        (kerasar.distributions.DiscretizedLogisticMixture(9), 9),
        (kerasar.distributions.DiscretizedLogisticMixture(5, num_variables=3), 5),
        (Independent(3, Categorical()), 4),
        (BernoulliNADE(3, 4), 2),
    ],
)
def test_tables_multiply_to_the_probability(likelihood, levels):
    """Of an event, variable by variable; and each of them sums to one over all its values."""
    rng = np.random.default_rng(0)
    if isinstance(likelihood, keras.layers.Layer):
        randomize(likelihood)
    parameters = tf.constant(rng.normal(size=(6, likelihood.num_parameters(levels))), tf.float32)
    size = likelihood.event_size or 1
    x = rng.integers(levels, size=(6, size)).astype("int32")
    event = x if likelihood.event_rank else x[:, 0]
    total = 0.0
    for variable in range(size):
        before = np.where(np.arange(size) < variable, x, 0)
        table = likelihood.log_prob_table(
            parameters, levels, tf.constant(before) if likelihood.event_rank else None, variable
        )
        table = tf.nn.log_softmax(table).numpy()
        assert table.shape == (6, levels)
        total = total + table[np.arange(6), x[:, variable]]
    np.testing.assert_allclose(total, likelihood.log_prob(parameters, event), rtol=1e-4, atol=1e-4)
