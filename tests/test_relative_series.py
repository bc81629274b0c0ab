"""Series relative to their own level and scale: densities, gaps, causality, samplers, export."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some
from serving import serve

import kerasar
from kerasar.cli.server.export_folder import ExportFolder
from kerasar.distributions import GaussianMixture, Independent, Relative
from kerasar.distributions.likelihoods.bounds import unbounded
from kerasar.layers import StrictlyCausalConv1D
from kerasar.models.parts.relative_series import RelativeSeries
from kerasar.testing import check_causal_by_probe, randomize

SEASON = 4
NORMALIZATIONS = ["none", "window", "difference", "seasonal"]


def likelihood_of(normalization, support="real", variables=None, **options):
    inside = GaussianMixture(2)
    return Relative(
        inside if variables is None else Independent(variables, inside),
        normalization,
        season=SEASON if normalization == "seasonal" else None,
        memory=6,
        support=support,
        **{"mean": 50.0, "scale": 10.0, "spread": 0.7, **options},
    )


@functools.cache
def small_model(*arguments, **options):
    """What is not trained can be shared."""
    return model_of(likelihood_of(*arguments, **options))


def model_of(likelihood):
    """A small network with random weights, none of them large: paths stay where data may be."""
    model = kerasar.models.CausalConvNet(
        None,
        None,
        filters=6,
        dilations=(1, 2),
        likelihood=likelihood,
        num_variables=likelihood.event_size,
    )
    randomize(model.network)
    model.network.set_weights([0.3 * weight for weight in model.network.get_weights()])
    return model


def series(shape=(3, 17), gaps=True, seed=0):
    rng = np.random.default_rng(seed)
    x = 50 + 10 * rng.normal(size=shape).astype("float32")
    x[rng.random(shape) < 0.25 * gaps] = np.nan
    return x


def last_season(u, t):
    """The value of the last season that has one."""
    return next((value for value in u[t - SEASON :: -SEASON] if np.isfinite(value)), None)


def by_hand(x, normalization, memory=6, spread=0.7):
    """Level and scale of each step of one series in units, by its definition."""
    u = (x.astype("float64") - 50) / 10
    past, levels, scales = [], [], []
    for t, value in enumerate(u):
        weights = [(1 - 1 / memory) ** (len(past) - 1 - i) for i in range(len(past))]
        prior = 5 * (1 - 1 / memory) ** len(past)
        total = sum(weights) + prior
        mean = sum(w * v for w, (v, _) in zip(weights, past, strict=True)) / total
        last = past[-1][0] if past else 0.0
        level = {"none": 0.0, "window": mean}.get(normalization, last)
        if normalization == "seasonal" and t >= SEASON and last_season(u, t) is not None:
            level = last_season(u, t)
        square = sum(w * (v - m) ** 2 for w, (v, m) in zip(weights, past, strict=True))
        square = (square + prior * spread**2) / total + (0.05 * spread) ** 2
        levels.append(level)
        scales.append(spread if normalization == "none" else np.sqrt(square))
        if np.isfinite(value):
            # Before the first value there is no last one to be far from.
            first = not past and normalization in ("difference", "seasonal")
            past.append((value, value if first else level))
    return 50 + 10 * np.array(levels), 10 * np.array(scales)


@pytest.mark.parametrize("normalization", some(NORMALIZATIONS, NORMALIZATIONS[1:]))
def test_level_and_scale_are_what_they_are_said_to_be(normalization):
    model, x = small_model(normalization), series()
    parameters = model.compute_parameters(x, training=False).numpy()
    for row, found in zip(x, parameters, strict=True):
        level, scale = by_hand(row, normalization)
        np.testing.assert_allclose(50 + 10 * found[:, -2], level, rtol=2e-5)
        np.testing.assert_allclose(10 * np.exp(found[:, -1]), scale, rtol=2e-5)


def own_by_hand(x, normalization, memory=6, spread=0.7):
    """The same where a series has its own scale."""
    u = (x.astype("float64") - 50) / 10
    seen, levels, scales = [], [], []
    # Squared distances from levels that are meant to be, how many values came before each; and
    # those from what stands for such a level.
    apart, other = [], []
    for t, value in enumerate(u):
        own = normalization != "seasonal" or (t >= SEASON and last_season(u, t) is not None)
        level = seen[-1] if seen else 0.0
        if normalization == "seasonal" and own:
            level = last_season(u, t)
        elif normalization == "window" and seen:
            fades = (1 - 1 / memory) ** np.arange(len(seen))[::-1]
            level = fades @ seen / fades.sum()
        squares = [square for square, _ in apart]
        usual = next((np.mean(part) for part in (squares, other) if sum(part) > 0), spread**2)
        fades = [(1 - 1 / memory) ** (len(seen) - 1 - before) for _, before in apart]
        square = (np.dot(fades, squares) + 5 * usual) / (sum(fades) + 5) + 0.05**2 * usual
        levels.append(level)
        scales.append(np.sqrt(square))
        if np.isfinite(value):
            if seen and own:
                apart.append(((value - level) ** 2, len(seen)))
            elif seen:
                other.append((value - level) ** 2)
            seen.append(value)
    return 50 + 10 * np.array(levels), 10 * np.array(scales)


@pytest.mark.parametrize("normalization", NORMALIZATIONS[1:])
def test_a_series_may_have_its_own_scale(normalization):
    model, x = small_model(normalization, own_scale=True), series()
    x[1, :6] = 40.0  # it has not moved yet
    parameters = model.compute_parameters(x, training=False).numpy()
    for row, found in zip(x, parameters, strict=True):
        level, scale = own_by_hand(row, normalization)
        np.testing.assert_allclose(50 + 10 * found[:, -2], level, rtol=2e-5)
        np.testing.assert_allclose(10 * np.exp(found[:, -1]), scale, rtol=2e-5)
    # Nothing else tells series of another size from these: densities and draws only scale with it.
    larger = (1e6 * (x[:, 6:] - 50) + 50).astype("float32")
    terms = model.log_prob_map({"x": x[:, 6:], "start": np.full(3, 6)})
    seen = np.isfinite(x[:, 6:]) & (np.arange(11) >= 6)
    scaled = model.log_prob_map({"x": larger, "start": np.full(3, 6)})
    np.testing.assert_allclose(scaled, terms - seen * np.log(1e6), rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="own_scale=True"):
        likelihood_of("none", own_scale=True)


@pytest.mark.parametrize("normalization", some(NORMALIZATIONS[1:], ["seasonal"]))
def test_a_scale_of_its_own_is_found_where_a_series_begins(normalization):
    model, x = small_model(normalization, own_scale=True), series()
    x[1, :6] = 40.0
    # What is missing before a series begins is nothing to it.
    later = np.concatenate([np.full((3, 5), np.nan, "float32"), x], axis=1)
    forecaster = kerasar.models.Forecaster(None, likelihood=model.likelihood, lags=3, units=4)
    randomize(forecaster.network)
    np.testing.assert_allclose(forecaster.log_prob(later), forecaster.log_prob(x), rtol=1e-5)
    paths = [
        model.sample(4, seed=1, prompt=x[:1, :9].repeat(4, 0), length=17, method=method)
        for method in ("sequential", "cached")
    ]
    np.testing.assert_allclose(*paths, rtol=1e-4)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_density_is_that_of_the_normalized_value_over_the_scale(normalization):
    model, x = small_model(normalization), series()
    parameters = model.compute_parameters(x, training=False)
    for i, row in enumerate(x):
        level, scale = by_hand(row, normalization)
        z = np.nan_to_num((row - level) / scale).astype("float32")
        inside = GaussianMixture(2).log_prob(parameters[i, :, :-2], z) - np.log(scale)
        expected = np.where(np.isnan(row), 0, inside)
        np.testing.assert_allclose(model.log_prob_map(x)[i], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("support", "options", "grid"),
    [
        ("real", {}, np.linspace(-300, 400, 8001)),
        ("positive", dict(center=4.0, unit=0.4), np.linspace(0.01, 2000, 40001)),
        pytest.param(
            (0.0, 100.0),
            dict(center=0.0, unit=0.8),
            np.linspace(0.001, 99.999, 8001),
            marks=pytest.mark.long,
        ),
    ],
    ids=["real", "positive", "interval"],
)
def test_densities_integrate_to_one_in_the_units_of_the_data(support, options, grid):
    model = model_of(likelihood_of("difference", support, **options))
    past = np.clip(series((1, 5), gaps=False), 20, 80)
    x = np.concatenate([np.repeat(past, len(grid), 0), grid[:, None].astype("float32")], 1)
    density = np.exp(model.log_prob_map(x)[:, -1].astype("float64"))
    assert abs(np.trapezoid(density, grid) - 1) < 2e-3
    drawn = model.sample(2000, prompt=past[0], length=6, seed=1)[:, -1]
    below = np.cumsum(density) * (grid[1] - grid[0])
    for q in (0.1, 0.5, 0.9):
        at = grid[np.searchsorted(below, q)]
        assert abs((drawn < at).mean() - q) < 5 * np.sqrt(q * (1 - q) / 2000)
    if support != "real":
        with pytest.raises(ValueError, match=r"values of the support.* x\[0, 1\] is -1.0"):
            model.log_prob([[50.0, -1.0]])


@pytest.mark.parametrize(
    ("normalization", "variables"),
    [pytest.param("window", None, marks=pytest.mark.long), ("seasonal", 2)],
)
def test_all_samplers_draw_the_same_paths_behind_a_past_with_gaps(normalization, variables):
    model = small_model(normalization, variables=variables)
    past = series((9,) if variables is None else (9, 2))
    paths = {
        method: model.sample(4, prompt=past, length=20, method=method)
        for method in ("cached", "parallel", "sequential")
    }
    np.testing.assert_array_equal(paths["cached"][:, :9], np.repeat(past[None], 4, 0))
    assert np.isfinite(paths["cached"][:, 9:]).all()
    for other in ("parallel", "sequential"):
        np.testing.assert_allclose(paths["cached"], paths[other], rtol=1e-4, atol=1e-3)


def test_a_normalized_network_sees_no_future():
    model = small_model("seasonal")
    kerasar.check_causal(model.network)
    x = series((2, 12), gaps=False)
    check_causal_by_probe(
        model.network, x, change=lambda v: v + 5, sees=lambda i, j: j < i, tolerance=1e-6
    )


def ar1_with_gaps(phi, sigma):
    """The exact conditionals of an AR(1) of which no two steps in a row are missing, as a network.

    x[t] has the mean φ x[t-1], or φ² x[t-2] where x[t-1] is missing, with the variance that goes
    with it.
    """
    likelihood = Relative(GaussianMixture(1), "none")
    x = keras.Input((None,), name="x")
    relative = RelativeSeries(x, likelihood)
    conv = StrictlyCausalConv1D(6, 2, activation="relu")
    head = keras.layers.Dense(3)
    network = keras.Model(x, relative.head(head(conv(relative.encoded))))
    # Taps at -2 and -1; channels z, observed, and what the frame says.
    kernel, bias = np.zeros((2, 5, 6)), np.zeros(6)
    kernel[1, 0, 0], kernel[1, 0, 1] = 1, -1  # ±z[t-1]
    kernel[0, 0, 2], kernel[0, 0, 3] = 1, -1  # ±z[t-2], unless t-1 is observed
    kernel[1, 1, 2] = kernel[1, 1, 3] = -10
    kernel[1, 1, 4], bias[4] = -1, 1  # t-1 is missing
    kernel[:, 1, 5], bias[5] = -1, 1  # t-1 and t-2 are
    conv.set_weights([kernel, bias])
    out = np.zeros((6, 3))
    out[:4, 1] = phi, -phi, phi**2, -(phi**2)
    spread = sigma * np.sqrt([1, 1 + phi**2, 1 / (1 - phi**2)])
    raw = unbounded(tf.constant(np.log(spread), tf.float32), *GaussianMixture.log_scale_range)
    out[4, 2], out[5, 2] = raw[1] - raw[0], raw[2] - raw[1]
    head.set_weights([out, np.array([0, 0, raw[0]])])
    return kerasar.AutoregressiveModel(network, likelihood)


def test_a_likelihood_with_gaps_is_the_marginal_one():
    phi, sigma, steps = 0.8, 0.02, 12  # small: what enters a network is squashed at 10
    model = ar1_with_gaps(phi, sigma)
    rng = np.random.default_rng(0)
    t = np.arange(steps)
    covariance = sigma**2 / (1 - phi**2) * phi ** np.abs(t[:, None] - t)
    x = rng.multivariate_normal(np.zeros(steps), covariance, size=5).astype("float32")
    for row, gaps in zip(x, ([], [3], [0, 5], [1, 4, 6, 11], [0, 2, 4, 6]), strict=True):
        row[gaps] = np.nan
        seen = np.isfinite(row)
        inner = covariance[np.ix_(seen, seen)]
        square = row[seen] @ np.linalg.solve(inner, row[seen])
        expected = -0.5 * (square + np.linalg.slogdet(inner)[1] + seen.sum() * np.log(2 * np.pi))
        np.testing.assert_allclose(model.log_prob(row[None])[0], expected, rtol=2e-4)


def test_missing_variables_of_a_step_are_left_out_of_its_density():
    model = small_model("seasonal", variables=2)
    x = series((1, 6, 2), gaps=False)
    whole = model.log_prob_map(x)[0, -1]
    parts = []
    for variable in range(2):
        some = x.copy()
        some[0, -1, variable] = np.nan
        parts.append(model.log_prob_map(some)[0, -1])
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-5)
    joint = Relative(GaussianMixture(1, 2), "difference")
    model = model_of(joint)
    with pytest.raises(ValueError, match="must be finite"):
        model.log_prob(some)


def test_a_series_with_gaps_is_learned_and_judged_by_what_was_observed():
    model, x = model_of(likelihood_of("difference")), series((8, 12))
    x[0] = np.nan
    model.compile(keras.optimizers.Adam(1e-2))
    before = model.evaluate(x, verbose=0, return_dict=True)
    bits = -model.log_prob_map(x).sum() / np.log(2) / np.isfinite(x).sum()
    np.testing.assert_allclose(before["bits_per_dim"], bits, rtol=1e-5)
    history = model.fit(x, epochs=8, verbose=0).history["bits_per_dim"]
    assert history[-1] < history[0] and model.log_prob(x)[0] == 0


def test_gaps_are_filled_in_by_draws_given_what_came_before():
    model, x = small_model("difference"), series((2, 12))
    known = np.isfinite(x)
    filled = model.inpaint(x, known, num_completions=3)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[:, 1][known], x[known])
    first = int(np.argmin(known[0]))
    again = model.sample(1, prompt=x[0, :first], length=first + 1)[0, -1]
    np.testing.assert_allclose(filled[0, 0, first], again, rtol=1e-5)


def test_levels_keep_their_digits_in_half_precision():
    x = np.float32(135_450 + 40 * np.cumsum(np.random.default_rng(0).normal(size=(2, 16)), 1))
    options = dict(mean=135_450.0, scale=100.0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = model_of(likelihood_of("difference", **options))
        level = model.compute_parameters(x, training=False)[..., -2]
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(135_450 + 100 * level[:, 1:], x[:, :-1], atol=0.02)


def test_a_saved_and_an_exported_model_are_the_same_model(tmp_path):
    model = model_of(likelihood_of("seasonal", "positive", center=4.0, unit=0.4))
    x = series((2, 11))
    model.save(tmp_path / "m.keras")
    loaded = kerasar.load(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.log_prob(x), model.log_prob(x))
    model.export(str(tmp_path / "1"), verbose=False)
    asked = dict(prompt=x[:, :8], length=14, seed=3, temperature=1.0, top_k=0, top_p=1.0)
    scored, drawn = serve(tmp_path / "1", [("log_prob", dict(x=x)), ("continuation", asked)])
    np.testing.assert_allclose(scored["log_prob"], model.log_prob(x), rtol=1e-5)
    np.testing.assert_allclose(
        drawn["samples"], model.sample(2, seed=3, prompt=x[:, :8], length=14), rtol=1e-4
    )


@pytest.mark.parametrize("variables", [None, 2])
def test_what_is_missing_at_the_end_is_drawn_as_what_is_ahead(variables):
    model = model_of(likelihood_of("seasonal", variables=variables))
    model.trained_length = 9  # as much as this of what is observed is seen
    past = series((20, 2) if variables else (20,))
    past[7] = np.nan
    through = kerasar.forecast(model, past[:17], 7, 4, seed=3).paths
    past[17:] = np.nan
    found = kerasar.forecast(model, past, 4, 4, seed=3).paths
    np.testing.assert_allclose(found, through[:, 3:], rtol=1e-5)
    longer = np.concatenate([past, series(past[:4].shape)])
    judged = kerasar.backtest(model, longer, 4, [20], num_paths=4, seed=3)
    np.testing.assert_allclose(judged.paths.reshape(found.shape), found, rtol=1e-5)
    prompt = np.repeat(past[None, -12:], 4, axis=0)
    drawn = model.sample(4, seed=3, prompt=prompt, length=16)
    np.testing.assert_allclose(drawn[:, 9:], through, rtol=1e-5)
    np.testing.assert_array_equal(drawn[:, :9], prompt[:, :9])


@pytest.mark.parametrize("variables", some([None, 2], [2]))
def test_an_exported_model_forecasts_from_a_raw_history(tmp_path, variables):
    model = model_of(likelihood_of("seasonal", variables=variables))
    model.trained_length = 9  # no more of the past is used
    past = series((14, 2) if variables else (14,))
    past[[7, -2, -1]] = np.nan
    options = {"max_samples": 8, "max_positions": 400}
    model.export(str(tmp_path / "1"), verbose=False, **options)

    request = dict(past=past, steps=5, num_paths=4, seed=3, temperature=1.2)
    expected = kerasar.forecast(model, past, 5, 4, seed=3, temperature=1.2, on_runaway="clip")
    (served,) = serve(tmp_path / "1", [("forecast", request)])
    np.testing.assert_allclose(served["paths"], expected.paths, rtol=1e-4)
    archive = tf.saved_model.load(str(tmp_path / "1"))
    warm_up = dict(ExportFolder(tmp_path / "1").warm_up_requests())["forecast"]
    assert np.isfinite(archive.signatures["forecast"](**warm_up)["paths"]).all()
    for changes, match in (
        (dict(num_paths=9), r"num_paths must lie in \[1, 8\]"),
        (dict(steps=0), "steps must be at least 1"),
        (dict(steps=-1), "steps must be at least 1"),
        (dict(steps=2**31 - 1), "400 values at most"),
        (dict(steps=95), "400 values at most"),
        (dict(past=past[:0]), "past must have at least 1 step"),
        (dict(temperature=0.0), "temperature must be above 0"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=match):
            asked = {name: tf.constant(value) for name, value in (request | changes).items()}
            archive.signatures["forecast"](**asked)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (dict(normalization="seasonal"), "takes a season, in steps"),
        (dict(normalization="window", season=4), "takes a season, in steps"),
        (dict(normalization="windows"), "normalization must be"),
        (dict(support="above"), "support must be"),
        (dict(support=(3, 1)), "support must be"),
        (dict(memory=1), "memory must be at least 2"),
        (dict(likelihood=GaussianMixture(1, mean=3.0)), "without mean and scale"),
        (dict(likelihood=kerasar.distributions.Categorical()), "of normalized real values"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        Relative(**{"likelihood": GaussianMixture(1), **arguments})


def test_gradients_pass_by_what_is_missing():
    model, x = small_model("seasonal"), tf.constant(series())
    with tf.GradientTape() as tape:
        loss = -tf.reduce_sum(model.likelihood.log_prob(model.compute_parameters(x), x))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in gradients)


def test_steps_that_are_given_are_not_judged():
    model, x = small_model("seasonal"), series((3, 12))
    terms = model.log_prob_map(x)
    start, length = np.array([0, 5, 11]), np.array([12, 9, 12])
    batch = {"x": x, "start": start, "length": length}
    judged = (np.arange(12) >= start[:, None]) & (np.arange(12) < length[:, None])
    np.testing.assert_allclose(model.log_prob_map(batch), np.where(judged, terms, 0), rtol=1e-6)
    model.compile()
    bits = model.evaluate(batch, verbose=0, return_dict=True)["bits_per_dim"]
    count = (judged & np.isfinite(x)).sum()
    np.testing.assert_allclose(bits, -(terms * judged).sum() / np.log(2) / count, rtol=1e-5)
    for bad in ([12, 0, 0], [-1, 0, 0]):
        with pytest.raises(ValueError, match=r"start must lie in \[0, 12\)"):
            model.log_prob({"x": x, "start": np.array(bad)})
    flow = kerasar.models.RealNVP(2)
    with pytest.raises(ValueError, match="start is for sequences"):
        flow.log_prob({"x": np.zeros((2, 2)), "start": np.zeros(2, int)})
