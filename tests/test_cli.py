"""The command as a whole: what it lists, what it imports, how it says that something is wrong."""

import dataclasses
import runpy
import subprocess
import sys

import pytest
import typer
from drawing import some
from typer.testing import CliRunner

from kerasar.cli import app
from kerasar.cli.kinds import KINDS
from kerasar.cli.registry import MODELS, find_model
from kerasar.cli.support.errors import ErrorsAsMessages

COMMANDS = ["train", "sample", "inpaint", "score", "export", "models", "data"]


def kerasar(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["data"], ["train", "--help"]])
def test_what_only_informs_imports_nothing_heavy(arguments):
    code = (
        "import sys\n"
        "from kerasar.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'tensorflow_datasets'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_teaches_itself_by_an_example(command):
    shown = kerasar(command, "--help")
    assert shown.exit_code == 0
    assert f"     kerasar {command}" in shown.stdout


def test_help_names_all_commands():
    shown = kerasar("--help").stdout
    assert all(f" {command} " in shown for command in COMMANDS)


def test_models_lists_each_model():
    shown = kerasar("models").stdout
    assert all(name in shown for name in MODELS)


def test_data_lists_what_can_be_loaded():
    shown = kerasar("data").stdout
    assert "digits" in shown and "tfds:NAME" in shown and "FILE.npz" in shown


def test_version_is_printed():
    assert kerasar("--version").stdout.startswith("kerasar 0.")


@pytest.mark.parametrize("module", ["kerasar", "kerasar.cli"])
def test_python_runs_it_as_a_module(module, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [module, "--version"])
    # The handlers of signals would stay, and go on asking tests to end.
    monkeypatch.setattr(sys.modules["kerasar.cli.app"], "end_as_ctrl_c", lambda: None)
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module(module, run_name="__main__")
    assert capsys.readouterr().out.startswith("kerasar 0.")


#: Others are built by tests of commands or by their own.
OFTEN = ["shifted-pixelcnn", "pixelsnail", "pixelrnn", "transformer", "nade", "masked-input-lenet"]
OFTEN += ["masked-input-conv-net", "piecewise-linear-flow", "nice", "neural-spline-flow", "glow"]


@pytest.mark.parametrize("name", some(MODELS, OFTEN))
def test_each_entry_of_the_registry_builds_a_model(name):
    for kind in MODELS[name].kinds:
        example = dict(KINDS[kind].example)
        if kind == "images" and name != "masked-input-lenet":
            example["image_shape"] = (8, 8, 1)
        if name == "nade":
            example["levels"] = 2
        if name == "forecaster":
            example["levels"] = None
        if name == "piecewise-linear-flow":
            example["dim"] = 1
        facts = dataclasses.replace(
            KINDS[kind].example_facts(), shape=example.get("image_shape", ())
        )
        model = MODELS[name].build(facts, **example)
        assert model.data_levels == example.get("levels")


@pytest.mark.parametrize("name", ["shifted-pixelcn", "shifted_pixelcnn", "ShiftedPixelCNN"])
def test_an_unknown_model_is_answered_with_its_neighbour(name):
    with pytest.raises(ValueError, match=f"got '{name}'.*Did you mean 'shifted-pixelcnn'"):
        find_model(name)


def test_an_unknown_command_ends_with_status_2():
    assert kerasar("trian").exit_code == 2


# How errors end.


def ending(error):
    failing = typer.Typer(cls=ErrorsAsMessages, pretty_exceptions_enable=False)

    @failing.command()
    def fail():
        raise error

    @failing.callback()
    def group():
        """So that there is a group."""

    return CliRunner().invoke(failing, ["fail"])


@pytest.mark.parametrize(
    "error", [ValueError, TypeError, FileNotFoundError, FileExistsError, PermissionError]
)
def test_a_users_error_ends_with_its_message_and_status_2(error):
    done = ending(error("this is wrong"))
    assert done.exit_code == 2
    assert "Error: this is wrong" in done.stderr and "Traceback" not in done.stderr
    assert not done.stdout


def test_training_that_went_wrong_ends_with_its_message_and_status_1():
    done = ending(FloatingPointError("the loss is inf"))
    assert done.exit_code == 1 and "Error: the loss is inf" in done.stderr


def test_our_own_bugs_are_not_hidden():
    assert isinstance(ending(KeyError("a bug")).exception, KeyError)


def test_a_traceback_is_shown_on_request(monkeypatch):
    monkeypatch.setenv("KERASAR_TRACEBACK", "1")
    done = ending(ValueError("this is wrong"))
    assert done.exit_code == 2 and "Traceback" in done.stderr


def test_only_messages_that_are_not_ours_point_to_the_traceback():
    assert "KERASAR_TRACEBACK=1" in ending(ValueError("terse")).stderr
    assert "KERASAR_TRACEBACK" not in kerasar("train", "x", "--data", "digits").stderr
