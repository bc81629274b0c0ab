"""What an activation function sees: each element alone, the whole last axis, or something unknown.

A function is known by identity, never by its name: `activation=` takes anything.
"""

from typing import Any

import keras

A, K, L = keras.activations, keras.ops, keras.layers

_ELEMENTS = """
    celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu
    linear log_sigmoid mish relu relu6 selu sigmoid silu soft_shrink softplus softsign sparse_plus
    sparse_sigmoid squareplus swish tanh tanh_shrink threshold exp abs square sin cos
""".split()
_LAST_AXIS = "softmax log_softmax sparsemax glu".split()


def _functions(names: list[str]) -> frozenset[Any]:
    found = [getattr(module, name, None) for module in (A, K) for name in names]
    return frozenset(function for function in found if function is not None)


#: Functions that treat each element by itself.
ELEMENTS = _functions(_ELEMENTS)
#: Functions that treat each vector along the last axis by itself, if called without further words.
LAST_AXIS = _functions(_LAST_AXIS)


def is_elementwise(activation: Any) -> bool:
    """Whether each element is known to be treated by itself."""
    if activation is None or type(activation) in (L.ReLU, L.LeakyReLU, L.ELU):
        return True
    if type(activation) is L.Activation:
        return is_elementwise(activation.activation)
    return isinstance(activation, _HASHABLE) and activation in ELEMENTS


def is_over_channels(activation: Any) -> bool:
    """Whether each vector along the last axis is known to be treated by itself."""
    return isinstance(activation, _HASHABLE) and activation in LAST_AXIS


_HASHABLE = (type(is_elementwise), type)
