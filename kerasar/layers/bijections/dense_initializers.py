"""How the hidden layers of a flow's dense networks start."""

import math
from typing import Any

import keras


def dense_initializers(inputs: int) -> dict[str, Any]:
    """Initializers of a dense layer: kernel and biases, uniform, of variance 1 / inputs.

    A coupling's network may see a single element. With biases of zero all of its units bend at 0,
    and the steps it takes to spread them out are most of the training: on moons a Real NVP of 4,000
    steps ends near 0.39 nats with these, near 1.05 without.
    """
    width = math.sqrt(3 / inputs)
    kernel, bias = (keras.initializers.RandomUniform(-width, width) for _ in range(2))
    return {"kernel_initializer": kernel, "bias_initializer": bias}
