"""`AnomalyDetector`: is an example unlike those that a model is good at, how sure, and where?"""

import os
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_export_options, check_seed, new_keras_file
from kerasar.scores.calibration import split_sizes
from kerasar.scores.compute import checked_batch, compute_example, is_map, run_over
from kerasar.scores.models import ScoredModel
from kerasar.scores.rarity import Rarity
from kerasar.scores.statistics import Example, patch_size, statistics
from kerasar.serving.archive import Endpoint, export_model
from kerasar.serving.bounds import Bounds
from kerasar.training.batches import Batch
from kerasar.training.dataset_checks import value_assertions
from kerasar.typing import Config, Tensor

#: Joins the names of a group and of its statistic.
_OF = "/"


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class Explanation:
    """Why examples are unusual, and where.

    Attributes:
        score: `(examples,)`, as `AnomalyDetector.score`.
        p_value: `(examples,)`, as `AnomalyDetector.p_value`.
        statistic: the name of the statistic that says most against each example.
        statistics: each statistic by name, `(examples,)`.
        deviations: each in standard deviations of good examples from their mean, by name.
        excess_map: nats of each event beyond what the model expected, `(examples, *positions)`:
            where an example surprises. Negative where it is less surprising than expected. None
            for a model without a map, such as a flow.
    """

    score: np.ndarray
    p_value: np.ndarray
    statistic: list[str]
    statistics: dict[str, np.ndarray]
    deviations: dict[str, np.ndarray]
    excess_map: np.ndarray | None


@keras.saving.register_keras_serializable(package="kerasar")
class AnomalyDetector(keras.Model):
    """Tells examples that are unlike good ones, by what a trained density model finds in them.

    A likelihood alone does not: to a model of clothes digits are *likelier* than clothes, and a
    blank image is likelier than both, for simple images cost few nats. This joins a few statistics
    of one pass of the model, in three groups:

    - *typicality*: the surprise (nats of a value), what the model itself expected it to be and how
      surely, the complexity of the example (the length of a code that knows no model), and how
      what is expected is spread over the image: unusual for each other, too little or too much;
    - *local*: the dispersion of the surprise about what the model expected, the five most
      surprising events, and the most surprising patch;
    - *place*: the center of the contrast, which a likelihood hardly knows.

    A group is a Mahalanobis distance from good examples; the score is about that of the group that
    says most (`Rarity`). Real values have no complexity here, and flows no spread: the events of a
    flow are its latents.

    Distances are fitted on a third of the good examples (at most 2,000) and calibrated on the
    others, so that a p-value is right whatever the distribution (split-conformal prediction).
    **Pass examples that the model was not trained on**: it finds its training data likelier than
    others, and alarms would be too many.

    Args:
        model: a density model of kerasar's, trained.
        patch: int. Side of a patch in positions; None: 5, or a thirtieth of the longest axis.
        **kwargs: `name`, as for `keras.Model`.

    Raises:
        TypeError: if `model` is something else.

    Example:
        >>> import kerasar
        >>> (x, _), (x_test, _) = kerasar.data.load_digits()
        >>> model = kerasar.models.ShiftedPixelCNN((8, 8, 1), 17, filters=(4, 4))
        >>> model.compile()
        >>> history = model.fit(x[:-300], epochs=1, verbose=0)
        >>> detector = kerasar.AnomalyDetector(model).fit(x[-300:])  # unseen by the model
        >>> bool(detector.p_value(16 - x_test[:2]).max() < 0.05)
        True
    """

    @checks_arguments
    def __init__(self, model: keras.Model, patch: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not hasattr(model, "compute_surprise"):
            raise TypeError(
                "AnomalyDetector takes a density model of kerasar's, but got "
                f"{type(model).__name__}. kerasar.AutoregressiveModel makes one of a network."
            )
        self.model: ScoredModel = model
        self.patch = patch_size(model.data_shape) if patch is None else check_count(patch, "patch")
        self._rarity: Rarity | None = None
        self.built = True

    @checks_arguments
    def fit(
        self, x: Any, condition: Any = None, seed: int = 0, batch_size: int = 128
    ) -> "AnomalyDetector":
        """Fits the distances and calibrates them.

        Args:
            x: good examples that the model was not trained on, as for `model.log_prob`: at least
                50, and enough for the rate of false alarms that is wanted: 1.5 / rate of them are
                the least, and 150 / rate bring a single calibration to within a tenth of the rate.
            condition: as for `model.log_prob`.
            seed: of the split in two.
            batch_size: how many examples go through the model at once.

        Returns:
            The detector itself.

        Raises:
            ValueError, TypeError: for data that do not fit the model, or too few.
        """
        check_seed(seed)
        batch = checked_batch(self.model, x, condition)
        split_sizes(len(batch.x))  # before any work
        self._rarity = Rarity.fit(self._statistics_of(batch, batch_size), seed)
        return self

    @checks_arguments
    def score(self, x: Any, condition: Any = None, batch_size: int = 128) -> np.ndarray:
        """How unusual each example is: the higher, the stranger, on either side of typical.

        About -ln of the share of good examples that are stranger; beyond those that were seen it
        goes on growing with the distance.

        Args:
            x, condition, batch_size: as for `model.log_prob`.

        Returns:
            float64, `(examples,)`.

        Raises:
            ValueError, TypeError: for data that do not fit the model, or before `fit`.
        """
        rarity = self.rarity
        batch = checked_batch(self.model, x, condition)
        return np.asarray(rarity.scores(self._statistics_of(batch, batch_size)))

    @checks_arguments
    def p_value(self, x: Any, condition: Any = None, batch_size: int = 128) -> np.ndarray:
        """The probability that a good example scores at least as high; arguments as for `score`.

        Of good examples, a share of at most `a` has a p-value of at most `a`, for each `a`.
        """
        scores = self.score(x, condition, batch_size)
        return np.asarray(self.rarity.calibration.p_values(tf.constant(scores)))

    @checks_arguments
    def is_anomaly(
        self, x: Any, false_alarms: float = 0.01, condition: Any = None, batch_size: int = 128
    ) -> np.ndarray:
        """Which examples score above `threshold(false_alarms)`, Boolean `(examples,)`."""
        limit = self.threshold(false_alarms)
        return self.score(x, condition, batch_size) > limit

    @checks_arguments
    def threshold(self, false_alarms: float) -> float:
        """The score that a share `false_alarms` of good examples exceeds.

        Raises:
            ValueError: for a rate that the calibration is too small for; says how many it takes.
        """
        return self.rarity.calibration.threshold(false_alarms)

    @checks_arguments
    def expected_range(self, false_alarms: float) -> tuple[float, float]:
        """Where the rate of false alarms lies in truth, with a probability of 0.9.

        It is exact on average over calibrations; with n examples a single one is off by about
        1 / sqrt(n · rate) of the rate.
        """
        return self.rarity.calibration.expected_range(false_alarms)

    @checks_arguments
    def explain(self, x: Any, condition: Any = None, batch_size: int = 128) -> Explanation:
        """Says which statistic speaks against each example, and where; arguments as for `score`."""
        rarity = self.rarity
        batch = checked_batch(self.model, x, condition)
        groups = self._statistics_of(batch, batch_size)
        scores = rarity.scores(groups)
        excess = None
        if is_map(self.model):
            excess = run_over(self.model, batch, excess_map, "excess_map", batch_size)
        return Explanation(
            np.asarray(scores),
            np.asarray(rarity.calibration.p_values(scores)),
            rarity.strangest(groups),
            {name: values for group in groups.values() for name, values in group.items()},
            rarity.deviations(groups),
            None if excess is None else excess["excess_map"],
        )

    @checks_arguments
    def statistics(
        self, x: Any, condition: Any = None, batch_size: int = 128
    ) -> dict[str, dict[str, np.ndarray]]:
        """The statistics that the score is made of, by group and name; arguments as for `score`."""
        return self._statistics_of(checked_batch(self.model, x, condition), batch_size)

    @property
    def rarity(self) -> Rarity:
        """What `fit` has learned.

        Raises:
            ValueError: before `fit`.
        """
        if self._rarity is None:
            raise ValueError(
                f"Detector '{self.name}' is not fitted. Call fit(x) first, with good examples that "
                "the model was not trained on."
            )
        return self._rarity

    # On tensors.

    def call(self, x: Any, training: bool | None = None) -> Tensor:
        """The score of each example, `(batch,)`, on tensors and without checks."""
        example = compute_example(self.model, x if isinstance(x, Batch) else Batch(x))
        return self.rarity.scores(self._compute_statistics(example))

    def _compute_statistics(self, example: Example) -> dict[str, dict[str, Tensor]]:
        return statistics(example, self.model.data_levels, self.patch, is_map(self.model))

    def _statistics_of(self, batch: Batch, batch_size: int) -> dict[str, dict[str, np.ndarray]]:
        """The statistics of examples, by group and name."""

        def flat(example: Example) -> dict[str, Tensor]:
            groups = self._compute_statistics(example)
            return {f"{g}{_OF}{name}": part for g in groups for name, part in groups[g].items()}

        key = f"statistics with patches of {self.patch}"
        groups: dict[str, dict[str, np.ndarray]] = {}
        for path, values in run_over(self.model, batch, flat, key, batch_size).items():
            group, name = path.split(_OF)
            bad = ~np.isfinite(values)
            if bad.any():
                k = int(bad.argmax())
                raise ValueError(
                    f"The {name} of x[{k}] is {values[k]}: model '{self.model.name}' puts out "
                    "numbers that are not finite. Train it again."
                )
            groups.setdefault(group, {})[name] = values
        return groups

    # Serving and saving.

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any) -> None:
        """Saves the detector with its model as a `.keras` file, which `kerasar.load` reads.

        Args:
            filepath: of the file, which ends in .keras.
            overwrite: whether a file of that name is replaced. False asks at the terminal.
            **kwargs: as for `keras.Model.save`.

        Raises:
            ValueError: for another ending.
        """
        super().save(new_keras_file(filepath), overwrite=overwrite, **kwargs)

    def export(self, filepath: str | os.PathLike[str], **kwargs: Any) -> None:
        """Writes a SavedModel with the signatures of the model, and one more: `anomaly`.

        It takes what `log_prob` takes and gives `score`, `p_value` and every statistic, each
        `(batch,)`, and for models with a map `excess_map`; all float32. See docs/anomalies.md.

        Args:
            filepath: a folder that does not exist yet.
            **kwargs: as for `model.export`.

        Raises:
            FileExistsError: if something is there already.
            ValueError: before `fit`.
        """
        rarity = self.rarity
        options = check_export_options(kwargs)

        def serve(x: Tensor, *conditions: Tensor) -> dict[str, Tensor]:
            missing = self.model.takes_missing
            with tf.control_dependencies(value_assertions(x, self.model.data_levels, missing)):
                x = tf.identity(x)
            named = None
            if conditions:
                sizes = tf.shape(x)
                named = self.model.conditions.from_signature(conditions, sizes[0], sizes[1:])
            example = compute_example(self.model, Batch(x, named))
            groups = self._compute_statistics(example)
            scores = rarity.scores(groups)
            found = {"score": scores, "p_value": rarity.calibration.p_values(scores)}
            for group in groups.values():
                found |= group
            if is_map(self.model):
                found |= excess_map(example)
            return {name: tf.cast(part, tf.float32) for name, part in found.items()}

        def endpoints(bounds: Bounds, **options: Any) -> dict[str, Endpoint]:
            made = self.model.endpoints(bounds, **options)
            return {**made, "anomaly": (serve, made["log_prob"][1])}

        export_model(self.model, endpoints, filepath, **options)

    def get_config(self) -> Config:
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self.model),
            "patch": self.patch,
            "rarity": None if self._rarity is None else self._rarity.to_config(),
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> "AnomalyDetector":
        others = dict(config)
        rarity = others.pop("rarity")
        model = keras.saving.deserialize_keras_object(others.pop("model"), custom_objects)
        detector = cls(model, **others)
        if rarity is not None:
            detector._rarity = Rarity.from_config(rarity)
        return detector


def excess_map(example: Example) -> dict[str, Tensor]:
    """Nats of each position beyond what the model expected."""
    return {"excess_map": example.surprise.nats - example.surprise.expected}
