"""The SavedModel of a masked-input model: the signatures of the others, without a continuation."""

from typing import Any

import tensorflow as tf

from kerasar.sampling.draft import Options, PartialBatch
from kerasar.serving.archive import Endpoint, write_archive
from kerasar.serving.export import Signatures
from kerasar.typing import Tensor


def export_masked_input(model: Any, filepath: str, verbose: bool = False) -> None:
    """Writes the signatures `log_prob` (= `serving_default`), `sample` and `inpaint`.

    Raises:
        FileExistsError: if `filepath` exists; nothing is overwritten.
    """
    write_archive(_MaskedInputSignatures(model).all, filepath, verbose)


class _MaskedInputSignatures(Signatures):
    """Its loop visits place after place, as the model's own order says."""

    def all(self) -> dict[str, Endpoint]:
        found = super().all()
        # A prompt is an `inpaint` whose beginning is known: the size is fixed anyway.
        found.pop("continuation", None)
        return found

    def completed(self, draft: PartialBatch, options: Options, data_shape: Tensor) -> Tensor:
        sampler = self.model.sampler(None)
        turns = tf.constant(0), tf.constant(self.model.num_values)
        return sampler(self.model, draft, options, data_shape, *turns)
