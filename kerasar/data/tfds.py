"""Reads image data sets of TensorFlow Datasets into whole arrays of integers."""

import difflib
import math
import os
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.checks import user_path
from kerasar.data.image_checks import as_images
from kerasar.data.image_data import ImageData, divide, join
from kerasar.data.image_rows import image_rows
from kerasar.data.row_file import Spool

#: Bytes of images that are decoded together.
_BLOCK = 1 << 24
KNOWN_LEVELS = {"mnist": 256, "binarized_mnist": 2}


def load_tfds(
    spec: str,
    name: str,
    data_dir: str | os.PathLike[str] | None,
    levels: int | None,
    stream_above: int | None = None,
) -> ImageData:
    """Loads the data set `name`, called `spec` by the user; `load_images` describes the rest.

    Raises:
        FileNotFoundError: if it is neither on disk nor to be had from the network.
        ValueError: if the name is unknown or the data holds no images of one size.
    """
    # TensorFlow Datasets reads the variable once, when it is imported; we read it now.
    folder = user_path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    builder = _prepared(_find_builder(name, folder), name, folder)
    image_key, label_key = _find_features(builder, spec)
    base = name.split("/")[0].split(":")[0]
    levels = KNOWN_LEVELS.get(base) if levels is None else levels

    splits = list(builder.info.splits)
    if "train" not in splits:
        raise ValueError(
            f"A data set must have a split 'train', but '{spec}' has {splits}. Save the split you "
            "want as an .npz file with the arrays x_train and x_test."
        )
    keys = image_key, label_key
    train, train_labels = _read_split(builder, "train", keys, spec, stream_above)
    test_split = next((s for s in ("test", "validation") if s in splits), None)
    if test_split is None:
        return divide(spec, f"'{spec}'", train, train_labels, levels=levels)
    test, test_labels = _read_split(builder, test_split, keys, spec, stream_above)
    return join(spec, f"'{spec}'", train, test, train_labels, test_labels, levels=levels)


def tfds_names() -> list[str]:
    """Names of all data sets that TensorFlow Datasets knows, found without the network."""
    import tensorflow_datasets as tfds

    return list(tfds.list_builders(with_community_datasets=False))


def _find_builder(name: str, folder: Path) -> Any:
    import tensorflow_datasets as tfds

    base = name.split("/")[0].split(":")[0]
    # A folder without a builder is a data set that the user prepared with a builder of their own.
    if base not in tfds_names() and not (base.isidentifier() and (folder / base).is_dir()):
        near = difflib.get_close_matches(base.lower(), tfds_names(), n=3)
        hint = f" Did you mean {' or '.join(repr('tfds:' + n) for n in near)}?" if near else ""
        raise ValueError(
            f"TensorFlow Datasets knows no data set '{base}', and '{folder}' holds none.{hint} See "
            "https://www.tensorflow.org/datasets/catalog/overview for their names."
        )
    try:
        return tfds.builder(name, data_dir=folder)
    except (ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"TensorFlow Datasets knows '{base}', but cannot make 'tfds:{name}' of it: "
            f"{reason[:500]} Write tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:VERSION."
        ) from error


def _prepared(builder: Any, name: str, folder: Path) -> Any:
    """The builder with its data on disk, downloaded if it was not."""
    if builder.is_prepared():
        return builder
    try:
        _check_network(builder)
        builder.download_and_prepare()
    # Servers, checksums, archives, data that must be fetched by hand: each fails in its own way.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise FileNotFoundError(
            f"The data set '{name}' is not in '{folder}', and preparing it there failed "
            f"({type(error).__name__}: {reason[:500]}). If you have a prepared copy, set the "
            "environment variable TFDS_DATA_DIR, or data_dir, to the folder that holds it (the one "
            f"with '{builder.info.full_name}' inside). Else run "
            f"tfds.load('{name}') on a machine with a network and copy its data folder here."
        ) from error
    return builder


def _check_network(builder: Any) -> None:
    """Raises OSError if none of the data's servers has an address.

    Without a network TensorFlow Datasets retries for more than three minutes before it gives up.
    """
    if urllib.request.getproxies():
        return  # the proxy looks up names for us
    hosts = {urllib.parse.urlsplit(url).hostname for url in builder.url_infos or ()} - {None}
    failures = []
    for host in sorted(filter(None, hosts)):
        try:
            socket.getaddrinfo(host, None)
            return
        except OSError as error:
            failures.append(f"no address for {host}: {error}")
    if failures:
        raise OSError("; ".join(failures))


def _find_features(builder: Any, spec: str) -> tuple[str, str | None]:
    """The keys of the image and, if there is one, of its class."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = [key for key in features if isinstance(features[key], tfds.features.Image)]
    if len(images) != 1 and "image" not in images:
        raise ValueError(
            "A data set must have a feature 'image', or one image and no more, but the images of "
            f"'{spec}' are {images} and its features {list(features)}. Save the images you want as "
            "an .npz file with the arrays x_train and x_test."
        )
    has_label = "label" in features and isinstance(features["label"], tfds.features.ClassLabel)
    return "image" if "image" in images else images[0], "label" if has_label else None


def _read_split(
    builder: Any,
    split: str,
    keys: tuple[str, str | None],
    spec: str,
    stream_above: int | None,
) -> tuple[Any, NDArray[Any] | None]:
    """Reads images and classes of a split in the order in which it is stored.

    Images that take more bytes than `stream_above` go to a temporary file.
    """
    import tensorflow as tf

    source = f"split '{split}' of '{spec}'"
    count = builder.info.splits[split].num_examples
    image_key, label_key = keys
    images: NDArray[Any] | None = None
    spool: Spool | None = None
    labels = np.empty(count, np.int64)
    start = 0
    try:
        for batch in _batches(builder, split, image_key, label_key):
            block = batch[image_key]
            if images is None:
                size = count * block[0].nbytes
                spool = Spool() if stream_above is not None and size > stream_above else None
                images = np.empty((0 if spool else count, *block.shape[1:]), block.dtype)
            if block.shape[1:] != images.shape[1:]:
                raise ValueError(
                    f"All images must have the same height, width and channels, but {source} has "
                    f"{images.shape[1:]} and, at index {start}, {block.shape[1:]}. Crop or resize "
                    "them, and save them as an .npz file."
                )
            if spool is None:
                images[start : start + len(block)] = block
            else:
                spool.add(block)
            if label_key:
                labels[start : start + len(block)] = batch[label_key]
            start += len(block)
    except tf.errors.OpError as error:  # also raised if there are not `count` examples
        reason = error.message.split("}} ")[-1].split(" [Op:")[0]
        raise ValueError(
            f"Cannot read {source} from '{builder.data_path}': files or examples there are damaged "
            f"or missing ({type(error).__name__}: {reason[:300]}). Delete that folder and prepare "
            "the data set again."
        ) from error
    if images is None:
        raise ValueError(
            f"There must be images in {source}, but '{builder.data_path}' holds none. Delete that "
            "folder and prepare the data set again."
        )
    # TensorFlow Datasets writes -1 where the class is kept secret.
    has_labels = label_key is not None and labels.min() >= 0
    if spool is None:
        return as_images(images, source), labels if has_labels else None
    rows = spool.rows((start, *images.shape[1:]), images.dtype)
    return image_rows(rows, source), labels if has_labels else None


def _batches(builder: Any, split: str, image_key: str, label_key: str | None) -> Iterator[Any]:
    import tensorflow_datasets as tfds

    shape = builder.info.features[image_key].shape
    # Images of open size may differ, and then do not go into one batch.
    size = 1 if None in shape else max(1, min(1024, _BLOCK // math.prod(shape)))
    examples = builder.as_dataset(
        split=split,
        read_config=tfds.ReadConfig(try_autocache=False),  # each split is read once
    )
    # Other features go before batching: they may have unequal lengths.
    keys = [key for key in (image_key, label_key) if key is not None]
    examples = examples.map(lambda example: {key: example[key] for key in keys})
    yield from tfds.as_numpy(examples.batch(size))
