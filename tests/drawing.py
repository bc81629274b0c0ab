"""Whether steps and caches draw *the* samples, with no more traces than that takes."""

import pytest

from kerasar.testing import check_the_sample


def check_cached(model, num_samples=8, seed=1, condition=None, **sizes):
    """The cached sampler draws what the whole network and the noise say, value by value.

    So do the others for any network (tests/test_samplers_agree.py): they know nothing of layers.
    """
    draw = dict(seed=seed, condition=condition, method="cached", **sizes)
    check_the_sample(model, model.sample(num_samples, **draw), seed, condition)


def check_steps(model):
    """There are steps, which compute what the network computes with weights drawn at random.

    A sampler is not made otherwise (tests/test_samplers_agree.py). What goes on around the steps,
    such as drawing, is the same for all networks of a kind.
    """
    model.sampler("cached")


def some(names, quick):
    """All names as parameters of a test, all but the `quick` ones for `pytest -m long`."""
    quick = set(quick)
    assert quick <= set(names), quick - set(names)
    return [pytest.param(name, marks=() if name in quick else pytest.mark.long) for name in names]
