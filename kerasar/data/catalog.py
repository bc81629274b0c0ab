"""What the readers read, in one line each, for the command line to print."""

from collections.abc import Mapping
from types import MappingProxyType

#: What `load_images` reads: specification -> description. Words in capitals are placeholders.
DATASETS: Mapping[str, str] = MappingProxyType(
    {
        "digits": "1,797 handwritten digits, 8x8, 17 gray levels, with labels; in the package",
        "mnist": "70,000 digits, 28x28, 256 gray levels, with labels; short for tfds:mnist",
        "binarized_mnist": "70,000 digits, 28x28, black or white; short for tfds:binarized_mnist",
        "tfds:NAME": "an image data set of tensorflow_datasets, from TFDS_DATA_DIR or downloaded",
        "FILE.npz": "arrays x_train and x_test (or train and test), or a single array of images",
        "FILE.npy": "a single array of images, (n, h, w) or (n, h, w, c); a tenth is held out",
        "FOLDER": "PNG images, gray or RGB, all of one size; subfolders are class labels",
    }
)

#: What the readers of sequences, recordings and series read.
SEQUENCES: Mapping[str, str] = MappingProxyType(
    {
        "toy": "27,500 sequences of 32 integers below 64, whose exact probability is known",
        "FILE.npz": "sequences: array train, and train_offsets or train_length; test likewise",
        "FOLDER": "recordings, WAV or FLAC; classes by subfolder, or by name as in 3_theo_12.wav",
        "FILE.txt": "a text, as characters or bytes (--tokens); its last tenth is the test part",
        "FILE.csv": "a series: a row for each step; --column selects; .npy arrays too",
    }
)

#: What models of vectors are trained on.
VECTORS: Mapping[str, str] = MappingProxyType(
    {
        "moons": "points in the plane; also circles, spirals, pinwheel, checkerboard",
        "mixture": "points on the line, of a known density",
        "FILE.csv": "a row of values for each vector; --column selects some of them",
    }
)
