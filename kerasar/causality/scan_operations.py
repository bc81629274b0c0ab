"""`keras.ops.scan` as a node of a graph: of a recorded function, and over the steps of examples."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from kerasar.causality.recorded_function import RecordedFunction
from kerasar.keras_internals import operation_classes
from kerasar.typing import Tensor


class LiftedScan(keras.Operation):
    """A scan whose function was recorded in the `call` of a layer.

    Args:
        scan: Keras' operation.
    """

    takes_training = True

    def __init__(self, scan: Any) -> None:
        super().__init__(name=scan.name)
        self.length, self.reverse = scan.length, scan.reverse

    def call(
        self,
        f: RecordedFunction,
        init: Any,
        xs: Any,
        captures: Sequence[Tensor] = (),
        training: bool = False,
    ) -> Any:
        """As `keras.ops.scan`; `captures` are given to the function in each step.

        What `init` holds once, where its layer was traced for one example, it holds for all.
        """
        batch = tf.shape(tree.flatten(xs)[0])[1]

        def step(carry: Any, x: Any) -> Any:
            return f(carry, x, list(captures), training=training)

        start = tree.map_structure(lambda part: _for_each(part, batch), init)
        return keras.ops.scan(step, start, xs, self.length, self.reverse)

    def compute_output_spec(
        self, f: RecordedFunction, init: Any, xs: Any, captures: Sequence[Tensor] = ()
    ) -> Any:
        state, y = f.outputs
        count = tree.flatten(xs)[0].shape[0]
        carry = [keras.KerasTensor(part.shape, part.dtype) for part in tree.flatten(state)]
        stacked = [keras.KerasTensor((count, *part.shape), part.dtype) for part in tree.flatten(y)]
        # TensorFlow's scan gives both the structure of the state.
        return tree.pack_sequence_as(init, carry), tree.pack_sequence_as(init, stacked)


def _for_each(state: Any, batch: Tensor) -> Tensor:
    value = tf.convert_to_tensor(state)
    if value.shape[:1] != [1]:
        return value
    return tf.broadcast_to(value, tf.stack([batch, *value.shape[1:]]))


class SequenceScan(keras.Operation):
    """A scan over the steps of examples, on tensors whose first axis is the batch.

    Args:
        scan: the scan over tensors whose first axis holds the steps.
        reads: which of its flattened outputs are returned, and whether with the batch first.
    """

    def __init__(self, scan: Any, reads: Sequence[tuple[int, bool]]) -> None:
        super().__init__(name=scan.name)
        self.scan, self.reads = scan, tuple(reads)
        self.takes_training = isinstance(scan, LiftedScan)
        self.length, self.reverse = scan.length, scan.reverse

    def call(self, f: Callable[..., Any], init: Any, xs: Any, *rest: Any, **kwargs: Any) -> Any:
        """As `keras.ops.scan`, but for the axes of `xs` and of the outputs."""
        turned = tree.map_structure(swap_first_axes, xs)
        found = tree.flatten(self.scan.call(f, init, turned, *rest, **kwargs))
        return [swap_first_axes(found[n]) if is_turned else found[n] for n, is_turned in self.reads]


def swap_first_axes(x: Tensor) -> Tensor:
    """The tensor with its first two axes in the other order."""
    return keras.ops.swapaxes(x, 0, 1)


#: Scans over steps on the first axis, and all.
STEPS_FIRST = frozenset([*operation_classes("Scan"), LiftedScan])
SCANS = STEPS_FIRST | {SequenceScan}
