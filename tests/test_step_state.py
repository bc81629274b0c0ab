"""The state of a sampling loop is its rings: as large as the network's memory, not as the data."""

import math

import tensorflow as tf
from networks import dilated, open_length, recurrent

from kerasar.causality.analysis import analyze
from kerasar.stepwise import make_stepper
from kerasar.stepwise.axis_execution import AxisExecution
from kerasar.stepwise.rings import TensorRing


def state_size(network, batch=3):
    steps = make_stepper(analyze(network))
    state = AxisExecution(steps.axis_program, batch, 12, TensorRing).initial()
    return sum(math.prod(tensor.shape) for tensor in tf.nest.flatten(state))


def test_it_holds_what_is_read_again_and_one_slot_more():
    # Channels 6, 8 and 8 are read 1, 2 and 4 steps back; rings of one shape share their depth.
    rings = 1 * 6 + 4 * (8 + 8)
    pending = 6 + (8 + 8)
    assert state_size(dilated()) == 3 * (rings + pending)


def test_it_does_not_know_the_length():
    steps = make_stepper(analyze(open_length()))
    sizes = []
    for length in (16, 16384):
        run = steps.bind(3, length, [], TensorRing)
        state = run.initial()
        sizes.append([tuple(tensor.shape) for tensor in tf.nest.flatten(state)])
    assert sizes[0] == sizes[1]


def test_a_recurrence_holds_its_states():
    # A GRU of 7 and an LSTM of 5 with its cell; no rings, for the shift costs nothing here.
    size = state_size(recurrent())
    assert size >= 3 * (7 + 5 + 5)
