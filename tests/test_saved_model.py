"""The stand-in for TensorFlow Serving: it agrees with Python, and refuses what a server refuses.

A process cannot both have Python's TensorFlow, which builds the models here, and be a server. So
every request below goes to a process of its own kind, mostly a fresh one.
"""

import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from serving import serve

from kerasar.testing import saved_model
from kerasar.testing.saved_model import ServedModel, run_in_fresh_process

FEATURES = 3
X = np.linspace(0.0, 1.0, 4 * FEATURES, dtype="float32").reshape(4, FEATURES)

VECTORS = [tf.TensorSpec((None, FEATURES), tf.float32, name="x")]
REQUEST = [tf.TensorSpec((), tf.int32, name=name) for name in ("num_samples", "seed")]
DTYPES = ["float32", "float64", "int32", "int64", "uint8", "bool"]


class Signatures:
    """Functions as `model.export` writes them, round one Keras layer with random weights."""

    def __init__(self):
        self.layer = keras.layers.Dense(FEATURES, activation="tanh")
        self.layer.build((None, FEATURES))
        generator = np.random.default_rng(0)
        self.layer.set_weights([generator.normal(size=w.shape) for w in self.layer.weights])

    def score(self, x):
        with tf.control_dependencies([tf.debugging.assert_non_negative(x, "x must not be < 0")]):
            return {"score": tf.reduce_sum(self.layer(tf.identity(x)), axis=-1)}

    def sample(self, num_samples, seed):
        at_least_one = tf.debugging.assert_positive(num_samples, "num_samples must be > 0")
        with tf.control_dependencies([at_least_one]):
            shape = tf.stack([num_samples, FEATURES])

        def step(i, x):
            return i + 1, self.layer(x) + tf.random.stateless_normal(shape, tf.stack([seed, i]))

        open_batch = (tf.TensorShape([]), tf.TensorShape([None, FEATURES]))
        start = (tf.constant(0), tf.zeros(shape))
        _, x = tf.while_loop(lambda i, _: i < 5, step, start, shape_invariants=open_batch)
        return {"samples": x}

    def compiled(self):
        return tf.function(self.score, VECTORS, autograph=False, jit_compile=True)


def double(*inputs):
    return {
        f"{x.dtype.name}_out": ~x if x.dtype == tf.bool else tf.cast(2, x.dtype) * x for x in inputs
    }


@pytest.fixture(scope="module")
def model():
    return Signatures()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model"
    archive = keras.export.ExportArchive()  # without track(): it finds the weights by tracing
    archive.add_endpoint("score", model.score, VECTORS)
    archive.add_endpoint("sample", model.sample, REQUEST)
    archive.add_endpoint("compiled", model.compiled())
    archive.write_out(path, verbose=False)
    return path


def run_script(script, *arguments):
    """Runs a script that knows `ServedModel` and `sys.argv`; returns what it prints, as JSON."""
    door = f"import runpy; ServedModel = runpy.run_path({saved_model.__file__!r})['ServedModel']\n"
    command = [sys.executable, "-I", "-c", "import sys, json\n" + door + script, *arguments]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.parametrize("signature", ["score", "serving_default"])
def test_it_agrees_with_python_for_any_batch(model, exported, signature):
    for x in (X, X[:1]):
        served = run_in_fresh_process(exported, signature, x=x)
        np.testing.assert_allclose(served["score"], model.score(x)["score"], rtol=0, atol=1e-6)


def test_scalars_start_a_loop_that_draws_the_same_samples_as_python(model, exported):
    served = run_in_fresh_process(exported, "sample", num_samples=7, seed=3)["samples"]
    here = model.sample(tf.constant(7), tf.constant(3))["samples"]
    # A graph fuses a layer's ops, and so rounds otherwise than they do one by one.
    np.testing.assert_allclose(served, here, rtol=0, atol=1e-6)
    other_seed = model.sample(tf.constant(7), tf.constant(4))["samples"]
    assert np.abs(served - other_seed).max() > 0.1, "the seed must matter"


def test_it_lists_the_signatures(exported):
    script = "with ServedModel(sys.argv[1]) as served: print(json.dumps(served.signatures))"
    score = [{"x": "float32"}, {"score": "float32"}]
    assert run_script(script, str(exported)) == {
        "compiled": score,
        "sample": [{"num_samples": "int32", "seed": "int32"}, {"samples": "float32"}],
        "score": score,
        "serving_default": score,  # ExportArchive repeats the first signature
    }


def test_a_failed_request_gives_the_message_of_the_assertion(exported):
    with pytest.raises(RuntimeError, match="num_samples must be > 0"):
        run_in_fresh_process(exported, "sample", num_samples=0, seed=0)


def test_the_session_survives_a_failed_request(model, exported):
    script = """
with ServedModel(sys.argv[1]) as served:
    try:
        served.run("score", x=[[-1, 0, 0]])
        message = None
    except RuntimeError as error:
        message = str(error)
    answer = served.run("score", x=[[1, 0, 0]])["score"].tolist()
print(json.dumps([message, answer]))
"""
    message, answer = run_script(script, str(exported))
    assert "x must not be < 0" in message
    np.testing.assert_allclose(answer, model.score([[1.0, 0, 0]])["score"], rtol=0, atol=1e-6)


def test_a_closed_model_says_so(exported):
    script = """
with ServedModel(sys.argv[1]) as served:
    pass
served.close()
try:
    served.run("score", x=[[1, 0, 0]])
except RuntimeError as error:
    print(json.dumps(str(error)))
"""
    assert "is closed" in run_script(script, str(exported))


@pytest.mark.parametrize(
    "signature, inputs, message",
    [
        ("draw", {}, r"no signature 'draw'.*compiled, sample, score, serving_default"),
        ("sample", {"seed": 0}, r"takes num_samples \(int32\), seed \(int32\).*inputs: seed\."),
        ("score", {"x": X, "y": X}, r"takes x \(float32\), but.*inputs: x, y\."),
        ("sample", {"num_samples": 0.5, "seed": 0}, r"'num_samples'.*is of int32.*float64 0\.5"),
        ("sample", {"num_samples": 1, "seed": 2**31}, r"'seed'.*is of int32.*int64 2147483648"),
    ],
    ids=["signature", "missing", "superfluous", "kind", "range"],
)
def test_a_request_that_does_not_fit_is_refused(exported, signature, inputs, message):
    (said,) = serve(exported, [(signature, inputs)])
    assert re.search(message, said)


def test_a_compiled_signature_is_refused_unless_xla_is_allowed(model, exported):
    with pytest.raises(RuntimeError, match="XLA compilation disabled"):
        run_in_fresh_process(exported, "compiled", x=X)
    served = run_in_fresh_process(exported, "compiled", x=X, allow_xla=True)
    np.testing.assert_allclose(served["score"], model.score(X)["score"], rtol=0, atol=1e-5)


def test_xla_drops_assertions(exported):
    # Not our wish, but TensorFlow's habit: so check inputs outside what you compile.
    served = run_in_fresh_process(exported, "compiled", x=-X, allow_xla=True)
    assert np.isfinite(served["score"]).all()


def test_every_dtype_and_empty_arrays_pass(tmp_path):
    specs = [tf.TensorSpec((None, 2), name, name=name) for name in DTYPES]
    archive = keras.export.ExportArchive()
    archive.add_endpoint("double", double, specs)
    archive.write_out(tmp_path, verbose=False)

    for rows in (2, 0):
        x = np.array([[0, 1], [1, 100]])[:rows]
        inputs = {name: x.astype(name) for name in DTYPES}
        served = run_in_fresh_process(tmp_path, "double", **inputs)
        for name in DTYPES:
            expected = ~inputs[name] if name == "bool" else 2 * inputs[name]
            np.testing.assert_array_equal(served[f"{name}_out"], expected, strict=True)


def test_a_call_back_into_python_is_found_out(tmp_path):
    archive = keras.export.ExportArchive()
    archive.add_endpoint("sine", lambda x: tf.numpy_function(np.sin, [x], tf.float32), VECTORS)
    archive.write_out(tmp_path, verbose=False)
    with pytest.raises(RuntimeError, match="PyFunc"):
        run_in_fresh_process(tmp_path, "sine", x=X)


def test_variables_that_only_python_finds_are_found_out(model, tmp_path):
    module = tf.Module()
    module.model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(1)])
    module.score = tf.function(lambda x: {"score": module.model(x)}, VECTORS, autograph=False)
    tf.saved_model.save(module, tmp_path, {"score": module.score})

    tf.saved_model.load(tmp_path).signatures["score"](x=tf.constant(X))  # Python sees no fault
    with pytest.raises(RuntimeError, match="[Cc]ould not find variable"):
        run_in_fresh_process(tmp_path, "score", x=X)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="Could not find SavedModel"):
        run_in_fresh_process(tmp_path, "score", x=X)


def test_it_refuses_to_run_beside_pythons_tensorflow(exported):
    with pytest.raises(RuntimeError, match="has not imported tensorflow.*run_in_fresh_process"):
        ServedModel(exported)


def test_a_process_with_python_of_ours_is_no_server(exported, tmp_path):
    # The command's own check: it must be able to fail.
    np.savez(tmp_path / "inputs.npz", x=X)
    script = f"""
import runpy
sys.modules["kerasar"] = sys
sys.argv[1:] = {[str(exported), "score", str(tmp_path / "inputs.npz"), str(tmp_path / "out.npz")]}
try:
    runpy.run_path({saved_model.__file__!r}, run_name="__main__")
except AssertionError as error:
    print(json.dumps(str(error)))
"""
    assert "imported ['kerasar']" in run_script(script)
