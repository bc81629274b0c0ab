"""Wrong arguments are told by name, before any work: the decorator, the checkers, and a sweep."""

import collections.abc
import inspect
import os
import re
from typing import Any, Protocol

import keras
import numpy as np
import pytest

import kerasar
from benchmarks.quality.argument_sweep import RAW, WRONGLY, Argument, Entry, scratch_folder, sweep
from benchmarks.quality.entry_points import ENTRIES
from kerasar.arguments import checks_arguments
from kerasar.checks import check_choice, check_count, check_memory, check_sizes
from kerasar.memory import available_memory


class Named(Protocol):
    name: str

    def score(self, x: Any) -> float: ...


@checks_arguments
def example(
    count: int = 1,
    share: float | None = 0.5,
    flag: bool = False,
    sizes: collections.abc.Sequence[int] = (1,),
    pair: tuple[int, int] = (1, 2),
    named: Named | None = None,
    anything: Any = None,
) -> dict[str, Any]:
    return dict(locals())


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (dict(count=True), TypeError, "example: count must be an integer, but got True"),
        (dict(count=2.0), TypeError, "example: count must be an integer, but got 2.0"),
        (dict(count=None), TypeError, "example: count must be an integer, but got None"),
        (dict(share="x"), TypeError, "example: share must be a finite number or None"),
        (dict(share=float("nan")), ValueError, "example: share must be a finite .* got nan"),
        (dict(share=True), TypeError, "example: share must be a finite"),
        (dict(flag=1), TypeError, "example: flag must be True or False, but got 1"),
        (dict(sizes="12"), TypeError, "example: sizes must be a sequence of integers"),
        (dict(sizes=[1, None]), TypeError, r"example: sizes must be .* but sizes\[1\] is None"),
        (dict(pair=(1, 2, 3)), ValueError, r"example: pair must be a tuple \(int, int\)"),
        (dict(named=3), TypeError, "example: named must be an object with name and score"),
        (dict(count="y" * 999), TypeError, r"but got 'y+…\.$"),
        (dict(count=np.zeros((9, 9))), TypeError, r"an array of float64 of shape \(9, 9\)"),
    ],
)
def test_other_kinds_are_refused_by_name(given, kind, message):
    with pytest.raises(kind, match=message):
        example(**given)


def test_numbers_of_numpy_become_those_of_python():
    found = example(np.int64(3), np.float32(0.5), np.bool_(True), np.array([1, 2]), [3, 4])
    kinds = [type(value) for value in found.values()]
    assert kinds[:5] == [int, float, bool, tuple, tuple]
    assert [type(size) for size in found["sizes"]] == [int, int] and found["pair"] == (3, 4)
    unhashable = [object(), {}]
    assert example(anything=unhashable)["anything"] is unhashable
    assert example(share=None)["share"] is None


def test_what_is_missing_or_too_much_is_told_as_python_does():
    with pytest.raises(TypeError, match=r"example\(\) got an unexpected keyword argument 'x'"):
        example(x=3)
    assert "count" in inspect.getfullargspec(example).args  # Keras reads it so


def test_counts_sizes_and_choices_have_bounds():
    assert check_count(np.int32(3), "n") == 3
    with pytest.raises(ValueError, match="n must be at most 2,147,483,647, but got 100000000000"):
        check_count(10**11, "n")
    assert check_count(10**11, "n", most=None) == 10**11
    check_sizes(a=3, b=[1, 2], c=None)
    with pytest.raises(ValueError, match="each of b must be at least 1, but got 0"):
        check_sizes(b=[1, 0])
    with pytest.raises(ValueError, match="b must hold at least one integer"):
        check_sizes(b=())
    with pytest.raises(ValueError, match=r"mode must be 'a', 1 or None, but got \[\]"):
        check_choice([], "mode", ("a", 1, None))


def test_more_than_memory_holds_is_refused_before_it_is_asked_for():
    with pytest.raises(ValueError, match=r"n=30000000000 asks for an array.*GiB of memory"):
        check_memory("n", 3 * 10**10, (3 * 10**10, 1000))
    check_memory("n", 10, (10, 10))
    with pytest.raises(ValueError, match="num_samples"):
        kerasar.models.CausalConvNet(8, 3, filters=2).sample(2 * 10**9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(epochs=-3), "epochs must be at least 1, but got -3"),
        (dict(epochs=2.5), r"fit\(\): epochs must be an integer"),
        (dict(batch_size=-1), "batch_size must be at least 1"),
        (dict(steps_per_epoch=0), "steps_per_epoch must be at least 1"),
        (dict(verbose="no"), "verbose must be 'auto', True, False or 2"),
        (dict(validation_split="x"), r"fit\(\): validation_split must be a finite number or None"),
        (dict(shuffle="no"), r"fit\(\): shuffle must be True or False"),
        (dict(callbacks=[3]), "callbacks must be instances of keras.callbacks.Callback"),
        (dict(validation_freq=[0]), "each of validation_freq must be at least 1"),
    ],
)
def test_arguments_of_the_training_loop_are_checked_first(sequences, given, message):
    model = sequences()
    model.compile(jit_compile=False)
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(np.zeros((4, 4), int), **given)
    assert int(model.optimizer.iterations) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(steps_per_execution=-1), "steps_per_execution must be at least 1"),
        (dict(optimizer=3), "optimizer must be a keras.optimizers.Optimizer .* got 3"),
        (dict(jit_compile="no"), "jit_compile must be 'auto', True or False"),
        (dict(run_eagerly=3), r"compile\(\): run_eagerly must be True or False"),
    ],
)
def test_arguments_of_compile_are_checked(sequences, given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        sequences().compile(**given)


def test_a_layer_keeps_plain_numbers_in_its_config():
    layer = kerasar.layers.RowLSTM(np.int64(4), np.int64(3))
    assert type(layer.get_config()["units"]) is int
    assert kerasar.layers.RowLSTM.from_config(layer.get_config()).units == 4
    assert keras.layers.deserialize(keras.layers.serialize(layer)).kernel_size == 3


@pytest.fixture(scope="module")
def entries():
    with scratch_folder():
        yield [entry for entry in ENTRIES() if not entry.name.startswith(("sequence.fit", "load"))]


def test_the_sweep_finds_few_faults(entries):
    """As `python -m benchmarks.quality.argument_sweep`, on another seed and fewer calls."""
    cases = list(sweep(entries, 400, seed=4))
    wrong = [case for case in cases if case.outcome in (RAW, WRONGLY)]
    assert len(wrong) <= len(cases) / 100, wrong
    assert len(entries) >= 71


def test_the_sweep_can_fail():
    careless = Entry("careless", lambda n: [0] * n, {"n": Argument(3, lambda value: False)})
    found = {case.outcome for case in sweep([careless], 100, seed=0)}
    assert {RAW, WRONGLY} <= found


LARGE = {
    "filters": lambda: kerasar.models.GatedPixelCNN((4, 4, 1), 4, filters=10**6),
    "embedding": lambda: kerasar.models.PixelCNN((4, 4, 1), 4, embedding=10**7),
    "units": lambda: kerasar.models.Transformer(8, 3, units=10**6),
    "hidden_units": lambda: kerasar.models.NeuralSplineFlow(4, hidden_units=[10**6, 10**6]),
    "kernel_size": lambda: kerasar.models.WaveNet(8, 3, kernel_size=10**7),
    "encoder_filters": lambda: kerasar.models.PixelVAE((8, 8, 1), 4, encoder_filters=10**6),
    "image_shape": lambda: kerasar.models.MaskedInputLeNet((4000, 4000, 1)),
    "filters of a list": lambda: kerasar.models.ShiftedPixelCNN((4, 4, 1), filters=(10**6, 10**6)),
    "filters of layers": lambda: kerasar.models.CausalConvNet(8, 3, filters=10**6),
}


@pytest.mark.parametrize("name", LARGE)
def test_weights_that_no_memory_holds_are_counted_before_they_are_made(name, monkeypatch):
    # So that machines with more memory agree, and nothing large is made on the way.
    monkeypatch.setattr("kerasar.models.parts.builder.available_memory", lambda: 2**27)
    with pytest.raises(ValueError) as caught:
        LARGE[name]()
    argument = name.split()[0]
    assert re.search(rf"^\w+: {argument}=.* makes the model too large.* 0.1 GiB", str(caught.value))


ARRAYS = {
    "hidden_units": lambda: kerasar.models.MAF(4, hidden_units=[10**6, 10**6]),
    "channels of layer": lambda: kerasar.models.Glow((4, 4, 10**6)),
    "image_shape": lambda: kerasar.models.PixelSNAIL((4000, 4000, 1)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_beside_the_weights_are_not_asked_for_if_no_memory_holds_them(name):
    with pytest.raises(ValueError, match=f"^{name}.*asks for an array.*GiB of memory"):
        ARRAYS[name]()


UNLOADABLE = {
    "blocks": lambda: kerasar.models.GatedPixelCNN((4, 4, 1), 4, blocks=10**6),
    "layers": lambda: kerasar.models.Transformer(8, 3, layers=10**6),
    "depth": lambda: kerasar.models.MAF(4, depth=10**6),
    "cycle_length": lambda: kerasar.models.WaveNet(8, 3, cycle_length=10**6),
    "stages": lambda: kerasar.models.Glow((4, 4, 1), stages=10**6),
    "the number of elements of dilations": lambda: kerasar.models.CausalConvNet(
        8, 3, dilations=(1,) * 10**6
    ),
    "the number of elements of hidden_units": lambda: kerasar.models.NICE(
        4, hidden_units=(2,) * 10**6
    ),
    "levels": lambda: kerasar.models.CausalConvNet(8, 2 * 10**9),
    "length": lambda: kerasar.models.WaveNet(10**9, 3),
    "dim": lambda: kerasar.models.RealNVP(10**9),
    "each of dilations": lambda: kerasar.models.CausalConvNet(8, 3, dilations=(1, 10**9, 1, 1)),
    "num_classes": lambda: kerasar.models.WaveNet(8, 3, num_classes=10**9),
    "the number of values of image_shape": lambda: kerasar.models.PixelCNN((10**4, 10**4, 3)),
}


@pytest.mark.parametrize("name", UNLOADABLE)
def test_models_that_could_not_be_loaded_again_are_not_begun(name):
    message = f"^{name}.* must be at most [0-9,]*, but got [0-9]*: .*could not be loaded"
    with pytest.raises(ValueError, match=message):
        UNLOADABLE[name]()


def test_memory_that_runs_out_while_a_model_is_built_names_the_largest_argument(monkeypatch):
    def run_out(*args, **kwargs):
        raise MemoryError("Unable to allocate")

    monkeypatch.setattr(keras, "Model", run_out)
    with pytest.raises(ValueError, match=r"^NADE: memory ran out.*hidden_units=500: take less"):
        kerasar.models.NADE(4)


def test_available_memory_is_that_of_this_machine():
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 2**20 < available_memory() <= installed  # it is the least of all limits
