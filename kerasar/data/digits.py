"""The digits that come with the package, so that a first model needs no download."""

from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

Part = tuple[NDArray[Any], NDArray[Any]]


def load_digits() -> tuple[Part, Part]:
    """Loads the UCI optical digits: 8x8 pixels of 17 levels, 0 to 16, and their labels.

    Returns:
        `((x_train, y_train), (x_test, y_test))`, as `keras.datasets` do: 1,500 and 297 images,
        uint8 of shape `(n, 8, 8, 1)`, and the digits 0 to 9, uint8 of shape `(n,)`.

    References:
        Alpaydin & Kaynak. Optical Recognition of Handwritten Digits. UCI Machine Learning
        Repository, 1998. https://doi.org/10.24432/C50P49 (CC BY 4.0; see DIGITS.md)
    """
    with (resources.files("kerasar.data") / "digits.npz").open("rb") as file:
        with np.load(file, allow_pickle=False) as arrays:
            train = arrays["x_train"], arrays["y_train"]
            test = arrays["x_test"], arrays["y_test"]
    return train, test
