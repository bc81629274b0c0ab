"""PixelRNN and its two LSTMs: the paper's equations, exactly what they see, all samplers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import check_cached, some
from serving import serve

import kerasar
from kerasar.distributions import Bernoulli, Categorical
from kerasar.layers import DiagonalBiLSTM, MaskedConv2D, RowLSTM, ScaleLevels, SplitChannels
from kerasar.layers import diagonal_bilstm as diagonal_module
from kerasar.models import PixelRNN
from kerasar.testing import check_causal_by_probe, check_normalized, check_samples, randomize

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 3, (6, 7, 7, 1)).astype("int32")
COLOUR = RNG.integers(0, 3, (6, 4, 5, 3)).astype("int32")
GATES = RNG.normal(size=(2, 4, 5, 16)).astype("float32")

CELLS = ["row_lstm", "diagonal_bilstm"]
#: How far the first convolution of the small models sees.
REACH = 1


def model_of(cell, shape, levels=3, dtype="float32", **options):
    sizes = dict(units=6, layers=2, head_filters=12, first_kernel_size=2 * REACH + 1)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        model = PixelRNN(shape, levels, cell=cell, **{**sizes, **options})
    finally:
        keras.config.set_dtype_policy(before)
    randomize(model.network)
    return model


def next_level(values):
    return (values + 1) % 3


# The paper's equation 3, written pixel by pixel.


def sigmoid(x):
    return 1 / (1 + tf.exp(-x))


def lstm(sums, cell):
    i, f, o, g = tf.split(sums, 4, axis=-1)
    cell = sigmoid(f) * cell + sigmoid(i) * tf.tanh(g)
    return sigmoid(o) * tf.tanh(cell), cell


def row_lstm(x, kernel, bias):
    _, height, width, _ = x.shape
    side = kernel.shape[1] // 2
    h, c = {}, {}
    for y in range(height):
        for q in range(width):
            sums = x[:, y, q] + bias[0]
            for tap in range(kernel.shape[1]):
                if (y - 1, q + tap - side) in h:
                    sums += h[y - 1, q + tap - side] @ kernel[0, tap]
            h[y, q], c[y, q] = lstm(sums, c.get((y - 1, q), 0.0))
    return image(h, height, width)


def diagonal_lstm(x, kernel, bias):
    _, height, width, _ = x.shape
    h, c = {}, {}
    for y in range(height):
        for q in range(width):
            sums = x[:, y, q] + bias
            for tap, place in enumerate([(y - 1, q), (y, q - 1)]):
                if place in h:
                    sums += h[place] @ kernel[tap]
            h[y, q], c[y, q] = lstm(sums, c.get((y, q - 1), 0.0))
    return image(h, height, width)


def diagonal_bilstm(x, kernel, bias):
    half = x.shape[-1] // 2
    left = diagonal_lstm(x[..., :half], kernel[0], bias[0])
    right = diagonal_lstm(x[:, :, ::-1, half:], kernel[1], bias[1])[:, :, ::-1]
    return left + tf.concat([tf.zeros_like(right[:, :1]), right[:, :-1]], axis=1)


def image(pixels, height, width):
    rows = [tf.stack([pixels[y, q] for q in range(width)], 1) for y in range(height)]
    return tf.stack(rows, axis=1)


LAYERS = {
    "row": (lambda: RowLSTM(4), row_lstm),
    "row, wider": (lambda: RowLSTM(4, kernel_size=5), row_lstm),
    "row, column only": (lambda: RowLSTM(4, kernel_size=1), row_lstm),
    "diagonal": (lambda: DiagonalBiLSTM(2), diagonal_bilstm),
}


def built(make, **options):
    layer = make()
    layer = type(layer).from_config({**layer.get_config(), **options})
    layer.build(GATES.shape)
    randomize(layer)
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_the_papers_equation(name):
    make, definition = LAYERS[name]
    layer = built(make)
    expected = definition(GATES, *(tf.constant(w) for w in layer.get_weights()))
    np.testing.assert_allclose(layer(GATES), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "compiled"),
    [
        *((name, False) for name in LAYERS),
        ("diagonal", True),
        pytest.param("row", True, marks=pytest.mark.long),
        pytest.param("row, wider", True, marks=pytest.mark.long),
        pytest.param("row, column only", True, marks=pytest.mark.long),
    ],
)
def test_its_gradient_is_the_equations(name, compiled):
    make, definition = LAYERS[name]
    layer = built(make, dtype="float64")
    x = tf.constant(GATES, tf.float64)
    weights = [tf.constant(w) for w in layer.get_weights()]
    direction = RNG.normal(size=layer(x).shape)
    with tf.GradientTape() as tape:
        tape.watch([x, *weights])
        loss = tf.reduce_sum(definition(x, *weights) * direction)
    expected = tape.gradient(loss, [x, *weights])

    @tf.function(jit_compile=compiled, autograph=False)
    def gradient(x):
        values = [weight.value for weight in layer.weights]
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) * direction)
        return tape.gradient(loss, [x, *values])

    for found, wanted in zip(gradient(x), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_a_new_lstm_remembers():
    layer = DiagonalBiLSTM(2)
    layer.build((None, None, None, 16))
    np.testing.assert_array_equal(layer.bias, [[0, 0, 1, 1, 0, 0, 0, 0]] * 2)


# What they see.


def both(first, second):
    """All sums of an offset of each: what one layer after the other sees."""
    return {(a + c, b + d) for a, b in first for c, d in second}


def mask_a(reach):
    box = range(-reach, reach + 1)
    return {(y, x) for y in box for x in box if (y, x) < (0, 0)}


def row_lstm_offsets(layers, size):
    triangle = {(-y, x) for y in range(size) for x in range(-y, y + 1)}
    seen = mask_a(REACH)
    for _ in range(layers):
        seen = both(both(seen, {(0, 0), (0, -1)}), triangle)
    return {(y, x) for y, x in seen if abs(y) < size and abs(x) < size}


def seen_by(cell, width, layers=2):
    """Whether the output at one pixel depends on the input at another."""
    if cell == "row_lstm":
        offsets = row_lstm_offsets(layers, width)
        return lambda output, x: (x[0] - output[0], x[1] - output[1]) in offsets

    def sees(output, x):
        # No feature of the row above knows its last pixel: only the first convolution shows it.
        last = x == (output[0] - 1, width - 1)
        return x < output and (not last or output[1] + REACH >= width - 1)

    return sees


@pytest.mark.parametrize("layers", some([1, 2], [2]))
@pytest.mark.parametrize("cell", CELLS)
def test_it_sees_exactly(cell, layers):
    model = model_of(cell, (7, 7, 1), layers=layers)
    check_causal_by_probe(model.network, GREY, next_level, seen_by(cell, 7, layers))


@pytest.mark.parametrize("cell", some(CELLS, ["diagonal_bilstm"]))
def test_colours_see_pixels_before_and_colours_before(cell):
    # What is far away arrives faint through two units for each colour; float64 still hears it.
    model = model_of(cell, (4, 5, 3), dtype="float64")
    pixel = seen_by(cell, 5)

    def sees(output, x):
        if output[:2] == x[:2]:
            return x[2] < output[2]
        # The last pixel of a row knows its own colours but the last.
        early = cell == "diagonal_bilstm" and x[:2] < output[:2] and x[2] < 2
        return early or pixel(output[:2], x[:2])

    check_causal_by_probe(model.network, COLOUR, next_level, sees, 3, tolerance=1e-12)


def test_the_proof_knows_what_the_row_lstm_sees():
    model = model_of("row_lstm", (7, 7, 1))
    assert kerasar.receptive_field(model.network).offsets == row_lstm_offsets(2, 7)


def test_the_diagonal_bilstm_sees_all_rows_above():
    field = kerasar.receptive_field(model_of("diagonal_bilstm", (7, 7, 1)).network)
    assert field.reach is None
    assert field.blind_spot == {(-1, 6)}  # of a first pixel, the last one of the row above


@keras.saving.register_keras_serializable(package="test_pixel_rnn")
class Unshifted(DiagonalBiLSTM):
    """The usual mistake: the second direction is not moved down, and knows the future."""

    honest = True

    def call(self, inputs):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(diagonal_module, "_one_down", lambda maps: maps)
            return super().call(inputs)

    def sees(self, height, width):
        yield from super().sees(height, width)
        if self.honest:
            yield from ((0, column) for column in range(1, width))


@keras.saving.register_keras_serializable(package="test_pixel_rnn")
class UnshiftedAndSilent(Unshifted):
    """And it does not say so."""

    honest = False


def network_with(layer, shape=(4, 5, 1), output_splits=8):
    x = keras.Input(shape, dtype="int32", name="x")
    h = MaskedConv2D(6, 3, mask="A", color_groups=shape[-1])(ScaleLevels(3)(x))
    h = MaskedConv2D(24, 1, color_groups=shape[-1], output_splits=output_splits)(h)
    h = MaskedConv2D(3 * shape[-1], 1, color_groups=shape[-1])(layer(h))
    network = keras.Model(x, SplitChannels(shape[-1])(h))
    randomize(network)
    return network


def test_without_its_shift_the_diagonal_bilstm_is_caught():
    probe = GREY[:, :4, :5], next_level, seen_by("diagonal_bilstm", 5)
    check_causal_by_probe(network_with(DiagonalBiLSTM(3)), *probe)
    with pytest.raises(AssertionError, match="a leak"):
        check_causal_by_probe(network_with(Unshifted(3)), *probe)
    with pytest.raises(ValueError, match="'wrong'"):
        kerasar.AutoregressiveModel(network_with(Unshifted(3, name="wrong")))
    with pytest.raises(ValueError, match="'silent'"):
        kerasar.AutoregressiveModel(network_with(UnshiftedAndSilent(3, name="silent")))


@pytest.mark.parametrize(
    ("layer", "output_splits"),
    [(RowLSTM(6), 4), (DiagonalBiLSTM(3), 8)],
    ids=CELLS,
)
def test_each_gate_must_hold_all_colours(layer, output_splits):
    kerasar.check_causal(
        network_with(type(layer).from_config(layer.get_config()), (3, 4, 3), output_splits)
    )
    with pytest.raises(ValueError, match="not strictly causal"):
        kerasar.check_causal(network_with(layer, (3, 4, 3), output_splits=1))


# The models.


@pytest.mark.parametrize("cell", CELLS)
def test_probabilities_of_all_images_sum_to_one(cell):
    check_normalized(model_of(cell, (2, 2, 1), 2, likelihood=Bernoulli()))
    check_normalized(model_of(cell, (1, 2, 3), 2))


@pytest.mark.parametrize("cell", some(CELLS, ["diagonal_bilstm"]))
def test_it_is_drawn_from_what_it_remembers(cell):
    # Grey Row LSTM and colour Diagonal BiLSTM are among the networks of tests/networks.py.
    shape = (3, 4, 3) if cell == "row_lstm" else (5, 4, 1)
    check_samples(model_of(cell, shape, layers=1), num_samples=8, methods=["cached"])


@pytest.mark.long
@pytest.mark.parametrize("cell", CELLS)
def test_an_open_size_is_trained_and_sampled_at_any(cell):
    model = model_of(cell, (None, None, 1), layers=1)
    model.compile("adam", jit_compile=False)
    model.fit(GREY, verbose=0)
    check_cached(model, num_samples=2, image_shape=(4, 6))
    assert model.log_prob(GREY[:, :3, :6]).shape == (6,)


@pytest.mark.long
@pytest.mark.parametrize("cell", CELLS)
def test_it_learns_compiled(cell):
    keras.utils.set_random_seed(0)
    model = PixelRNN((7, 7, 1), 3, cell=cell, units=6, layers=1)
    model.compile(keras.optimizers.Adam(0.01), jit_compile=True, steps_per_execution=1)
    start = -model.log_prob(GREY).mean()
    losses = [model.train_on_batch(GREY, return_dict=True)["loss"] for _ in range(5)]
    np.testing.assert_allclose(losses[0], start, rtol=1e-5)
    assert losses[-1] < losses[0] - 1


@pytest.mark.parametrize("cell", some(CELLS, ["diagonal_bilstm"]))
def test_it_is_the_same_when_saved_and_loaded(cell, tmp_path):
    model = model_of(cell, (4, 5, 3), likelihood=Categorical())
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.log_prob(COLOUR), model.log_prob(COLOUR), rtol=1e-6)
    clone = keras.models.clone_model(model.network)
    clone.set_weights(model.network.get_weights())
    np.testing.assert_allclose(clone(COLOUR), model.network(COLOUR), atol=1e-6)


@pytest.mark.long  # tests/test_served_kinds.py has all kinds
@pytest.mark.parametrize("cell", CELLS)
def test_a_server_gives_the_same(cell, tmp_path):
    model = model_of(cell, (3, 4, 1), layers=1)
    model.export(tmp_path / "1", verbose=False)
    x = GREY[:, :3, :4]
    options = dict(num_samples=4, seed=3, temperature=1.0, top_k=0, top_p=1.0)
    scores, drawn = serve(tmp_path / "1", [("log_prob", dict(x=x)), ("sample", options)])
    np.testing.assert_allclose(scores["log_prob"], model.log_prob(x), rtol=1e-5)
    np.testing.assert_array_equal(drawn["samples"], model.sample(4, seed=3))


@pytest.mark.long
@pytest.mark.parametrize("cell", CELLS)
def test_it_trains_and_samples_in_low_precision(cell):
    model = model_of(cell, (4, 5, 3), layers=1, dtype="mixed_bfloat16")
    full = model_of(cell, (4, 5, 3), layers=1)
    full.network.set_weights(model.network.get_weights())
    # bfloat16 has 8 bits; each of 60 values is off by up to about 2⁻⁸ of its logits.
    np.testing.assert_allclose(model.log_prob(COLOUR), full.log_prob(COLOUR), rtol=0.02)
    model.compile("adam")
    model.fit(COLOUR, verbose=0)
    assert model.sample(2, method="cached").shape == (2, 4, 5, 3)


ERRORS = {
    "unknown cell": (lambda: PixelRNN((4, 4, 1), cell="row_ltsm"), "cell.*Did you mean 'row_lstm'"),
    "part of a name": (
        lambda: PixelRNN((4, 4, 1), cell="diagonal"),
        "cell.*'diagonal'.*Did you mean 'diagonal_bilstm'",
    ),
    "no cell": (lambda: PixelRNN((4, 4, 1), cell=""), "cell must be one of"),
    "units for colours": (
        lambda: PixelRNN((4, 4, 3), units=32),
        "3 colors.*units=32.*multiple of 3, for example 33",
    ),
    "head for colours": (
        lambda: PixelRNN((4, 4, 3), head_filters=32),
        "head_filters=32.*multiple of 3",
    ),
    "no layers": (lambda: PixelRNN((4, 4, 1), layers=0), "layers must be at least 1"),
    "no units": (lambda: PixelRNN((4, 4, 1), units=0), "units must be at least 1"),
    "wrong likelihood": (lambda: PixelRNN((4, 4, 1), 3, likelihood=Bernoulli()), "2 levels"),
    "layer without units": (lambda: RowLSTM(0), "units of layer 'row_lstm.*at least 1, but got 0"),
    "even kernel": (lambda: RowLSTM(2, 4, name="r"), "odd.*'r' got kernel_size=4"),
    "channels": (
        lambda: DiagonalBiLSTM(3, name="d")(GATES),
        r"24\).*8 splits of units=3.*'d' got input shape \(2, 4, 5, 16\).*MaskedConv2D\(24",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_refuses(name):
    make, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_grey_and_colour_images_are_told_apart():
    with pytest.raises(ValueError, match=r"\(batch, 4, 5, 1\)"):
        model_of("row_lstm", (4, 5, 1)).log_prob(COLOUR)
    with pytest.raises(ValueError, match=r"\[0, 2\)"):
        model_of("row_lstm", (7, 7, 1), 2).log_prob(GREY)
