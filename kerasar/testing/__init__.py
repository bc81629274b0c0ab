"""Checks that hold a layer or a model to what it promises; ours, and yours to use.

Each raises an AssertionError that says what broke, so they serve in pytest and in a notebook:

    from kerasar.testing import check_layer, check_causal_by_probe

    def test_my_layer(tmp_path):
        check_layer(MyLayer(8), np.random.rand(4, 10, 3).astype("float32"), tmp_path)
"""

from kerasar.causality.randomize import randomize as randomize
from kerasar.testing.bijection import check_bijection as check_bijection
from kerasar.testing.causal_by_probe import check_causal_by_probe as check_causal_by_probe
from kerasar.testing.frequencies import check_frequencies as check_frequencies
from kerasar.testing.layer import check_layer as check_layer
from kerasar.testing.normalized import check_normalized as check_normalized
from kerasar.testing.samples import check_samples as check_samples
from kerasar.testing.the_sample import check_the_sample as check_the_sample
