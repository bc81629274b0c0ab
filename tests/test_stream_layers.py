"""The layers of converted networks: what every layer owes, and their arithmetic against loops."""

import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

from kerasar.convolutionalize.layers.per_step import PerStep
from kerasar.convolutionalize.layers.stream_join import StreamJoin
from kerasar.convolutionalize.layers.stream_layout import Layout, TapRange
from kerasar.convolutionalize.layers.stream_linear import StreamLinear
from kerasar.convolutionalize.layers.stream_pool import StreamPool
from kerasar.testing import check_causal_by_probe, check_layer, randomize

SERIES = np.random.default_rng(0).normal(size=(3, 9, 4)).astype("float32")

#: Three taps, two steps apart, and one of the other half of the kernel.
TWO_RUNS = Layout((5,), (TapRange(0, 0, 2, 3, 0, 4, 4), TapRange(0, 5, 1, 1, 12, 4, 4)))
BEFORE_THE_START = Layout((0,), (TapRange(0, -4, 2, 3, 0, 4, 4),))
SHUFFLED = Layout((2,), (TapRange(0, 0, 1, 3, 0, 4, 4),), (3, 1, -1, 0, 2, 5, 4, 7, 6, 9, 8, 11))
EACH = Layout((4,), (TapRange(0, 0, 2, 3),))


LAYERS = {
    "two runs": lambda: StreamLinear(L.Dense(3, activation="tanh"), [TWO_RUNS], (None, 16)),
    "before the start": lambda: StreamLinear(L.Dense(3), [BEFORE_THE_START], (None, 12)),
    "shuffled": lambda: StreamLinear(L.Dense(3, use_bias=False), [SHUFFLED], (None, 12)),
    "convolution": lambda: StreamLinear(
        L.Conv1D(3, 3), [Layout((4,), (TapRange(0, 0, 2, 3, 0, 4, 4),))], (None, 9, 4)
    ),
    "groups": lambda: StreamLinear(
        L.Conv1D(6, 3, groups=2), [Layout((4,), (TapRange(0, 0, 2, 3, 0, 2, 2),))], (None, 9, 4)
    ),
    "depthwise": lambda: StreamLinear(
        L.DepthwiseConv1D(3, depth_multiplier=2, activation="tanh"), [EACH], (None, 9, 4)
    ),
    "separable": lambda: StreamLinear(L.SeparableConv1D(5, 3), [EACH], (None, 9, 4)),
    "maximum": lambda: StreamPool(
        "max", Layout((6,), (TapRange(0, 0, 1, 5), TapRange(0, 6, 1, 1)))
    ),
    "mean": lambda: StreamPool("mean", Layout((0,), (TapRange(0, -6, 2, 4),))),
    "join": lambda: StreamJoin([(0, 1, 2, 4), (-1, 0, 0, 2), (0, 0, 0, 1)], [3]),
    "zeros": lambda: StreamJoin([(-1, 0, 0, 3)], [0]),
    "per step": lambda: PerStep(L.BatchNormalization(), [(4,)]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_it_keeps_the_promises_of_a_layer(name, tmp_path):
    check_layer(LAYERS[name], SERIES, tmp_path)


SEES = {
    "two runs": {0, 2, 4, 5},
    "before the start": {-4, -2, 0},
    "groups": {0, 2, 4},
    "depthwise": {0, 2, 4},
    "maximum": {0, 1, 2, 3, 4, 6},
    "mean": {-6, -4, -2, 0},
    "join": {0, 1},
}


@pytest.mark.parametrize("name", SEES)
def test_it_sees_the_taps_of_its_layout(name):
    layer = LAYERS[name]()
    layer.build(SERIES.shape)
    randomize(layer)

    def whole(x):
        # As many outputs as inputs: steps past the end read zeros.
        return layer(tf.pad(x, [[0, 0], [0, 9], [0, 0]]))[:, : x.shape[1]]

    x = SERIES * 0.5 + 1.0  # above the zeros behind the end, so that maxima can be seen
    check_causal_by_probe(whole, x, lambda v: v + 40.0, SEES[name])


@pytest.mark.parametrize("layout", [TWO_RUNS, SHUFFLED, BEFORE_THE_START])
def test_a_weighted_sum_is_that_of_a_loop(layout):
    rows = {TWO_RUNS: 16, SHUFFLED: 12, BEFORE_THE_START: 12}[layout]
    layer = StreamLinear(L.Dense(3), [layout], (None, rows))
    layer.build(SERIES.shape)
    randomize(layer)
    kernel, bias = layer.get_weights()
    if layout.order is not None:
        kernel = np.stack([kernel[row] if row >= 0 else 0 * kernel[0] for row in layout.order])
    steps = SERIES.shape[1] - layout.shrinks[0]
    expected = np.tile(bias, (3, steps, 1))
    for step in range(steps):
        for run in layout.runs:
            for tap, offset in enumerate(run.offsets):
                if step + offset >= 0:
                    row = run.row + tap * run.row_step
                    expected[:, step] += SERIES[:, step + offset] @ kernel[row : row + 4]
    np.testing.assert_allclose(layer(SERIES), expected, atol=1e-5)


@pytest.mark.parametrize("count", range(1, 9))
def test_a_sum_over_any_number_of_taps(count):
    layer = StreamPool("sum", Layout((count - 1,), (TapRange(0, 0, 1, count),)))
    expected = [SERIES[:, i : i + count].sum(1) for i in range(9 - count + 1)]
    np.testing.assert_allclose(layer(SERIES), np.stack(expected, 1), atol=1e-5)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="one of max, min, mean, sum.*'median'"):
        StreamPool("median", EACH)
