"""What the configuration in a `.keras` file may name, and how large it may be."""

import math
import re
from typing import Any

import keras

from kerasar.checks import LARGEST_IN_MODELS
from kerasar.keras_internals import saved_class
from kerasar.training.density_model import DensityModel

_DEPTH, _LAYERS = 100, 4_000

#: What is not a class of its own in a configuration.
_LITERALS = frozenset(
    "__keras_tensor__ __tensor__ __numpy__ __bytes__ __ellipsis__ __slice__ __tuple__".split()
)
_BASES = (
    keras.Operation,  # layers, models, and the operations on symbolic tensors
    keras.Initializer,
    keras.Regularizer,
    keras.constraints.Constraint,
    keras.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.DTypePolicy,
    keras.Loss,
    keras.Metric,
    keras.Quantizer,
    keras.quantizers.QuantizationConfig,
    keras.random.SeedGenerator,
)
#: Layers that run what a file says, or read other files.
_REFUSED = frozenset(
    "Lambda TFSMLayer TorchModuleWrapper JaxLayer FlaxLayer StringLookup IntegerLookup IndexLookup "
    "TextVectorization".split()
)
_NO_ACTIVATIONS = frozenset(("get", "serialize", "deserialize"))
#: Integers under these keys are no sizes.
_FREE_KEYS = re.compile(r"seed|shared_object_id|steps|step$|salt|value")
_SHAPE_KEYS = re.compile(r"shape$|size$")


def check_config(config: Any) -> None:
    """Raises a ValueError unless a configuration is a model of kerasar's that is safe to build."""
    layers, ours = 0, False
    stack: list[tuple[Any, str, int]] = [(config, "", 1)]
    while stack:
        node, key, depth = stack.pop()
        if depth > _DEPTH:
            raise ValueError(f"its configuration is nested more than {_DEPTH} levels deep.")
        if isinstance(node, dict):
            if "class_name" in node:
                cls = _check_object(node)
                layers += isinstance(cls, type) and issubclass(cls, keras.layers.Layer)
                ours |= getattr(cls, "__module__", "").startswith("kerasar.")
            stack += [(value, name, depth + 1) for name, value in node.items()]
        elif isinstance(node, list):
            _check_shape(node, key)
            stack += [(value, key, depth + 1) for value in node]
        elif isinstance(node, int) and abs(node) > LARGEST_IN_MODELS and not _FREE_KEYS.search(key):
            raise ValueError(f"{key} is {node}; sizes of models are at most {LARGEST_IN_MODELS:,}.")
    if layers > _LAYERS:
        raise ValueError(f"it has {layers:,} layers; at most {_LAYERS:,} are loaded.")
    _check_model(config, ours)


def _check_model(config: Any, ours: bool) -> None:
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError("its config.json describes no model, so it is damaged.")
    cls = _check_object(config)
    is_density = isinstance(cls, type) and issubclass(cls, DensityModel)
    is_network = isinstance(cls, type) and issubclass(cls, keras.Model)
    if not is_density and not (is_network and ours):
        raise ValueError(
            f"it is a {config['class_name']!r:.99}, not a model of kerasar's. For a file that you "
            "trust, keras.saving.load_model loads any Keras model; kerasar.AutoregressiveModel and "
            "the like make one of kerasar's of its network."
        )


def _check_object(node: dict[str, Any]) -> Any:
    """The class or function that a configuration names, as Keras would find it."""
    name, module, config = node["class_name"], node.get("module"), node.get("config")
    if not isinstance(name, str):
        raise ValueError(f"the class_name {str(name)[:99]} is no text, so it is damaged.")
    if name in _LITERALS:
        return None
    if name == "function":
        return _check_function(node)
    if name in _REFUSED:
        raise ValueError(
            f"it holds a {name} layer, which may run code or read other files. Use a layer of your "
            "own that is registered with keras.saving.register_keras_serializable."
        )
    registered = node.get("registered_name", name)
    found = _registered(registered)
    if found is None and isinstance(module, str):
        found = saved_class(module, name)
        if found is not None and (
            not issubclass(found, _BASES) or any(c.__name__ in _REFUSED for c in found.__mro__)
        ):
            found = None
    if found is None:
        raise ValueError(
            f"it names {str(module)[:99]}.{str(registered or name)[:99]}, which is neither part of "
            "a model in Keras nor registered. Import the module that registers it with "
            "keras.saving.register_keras_serializable first."
        )
    if not isinstance(config, dict) and config is not None:
        raise ValueError(f"the configuration of {name!r:.99} is no dict, so it is damaged.")
    return found


def _check_function(node: dict[str, Any]) -> Any:
    name = node.get("config")
    found = _registered(name)
    if found is not None:
        return found
    found = vars(keras.activations).get(name) if isinstance(name, str) else None
    known = found is not None and callable(found) and name not in _NO_ACTIVATIONS
    also = node.get("registered_name") in (None, "function", name)
    if not known or not also or node.get("module") not in ("builtins", "keras.activations"):
        raise ValueError(
            f"it names the function {str(node.get('module'))[:99]}.{str(name)[:99]}, but a model "
            "may only hold activations of keras.activations, and functions registered with "
            "keras.saving.register_keras_serializable."
        )
    return None


def _registered(name: Any) -> Any:
    return keras.saving.get_registered_object(name) if isinstance(name, str) else None


def _check_shape(values: list[Any], key: str) -> None:
    if not _SHAPE_KEYS.search(key):
        return
    sizes = [size for size in values if isinstance(size, int)]
    if math.prod(abs(size) or 1 for size in sizes) > LARGEST_IN_MODELS:
        raise ValueError(f"{key} is {sizes}; an example has at most {LARGEST_IN_MODELS:,} values.")
