"""Loads images: by name, from TensorFlow Datasets, or from the user's files."""

import difflib
import os

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, existing_file, user_path
from kerasar.data.array_files import read_array_file
from kerasar.data.array_folder import is_array_folder, read_array_folder
from kerasar.data.digits import load_digits
from kerasar.data.image_data import ImageData, join
from kerasar.data.png_folder import read_png_folder
from kerasar.data.tfds import load_tfds, tfds_names

TFDS_SHORT_NAMES = ("mnist", "binarized_mnist")


@checks_arguments
def load_images(
    spec: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    levels: int | None = None,
    *,
    stream_above: int | None = None,
    skip_corrupt: bool = False,
) -> ImageData:
    """Loads images as integers, with a test set.

    The test set is the data's own where it has one. Otherwise one tenth of the images, at least
    1, is held out: drawn at random, but the same each time.

    Files are read as data and never run: arrays of Python objects are refused.

    Args:
        spec: what to load, one of
            - `"digits"`: see `load_digits`.
            - `"tfds:NAME"`: an image data set of TensorFlow Datasets, downloaded if need be; also
              `"tfds:NAME/CONFIG"` and `"tfds:NAME:VERSION"`. Its split `test`, else `validation`,
              is the test set; other splits than these and `train` are left out.
            - `"mnist"`, `"binarized_mnist"`: short for `"tfds:mnist"`, `"tfds:binarized_mnist"`.
            - the path of an `.npz` file with the arrays `x_train` and `x_test`, or `train` and
              `test`, or with a single array; labels, if any, in `y_train` and `y_test`.
            - the path of an `.npy` file with one array.
            - the path of a folder of PNG images of one size, gray or RGB, or of a folder with such
              a subfolder for each class.

            A name wins over a path: write `"./digits"` for a folder of that name.
        data_dir: where TensorFlow Datasets keeps its data; by default `$TFDS_DATA_DIR`, else
            `~/tensorflow_datasets`. Other kinds of data ignore it.
        levels: int, at least 2. The number of values of a channel. By default that of a named data
            set (17 for digits, 256 for mnist, 2 for binarized_mnist), else it follows from the
            largest value in training and test images: up to 16, that value + 1 (at least 2); up
            to 255, 256; beyond, the next power of two. Pass it if later images may hold larger
            values. `levels=2` converts images of 0 and 255 alone to 0 and 1.
        stream_above: int. Images that take more bytes than this stay in their files and are read
            when they are indexed: `train` and `test` are then `LazyRows`, for
            `kerasar.data.pipeline`. All are looked at once; compressed arrays and images of
            TensorFlow Datasets are unpacked to a temporary file (in `$TMPDIR`). None reads them
            all.
        skip_corrupt: bool. Whether files of a folder that cannot be read are left out; the result's
            `skipped` says what is wrong with them.

    Returns:
        An `ImageData`, its images of shape `(n, height, width, channels)`.

    Raises:
        FileNotFoundError: if the path does not exist, or the data set is neither on disk nor to
            be had from the network.
        ValueError: if the name is unknown, or the data is damaged or not images of integers.
    """
    if levels is not None:
        what = "levels, the number of values of a channel,"
        advice = "Pass 2 for black and white, 256 for 8-bit images, or None to go by the data."
        levels = check_count(levels, what, least=2, advice=advice)
    name = os.fspath(spec)
    if name == "digits":
        (x_train, y_train), (x_test, y_test) = load_digits()
        return join(
            name,
            "'digits'",
            x_train,
            x_test,
            y_train,
            y_test,
            levels=17 if levels is None else levels,
        )
    if name in TFDS_SHORT_NAMES:
        return load_tfds(name, name, data_dir, levels, stream_above)
    if name.startswith("tfds:"):
        return load_tfds(name, name.removeprefix("tfds:"), data_dir, levels, stream_above)
    return _load_path(name, levels, stream_above, skip_corrupt)


def _load_path(
    name: str, levels: int | None, stream_above: int | None, skip_corrupt: bool
) -> ImageData:
    path = user_path(name or ".")
    if name and path.is_dir() and is_array_folder(path):
        return read_array_folder(path, levels, stream_above, skip_corrupt)
    if name and path.is_dir():
        return read_png_folder(path, levels, stream_above, skip_corrupt)
    is_array_file = path.suffix.lower() in (".npz", ".npy")
    if path.is_file():
        if is_array_file:
            return read_array_file(path, levels, stream_above)
        raise ValueError(
            f"Images are read from .npz and .npy files and from folders of PNGs, but '{name}' is a "
            f"file that ends in '{path.suffix}'. Convert it to .npz, or pass its folder."
        )
    if name and path.exists():
        existing_file(path)  # it is a pipe or a device
    if is_array_file or len(path.parts) > 1:
        raise FileNotFoundError(
            f"There is no file or folder '{name}' (looked for '{path.absolute()}'). Check the path."
        )
    raise ValueError(
        f"'{name}' is neither the name of a data set nor a path that exists.{_near_matches(name)} "
        "Pass 'digits', 'mnist', 'binarized_mnist', 'tfds:NAME', an .npz or .npy file, or a folder "
        "of PNGs."
    )


def _near_matches(name: str) -> str:
    known = {n: f"tfds:{n}" for n in tfds_names()}
    known |= {n: n for n in ("digits", *TFDS_SHORT_NAMES)}
    near = difflib.get_close_matches(name.lower(), known, n=3)
    return f" Did you mean {' or '.join(repr(known[n]) for n in near)}?" if near else ""
