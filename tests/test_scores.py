"""The scores: codes that decode, sums that are those of the map, ranks that are uniform."""

import math

import networks
import numpy as np
import pytest
import tensorflow as tf

import kerasar
from kerasar import scores
from kerasar.distributions import Surprise
from kerasar.scores.adaptive_code import adaptive_code_nats
from kerasar.scores.calibration import Calibration, split_sizes
from kerasar.scores.distance import Distance
from kerasar.scores.statistics import Layout, as_example, contrast, patch_sums, worst_events
from kerasar.testing import randomize


def sequence_model(levels=4):
    model = kerasar.AutoregressiveModel(networks.dilated())
    randomize(model)
    return model, np.random.default_rng(0).integers(levels, size=(40, networks.LENGTH))


def flow():
    model = kerasar.models.MAF(3)
    randomize(model)
    return model, np.random.default_rng(0).normal(size=(40, 3)).astype("float32")


# The adaptive code.


@pytest.mark.parametrize(("levels", "length"), [(2, 8), (3, 5)])
def test_the_code_is_one(levels, length):
    """Kraft's inequality: the shares of all examples sum to at most 1, and not to much less."""
    everything = np.indices((levels,) * length).reshape(length, -1).T
    shares = np.exp(-adaptive_code_nats(tf.constant(everything), levels, 1))
    assert 0.5 < shares.sum() <= 1 + 1e-9


def test_its_length_is_that_of_coding_value_after_value():
    x = np.array([2, 2, 0, 2, 1])

    def cost(values, levels=3):
        counts, nats = np.full(levels, 1 / levels), 0.0
        for value in values:
            nats -= math.log(counts[value] / counts.sum())
            counts[value] += 1
        return nats

    differences = np.diff(x, prepend=0) % 3
    shortest = min(cost(x), cost(differences)) + math.log(2)
    found = scores.complexity(x[None], 3)
    np.testing.assert_allclose(found, shortest, rtol=1e-12)


def test_padding_costs_nothing():
    x = np.array([[1, 2, 3, 0, 0], [1, 2, 3, 3, 3]])
    padded = scores.complexity(x, 4, length=[3, 3])
    np.testing.assert_allclose(padded, scores.complexity(x[:, :3], 4))


def test_simple_images_are_simple():
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(8), np.arange(8))[..., None]
    blank, noise = np.zeros_like(ramp), rng.integers(16, size=ramp.shape)
    found = scores.complexity(np.stack([blank, ramp, noise]), 16)
    assert found[0] < found[1] < found[2] < 1.5 * 64 * math.log(16)


@pytest.mark.parametrize("codec", ["png", "webp", "zlib"])
def test_files_of_noise_are_larger_than_those_of_a_blank_image(codec):
    noise = np.random.default_rng(0).integers(200, size=(1, 16, 16, 1))
    found = scores.complexity(np.concatenate([np.zeros_like(noise), noise]), 200, codec)
    assert 0 < found[0] < found[1] < 8 * math.log(2) * 1000


def test_a_recording_is_coded_without_loss():
    import io

    import soundfile

    from kerasar.scores.codecs import CODECS

    x = np.random.default_rng(0).integers(100, size=50)
    file = io.BytesIO(CODECS["flac"](x, 100, "flac"))
    samples, _ = soundfile.read(file, dtype="int16")
    np.testing.assert_array_equal((samples.astype(int) + 2**15) / 2**9, x)


def test_a_codec_that_is_missing_is_named(monkeypatch):
    import builtins

    whole = builtins.__import__

    def without_pillow(name, *arguments, **options):
        if name.startswith("PIL"):
            raise ImportError(name)
        return whole(name, *arguments, **options)

    monkeypatch.setattr(
        "kerasar.scores.codecs.importlib.import_module", lambda name: without_pillow(name)
    )
    with pytest.raises(ImportError, match="codec='webp' needs the package pillow.*adaptive"):
        scores.complexity(np.zeros((1, 4, 4, 1), int), 2, "webp")


@pytest.mark.parametrize(
    ("x", "levels", "codec", "words"),
    [
        (np.zeros((1, 4)), 2, "png", "for images with 1 or 3 channels"),
        (np.zeros((1, 4, 4, 1)), 300, "webp", "at most 256 levels"),
        (np.zeros((1, 4, 4, 1)), 2, "flac", "for recordings"),
        (np.zeros((1, 4)), 2, "gif", "codec must be .adaptive., .png."),
        (np.full((1, 4), 5), 2, "adaptive", r"x must lie in \[0, 2\)"),
        (np.zeros(4), 2, "adaptive", "x must have shape"),
    ],
)
def test_data_that_a_codec_does_not_take_are_refused(x, levels, codec, words):
    with pytest.raises(ValueError, match=words):
        scores.complexity(x, levels, codec)


@pytest.mark.parametrize("length", [[1, 2, 3], [0, 1], [1, 6], [1.0, 2.0], 3])
def test_lengths_that_are_none_are_refused(length):
    with pytest.raises(ValueError, match="length must"):
        scores.complexity(np.zeros((2, 5), int), 2, length=length)


# Single scores.


def test_scores_are_those_of_the_map():
    model, x = sequence_model()
    nats = -model.log_prob_map(x)
    found = scores.all_scores(model, x, good=x[:20])
    np.testing.assert_allclose(found["surprise"], nats.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found["worst_pixel"], nats.max(axis=1), rtol=1e-5)
    mean = nats[:20].sum(axis=1).mean()
    np.testing.assert_allclose(found["typicality"], np.abs(nats.sum(axis=1) - mean), atol=1e-3)
    corrected = found["surprise"] - scores.complexity(x, 4)
    np.testing.assert_allclose(found["complexity_corrected"], corrected)
    for name in ("surprise", "worst_pixel", "worst_patch", "entropy_z", "complexity_corrected"):
        np.testing.assert_allclose(getattr(scores, name)(model, x), found[name])


def test_scores_do_not_depend_on_the_batch():
    model, x = sequence_model()
    for name, values in scores.all_scores(model, x).items():
        alone = scores.all_scores(model, x[7:8])[name]
        np.testing.assert_allclose(alone, values[7:8], rtol=1e-5, err_msg=name)


def test_a_flow_has_the_scores_that_need_no_map():
    model, x = flow()
    found = scores.all_scores(model, x, good=x)
    np.testing.assert_allclose(found["surprise"], -model.log_prob(x), rtol=1e-5)
    assert set(found) == {"surprise", "expected_nats", "entropy_z", "worst_pixel", "typicality"}
    with pytest.raises(ValueError, match="is a flow, whose events are its latents"):
        scores.worst_patch(model, x)
    with pytest.raises(ValueError, match="is of real numbers. Quantize"):
        scores.complexity_corrected(model, x)


def test_something_else_than_a_model_is_refused():
    with pytest.raises(TypeError, match="must be a density model of kerasar's"):
        scores.surprise(networks.dilated(), np.zeros((1, 12), int))


# Parts of statistics.


def test_patches_are_summed_around_each_position():
    values = np.random.default_rng(0).normal(size=(2, 6, 7))
    found = patch_sums(tf.constant(values), 3).numpy()
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    slow = sum(padded[:, i : i + 6, j : j + 7] for i in range(3) for j in range(3))
    np.testing.assert_allclose(found, slow, atol=1e-12)


def test_worst_events_of_few_are_all():
    assert worst_events(tf.constant([[1.0, 3.0, 2.0]]), 5).numpy() == 6


def test_a_layout_has_center_and_spread():
    mass = np.zeros((1, 4, 8))
    mass[0, 3, 0] = mass[0, 3, 7] = 1.0
    found = Layout.of(tf.constant(mass), tf.ones_like(mass, tf.bool))
    np.testing.assert_allclose([found.centers[0][0], found.centers[1][0]], [0.375, 0], atol=1e-6)
    np.testing.assert_allclose(np.exp(found.spreads[1][0]), (3.5 / 8) ** 2, rtol=1e-3)
    assert np.exp(found.spreads[0][0]) < 1e-4


def test_a_padded_sequence_has_the_center_of_its_own_length():
    x, zeros = np.array([[0, 0, 1, 9, 9]]), tf.zeros((1, 5))
    example = as_example(Surprise(zeros, zeros, zeros), tf.constant(x), tf.constant([3]), True)
    alone = as_example(Surprise(*[zeros[:, :3]] * 3), tf.constant(x[:, :3]), None, True)
    centers = [Layout.of(contrast(part), part.real).centers[0].numpy() for part in (example, alone)]
    np.testing.assert_allclose(*centers, atol=1e-6)


def test_infinite_surprise_is_a_large_number():
    infinite = tf.constant([[np.inf, 1.0]])
    example = as_example(Surprise(infinite, infinite, infinite), tf.zeros((1, 2)), None, True)
    assert np.isfinite(example.surprise.nats).all()


# The distance.


def test_a_distance_counts_what_is_unusual_for_the_rest():
    rng = np.random.default_rng(0)
    a = rng.normal(size=2000)
    good = {"a": a, "b": a + 0.1 * rng.normal(size=2000)}
    distance = Distance.fit(good, large=())
    apart = {"a": np.array([0.0, 2.0, 2.0]), "b": np.array([0.0, 2.0, -2.0])}
    nats = distance.nats(apart).numpy()
    assert nats[0] < nats[1] < nats[2]
    assert abs(distance.nats(good).numpy() > math.log(10)).mean() == pytest.approx(0.1, abs=0.001)


def test_some_statistics_are_suspicious_when_they_are_large():
    good = {"a": np.random.default_rng(0).normal(size=2000)}
    nats = Distance.fit(good, large=("a",)).nats({"a": np.array([-9.0, -1.0, 0.0, 1.0])}).numpy()
    assert nats[1] < nats[2] < nats[3] < nats[0]


def test_a_constant_statistic_is_no_division_by_zero():
    good = {"a": np.zeros(60), "b": np.ones(60)}
    nats = Distance.fit(good, large=("a",)).nats({"a": np.array([0, 1e-3]), "b": np.ones(2)})
    assert np.isfinite(nats).all() and nats[1] > nats[0] + 10


# The calibration.


@pytest.mark.parametrize(("examples", "fitted", "calibrated"), [
    (50, 31, 19),
    (150, 51, 99),
    (300, 101, 199),
    (10_000, 2000, 7999),
])  # fmt: skip
def test_good_examples_are_split(examples, fitted, calibrated):
    assert split_sizes(examples) == (fitted, calibrated)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.37])
def test_false_alarms_come_at_the_rate_that_is_asked_for(rate):
    """The next of 200 equal scores takes each rank with the same probability."""
    ranks = np.arange(200)
    alarms, rare = [], []
    for rank in ranks:
        calibration = Calibration(np.delete(ranks, rank))
        alarms.append(rank > calibration.threshold(rate))
        rare.append(calibration.p_values(tf.constant([rank], tf.float64)).numpy()[0] <= rate)
    assert np.mean(alarms) == np.mean(rare) == pytest.approx(rate)
    np.testing.assert_array_equal(alarms, rare)


def test_the_range_of_the_rate_is_that_of_many_calibrations():
    rng = np.random.default_rng(0)
    rates = [1 - Calibration(rng.uniform(size=199)).threshold(0.1) for _ in range(4000)]
    low, high = Calibration(np.arange(199.0)).expected_range(0.1)
    assert np.mean((low <= np.array(rates)) & (np.array(rates) <= high)) == pytest.approx(
        0.9, abs=0.02
    )


def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match="at least 50 good examples, but got 49"):
        split_sizes(49)
    with pytest.raises(ValueError, match="needs at least 999 examples.*calibrated on 199. Fit it"):
        Calibration(np.arange(199.0)).threshold(0.001)
    with pytest.raises(ValueError, match="between 0 and 1, but got 1.5"):
        Calibration(np.arange(199.0)).threshold(1.5)
