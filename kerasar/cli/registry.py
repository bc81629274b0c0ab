"""The models that the command knows. A new model is one entry here.

Builders are named, not imported: `kerasar models` must answer without TensorFlow.
"""

import difflib
import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from kerasar.cli.defaults import MEDIUM, SMALL, Choice, Facts, wide_gated, wide_pixelcnn


@dataclass(frozen=True)
class ModelEntry:
    """A model by its name on the command line.

    Attributes:
        builder: "module:function". It is called with what the data determine about the model:
            those of the arguments `image_shape`, `levels`, `length`, … that it has.
        about: one line for `kerasar models`.
        choices: settings for data of some kind and size, the first that fits is taken; the last
            fits all.
        kinds: the kinds of data that it takes (`kerasar.cli.kinds`), the first that fits is taken.
        rename: arguments that have another name in the builder.
    """

    builder: str
    about: str
    choices: tuple[Choice, ...]
    kinds: tuple[str, ...] = ("images",)
    rename: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> Collection[str]:
        """The names of the builder's arguments."""
        return inspect.signature(self._builder()).parameters

    def build(self, facts: Facts, **arguments: Any) -> Any:
        """Builds the model for such data.

        Args:
            facts: that choose the settings; these win over what the data determine.
            **arguments: what the data determine. Those that the builder lacks are left out.
        """
        known = self.parameters
        given = {self.rename.get(name, name): value for name, value in arguments.items()}
        chosen = self.choose(facts).arguments(facts)
        return self._builder()(**({k: v for k, v in given.items() if k in known} | chosen))

    def choose(self, facts: Facts) -> Choice:
        """The settings for such data."""
        return next(choice for choice in self.choices if choice.fits(facts))

    def _builder(self) -> Callable[..., Any]:
        module, name = self.builder.split(":")
        builder: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return builder


def _of_sequences(**options: Any) -> Choice:
    """For sequences of some dozens of steps."""
    return Choice(50, 2e-3, steps=10_000, passes=20, **options)


def _by_muon(**options: Any) -> Choice:
    """For images: steps of four examples by Muon (measured: benchmarks/NOTEBOOK.md)."""
    return Choice(4, 5e-3, passes=10, optimizer="muon", compiled_pixels=MEDIUM, **options)


def _flow_of_images(batch_size: int, most_pixels: int | None = None, **settings: Any) -> Choice:
    """Learned noise, and Muon: each makes such flows much better (measured: as above)."""
    return Choice(
        batch_size,
        5e-3,
        steps=5_000,
        passes=10,
        optimizer="muon",
        most_pixels=most_pixels,
        settings={"dequantization": "variational", **settings},
    )


def _diagonal(facts: Facts) -> dict[str, Any]:
    return {"cell": "diagonal_bilstm", "units": facts.shared_out(18), "layers": 3}


MODELS: Mapping[str, ModelEntry] = MappingProxyType(
    {
        "shifted-pixelcnn": ModelEntry(
            builder="kerasar.models:ShiftedPixelCNN",
            about="gray images; two stacks of convolutions, shifted images (Fleuret, lecture 10.2)",
            choices=(
                Choice(32, 2e-3, steps=1_700, most_pixels=SMALL),
                Choice(8, 5e-3, steps=8_000, passes=10),
            ),
        ),
        "pixelcnn": ModelEntry(
            builder="kerasar.models:PixelCNN",
            about="gray or color images; masked convolutions (van den Oord et al. 2016a)",
            choices=(
                Choice(8, 2e-3, steps=1_700, passes=10, most_pixels=SMALL),
                _by_muon(steps=12_000, settings=wide_pixelcnn),
            ),
        ),
        "gated-pixelcnn": ModelEntry(
            builder="kerasar.models:GatedPixelCNN",
            about="gray or color images; two gated stacks, classes (van den Oord et al. 2016b)",
            choices=(
                Choice(8, 2e-3, steps=1_000, passes=6, most_pixels=SMALL),
                _by_muon(steps=16_000, settings=wide_gated),
            ),
        ),
        "pixelsnail": ModelEntry(
            builder="kerasar.models:PixelSNAIL",
            about="gray or color images; convolutions and attention (Chen et al. 2017)",
            choices=(Choice(16, 2e-3, steps=4_000, passes=20),),
        ),
        "pixelrnn": ModelEntry(
            builder="kerasar.models:PixelRNN",
            about="gray or color images; Row LSTM (van den Oord et al. 2016a)",
            choices=(
                Choice(8, 2e-3, steps=1_700, passes=10, most_pixels=SMALL),
                Choice(8, 3e-3, steps=6_000, passes=10),
            ),
        ),
        "pixelrnn-diagonal": ModelEntry(
            builder="kerasar.models:PixelRNN",
            about="gray or color images; Diagonal BiLSTM (van den Oord et al. 2016a)",
            choices=(
                Choice(32, 2e-3, steps=1_000, settings=_diagonal, most_pixels=SMALL),
                Choice(8, 3e-3, steps=6_000, passes=10, settings=_diagonal),
            ),
        ),
        "pixelcnn-autoencoder": ModelEntry(
            builder="kerasar.models:PixelCNNAutoencoder",
            about="images; a latent, and Gated PixelCNN given it (van den Oord et al. 2016b)",
            choices=(
                Choice(32, 1e-3, steps=900, passes=20, most_pixels=SMALL),
                Choice(16, 2e-3, steps=6_000, passes=20),
            ),
        ),
        "pixelvae": ModelEntry(
            builder="kerasar.models:PixelVAE",
            about="images; a normal latent, and Gated PixelCNN given it (Gulrajani et al. 2017)",
            choices=(
                # Few steps: the KL term must have its full weight before the half of them.
                Choice(
                    32, 1e-3, steps=900, passes=20, most_pixels=SMALL, settings={"warm_up": 300}
                ),
                Choice(16, 2e-3, steps=6_000, passes=20, settings={"warm_up": 2_000}),
            ),
        ),
        "masked-input-lenet": ModelEntry(
            builder="kerasar.models:MaskedInputLeNet",
            about="gray images of 28×28; each pixel from mask and values (Fleuret, lecture 10.1)",
            choices=(Choice(100, 1e-3, steps=11_000, passes=20),),
        ),
        "masked-input-conv-net": ModelEntry(
            builder="kerasar.models:MaskedInputConvNet",
            about="sequences of one length; each step from mask and values (Fleuret, lecture 10.1)",
            choices=(Choice(100, 1e-3, steps=5_000, passes=20),),
            kinds=("sequences",),
        ),
        "causal-conv-net": ModelEntry(
            builder="kerasar.models:CausalConvNet",
            about="sequences, text, series; convolutions of kernel 2 (Fleuret, lecture 10.2)",
            choices=(
                _of_sequences(
                    kind="text",
                    settings={
                        "length": None,  # it writes on without an end
                        "filters": 128,
                        "dilations": (1, 2, 4, 8, 16),
                        "input_encoding": "embedding",
                        "skip": "add",
                    },
                ),
                _of_sequences(
                    kind="series", settings={"filters": 64, "dilations": (1, 2, 4, 8, 16)}
                ),
                _of_sequences(),
            ),
            kinds=("sequences", "text", "series"),
        ),
        "wavenet": ModelEntry(
            builder="kerasar.models:WaveNet",
            about="recordings, sequences, text, series; gated convolutions (van den Oord 2016)",
            choices=(
                Choice(
                    4,
                    2e-3,
                    steps=20_000,
                    kind="audio",
                    settings={"cycles": 2, "cycle_length": 9, "input_encoding": "embedding"},
                ),
                _of_sequences(
                    kind="text",
                    settings={"length": None, "cycles": 1, "cycle_length": 6, "filters": 64},
                ),
                _of_sequences(settings={"cycles": 1, "cycle_length": 6, "skip_filters": 64}),
            ),
            kinds=("audio", "sequences", "text", "series"),
        ),
        "transformer": ModelEntry(
            builder="kerasar.models:Transformer",
            about="sequences, text, series; causal attention (Vaswani et al. 2017)",
            choices=(
                Choice(16, 2e-3, steps=5_000, passes=5, kind="text"),
                Choice(
                    50,
                    1e-3,
                    steps=10_000,
                    passes=20,
                    kind="series",
                    settings={"units": 64, "layers": 2, "window": 32},
                ),
                Choice(50, 1e-3, steps=10_000, passes=20, settings={"units": 64, "layers": 2}),
            ),
            kinds=("text", "sequences", "series"),
        ),
        "linear-recurrent": ModelEntry(
            builder="kerasar.models:LinearRecurrent",
            about="recordings, sequences, text, series; gated linear recurrences (De et al. 2024)",
            choices=(
                Choice(
                    4, 2e-3, steps=20_000, kind="audio", settings={"input_encoding": "embedding"}
                ),
                _of_sequences(
                    kind="text", settings={"length": None, "input_encoding": "embedding"}
                ),
                _of_sequences(settings={"blocks": 2}),
            ),
            kinds=("audio", "sequences", "text", "series"),
        ),
        "forecaster": ModelEntry(
            builder="kerasar.models:Forecaster",
            about="series; linear in the past, and what a small network adds",
            choices=(Choice(16, 1e-3, steps=10_000, passes=30),),
            kinds=("series", "panel"),
        ),
        "nade": ModelEntry(
            builder="kerasar.models:NADE",
            about="binary vectors, as sequences of one length (Larochelle and Murray 2011)",
            choices=(Choice(100, 2e-3, steps=20_000),),
            kinds=("sequences",),
            rename={"length": "dim"},
        ),
        "piecewise-linear-flow": ModelEntry(
            builder="kerasar.models:PiecewiseLinearFlow",
            about="points on the line; one monotone map (Fleuret's lecture on flows)",
            choices=(Choice(250, 1e-2, steps=5_000, passes=50),),
            kinds=("vectors",),
        ),
        "nice": ModelEntry(
            builder="kerasar.models:NICE",
            about="points; additive couplings (Dinh et al. 2015)",
            choices=(
                Choice(250, 1e-3, steps=5_000, passes=50, settings={"hidden_units": (100, 100)}),
            ),
            kinds=("vectors",),
        ),
        "realnvp": ModelEntry(
            builder="kerasar.models:RealNVP",
            about="points; affine couplings (Dinh et al. 2017)",
            choices=(Choice(250, 2e-3, steps=5_000, passes=50),),
            kinds=("vectors",),
        ),
        "maf": ModelEntry(
            builder="kerasar.models:MAF",
            about="points; masked autoregressive flow (Papamakarios et al. 2017)",
            choices=(Choice(250, 1e-3, steps=5_000, passes=50),),
            kinds=("vectors",),
        ),
        "neural-spline-flow": ModelEntry(
            builder="kerasar.models:NeuralSplineFlow",
            about="points; rational-quadratic spline couplings (Durkan et al. 2019)",
            choices=(Choice(250, 2e-3, steps=5_000, passes=50),),
            kinds=("vectors",),
        ),
        "multiscale-realnvp": ModelEntry(
            builder="kerasar.models:MultiscaleRealNVP",
            about="images; couplings at several scales (Dinh et al. 2017)",
            choices=(
                _flow_of_images(32, most_pixels=SMALL, filters=(32, 32, 32)),
                _flow_of_images(16, filters=(32, 32, 32)),
            ),
        ),
        "glow": ModelEntry(
            builder="kerasar.models:Glow",
            about="images; couplings and invertible 1×1 convolutions (Kingma and Dhariwal 2018)",
            choices=(_flow_of_images(32),),
        ),
    }
)


def find_model(name: str) -> ModelEntry:
    """The model of that name.

    Raises:
        ValueError: if there is none; the message names those that are near.
    """
    if name in MODELS:
        return MODELS[name]
    near = difflib.get_close_matches(name.lower().replace("_", "-"), MODELS, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(
        f"MODEL must be one of {', '.join(MODELS)}, but got '{name}'.{hint} "
        "'kerasar models' describes them."
    )
