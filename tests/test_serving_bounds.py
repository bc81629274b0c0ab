"""Requests that ask for too much, or hold rows of another width, are refused by kinds of models
whose signatures are their own; the next request is answered. Others: tests/test_export.py."""

import numpy as np
import pytest
from drawing import some
from serving import serve

import kerasar
from kerasar.testing import randomize

OPTIONS = dict(seed=0, temperature=1.0, top_k=0, top_p=1.0)


def flow():
    model = kerasar.models.RealNVP(2, depth=2, hidden_units=4)
    randomize(model.bijection)
    return model, np.zeros((2, 2), "float32"), dict(seed=0, temperature=1.0)


def ordered():
    model = kerasar.models.NADE(3, hidden_units=4, order=(2, 0, 1))
    randomize(model.network)
    return model, np.zeros((2, 3), "int32"), OPTIONS


def encoded():
    model = kerasar.models.PixelVAE(
        (4, 4, 1), 2, latent_shape=(2,), filters=2, blocks=1, encoder_filters=2
    )
    randomize(model.encoder)
    return model, np.zeros((2, 4, 4, 1), "int32"), OPTIONS


@pytest.mark.parametrize("make", some([flow, ordered, encoded], [flow, ordered]))
def test_what_does_not_fit_is_refused_by_name(make, tmp_path):
    model, x, options = make()
    values = int(np.prod(x.shape[1:]))
    model.export(tmp_path / "1", max_samples=5, max_positions=4 * values)
    wide = np.concatenate([x, x], axis=1)
    shape = f"x must have shape (any, {', '.join(map(str, x.shape[1:]))})"
    bad = [
        (shape, "log_prob", dict(x=wide)),
        (shape, "log_prob", dict(x=x[0])),
        ("x may hold 5 examples at most", "log_prob", dict(x=np.repeat(x, 3, axis=0))),
        (f"x may hold {4 * values} values", "log_prob", dict(x=np.repeat(x, 3, axis=0)[:5])),
        ("num_samples must lie in [1, 5]", "sample", dict(num_samples=6, **options)),
        (f"{4 * values} values at most", "sample", dict(num_samples=5, **options)),
        ("temperature", "sample", dict(num_samples=1, **{**options, "temperature": float("inf")})),
    ]
    good = ("log_prob", dict(x=x))
    requests = [request for _, *one in bad for request in (tuple(one), good)]
    answers = serve(tmp_path / "1", requests)
    expected = answers[1]["log_prob"]
    for (words, *_), refusal, after in zip(bad, answers[::2], answers[1::2], strict=True):
        assert isinstance(refusal, str) and words in refusal, refusal
        assert after["log_prob"] == expected


@pytest.mark.parametrize("bounds", [dict(max_samples=0), dict(max_positions="many")])
def test_bounds_are_counts(bounds, tmp_path):
    with pytest.raises((TypeError, ValueError), match=next(iter(bounds))):
        flow()[0].export(tmp_path / "1", **bounds)
    assert not list(tmp_path.iterdir())
