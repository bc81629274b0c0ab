"""The command on images: classes, latents, and what a model cannot do."""

import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from small_entries import small_entry
from test_cli_kinds import refuse, succeed

import kerasar
from kerasar.cli import registry
from kerasar.cli.defaults import Facts
from kerasar.cli.kinds.images.images import _columns
from kerasar.cli.support.quick import fast_start_options
from kerasar.cli.support.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("loaded_once")
SMALL = dict(filters=4, blocks=1)
SIZES = {
    "gated-pixelcnn": {**SMALL, "skip_filters": 4, "head_filters": 4},
    "pixelvae": {**SMALL, "latent_shape": (2,), "encoder_filters": 4},
    "pixelcnn-autoencoder": {**SMALL, "latent_shape": (2,), "encoder_filters": 4},
}
PICTURES = ("samples.png", "inpainting.png", "reconstructions.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one epoch for each model, on small images of two classes."""
    home = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 3, (40, 4, 4, 1)).astype("uint8")
    labels = np.arange(40) % 2
    np.savez(
        home / "data.npz",
        x_train=images[:30],
        y_train=labels[:30],
        x_test=images[30:],
        y_test=labels[30:],
    )
    with pytest.MonkeyPatch.context() as patch:
        small = {name: small_entry(name, {"images": sizes}) for name, sizes in SIZES.items()}
        patch.setattr(registry, "MODELS", MappingProxyType({**registry.MODELS, **small}))
        for kind in (kerasar.AutoregressiveModel, kerasar.VAEModel, kerasar.AutoencoderModel):
            patch.setattr(kind, "export", lambda model, path, **_: Path(path).mkdir())
        for model in SIZES:
            options = ("--conditional",) if model == "gated-pixelcnn" else ()
            common = ("--data", home / "data.npz", "--levels", 3, "--epochs", 1)
            done = succeed("train", model, *common, "--out", home / model, *options)
            (home / f"{model}.txt").write_text(done.output)
    return home


def test_each_class_has_its_row(trained):
    run = trained / "gated-pixelcnn"
    out = trained / "grid.npz"
    succeed("sample", run, "--classes", "1,0", "--num", 3, "--out", out)
    with np.load(out) as arrays:
        drawn = arrays["samples"]
    model = RunFolder.open(run).load_model()
    np.testing.assert_array_equal(drawn, model.sample(6, condition=[1, 1, 1, 0, 0, 0]))
    succeed("sample", run, "--classes", "0-1", "--num", 3, "--out", trained / "grid.png")
    assert (trained / "grid.png").stat().st_size > 1000


def test_columns_are_the_samples_of_a_class():
    assert _columns(["a", "a", "a", "b", "b", "b"]) == 3
    assert _columns(["a", "b", "b"]) is None
    assert _columns(["sample 0", "sample 1"]) is None


def test_an_autoencoder_shows_reconstructions_and_a_vae_samples_too(trained):
    for model, shown in (
        ("pixelvae", {"samples.png", "reconstructions.png"}),
        ("pixelcnn-autoencoder", {"reconstructions.png"}),
        ("gated-pixelcnn", {"samples.png", "inpainting.png"}),
    ):
        assert {name for name in PICTURES if (trained / model / name).exists()} == shown
        told = (trained / f"{model}.txt").read_text()
        assert all((name in told) == (name in shown) for name in PICTURES)
        assert ("sample " in told.split("Next:")[1]) == ("samples.png" in shown)
        assert ("inpaint " in told.split("Next:")[1]) == ("inpainting.png" in shown)
        words = {"pixelvae": "at most", "pixelcnn-autoencoder": "given their latents"}.get(model)
        assert words is None or words in told
        bits = json.loads((trained / model / "config.json").read_text())["test"]["bits_per_dim"]
        assert 1.4 < bits < 2.2  # noise of three levels is 1.58 bits


def test_latents_are_scored_and_inspected(trained):
    run = trained / "pixelvae"
    done = succeed("score", run, trained / "data.npz", "--out", trained / "scores.csv")
    assert "bits/dim" in done.output
    done = succeed("inspect", run, "--out", trained / "field.png")
    assert "Proven causal" in done.output


def test_a_latent_model_takes_the_options_of_its_decoder(trained):
    out = trained / "sure.npz"
    succeed("sample", trained / "pixelvae", "--num", 3, "--top-k", 1, "--out", out)
    with np.load(out) as arrays:
        drawn = arrays["samples"]
    model = RunFolder.open(trained / "pixelvae").load_model()
    np.testing.assert_array_equal(drawn, model.sample(3, top_k=1))


def test_what_a_model_cannot_do_is_said(trained):
    assert "PixelVAE" in refuse("sample", trained / "pixelcnn-autoencoder")
    assert "autoregressive model" in refuse("inpaint", trained / "pixelvae")
    said = refuse("score", trained / "pixelvae", trained / "data.npz", "--map", "map.npz")
    assert "VAEModel scores whole examples" in said
    said = refuse("sample", trained / "gated-pixelcnn", "--classes", "7")
    assert "must name classes of the model, 0, 1" in said


def test_images_that_no_picture_can_show_are_refused_before_training(tmp_path):
    np.savez(tmp_path / "rgba.npz", x_train=np.zeros((20, 4, 4, 4), "uint8"))
    out = tmp_path / "run"
    said = refuse("train", "pixelcnn", "--data", tmp_path / "rgba.npz", "--out", out)
    assert "1 or 3 channels, but those of" in said and "have 4" in said
    assert not out.exists()


def test_a_sampling_method_is_asked_of_models_that_have_several():
    shape = {"image_shape": (28, 28, 1), "levels": 2}
    facts = Facts("images", 1_000, (28, 28, 1), 2)
    chosen = {
        name: fast_start_options(registry.MODELS[name].build(facts, **shape))
        for name in ("shifted-pixelcnn", "masked-input-lenet")
    }
    assert chosen == {"shifted-pixelcnn": {"method": "parallel"}, "masked-input-lenet": {}}
