"""What `load_images` can read, in one line each, for the command line to print."""

from collections.abc import Mapping
from types import MappingProxyType

#: Specification -> description. Words in capitals stand for what the user fills in.
DATASETS: Mapping[str, str] = MappingProxyType(
    {
        "digits": "1,797 handwritten digits, 8x8, 17 grey levels, with labels; in the package",
        "mnist": "70,000 digits, 28x28, 256 grey levels, with labels; short for tfds:mnist",
        "binarized_mnist": "70,000 digits, 28x28, black or white; short for tfds:binarized_mnist",
        "tfds:NAME": "an image data set of tensorflow_datasets, from TFDS_DATA_DIR or downloaded",
        "FILE.npz": "arrays x_train and x_test (or train and test), or a single array of images",
        "FILE.npy": "a single array of images, (n, h, w) or (n, h, w, c); a tenth is held out",
        "FOLDER": "PNG images, grey or RGB, all of one size; subfolders are class labels",
    }
)
