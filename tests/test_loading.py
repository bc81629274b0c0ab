"""Model files from strangers: nothing is run, nothing is built beyond the bounds, all is named."""

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

import kerasar
from kerasar.testing import randomize

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


def members_of(model, path):
    """The members of the file of a model."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in MEMBERS}


def write_members(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)
    return path


@pytest.fixture
def parts(sequences, tmp_path):
    """The members of a good file, and a function that writes a file with others."""
    path = tmp_path / "model.keras"
    members = members_of(sequences(), path)

    def write(compression=zipfile.ZIP_STORED, **changed):
        return write_members(path, {**members, **changed}, compression)

    return members, write


def write_all(folder):
    """All hostile files of this page: pairs of a name and a path."""
    x = keras.Input((4,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(3, 6)(x))
    h = keras.layers.Conv1D(6, 3, padding="causal", activation="tanh")(h)
    network = keras.Model(x, keras.layers.Dense(3)(h))
    members = members_of(kerasar.AutoregressiveModel(network), folder / "good.keras")
    changes = {name: changed for name, (changed, _) in ARCHIVES.items()}
    for name, (change, _) in CONFIGS.items():
        config = json.loads(members["config.json"])
        change(config)
        changes[name] = {"config.json": json.dumps(config)}
    changes["a bomb of weights"] = {"model.weights.h5": bytes(1_000_000_000)}
    for i, (name, changed) in enumerate(changes.items()):
        path = folder / f"{i}.keras"
        yield name, write_members(path, {**members, **changed}, zipfile.ZIP_DEFLATED)


def find(node, name):
    """The configurations of objects of a class."""
    if isinstance(node, dict):
        if node.get("class_name") == name:
            yield node
        node = list(node.values())
    for part in node if isinstance(node, list) else []:
        yield from find(part, name)


def function(module, name, **more):
    return {"module": module, "class_name": "function", "config": name, **more}


def set_in(name, **values):
    def change(config):
        next(find(config, name))["config"].update(values)

    return change


def replace(name, **values):
    def change(config):
        next(find(config, name)).update(values)

    return change


def at_top(**values):
    return lambda config: config.update(values)


def named(module, name, config):
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def quantized(argument, value):
    """A Dense layer whose configuration of quantizers holds a value."""
    config = {"weight_quantizer": None, "activation_quantizer": None, argument: value}
    config = named("keras.quantizers", "Int8QuantizationConfig", config)
    return set_in("Dense", quantization_config=config)


def deep(config):
    node = config
    for _ in range(300):
        node["more"] = {}
        node = node["more"]


LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "registered_name": None,
    "config": {"name": "l", "function": function("keras.ops", "relu")},
}
CONFIGS = {
    "a Lambda of a public function": (replace("Conv1D", **LAMBDA), "Lambda"),
    "a function that writes": (
        set_in("Conv1D", activation=function("keras.utils", "get_file")),
        "names the function keras.utils.get_file",
    ),
    "a function of Keras that is no activation": (
        set_in("Conv1D", activation=function("keras.ops", "sin")),
        "names the function keras.ops.sin",
    ),
    "a function under another name": (
        set_in("Conv1D", activation=function("builtins", "relu", registered_name="get_file")),
        "names the function",
    ),
    "a reader of functions": (
        set_in("Conv1D", activation=function("builtins", "deserialize")),
        "names the function builtins.deserialize",
    ),
    "Python code": (
        set_in("Conv1D", activation={"class_name": "__lambda__", "config": {"value": "x"}}),
        "names None.__lambda__",
    ),
    "a TypeSpec": (
        set_in("Conv1D", activation={"class_name": "__typespec__", "config": []}),
        "names None.__typespec__",
    ),
    "a module of the system": (
        replace("Conv1D", module="os", class_name="system"),
        "names os.system",
    ),
    "a class of Keras that is no part": (
        replace("Conv1D", module="keras.callbacks", class_name="CSVLogger"),
        "names keras.callbacks.CSVLogger",
    ),
    "a function as a class": (
        replace("Conv1D", module="keras.models", class_name="load_model"),
        "names keras.models.load_model",
    ),
    "a layer that reads a SavedModel": (
        replace("Conv1D", class_name="TFSMLayer", config={"filepath": "/tmp/x"}),
        "TFSMLayer",
    ),
    "a layer that reads a text file": (
        replace("Conv1D", class_name="StringLookup", config={"vocabulary": "/etc/passwd"}),
        "StringLookup",
    ),
    "the same by its private name": (
        replace(
            "Conv1D", module="keras.src.layers.preprocessing.string_lookup",
            class_name="StringLookup", config={},
        ),
        "StringLookup",
    ),
    "an unknown class": (
        replace("CausalShift", registered_name="mine>Shift", class_name="Shift"),
        "mine>Shift, which is neither .* nor registered. Import the module",
    ),
    "a class name that is no name": (replace("Conv1D", class_name=["a"]), "is no text"),
    "a config that is no dict": (replace("Conv1D", config=[1]), "Conv1D' is no dict"),
    "another Keras model": (at_top(class_name="Sequential", module="keras",
        registered_name="Sequential", config={"layers": []}), "not a model of kerasar"),
    "a layer instead of a model": (at_top(class_name="Dense", module="keras.layers",
        registered_name=None, config={"units": 2}), "not a model of kerasar"),
    "billions of units": (set_in("Dense", units=10**9), "units is 1000000000"),
    "a download as a policy": (
        set_in("Dense", dtype=named("keras.utils", "get_file", {"origin": "http://localhost/x"})),
        "names keras.utils.get_file",
    ),
    "a reader of models as a quantizer": (
        quantized("weight_quantizer", named("keras.saving", "load_model", {"filepath": "/tmp/x"})),
        "names keras.saving.load_model",
    ),
    "a function as a quantizer": (
        quantized("activation_quantizer", function("keras.utils", "get_file")),
        "names the function keras.utils.get_file",
    ),
    "a quantizer's helper": (
        quantized("weight_quantizer", named("keras.quantizers", "abs_max_quantize", {})),
        "names keras.quantizers.abs_max_quantize",
    ),
    "a quantizer of another module": (
        set_in("Dense", quantization_config=named("os", "Int8QuantizationConfig", {})),
        "names os.Int8QuantizationConfig",
    ),
    "a callback as a quantizer": (
        quantized("weight_quantizer", named("keras.callbacks", "CSVLogger", {"filename": "x"})),
        "names keras.callbacks.CSVLogger",
    ),
    "a Lambda as a quantizer": (
        quantized("weight_quantizer", named("keras.layers", "Lambda", {})),
        "Lambda",
    ),
    "many units": (set_in("Dense", units=10**7), "asks for weights of more than"),
    "many embeddings": (set_in("Embedding", output_dim=10**7), "asks for weights of more than"),
    "a large kernel": (set_in("Conv1D", kernel_size=[10**7]), "asks for weights of more than"),
    "a large input": (set_in("InputLayer", batch_shape=[None, 10**4, 10**4]), "batch_shape is"),
    "an infinite setting": (set_in("Dense", units=float("inf")), "damaged, or not a saved model"),
    "a NaN": (set_in("Conv1D", dilation_rate=[float("nan")]), "damaged, or not a saved model"),
    "a name of control characters": (
        replace("Conv1D", module="os\x1b[31m", class_name="a\nb"),
        "which is neither",
    ),
    "a deep configuration": (deep, "nested more than 100 levels"),
    "no name": (at_top(config=None), "damaged, or not a saved model"),
    "a wrong kind": (set_in("Dense", units="many"), "damaged, or not a saved model"),
    "a missing layer": (set_in("Functional", layers=[]), "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_a_hostile_configuration_is_refused(name, parts):
    members, write = parts
    change, message = CONFIGS[name]
    config = json.loads(members["config.json"])
    change(config)
    with pytest.raises(ValueError, match=f"model.keras'(?s:.*){message}"):
        kerasar.load(write(**{"config.json": json.dumps(config)}))


def h5(fill):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        fill(file)
    return content.getvalue()


def external(file):
    file.create_dataset("x", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def linked(file):
    file["x"] = h5py.ExternalLink("/etc/other.h5", "x")


def soft(file):
    file["x"] = h5py.SoftLink("/x")


ARCHIVES = {
    "deep JSON": ({"config.json": "[" * 100_000}, "nested too deeply"),
    "much JSON": ({"config.json": "[" + "1," * 5_000_000 + "1]"}, "config.json has 10,000,003"),
    "a long integer": ({"config.json": '{"class_name": ' + "9" * 5000 + "}"}, "is no JSON"),
    "a list": ({"config.json": "[1, 2]"}, "describes no model"),
    "many members": ({f"assets/{i}": b"" for i in range(200)}, "203 members"),
    "a stranger's member": ({"../../evil.py": b"x"}, "evil.py"),
    "a member up and out": ({"assets/../../x": b"x"}, "has the members"),
    "weights elsewhere": ({"model.weights.h5": None, "model.weights.npz": b""}, "no model.weights"),
    "weights of another file": ({"model.weights.h5": h5(external)}, "not all in the file"),
    "weights behind a link": ({"model.weights.h5": h5(linked)}, "links to elsewhere"),
    "weights that are not there": (
        {"model.weights.h5": h5(lambda file: file.create_dataset("x", (10**10,), "f4"))},
        r"more than the .* of shape \(10000000000,\)",
    ),
    "compressed weights": (
        {
            "model.weights.h5": h5(
                lambda file: file.create_dataset("x", (10**8,), "u1", compression="gzip")
            )
        },
        "more than the",
    ),
    "a link of weights": ({"model.weights.h5": h5(soft)}, "links to elsewhere"),
    "no weights": ({"model.weights.h5": b"no h5"}, "damaged"),
    "other weights": ({"model.weights.h5": h5(lambda file: None)}, "damaged"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_is_refused(name, parts):
    _, write = parts
    changed, message = ARCHIVES[name]
    with pytest.raises(ValueError, match=f"model.keras'(?s:.*){message}"):
        kerasar.load(write(**changed))


def test_what_unpacks_to_more_than_it_may_is_refused(parts):
    _, write = parts
    path = write(zipfile.ZIP_DEFLATED, **{"model.weights.h5": bytes(100 << 20)})
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ValueError, match="unpacks to 104,8"):
        kerasar.load(path)


def test_too_many_layers_are_refused(parts):
    members, write = parts
    config = json.loads(members["config.json"])
    config["more"] = [{"module": "keras.layers", "class_name": "ReLU", "config": {}}] * 4001
    with pytest.raises(ValueError, match=r"4,\d\d\d layers; at most 4,000"):
        kerasar.load(write(**{"config.json": json.dumps(config)}))


def test_every_byte_that_changes_loads_or_is_refused(parts):
    """Damage of all kinds: a ValueError, or a model."""
    _, write = parts
    content = write().read_bytes()
    path = write()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 12):
        damaged = bytearray(content)
        damaged[place : place + 4] = rng.bytes(4)
        path.write_bytes(damaged)
        try:
            assert isinstance(kerasar.load(path), kerasar.AutoregressiveModel)
        except ValueError as error:
            assert "model.keras'" in str(error)


@keras.saving.register_keras_serializable("tests_loading")
def halved(x):
    return x / 2


def test_what_a_network_may_hold_comes_back(tmp_path):
    """Activations, registered functions, operations on tensors, policies, schedules."""
    x = keras.Input((6,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(5, 8)(x))
    h = h + keras.ops.relu(h) * 2.0
    h = keras.layers.Conv1D(8, 2, padding="causal", activation=keras.activations.gelu)(h)
    h = keras.layers.Activation(halved)(h)
    h = keras.layers.Dense(5, dtype="mixed_bfloat16", kernel_regularizer="l2")(h)
    model = kerasar.AutoregressiveModel(keras.Model(x, h))
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10**8)
    model.compile(keras.optimizers.Adam(schedule), jit_compile=False)
    model.save(tmp_path / "model.keras")
    data = np.arange(12).reshape(2, 6) % 5
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.log_prob(data), model.log_prob(data))


def add_lora(network):
    for layer in network.layers:
        if hasattr(layer, "enable_lora"):
            layer.enable_lora(2)


def set_policies(network):
    policies = keras.dtype_policies.DTypePolicyMap()
    for layer in network.layers:
        policies[layer.path] = keras.DTypePolicy("float32")
    network.get_layer("logits").dtype_policy = policies


QUANTIZERS = keras.quantizers
CHANGES = {
    "int8": lambda network: network.quantize("int8"),
    "int4": lambda network: network.quantize("int4"),
    "float8": lambda network: network.get_layer("logits").quantize("float8"),
    "int8 with quantizers of its own": lambda network: network.get_layer("logits").quantize(
        "int8",
        config=QUANTIZERS.Int8QuantizationConfig(
            QUANTIZERS.AbsMaxQuantizer(axis=0), QUANTIZERS.AbsMaxQuantizer(axis=-1)
        ),
    ),
    "int4 in blocks": lambda network: network.quantize(
        config=QUANTIZERS.Int4QuantizationConfig(block_size=4)
    ),
    "int8 of the weights": lambda network: network.quantize(
        config=QUANTIZERS.Int8QuantizationConfig(activation_quantizer=None)
    ),
    "LoRA": add_lora,
    "LoRA of int8": lambda network: (network.quantize("int8"), add_lora(network)),
    "a policy for each layer": set_policies,
}


@pytest.mark.filterwarnings("ignore:.*(quantiz|Skipping variable loading)")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_quantized_network_comes_back(tmp_path, change):
    x = keras.Input((6,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(5, 8)(x))
    h = keras.layers.EinsumDense("bti,io->bto", (None, 8), activation="relu")(h)
    network = keras.Model(x, keras.layers.Dense(5, name="logits")(h))
    model = kerasar.AutoregressiveModel(network)
    model.compile()
    data = np.arange(12).reshape(2, 6) % 5
    randomize(network)
    before = model.log_prob(data)
    change(network)
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    # Keras merges LoRA's weights into those it saves, and rounds again.
    np.testing.assert_allclose(loaded.log_prob(data), model.log_prob(data), rtol=1e-6)
    np.testing.assert_allclose(loaded.log_prob(data), before, atol=1.0)  # int4 is coarse
    assert [layer.dtype_policy.name for layer in loaded.network.layers] == [
        layer.dtype_policy.name for layer in network.layers
    ]


@pytest.mark.filterwarnings("ignore:.*(quantiz|Skipping variable loading)")
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("attention", "int4"),
        ("couplings", "int8"),
        pytest.param("attention", "int8", marks=pytest.mark.long),
        pytest.param("couplings", "int4", marks=pytest.mark.long),
    ],
)
def test_quantized_layers_inside_layers_come_back(tmp_path, kind, mode):
    if kind == "attention":
        model = kerasar.models.Transformer(6, 5, units=8, layers=1, num_heads=2)
    else:
        model = kerasar.models.RealNVP(6, hidden_units=8, depth=2)
    randomize(model)
    before = [value.copy() for value in model.get_weights()]
    model.quantize(mode)
    model.save(tmp_path / "model.keras")
    data = np.arange(12).reshape(2, 6) % 5
    if not model.discrete:
        data = np.sin(data)
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.log_prob(data), model.log_prob(data))
    assert sum(value.nbytes for value in loaded.get_weights()) < sum(
        value.nbytes for value in before
    )


def test_a_plain_keras_model_is_not_ours(tmp_path):
    path = tmp_path / "plain.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    with pytest.raises(ValueError, match="not a model of kerasar's.*keras.saving.load_model"):
        kerasar.load(path)


def test_a_file_of_another_ending_is_not_given_to_other_readers(parts):
    """An HDF5 file may end in a zip file: Keras' older reader, which runs code, never sees it."""
    _, write = parts
    path = write().rename(write().with_suffix(".h5"))
    with pytest.raises(ValueError, match=r"is not a \.keras file"):
        kerasar.load(path)
