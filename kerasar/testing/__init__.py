"""Checks that layers and models keep their contracts, for this package's tests and for yours.

Each raises an AssertionError that names what broke, so it can be used in pytest and in a notebook:

    from kerasar.testing import check_layer, check_causal_by_probe

    def test_my_layer(tmp_path):
        check_layer(MyLayer(8), np.random.rand(4, 10, 3).astype("float32"), tmp_path)

`kerasar.testing.saved_model` is public too: `run_in_fresh_process` sends a request to an exported
SavedModel through the C++ loader that TensorFlow Serving uses, in a process of its own. That file
needs NumPy alone and also runs by its path, so it has a full name of its own:

    from kerasar.testing.saved_model import run_in_fresh_process

    outputs = run_in_fresh_process("exported/1", "sample", num_samples=4, seed=0, temperature=1.0,
                                   top_k=0, top_p=1.0)
"""

from kerasar.causality.randomize import randomize as randomize
from kerasar.testing.bijection import check_bijection as check_bijection
from kerasar.testing.causal_by_probe import check_causal_by_probe as check_causal_by_probe
from kerasar.testing.frequencies import check_frequencies as check_frequencies
from kerasar.testing.layer import check_layer as check_layer
from kerasar.testing.normalized import check_normalized as check_normalized
from kerasar.testing.samples import check_samples as check_samples
from kerasar.testing.the_sample import check_the_sample as check_the_sample
