"""Small models that the tests share: real mathematics on domains of a few inputs."""

import gc
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as TensorFlow's below; before NumPy loads it

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops as framework_ops

import kerasar
from kerasar.cli.support.run_folder import MODEL, RunFolder
from kerasar.sampling.cached import CachedSampler
from kerasar.sampling.flow_sampler import FlowSampler
from kerasar.testing import randomize
from kerasar.training import DensityModel

# What the imports made stays: collecting it again and again takes a tenth of the time of tracing.
# And what tests left, of which there is more and more, is looked through once: see `collected`.
gc.collect()
gc.freeze()
gc.set_threshold(100_000, 20, 20)
# Keras looks through all of it for each variable that a layer gives up, as in `quantize`.
_collect_all = gc.collect
gc.collect = lambda generation=0: _collect_all(0)

# Operations keep no record of the lines that made them, a fifth of the time of tracing them.
_make_operation = framework_ops._create_c_op.__wrapped__
assert _make_operation.__defaults__ == (None, True), "op_def and extract_traceback, before 2.22"
_make_operation.__defaults__ = (None, False)

# Operations of tests are too small to share out among threads, which would wait for each other.
tf.config.threading.set_intra_op_parallelism_threads(1)

# Of 30 iterators that go some wait for up to a minute, for the thread that tunes them.
_iterate = tf.data.Dataset.__iter__
_without_tuning = tf.data.Options()
_without_tuning.autotune.enabled = False
tf.data.Dataset.__iter__ = lambda dataset: _iterate(dataset.with_options(_without_tuning))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Neighboring tests run in one process, which then makes and traces what they share once."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def without_xla():
    """XLA compiles only what a test asks for: it takes longer than tests of other things do."""
    compile_as_usual = DensityModel.compile

    def compile_without_xla(model, *arguments, **options):
        compile_as_usual(model, *arguments, **{"jit_compile": False, **options})

    patch = pytest.MonkeyPatch()
    patch.setattr(DensityModel, "compile", compile_without_xla)
    nothing = property(lambda sampler: 0.0, lambda sampler, seconds: None)
    patch.setattr(FlowSampler, "spent", nothing, raising=False)
    patch.setattr(CachedSampler, "_pays", lambda sampler, batch, request: False)
    yield compile_as_usual
    patch.undo()


@pytest.fixture(scope="module", autouse=True)
def collected():
    """What is left of a module and still in use is not looked through again."""
    yield
    if gc.get_count()[2] > 3:
        _collect_all()
        gc.freeze()


@pytest.fixture(scope="module")
def loaded_once():
    """Commands that read the same file share its model, for the loops of a model are traced once.

    They do not train what they read. tests/test_cli_train.py reads anew for each command.
    """
    load, models = RunFolder.load_model, {}

    def load_once(run):
        file = run.path / MODEL
        content = (file.read_bytes(), run.config.get("kind")) if file.exists() else None
        if content not in models:
            models[content] = load(run)
        return models[content]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "load_model", load_once)
        yield


@pytest.fixture(autouse=True)
def xla_where_marked(request, monkeypatch, without_xla):
    """Tests marked `xla`, and long ones, train as `compile` chooses."""
    if any(map(request.node.get_closest_marker, ("xla", "long"))):
        monkeypatch.setattr(DensityModel, "compile", without_xla)


@pytest.fixture(autouse=True)
def graphs_as_they_are(request):
    """TensorFlow rewrites the graphs that it runs only for the tests that ask for it, and those
    of XLA and long ones: a graph that runs once or twice is not worth the time."""
    marks = map(request.node.get_closest_marker, ("rewritten", "xla", "long"))
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not any(marks)})


@pytest.fixture
def pixels():
    """A two-stack PixelCNN on 2×2 images with 3 levels: 81 possible images."""
    model = kerasar.models.ShiftedPixelCNN((2, 2, 1), 3, filters=(8, 8), head_filters=8)
    randomize(model.network)
    return model


@pytest.fixture(scope="session")
def sequences():
    """A function that makes causal networks on sequences; 4 steps of 3 levels unless told."""

    def make(length=4, levels=3, units=None, likelihood=None):
        x = keras.Input((length,), dtype="int32", name="x")
        h = keras.layers.Embedding(levels, 6, name="embedding")(x)
        h = kerasar.layers.CausalShift(name="shift")(h)
        h = keras.layers.Conv1D(6, 3, padding="causal", activation="tanh", name="conv")(h)
        h = keras.layers.Dense(levels if units is None else units, name="logits")(h)
        model = kerasar.AutoregressiveModel(keras.Model(x, h, name="net"), likelihood)
        randomize(model.network)
        return model

    return make


@pytest.fixture
def conditional():
    """Sequences of 4 steps with 3 levels, given a vector `label` of 2 numbers."""
    x = keras.Input((4,), dtype="int32", name="x")
    label = keras.Input((2,), name="label")
    h = keras.layers.Embedding(3, 6, name="embedding")(x)
    h = kerasar.layers.CausalShift(name="shift")(h)
    h = keras.layers.Conv1D(6, 3, padding="causal", activation="tanh", name="conv")(h)
    c = keras.layers.Dense(6, name="embed_label")(label)
    h = keras.layers.Add(name="add_label")([h, keras.layers.Reshape((1, 6), name="spread")(c)])
    h = keras.layers.Dense(3, name="logits")(h)
    model = kerasar.AutoregressiveModel(keras.Model([x, label], h, name="net"))
    randomize(model.network)
    return model
