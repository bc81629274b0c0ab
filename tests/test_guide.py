"""The code on the pages of the guide runs, each page in one go, and prints what it says."""

import re
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from drawing import some
from guide import DOCS, blocks, run
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.cli.registry import MODELS
from kerasar.training import DensityModel

#: Run by tests of their own, below and in tests/test_cli_readme.py.
ELSEWHERE = {"anomalies.md", "errors.md", "forecasting.md", "scaling.md", "serving.md"}
PAGES = [name for name, text in DOCS.items() if blocks(text) and name not in ELSEWHERE]
#: Their code takes longest: run with the long checks.
LONG = {"compression.md", "coming_from.md"} | {
    f"systems/{name}.md"
    for name in (
        "shifted_pixelcnn", "pixelcnn", "gated_pixelcnn", "pixelrnn", "pixelsnail",
        "autoencoders", "wavenet", "transformer", "linear_recurrences",
        "multiscale_realnvp", "neural_spline_flow", "nice_realnvp",
    )
}  # fmt: skip


@pytest.fixture
def briefly(monkeypatch, tmp_path):
    """`fit` sees eight examples once; whatever is written goes to a folder of the test's own."""
    fit = DensityModel.fit

    def fit_briefly(model, x, y=None, **options):
        few = {name: value[:8] for name, value in x.items()} if isinstance(x, dict) else x[:8]
        kept = {name: options[name] for name in ("callbacks",) if name in options}
        model.run_eagerly = True  # one step is faster than its graph is made
        return fit(model, few, y, batch_size=4, epochs=1, verbose=0, **kept)

    monkeypatch.setattr(DensityModel, "fit", fit_briefly)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", some(PAGES, set(PAGES) - LONG))
def test_the_code_of_a_page_runs_and_prints_what_it_says(name, briefly, capsys):
    names = {}
    code = blocks(DOCS[name])
    for block in code:
        run(block, name, names)
    printed = capsys.readouterr().out
    for promised in re.findall(r"^print\(.*\)  # (.*)$", "\n".join(code), re.MULTILINE):
        assert promised in printed, promised


def test_each_message_on_the_page_of_errors_is_raised(briefly):
    names = {}
    parts = re.findall(
        r"^```(python|error)\n(.*?)^```", DOCS["errors.md"], re.DOTALL | re.MULTILINE
    )
    messages = 0
    for (kind, code), (following, message) in pairwise([*parts, ("", "")]):
        if kind == "python" and following != "error":
            run(code, "errors.md", names)
        if kind != "python" or following != "error":
            continue
        with pytest.raises(Exception) as caught:
            run(code, "errors.md", names)
        said = f"{caught.type.__name__}: {caught.value}"
        written = ".*".join(map(re.escape, " ".join(message.split()).split("…")))
        assert re.match(written, " ".join(said.split())), said
        messages += 1
    assert messages > 20


class Here:
    """A trainer of Ray that runs the loop of a worker at once."""

    def __init__(self, loop, train_loop_config, scaling_config):
        self.fit = partial(loop, train_loop_config)


def test_the_code_for_long_training_runs(briefly, monkeypatch):
    """In one process in place of two workers, and with data of its own."""
    import tensorflow as tf

    alone = tf.distribute.get_strategy()
    monkeypatch.setattr(kerasar.training, "worker_strategy", lambda *_, **__: alone)
    model = kerasar.models.NADE(5, hidden_units=3)
    model.compile()
    here = SimpleNamespace(TensorflowTrainer=Here)
    ray = SimpleNamespace(train=SimpleNamespace(tensorflow=here, ScalingConfig=dict))
    names = {"keras": keras, "kerasar": kerasar, "ray": ray, "model": model}
    names |= {"images": np.ones((8, 5), int), "points": np.zeros((8, 2), "float32")}
    for i, block in enumerate(blocks(DOCS["scaling.md"])):
        run(block.replace("/shared/", f"shared-{i}-"), "scaling.md", names)
    assert names["model"].name == "real_nvp"


def commands():
    """The lines of shell that call kerasar, without their comments."""
    for name, text in DOCS.items():
        shell = "\n".join(blocks(text, "sh") + blocks(text, "bash"))
        for line in re.findall(r"^kerasar .*$", shell.replace("\\\n", " "), re.MULTILINE):
            yield name, line.partition("  #")[0].split()[1:]


@pytest.mark.parametrize("name", sorted({name for name, _ in commands()}))
def test_the_commands_of_a_page_exist(name):
    for command, *words in (words for page, words in commands() if page == name):
        shown = CliRunner().invoke(app, [command, "--help"], terminal_width=200)
        assert shown.exit_code == 0, command
        for option in (word for word in words if word.startswith("--")):
            assert option in shown.stdout, f"{command} {option}"
        assert command != "train" or words[0] in MODELS or words[0].startswith("--"), words
