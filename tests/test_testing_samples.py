"""`check_samples` and its parts can fail: samplers that are deaf, biased, unstable or off."""

import numpy as np
import pytest

from kerasar.testing import check_frequencies, check_samples, check_the_sample, the_sample


def spoil(model, change):
    """Replaces what the model's sampler returns by `change(samples, method)`."""
    draw = type(model).sample

    def sample(*args, **kwargs):
        return change(draw(model, *args, **kwargs), kwargs.get("method"))

    object.__setattr__(model, "sample", sample)
    return model


def test_a_correct_model_passes(sequences):
    check_samples(sequences())
    check_samples(sequences(), temperature=0.7, top_k=2)


def test_a_sampler_that_ignores_its_noise_is_caught(sequences):
    likeliest = sequences()
    draw = type(likeliest).sample

    def greedy(*args, **kwargs):
        return draw(likeliest, *args, **{**kwargs, "temperature": 1e-4})

    object.__setattr__(likeliest, "sample", greedy)
    with pytest.raises(AssertionError, match="falls short of the pick"):
        check_samples(likeliest)


def test_a_sampler_that_ignores_the_seed_is_caught(sequences):
    model = sequences()
    draw = type(model).sample
    object.__setattr__(model, "sample", lambda n, seed=0, **kwargs: draw(model, n, **kwargs))
    check_samples(model, seed=0)
    with pytest.raises(AssertionError, match="is not the sample of seed 1"):
        check_samples(model, seed=1)


def test_a_sampler_that_ignores_the_temperature_is_caught(sequences):
    model = sequences()
    with pytest.raises(AssertionError, match="falls short"):
        check_the_sample(model, model.sample(64, seed=3, temperature=2.0), seed=3)


def test_one_wrong_value_is_caught(sequences):
    def spoiled(samples, method):
        samples[17, 3] = (samples[17, 3] + 1) % 3
        return samples

    with pytest.raises(AssertionError, match="sample 17 .* position 3"):
        check_samples(spoil(sequences(), spoiled))


def test_a_sampler_that_differs_from_the_others_is_named(sequences):
    def spoiled(samples, method):
        return (samples + 1) % 3 if method == "parallel" else samples

    with pytest.raises(AssertionError, match="'parallel'"):
        check_samples(spoil(sequences(), spoiled))


def test_a_sampler_that_is_not_the_same_twice_is_caught(sequences):
    generator = np.random.default_rng(0)
    with pytest.raises(AssertionError, match="asked again"):
        check_samples(spoil(sequences(), lambda s, _: generator.permutation(s)))


def test_a_sampler_that_does_not_follow_log_prob_is_caught(sequences):
    model = sequences()
    check_frequencies(model)

    def biased(samples, method):  # the first in twenty is replaced by another of the kind
        samples[::20] = samples[1::20]
        samples[::20, 0] = 0
        return samples

    with pytest.raises(AssertionError, match="samples do not follow log_prob"):
        check_frequencies(spoil(model, biased), num_samples=20_000)


def test_a_log_prob_of_another_model_is_caught(sequences):
    model = sequences()
    other = sequences()
    other.network.get_layer("logits").bias.assign([0.5, 0.0, -0.5])
    object.__setattr__(model, "log_prob", other.log_prob)
    with pytest.raises(AssertionError, match="samples do not follow log_prob"):
        check_frequencies(model)


def test_near_ties_are_reported_and_must_be_rare(monkeypatch, sequences):
    model = sequences()
    samples = model.sample(200, seed=0)
    short = np.zeros((200, 4))
    monkeypatch.setattr(the_sample, "shortfall", lambda *_: short)
    assert check_the_sample(model, samples) == 0
    short[[3, 4], 2] = 5e-5
    with pytest.warns(UserWarning, match="2 of 200 samples hold a near-tie"):
        assert check_the_sample(model, samples) == 2
    short[5, 0] = 5e-5
    with pytest.raises(AssertionError, match="too many for rounding"):
        check_the_sample(model, samples)
    short[:] = 0
    short[3, 2] = 2e-4
    with pytest.raises(AssertionError, match="sample 3 is not"):
        check_the_sample(model, samples)


def test_values_that_were_given_are_not_checked(sequences):
    model = sequences()
    x = np.random.default_rng(0).integers(0, 3, (32, 4))
    known = np.random.default_rng(1).random((32, 4)) < 0.5
    drawn = model.inpaint(x, known, seed=5)
    check_the_sample(model, drawn, seed=5, known=known)
    with pytest.raises(AssertionError, match="falls short"):
        check_the_sample(model, drawn, seed=5)
