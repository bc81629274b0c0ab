"""The models that the command knows. A new model is one entry here.

Builders are named, not imported: `kerasar models` must answer without TensorFlow.
"""

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Training:
    """The default training settings of a model."""

    epochs: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True)
class ModelEntry:
    """A model by its name on the command line.

    Attributes:
        builder: "module:function". It is called with what the data determine about the model:
            those of the arguments `image_shape`, `levels`, `length`, … that it has.
        about: one line for `kerasar models`.
        training: settings by name of the data; those of "" hold for all other data.
        kinds: the kinds of data that it takes (`kerasar.cli.kinds`), the first that fits is taken.
        settings: further arguments of the builder, by name or kind of the data; they win over what
            the data determine.
        rename: arguments that have another name in the builder.
    """

    builder: str
    about: str
    training: Mapping[str, Training]
    kinds: tuple[str, ...] = ("images",)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)

    def build(self, *data: str, **arguments: Any) -> Any:
        """Builds the model.

        Args:
            *data: name and kind of the data, whose own settings are used, the last one's first.
            **arguments: what the data determine. Those that the builder lacks are left out.
        """
        module, name = self.builder.split(":")
        builder: Callable[..., Any] = getattr(importlib.import_module(module), name)
        known = inspect.signature(builder).parameters
        given = {self.rename.get(name, name): value for name, value in arguments.items()}
        own = {k: v for key in reversed(data) for k, v in self.settings.get(key, {}).items()}
        return builder(**({k: v for k, v in given.items() if k in known} | own))

    def training_for(self, *data: str) -> Training:
        """The settings for data of that name, else of that kind, else for all."""
        return next(self.training[key] for key in (*data, "") if key in self.training)


MODELS: Mapping[str, ModelEntry] = MappingProxyType(
    {
        "shifted-pixelcnn": ModelEntry(
            builder="kerasar.models:ShiftedPixelCNN",
            about="gray images; two stacks of convolutions, shifted images (Fleuret, lecture 10.2)",
            training={
                # Chosen on a tenth of the training images (benchmarks/NOTEBOOK.md).
                "digits": Training(epochs=40, batch_size=32, learning_rate=2e-3),
                "": Training(epochs=10, batch_size=32, learning_rate=2e-3),
            },
        ),
        "pixelcnn": ModelEntry(
            builder="kerasar.models:PixelCNN",
            about="gray or color images; masked convolutions (van den Oord et al. 2016a)",
            # Small batches reach a lower loss in the same time (benchmarks/NOTEBOOK.md).
            training={"": Training(epochs=10, batch_size=8, learning_rate=2e-3)},
        ),
        "gated-pixelcnn": ModelEntry(
            builder="kerasar.models:GatedPixelCNN",
            about="gray or color images; two gated stacks, classes (van den Oord et al. 2016b)",
            training={
                "digits": Training(epochs=6, batch_size=8, learning_rate=2e-3),
                "mnist": Training(epochs=2, batch_size=8, learning_rate=5e-3),
                "": Training(epochs=10, batch_size=8, learning_rate=2e-3),
            },
            # A smaller network: ten minutes an epoch on two cores (benchmarks/NOTEBOOK.md).
            settings={
                "mnist": {
                    "filters": 32,
                    "blocks": 5,
                    "first_kernel_size": 9,
                    "dilations": (2, 4, 8, 1),
                    "skip_filters": 64,
                    "head_filters": 64,
                }
            },
        ),
        "pixelsnail": ModelEntry(
            builder="kerasar.models:PixelSNAIL",
            about="gray or color images; convolutions and attention (Chen et al. 2017)",
            training={"": Training(epochs=10, batch_size=16, learning_rate=2e-3)},
        ),
        "pixelrnn": ModelEntry(
            builder="kerasar.models:PixelRNN",
            about="gray or color images; Row LSTM (van den Oord et al. 2016a)",
            training={"": Training(epochs=10, batch_size=8, learning_rate=2e-3)},
        ),
        "pixelrnn-diagonal": ModelEntry(
            builder="kerasar.models:PixelRNN",
            about="gray or color images; Diagonal BiLSTM (van den Oord et al. 2016a)",
            training={"": Training(epochs=20, batch_size=32, learning_rate=2e-3)},
            settings={"images": {"cell": "diagonal_bilstm", "units": 18, "layers": 3}},
        ),
        "pixelcnn-autoencoder": ModelEntry(
            builder="kerasar.models:PixelCNNAutoencoder",
            about="images; a latent, and Gated PixelCNN given it (van den Oord et al. 2016b)",
            training={"": Training(epochs=20, batch_size=32, learning_rate=1e-3)},
        ),
        "pixelvae": ModelEntry(
            builder="kerasar.models:PixelVAE",
            about="images; a normal latent, and Gated PixelCNN given it (Gulrajani et al. 2017)",
            training={"": Training(epochs=20, batch_size=32, learning_rate=1e-3)},
            # Training takes fewer than 1,000 steps: the KL term must have its full weight before.
            settings={"digits": {"warm_up": 300}},
        ),
        "masked-input-lenet": ModelEntry(
            builder="kerasar.models:MaskedInputLeNet",
            about="gray images of 28×28; each pixel from mask and values (Fleuret, lecture 10.1)",
            training={"": Training(epochs=20, batch_size=100, learning_rate=1e-3)},
        ),
        "masked-input-conv-net": ModelEntry(
            builder="kerasar.models:MaskedInputConvNet",
            about="sequences of one length; each step from mask and values (Fleuret, lecture 10.1)",
            training={"": Training(epochs=20, batch_size=100, learning_rate=1e-3)},
            kinds=("sequences",),
        ),
        "causal-conv-net": ModelEntry(
            builder="kerasar.models:CausalConvNet",
            about="sequences, text, series; convolutions of kernel 2 (Fleuret, lecture 10.2)",
            training={"": Training(epochs=20, batch_size=50, learning_rate=2e-3)},
            kinds=("sequences", "text", "series"),
            settings={
                "text": {
                    "length": None,  # it writes on without an end
                    "filters": 128,
                    "dilations": (1, 2, 4, 8, 16),
                    "input_encoding": "embedding",
                    "skip": "add",
                },
                "series": {"filters": 64, "dilations": (1, 2, 4, 8, 16)},
            },
        ),
        "wavenet": ModelEntry(
            builder="kerasar.models:WaveNet",
            about="recordings, sequences, text, series; gated convolutions (van den Oord 2016)",
            training={
                "audio": Training(epochs=40, batch_size=4, learning_rate=2e-3),
                "": Training(epochs=20, batch_size=50, learning_rate=2e-3),
            },
            kinds=("audio", "sequences", "text", "series"),
            settings={
                "audio": {"cycles": 2, "cycle_length": 9, "input_encoding": "embedding"},
                "sequences": {"cycles": 1, "cycle_length": 6, "skip_filters": 64},
                "text": {"length": None, "cycles": 1, "cycle_length": 6, "filters": 64},
                "series": {"cycles": 1, "cycle_length": 6, "skip_filters": 64},
            },
        ),
        "transformer": ModelEntry(
            builder="kerasar.models:Transformer",
            about="sequences, text, series; causal attention (Vaswani et al. 2017)",
            training={
                "text": Training(epochs=5, batch_size=16, learning_rate=2e-3),
                "": Training(epochs=20, batch_size=50, learning_rate=1e-3),
            },
            kinds=("text", "sequences", "series"),
            settings={
                "sequences": {"units": 64, "layers": 2},
                "series": {"units": 64, "layers": 2, "window": 32},
            },
        ),
        "linear-recurrent": ModelEntry(
            builder="kerasar.models:LinearRecurrent",
            about="recordings, sequences, text, series; gated linear recurrences (De et al. 2024)",
            training={
                "audio": Training(epochs=40, batch_size=4, learning_rate=2e-3),
                "": Training(epochs=20, batch_size=50, learning_rate=2e-3),
            },
            kinds=("audio", "sequences", "text", "series"),
            settings={
                "audio": {"input_encoding": "embedding"},
                "sequences": {"blocks": 2},
                "text": {"length": None, "input_encoding": "embedding"},
                "series": {"blocks": 2},
            },
        ),
        "forecaster": ModelEntry(
            builder="kerasar.models:Forecaster",
            about="series; linear in the past, and what a small network adds",
            training={"": Training(epochs=30, batch_size=16, learning_rate=1e-3)},
            kinds=("series",),
        ),
        "nade": ModelEntry(
            builder="kerasar.models:NADE",
            about="binary vectors, as sequences of one length (Larochelle and Murray 2011)",
            training={"": Training(epochs=40, batch_size=100, learning_rate=2e-3)},
            kinds=("sequences",),
            rename={"length": "dim"},
        ),
        "piecewise-linear-flow": ModelEntry(
            builder="kerasar.models:PiecewiseLinearFlow",
            about="points on the line; one monotone map (Fleuret's lecture on flows)",
            training={"": Training(epochs=50, batch_size=250, learning_rate=1e-2)},
            kinds=("vectors",),
        ),
        "nice": ModelEntry(
            builder="kerasar.models:NICE",
            about="points; additive couplings (Dinh et al. 2015)",
            training={"": Training(epochs=50, batch_size=250, learning_rate=1e-3)},
            kinds=("vectors",),
            settings={"vectors": {"hidden_units": (100, 100)}},
        ),
        "realnvp": ModelEntry(
            builder="kerasar.models:RealNVP",
            about="points; affine couplings (Dinh et al. 2017)",
            training={"": Training(epochs=50, batch_size=250, learning_rate=2e-3)},
            kinds=("vectors",),
        ),
        "maf": ModelEntry(
            builder="kerasar.models:MAF",
            about="points; masked autoregressive flow (Papamakarios et al. 2017)",
            training={"": Training(epochs=50, batch_size=250, learning_rate=1e-3)},
            kinds=("vectors",),
        ),
        "neural-spline-flow": ModelEntry(
            builder="kerasar.models:NeuralSplineFlow",
            about="points; rational-quadratic spline couplings (Durkan et al. 2019)",
            training={"": Training(epochs=50, batch_size=250, learning_rate=2e-3)},
            kinds=("vectors",),
        ),
        "multiscale-realnvp": ModelEntry(
            builder="kerasar.models:MultiscaleRealNVP",
            about="images; couplings at several scales (Dinh et al. 2017)",
            training={"": Training(epochs=10, batch_size=32, learning_rate=3e-3)},
            settings={"images": {"filters": (32, 32, 32)}},
        ),
        "glow": ModelEntry(
            builder="kerasar.models:Glow",
            about="images; couplings and invertible 1×1 convolutions (Kingma and Dhariwal 2018)",
            training={"": Training(epochs=10, batch_size=64, learning_rate=1e-3)},
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
