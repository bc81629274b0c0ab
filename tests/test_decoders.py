"""PixelCNNAutoencoder and PixelVAE: a proven decoder, true bounds, latents in and out."""

import functools

import keras
import numpy as np
import pytest
from drawing import check_cached, some
from serving import serve

import kerasar
from kerasar.distributions import Bernoulli
from kerasar.models import PixelCNNAutoencoder, PixelVAE
from kerasar.noise import uniforms
from kerasar.testing import check_causal_by_probe, check_normalized, check_the_sample, randomize
from kerasar.testing.normalized import every_example

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 3, (6, 5, 7, 1)).astype("int32")
COLOUR = RNG.integers(0, 3, (6, 3, 4, 3)).astype("int32")
BUILDERS = [PixelCNNAutoencoder, PixelVAE]
#: Of two blocks. Rows above: 1 of each and 1 of the shift. Columns: 1 of each.
SEES = {(y, x) for y in range(-3, 1) for x in range(-2, 3) if (y, x) < (0, 0)}


def build(builder, shape=(5, 7, 1), levels=3, latent_shape=(2,), **options):
    sizes = dict(filters=6, blocks=1, encoder_filters=4)
    model = builder(shape, levels, latent_shape=latent_shape, **{**sizes, **options})
    randomize(model.encoder)
    randomize(model.decoder.network)
    return model


@functools.cache
def shared(builder):
    """What is not trained can be shared, for the loops of a model are traced once."""
    return build(builder)


def given_a_latent(model):
    """The decoder's network as a layer of the image alone."""
    latent = RNG.normal(size=(1, 2)).astype("float32")
    return keras.layers.Lambda(
        lambda x: model.decoder.compute_parameters(x, np.repeat(latent, len(x), axis=0))
    )


@pytest.mark.parametrize("builder", some(BUILDERS, [PixelVAE]))
def test_the_decoder_sees_exactly(builder):
    model = build(builder, (9, 9, 1), blocks=2)
    assert kerasar.receptive_field(model.decoder.network).offsets == SEES
    x = RNG.integers(0, 3, (4, 9, 9, 1))
    check_causal_by_probe(given_a_latent(model), x, lambda v: (v + 1) % 3, SEES)


@pytest.mark.parametrize("builder", some(BUILDERS, [PixelVAE]))
def test_colours_see_pixels_before_and_colours_before(builder):
    model = build(builder, (3, 4, 3), filters=18, blocks=2)

    def sees(output, seen):
        offset = (seen[0] - output[0], seen[1] - output[1])
        return offset in SEES or (offset == (0, 0) and seen[2] < output[2])

    check_causal_by_probe(
        given_a_latent(model), COLOUR, lambda v: (v + 1) % 3, sees, position_axes=3
    )


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize(
    ("shape", "likelihood"), [((2, 2, 1), Bernoulli()), ((1, 2, 3), None)], ids=["grey", "colour"]
)
def test_given_a_latent_probabilities_sum_to_one(builder, shape, likelihood):
    model = build(builder, shape, 2, likelihood=likelihood)
    check_normalized(model.decoder, condition=RNG.normal(size=(1, 2)))


def test_colours_are_drawn_as_full_passes_draw_them():
    model = build(PixelVAE, (2, 3, 3))
    check_cached(model.decoder, num_samples=4, condition=RNG.normal(size=(4, 2)))


@pytest.mark.parametrize("builder", some(BUILDERS, [PixelVAE]))
def test_the_sizes_it_has_of_itself_suit_grey_and_colour(builder):
    for shape in ((8, 8, 1), (8, 8, 3)):
        assert builder(shape).data_shape == shape


@pytest.mark.long
def test_bounds_in_float64():
    keras.config.set_dtype_policy("float64")
    try:
        model = build(PixelVAE)
        model.compile()
        model.fit(GREY, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(model.elbo(GREY)).all()
    assert np.isfinite(model.log_prob(GREY, 2)).all()


@pytest.mark.parametrize(
    ("builder", "latent_shape", "methods"),
    [
        (PixelCNNAutoencoder, (2,), kerasar.sampling.METHODS),
        (PixelVAE, (3, 4, 2), ["cached"]),
        pytest.param(PixelCNNAutoencoder, (5, 7, 1), ["cached"], marks=pytest.mark.long),
        pytest.param(PixelVAE, (1, 1, 3), ["cached"], marks=pytest.mark.long),
    ],
    ids=["vector-autoencoder", "stack-VAE", "map-autoencoder", "pixel-VAE"],
)
def test_samplers_agree_given_latents(builder, latent_shape, methods):
    model = shared(builder) if latent_shape == (2,) else build(builder, latent_shape=latent_shape)
    latent = 3 * np.random.default_rng(0).normal(size=(5, *latent_shape))
    drawn = [model.decode(latent, seed=1, method=way) for way in methods]
    for part in drawn:
        np.testing.assert_array_equal(part, drawn[0])
        check_the_sample(model.decoder, part, seed=1, condition=latent)
    elsewhere = model.decode(np.roll(latent, 1, axis=0), seed=1)
    assert (elsewhere != drawn[0]).any()  # the latent is heard


def test_the_autoencoder_is_told_of_the_image():
    model = shared(PixelCNNAutoencoder)
    latent = model.encode(GREY, batch_size=4)
    terms = model.log_prob_map(GREY)
    expected = model.decoder.log_prob_map(GREY, condition=latent)
    np.testing.assert_allclose(terms, expected, rtol=1e-5)
    np.testing.assert_allclose(model.log_prob(GREY), terms.sum((1, 2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(
        model.reconstruct(GREY, seed=3), model.sample(6, seed=3, condition=latent)
    )
    assert not model.exact


def truth(model, x):
    """log p(x) of a VAE with one latent number, by the trapezoidal rule."""
    grid = np.linspace(-9, 9, 1201)
    images = np.repeat(x, len(grid), axis=0)
    latent = np.tile(grid, len(x))[:, None]
    terms = model.decoder.log_prob(images, condition=latent, batch_size=4096)
    terms = terms.reshape(len(x), -1).astype("float64") - grid**2 / 2 - np.log(2 * np.pi) / 2
    return np.log(np.trapezoid(np.exp(terms), grid, axis=1))


def test_bounds_are_below_the_truth_and_in_order():
    model = build(PixelVAE, (2, 2, 1), 2, latent_shape=(1,), encoder_filters=3)
    x = every_example(model)
    exact = truth(model, x)
    assert abs(np.exp(exact).sum() - 1) < 1e-4

    def mean(bound, count):
        """Over as many draws; each row of a call has noise of its own."""
        return bound(np.tile(x, (count, 1, 1, 1))).reshape(count, -1).mean(axis=0)

    elbo = mean(model.elbo, 40)
    few = mean(lambda rows: model.log_prob(rows, 4), 40)
    many = model.log_prob(x, 1000)
    one = mean(lambda rows: model.log_prob(rows, 1), 400)
    gap = (exact - elbo).mean()
    assert gap > 0.05  # the encoder is random: else nothing is tested here
    assert (elbo < exact).all()
    assert elbo.mean() < few.mean() < exact.mean()
    np.testing.assert_allclose(many, exact, atol=0.1)
    # With one latent the mean over seeds is the evidence lower bound, KL drawn or not.
    assert abs(one.mean() - elbo.mean()) < 0.1 * gap


def test_evaluate_is_the_elbo_whatever_the_batches():
    model = build(PixelVAE)
    model.compile()
    expected = -model.elbo(GREY, seed=0).mean()
    for batch_size in (2, 5, 6):
        found = model.evaluate(GREY, batch_size=batch_size, verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(expected, rel=1e-5)
        assert found["bits_per_dim"] == pytest.approx(expected / 35 / np.log(2), rel=1e-5)
        assert found["kl"] > 0


def test_the_kl_term_warms_up():
    def losses(warm_up, step):
        model = build(PixelVAE, warm_up=warm_up)
        model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
        model.optimizer.iterations.assign(step)
        keras.utils.set_random_seed(0)
        return model.train_on_batch(GREY, return_dict=True)

    keras.utils.set_random_seed(1)
    logs = losses(100, 25)
    nats = logs["bits_per_dim"] * 35 * np.log(2)
    assert logs["loss"] == pytest.approx(nats - 0.75 * logs["kl"], rel=1e-4)
    for warm_up, step in ((100, 200), (0, 0)):
        logs = losses(warm_up, step)
        assert logs["loss"] == pytest.approx(logs["bits_per_dim"] * 35 * np.log(2), rel=1e-4)


def test_samples_of_the_vae_depend_on_their_number_alone():
    model = shared(PixelVAE)
    drawn = model.sample(7, seed=4)
    assert drawn.shape == (7, 5, 7, 1)
    np.testing.assert_array_equal(model.sample(3, seed=4), drawn[:3])
    np.testing.assert_array_equal(model.sample(7, seed=4, chunk_size=2), drawn)
    assert (model.sample(7, seed=5) != drawn).any()


def test_samples_of_the_vae_follow_its_marginal():
    model = build(PixelVAE, (1, 2, 1), 2, latent_shape=(1,), encoder_filters=3)
    x = every_example(model)
    expected = np.exp(truth(model, x))
    drawn = model.sample(4000, seed=0)
    found = (drawn[:, None] == x[None]).all((2, 3, 4)).mean(0)
    np.testing.assert_allclose(found, expected, atol=4 * 0.5 / np.sqrt(4000))


def test_the_noise_of_latents_is_not_that_of_pixels():
    latent = shared(PixelVAE).prior(7, np.arange(4000)).numpy()
    for position in range(35):
        noise = uniforms(np.int32(7), np.arange(4000), np.int32(position), 3).numpy()
        between = np.corrcoef(latent.T, noise.T)[:2, 2:]
        assert np.abs(between).max() < 0.1


@pytest.mark.long
@pytest.mark.parametrize("builder", BUILDERS)
def test_training_brings_the_images_into_the_latent(builder):
    """Four images of noise: a decoder that sees four pixels cannot tell them apart itself."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).integers(0, 2, (4, 6, 7, 1)).repeat(80, axis=0)
    model = builder((6, 7, 1), 2, latent_shape=(2,), filters=8, blocks=1, encoder_filters=8)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(x, epochs=16, batch_size=16, verbose=0)
    assert (model.reconstruct(x) == x).mean() > 0.9


@pytest.mark.parametrize("builder", some(BUILDERS, [PixelVAE]))
def test_a_saved_model_gives_the_same_numbers(builder, tmp_path):
    model = build(builder, latent_shape=(3, 4, 2))
    model.compile()
    model.fit(GREY, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.encode(GREY), model.encode(GREY))
    np.testing.assert_array_equal(loaded.log_prob(GREY), model.log_prob(GREY))
    np.testing.assert_array_equal(loaded.reconstruct(GREY), model.reconstruct(GREY))


@pytest.mark.parametrize("builder", some(BUILDERS, [PixelVAE]))
def test_the_saved_model_gives_what_python_gives(builder, tmp_path):
    model = shared(builder)
    model.export(str(tmp_path / "1"))
    options = dict(seed=3, temperature=1.0, top_k=0, top_p=1.0)
    latent = model.encode(GREY)
    requests = [
        ("serving_default", {"x": GREY}),
        ("encode", {"x": GREY}),
        ("decode", {"latent": latent, **options}),
        ("serving_default", {"x": GREY + 2}),
    ]
    if builder is PixelVAE:
        requests.append(("sample", {"num_samples": 5, **options}))
        requests.append(("sample", {"num_samples": 0, **options}))
        requests.append(("reconstruct", {"x": GREY, **options}))
    score, code, decoded, refused, *drawn = serve(tmp_path / "1", requests)
    expected = model.log_prob(GREY) if builder is PixelCNNAutoencoder else model.elbo(GREY)
    np.testing.assert_allclose(score["log_prob"], expected, rtol=1e-5)
    np.testing.assert_allclose(code["latent"], latent, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(decoded["samples"], model.decode(latent, seed=3))
    assert "x must lie in [0, 3)" in refused
    if builder is PixelVAE:
        np.testing.assert_array_equal(drawn[0]["samples"], model.sample(5, seed=3))
        assert "num_samples must lie in [1, 4096]" in drawn[1]
        np.testing.assert_array_equal(drawn[2]["samples"], model.reconstruct(GREY, seed=3))


def test_what_does_not_fit_is_refused():
    with pytest.raises(TypeError, match=r"image_shape\[0\] is None"):
        PixelVAE((None, 8, 1))
    with pytest.raises(ValueError, match=r"height and width are one of .*\(4, 4\).*\(3, 3, 2\)"):
        PixelCNNAutoencoder((8, 8, 1), latent_shape=(3, 3, 2))
    with pytest.raises(ValueError, match="warm_up must be at least 0"):
        build(PixelVAE, warm_up=-1)
    model = build(PixelCNNAutoencoder)
    with pytest.raises(ValueError, match=r"no distribution of latents.*condition=model.encode"):
        model.sample(2)
    with pytest.raises(ValueError, match=r"latent must .*\(2,\)|latent.*shape"):
        model.decode(np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"x must .*\(batch, 5, 7, 1\)|shape \(batch, 5, 7, 1\)"):
        model.encode(COLOUR)
    with pytest.raises(ValueError, match=r"\[0, 3\)"):
        model.log_prob(GREY + 1)
    model.compile()
    with pytest.raises(ValueError, match="makes its own condition"):
        model.fit({"x": GREY, "condition": np.zeros((6, 2))})
    with pytest.raises(NotImplementedError, match="log_prob or elbo"):
        shared(PixelVAE).log_prob_map(GREY)
    plain = kerasar.models.GatedPixelCNN((5, 7, 1), 3, filters=4, blocks=1)
    with pytest.raises(ValueError, match="must have one condition, the latent, but has none"):
        kerasar.AutoencoderModel(model.encoder, plain)
    with pytest.raises(TypeError, match="encoder must be a keras.Model, but got 'encoder'"):
        kerasar.AutoencoderModel("encoder", model.decoder)
    with pytest.raises(TypeError, match="decoder must be an AutoregressiveModel"):
        kerasar.AutoencoderModel(model.encoder, model.encoder)
    with pytest.raises(
        ValueError, match=r"lead from data.*\('batch', 4\).*latents of shape \(2,\)"
    ):
        kerasar.VAEModel(model.encoder, model.decoder)


def test_a_latent_that_is_not_finite_stops_training():
    model = build(PixelVAE)
    model.compile()
    weights = model.encoder.get_layer("code").kernel
    weights.assign(np.full(weights.shape, np.nan))
    with pytest.raises(FloatingPointError, match="code/kernel' is not finite"):
        model.fit(GREY, verbose=0)
