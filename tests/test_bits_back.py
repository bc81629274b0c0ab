"""PixelVAE as a codec: the same images, by the bits of the bound, or a refusal."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from drawing import some

import kerasar
from kerasar.compression import bits_back, file_format
from kerasar.compression.latent_bins import BINS, bin_tables, latent_of_bin
from kerasar.compression.stack import Stack
from kerasar.distributions.frequency_table import PRECISION
from kerasar.models import PixelVAE
from kerasar.testing import randomize

pytest.importorskip("constriction")

SHAPE, LEVELS = (4, 4, 1), 5
#: A latent of as many as three values, in a vector or a map; more of them than an image has bits.
LATENTS = {"vector": (3,), "map": (2, 2, 1), "large": (40,)}


def made(latent="vector", seed=0):
    size = dict(filters=4, blocks=1, encoder_filters=4)
    model = PixelVAE(SHAPE, LEVELS, latent_shape=LATENTS[latent], **size)
    randomize(model, seed=seed)
    return model


def images(count, seed=0):
    return np.random.default_rng(seed).integers(LEVELS, size=(count, *SHAPE)).astype("int32")


@pytest.fixture(scope="module")
def model():
    return made()


@pytest.fixture(scope="module")
def packed(model):
    # As the tests read it (tests/conftest.py), for graphs that TensorFlow rewrites give other bits.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    x = images(20)
    return x, model.compress(x)


@pytest.mark.parametrize("count", [1, 2, 63, 130])
def test_any_number_of_images_comes_back(model, count):
    x = images(count)
    found = model.decompress(model.compress(x))
    assert found.dtype == "int32"
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("latent", some(LATENTS, ["map"]))
def test_latents_of_any_shape(latent):
    other, x = made(latent), images(9)
    np.testing.assert_array_equal(other.decompress(other.compress(x)), x)


class Account(Stack):
    """A stack that adds up what each value costs, and how far down it was read."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.cost, self.least = {"x": 0.0, "z": 0.0, "posterior": 0.0, "count": 0.0}, 0
        type(self).latest = self

    def push(self, values, tables):
        super().push(values, tables)
        kind = "posterior" if tables.shape[1] == BINS else "x"
        chosen = np.take_along_axis(tables, values[:, None].astype("int64"), axis=1)
        self.cost[kind] += float(-np.log2(chosen / 2.0**PRECISION).sum())

    def pop(self, tables):
        values = super().pop(tables)
        chosen = np.take_along_axis(tables, values[:, None].astype("int64"), axis=1)
        self.cost["posterior"] += float(np.log2(chosen / 2.0**PRECISION).sum())
        self.least = min(self.least, self.bits)
        return values

    def push_integers(self, values, size):
        super().push_integers(values, size)
        self.cost["z" if size == BINS else "count"] += len(values) * np.log2(max(size, 1))


@pytest.mark.parametrize("latent", some(LATENTS, ["vector"]))
def test_a_file_takes_what_it_codes_and_the_bits_that_it_began_with(latent, monkeypatch):
    """-log p(x|z) - log p(z) + log q(z|x), and what the first image found nothing to read from."""
    monkeypatch.setattr(bits_back, "Stack", Account)
    other, x = made(latent), images(50)
    taken = 8 * len(file_format.read(other.compress(x))[1])
    account = Account.latest
    ideal = sum(account.cost.values())
    begun = -account.least
    # Besides: a word that counts the random ones, and two that the coder holds open.
    assert ideal - 64 < taken <= 1.001 * ideal + begun + 32 + 64 + 64
    # The first image alone takes random bits: no more than its latent has.
    assert begun <= 32 + (1 if latent != "large" else 2) * np.prod(LATENTS[latent]) * PRECISION
    assert account.cost["count"] <= 6 * 50


def test_the_mean_over_images_is_the_bound(model):
    """Of many images drawn by the model; a flat posterior would be 2 % off."""
    x = model.sample(1000, seed=1)
    bound = np.mean([model.elbo(x, seed=seed).sum(dtype="float64") for seed in range(8)])
    taken = len(model.compress(x)) * 8 * np.log(2)
    assert 1 < taken / -bound < 1.02


def test_bins_are_equally_likely_and_in_order():
    values = latent_of_bin(np.arange(BINS))
    assert (np.diff(values) > 0).all()
    np.testing.assert_allclose(values, -values[::-1], rtol=1e-5, atol=1e-6)
    table = bin_tables(tf.constant([0.0]), tf.constant([1.0])).numpy()
    assert table.sum() == 2**PRECISION and np.ptp(table) <= BINS
    narrow = bin_tables(tf.constant([0.5, 40.0, -40.0]), tf.constant([1e-4, 1.0, 1.0])).numpy()
    assert (narrow.min(axis=-1) == 1).all() and (narrow.sum(axis=-1) == 2**PRECISION).all()
    nearest = np.abs(values - 0.5).argmin()
    assert narrow.argmax(axis=-1).tolist() == [nearest, BINS - 1, 0]


@pytest.mark.rewritten
@pytest.mark.long  # as tests/test_compression.py has it, for the same tables
def test_another_process_reads_it(tmp_path, model):
    x = images(30)
    model.save(tmp_path / "model.keras")
    (tmp_path / "x.ksr").write_bytes(model.compress(x))
    script = (
        "import os; os.sched_setaffinity(0, {0})\n"
        "import kerasar, numpy as np, pathlib\n"
        "model = kerasar.load('model.keras')\n"
        "np.save('x.npy', model.decompress(pathlib.Path('x.ksr').read_bytes()))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), x)


# Refusals.


def test_damage_is_found(model, packed):
    _, data = packed
    rng = np.random.default_rng(0)
    for _ in range(50):
        bad = bytearray(data)
        bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        with pytest.raises(kerasar.NotReadable):
            model.decompress(bytes(bad))
        with pytest.raises(kerasar.NotReadable):
            model.decompress(data[: rng.integers(len(data))])


def test_streams_that_no_model_wrote_are_refused(model, packed):
    header, stream = file_format.read(packed[1])
    rng = np.random.default_rng(0)
    noise = [rng.bytes(len(stream)) for _ in range(5)] + [stream[:-4] + rng.bytes(4)]
    lacking = [b"", b"\0" * 4, b"\0" * 8, stream[4:], stream[:4] + stream[8:], stream[:8]]
    for forged in [*noise, *lacking, stream[:-4] + b"\xff\xff\0\0"]:
        for force in (False, True):
            with pytest.raises(kerasar.NotReadable):
                model.decompress(file_format.write(header, forged), force=force)


def test_a_stack_that_is_not_used_up_is_noticed(model, packed):
    """One example less than there are: what is left over says so, whatever the checksum."""
    header, stream = file_format.read(packed[1])
    fewer = dataclasses.replace(header, count=header.count - 1)
    with pytest.raises(kerasar.NotReadable, match="Something is left|more examples"):
        model.decompress(file_format.write(fewer, stream))


def test_other_weights_are_refused(model, packed):
    with pytest.raises(kerasar.NotReadable, match="other weights"):
        made(seed=1).decompress(packed[1])
    with pytest.raises(kerasar.NotReadable):
        made(seed=1).decompress(packed[1], force=True)
    with pytest.raises(kerasar.NotReadable, match="another model"):
        kerasar.models.PixelCNN(SHAPE, LEVELS, filters=4, blocks=1).decompress(packed[1])


def test_a_file_of_the_decoder_alone_is_of_another_model(model):
    """Both have the decoder's weights, but one file has latents in it."""
    x, latent = images(3), np.zeros((3, 3), "float32")
    by_decoder = model.decoder.compress(x, condition=latent)
    with pytest.raises(kerasar.NotReadable, match="another model"):
        model.decompress(by_decoder)
    with pytest.raises(kerasar.NotReadable):
        model.decompress(by_decoder, force=True)


def test_what_is_no_image_of_the_model_is_refused(model):
    with pytest.raises(ValueError, match="levels"):
        model.compress(np.full((1, *SHAPE), LEVELS))
    with pytest.raises(ValueError, match="condition"):
        model.compress({"x": images(1), "condition": np.zeros(1)})


def test_it_does_not_run_inside_a_graph(model):
    with pytest.raises(ValueError, match="within a tf.function"):
        tf.function(lambda: model.compress(images(1)))()
