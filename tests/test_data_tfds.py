"""TensorFlow Datasets: whole splits as integers, from a prepared copy where there is one."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerasar.data import load_images
from kerasar.data import tfds as reader
from kerasar.data.lazy_rows import is_lazy


class KerasarTiny(tfds.core.GeneratorBasedBuilder):
    """Twenty images a split, of value 0 to 19; each configuration is a data set with a quirk."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=name)
        for name in "full validation train open ragged secret pair masked no_train".split()
    ]

    def _info(self):
        quirk = self.builder_config.name
        size = None if quirk in ("open", "ragged") else 3
        image = tfds.features.Image(shape=(size, size, 1))
        features = {
            "picture" if quirk == "train" else "image": image,
            "notes": tfds.features.Sequence(tf.int64),
        }
        if quirk == "pair":
            features = {"left": image, "right": image}
        if quirk == "masked":
            features["mask"] = image
        if quirk in ("full", "secret"):
            features["label"] = tfds.features.ClassLabel(num_classes=20)
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, _):
        splits = {
            "full": ["train", "validation", "test"],
            "validation": ["validation", "train"],
            "no_train": ["test"],
            "secret": ["train", "test"],
        }.get(self.builder_config.name, ["train"])
        return {split: self._generate_examples(split) for split in splits}

    def _generate_examples(self, split):
        offset = {"train": 0, "validation": 50, "test": 100}[split]
        for i in range(20):
            size = 4 if self.builder_config.name == "ragged" and i == 13 else 3
            secret = self.builder_config.name == "secret" and split == "test"
            values = {"notes": [1] * i, "label": -1 if secret else i}
            image = np.full((size, size, 1), offset + i, np.uint8)
            yield i, {name: values.get(name, image) for name in self.info.features}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tensorflow_datasets")


def tiny(quirk, folder, **arguments):
    return load_images(f"tfds:kerasar_tiny/{quirk}", data_dir=folder, **arguments)


def values(images):
    assert (images == images[:, :1, :1]).all()
    return sorted(images[:, 0, 0, 0].tolist())


def test_train_and_test_are_whole_and_labels_stay_with_their_images(folder):
    data = tiny("full", folder)
    assert values(data.train) == list(range(20)) and values(data.test) == list(range(100, 120))
    np.testing.assert_array_equal(data.train_labels, data.train[:, 0, 0, 0])
    np.testing.assert_array_equal(data.test_labels, data.test[:, 0, 0, 0] - 100)
    assert (data.levels, data.names) == (256, None)


def test_validation_stands_in_for_a_missing_test_split(folder):
    assert values(tiny("validation", folder).test) == list(range(50, 70))


@pytest.mark.parametrize("quirk", ["train", "open"])
def test_with_a_train_split_alone_a_tenth_is_held_out(folder, quirk):
    data = tiny(quirk, folder)
    assert len(data.test) == 2
    assert sorted(values(data.train) + values(data.test)) == list(range(20))


def test_secret_test_labels_are_none(folder):
    data = tiny("secret", folder)
    assert data.test_labels is None and len(data.train_labels) == 20


def test_the_feature_named_image_wins_over_others(folder):
    assert tiny("masked", folder).train.shape == (18, 3, 3, 1)


@pytest.mark.parametrize(
    "quirk, match",
    [
        ("ragged", r"split 'train' of 'tfds:kerasar_tiny/ragged' has \(., ., 1\) and, at index"),
        ("pair", r"are \['left', 'right'\]"),
        ("no_train", r"has \['test'\]"),
        ("none_such", r"cannot make 'tfds:kerasar_tiny/none_such'"),
    ],
)
def test_what_is_no_set_of_images_of_one_size_is_refused(folder, quirk, match):
    with pytest.raises(ValueError, match=match):
        tiny(quirk, folder)


def test_the_environment_variable_is_honoured_after_import(folder, monkeypatch):
    tiny("full", folder)
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    monkeypatch.setattr(KerasarTiny, "_split_generators", lambda *_: pytest.fail("prepared again"))
    assert len(load_images("tfds:kerasar_tiny/full").train) == 20


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_copy_is_refused(tmp_path, damage):
    tiny("train", tmp_path)
    (file,) = tmp_path.rglob("*.tfrecord*")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        file.unlink()
    with pytest.raises(ValueError, match=r"damaged or missing.*prepare the data set again"):
        tiny("train", tmp_path)


def test_examples_that_went_missing_are_noticed(tmp_path):
    """A record file cut between two records is whole as a file, but not as a data set."""
    tiny("train", tmp_path)
    (file,) = tmp_path.rglob("*.tfrecord*")
    data = file.read_bytes()
    record = 16 + int.from_bytes(data[:8], "little")  # length, two checksums, content
    file.write_bytes(data[record:])
    with pytest.raises(ValueError, match=r"missing .*contain 20 elements .*only 19"):
        tiny("train", tmp_path)


def no_address(*_):
    raise socket.gaierror("name unknown")


def test_without_a_copy_or_a_network_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    monkeypatch.setattr(reader.urllib.request, "getproxies", dict)
    with pytest.raises(FileNotFoundError, match=r"name unknown.*TFDS_DATA_DIR.*'mnist/3") as caught:
        load_images("mnist", data_dir=tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_an_unknown_name_gets_near_matches(tmp_path):
    with pytest.raises(ValueError, match=r"no data set 'cifar_10'.*Did you mean 'tfds:cifar10"):
        load_images("tfds:cifar_10", data_dir=tmp_path)


def prepared(name):
    folder = os.environ.get("TFDS_DATA_DIR")
    if not folder or not (Path(folder) / name).is_dir():
        pytest.skip(f"no prepared copy of {name}: set TFDS_DATA_DIR to the folder that holds it")
    return load_images(name)


@pytest.mark.long
def test_mnist_is_the_published_one():
    data = prepared("mnist")
    assert data.train.shape == (60_000, 28, 28, 1) and data.test.shape == (10_000, 28, 28, 1)
    assert (data.levels, data.train.dtype, data.train.max()) == (256, np.uint8, 255)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.train_labels).tolist() == counts
    np.testing.assert_allclose(data.train.mean() / 255, 0.1307, atol=5e-5)
    np.testing.assert_allclose(data.test.mean() / 255, 0.1325, atol=5e-5)


@pytest.mark.long
def test_binarized_mnist_is_larochelles():
    data = prepared("binarized_mnist")
    assert data.train.shape == (50_000, 28, 28, 1) and data.test.shape == (10_000, 28, 28, 1)
    assert data.levels == 2 and np.unique(data.train).tolist() == [0, 1]
    assert data.train_labels is None and data.test_labels is None
    np.testing.assert_allclose(data.train.mean(), 0.130562, atol=5e-7)
    np.testing.assert_allclose(data.test.mean(), 0.132512, atol=5e-7)


@pytest.mark.parametrize("quirk", ["full", "train", "open"])
def test_images_in_a_temporary_file_are_those_that_are_read(folder, quirk):
    lazy, whole = tiny(quirk, folder, stream_above=0), tiny(quirk, folder)
    assert is_lazy(lazy.train) and lazy.levels == whole.levels
    np.testing.assert_array_equal(lazy.train[:], whole.train)
    np.testing.assert_array_equal(lazy.test[:], whole.test)
    np.testing.assert_array_equal(lazy.train_labels, whole.train_labels)
    assert not is_lazy(tiny(quirk, folder, stream_above=10_000).train)
