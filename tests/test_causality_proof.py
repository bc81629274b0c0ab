"""The proof of causality: what is proven, what is refused and whom the refusal names."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops
from networks import IMAGES, SEQUENCES, batch_normalised, conditional
from small_layers import Undeclared

import kerasar
from kerasar.causality.graph import read_graph
from kerasar.causality.probe import probe_causal
from kerasar.causality.randomize import randomize
from kerasar.layers import CausalShift


def network(body, length=12, shift=True):
    x = keras.Input((length,), dtype="int32", name="x")
    h = L.Embedding(4, 6)(x)
    h = body(CausalShift()(h) if shift else h)
    return keras.Model(x, L.Dense(4, name="logits")(h))


def responses(model):
    """Which offsets respond to a change, by trying all of them; float64, several inputs."""
    graph = read_graph(model)
    shape = tuple(size or 12 for size in graph.x.shape[1:])
    count = int(np.prod(shape[: graph.position_rank]))
    seen = set()
    for seed in range(4):
        randomize(model, seed)
        rng = np.random.default_rng(seed)
        x = rng.integers(3, size=shape)
        batch = np.repeat(x[None], count + 1, axis=0)
        flat = batch.reshape(count + 1, count, -1)
        for position in range(count):
            flat[position + 1, position] = (flat[position + 1, position] + 1) % 3
        inputs = [batch]
        for edge in graph.conditions:
            inputs.append(np.zeros((count + 1, *edge.shape[1:]), edge.dtype))
        out = np.asarray(model(inputs if len(inputs) > 1 else batch))
        out = out.reshape(count + 1, count, -1)
        moved, at = np.nonzero((np.abs(out[1:] - out[:1]) > 1e-6).any(axis=-1))
        places = shape[: graph.position_rank]
        source = np.array(np.unravel_index(moved, places))
        target = np.array(np.unravel_index(at, places))
        seen |= {tuple(int(v) for v in offset) for offset in (source - target).T}
    return seen


@pytest.mark.parametrize("build", [*SEQUENCES, conditional, *IMAGES], ids=lambda b: b.__name__)
def test_what_is_declared_is_what_responds(build):
    model = build()
    kerasar.check_causal(model, allow_training_leak=build is batch_normalised)
    declared = kerasar.receptive_field(model).offsets
    sizes = [size or 12 for size in model.inputs[0].shape[1 : 1 + len(next(iter(declared)))]]
    possible = {o for o in declared if all(abs(v) < n for v, n in zip(o, sizes, strict=True))}
    found = responses(model)
    assert found <= declared, "a leak was missed"
    # At the last offset of all, padding may stand between the two ends.
    assert {o for o in possible - found if max(map(abs, o)) < min(sizes) - 1} == set()


def test_a_dilated_stack_after_a_shift_sees_odd_lags_only():
    def body(h):
        for rate in (2, 4, 8, 16):
            h = L.Conv1D(8, 2, padding="causal", dilation_rate=rate)(h)
        return h

    field = kerasar.receptive_field(network(body, 64))
    assert field.reach == 31
    assert field.offsets == {(-lag,) for lag in range(1, 32, 2)}
    assert field.blind_spot == {(-lag,) for lag in range(2, 31, 2)}


def test_the_lecture_s_image_network_sees_fifty_pixels():
    model = kerasar.models.ShiftedPixelCNN((28, 28, 1), levels=4)
    field = kerasar.receptive_field(model.network)
    above = {(-r, c) for r in range(1, 6) for c in range(-4, 5)}
    assert field.offsets == above | {(0, -c) for c in range(1, 6)}
    assert field.reach == (5, 5)


def test_a_recurrence_reaches_back_without_end():
    field = kerasar.receptive_field(network(lambda h: L.GRU(4, return_sequences=True)(h)))
    assert field.reach is None
    assert field.offsets == {(-lag,) for lag in range(1, 12)}


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (lambda: L.Conv1D(6, 3, padding="same", name="bad"), "the present"),
        (lambda: L.Conv1D(6, 5, padding="same", name="bad"), "the future"),
        (lambda: L.MaxPooling1D(2, strides=1, padding="same", name="bad"), "the present"),
        (lambda: L.AveragePooling1D(4, strides=1, padding="same", name="bad"), "the future"),
    ],
)
def test_the_layer_that_leaks_is_named(bad, what):
    def body(h):
        h = L.Conv1D(6, 3, padding="causal")(h)
        h = L.Conv1D(6, 3, padding="causal")(bad()(h))
        return L.Conv1D(6, 3, padding="causal")(h)

    with pytest.raises(ValueError, match=f"layer 'bad' is the first to see {what}"):
        kerasar.AutoregressiveModel(network(body))


def test_a_layer_that_leaks_before_the_shift_is_named():
    x = keras.Input((12, 1), name="x")
    h = CausalShift()(L.Conv1D(6, 3, padding="same", name="bad")(x))
    with pytest.raises(ValueError, match="layer 'bad' is the first to see the future"):
        kerasar.check_causal(keras.Model(x, L.Dense(4)(h)))


def test_a_branch_round_the_shift_is_found_where_it_joins():
    x = keras.Input((12,), dtype="int32", name="x")
    h = L.Embedding(4, 6)(x)
    h = L.Add(name="joint")([CausalShift()(h), h])
    with pytest.raises(ValueError, match="layer 'joint' joins a branch that still sees"):
        kerasar.check_causal(keras.Model(x, L.Dense(4)(h)))


def test_a_network_that_hides_nothing_is_told_how():
    with pytest.raises(ValueError, match="nothing hides the present.*CausalShift"):
        kerasar.check_causal(network(lambda h: L.Conv1D(6, 2, padding="causal")(h), shift=False))


@pytest.mark.parametrize(
    ("mix", "reason"),
    [
        (lambda h: L.Conv1D(6, 2, strides=2, padding="causal", name="mix")(h), "strides"),
        (lambda h: ops.flip(h, axis=1), "Flip moves or mixes"),
        (lambda h: ops.roll(h, 1, axis=1), "Roll moves or mixes"),
        (lambda h: L.Bidirectional(L.GRU(3, return_sequences=True), name="mix")(h), "future"),
        (lambda h: L.LayerNormalization(axis=(1, 2), name="mix")(h), "holds positions"),
        (lambda h: h - ops.mean(h, axis=1, keepdims=True), "reduces over axis"),
        (lambda h: L.GroupNormalization(2, name="mix")(h), "normalizes over all positions"),
    ],
)
def test_what_mixes_positions_is_refused_with_the_reason(mix, reason):
    with pytest.raises(ValueError, match=f"cannot be shown to be causal: layer '.*{reason}"):
        kerasar.check_causal(network(mix))


def test_a_subclassed_model_has_no_graph():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="has no graph to read: it is a Subclassed"):
        kerasar.check_causal(Subclassed())


def test_an_unknown_layer_is_probed_with_a_warning():
    model = network(lambda h: Undeclared(name="mean_so_far")(h))
    with pytest.warns(UserWarning, match="'mean_so_far'.*probed numerically and not proven"):
        kerasar.check_causal(model)


def test_an_unknown_layer_that_leaks_is_found_by_the_probe():
    class Reverse(Undeclared):
        def call(self, x):
            return x[:, ::-1]

    model = network(lambda h: Reverse(name="reverse")(h))
    with pytest.raises(ValueError, match="layer 'reverse' is the first to see the future"):
        kerasar.check_causal(model)


def test_the_receptive_field_of_an_unknown_layer_is_not_guessed():
    with pytest.raises(ValueError, match="layer 'mean_so_far' .Undeclared. does not declare"):
        kerasar.receptive_field(network(lambda h: Undeclared(name="mean_so_far")(h)))


def test_an_output_without_the_data_is_refused():
    x = keras.Input((12,), dtype="int32", name="x")
    other = keras.Input((12, 3), name="other")
    with pytest.raises(ValueError, match="does not depend on its input 'x'"):
        kerasar.check_causal(keras.Model([x, other], L.Dense(4)(other)))


def test_colour_channels_see_those_before_them():
    from networks import masked_colour
    from small_layers import ColourConv

    kerasar.check_causal(masked_colour())
    x = keras.Input((3, 4, 3), dtype="int32", name="x")
    h = kerasar.layers.ScaleLevels(3)(x)
    h = ColourConv(6, 3, see_own=True, name="sees_own")(h)
    h = kerasar.layers.SplitChannels(3)(ColourConv(9, 3, see_own=True)(h))
    with pytest.raises(ValueError, match="not strictly causal"):
        kerasar.check_causal(keras.Model(x, h))


def test_probe_and_proof_agree_on_a_leak():
    def body(h):
        return L.Conv1D(6, 3, padding="same", name="bad")(L.Conv1D(6, 2, padding="causal")(h))

    model = network(body)
    with pytest.raises(ValueError) as proven:
        kerasar.check_causal(model)
    with pytest.raises(ValueError) as probed:
        probe_causal(read_graph(model))
    assert str(proven.value) == str(probed.value)


def test_a_long_receptive_field_is_printed_short():
    x = keras.Input((1000, 2), name="x")
    h = keras.layers.LSTM(2, return_sequences=True)(CausalShift()(x))
    text = repr(kerasar.receptive_field(keras.Model(x, h)))
    assert text.startswith("ReceptiveField(reach=None, offsets={(-999,), (-998,), ")
    assert "… 991 more …" in text and len(text) < 200


@pytest.mark.parametrize(("shape", "event_rank"), [((6, 5, 1), 3), ((4, 5, 6, 1), 1), ((7,), 1)])
def test_an_event_rank_must_leave_a_sequence_or_an_image(shape, event_rank):
    x = keras.Input(shape)
    with pytest.raises(ValueError, match=rf"event_rank={event_rank} leaves \d axes of positions"):
        kerasar.check_causal(keras.Model(x, keras.layers.ReLU()(x)), event_rank)
