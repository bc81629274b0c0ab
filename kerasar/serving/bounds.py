"""What a request may hold and ask for: checked in the graph, so one request cannot harm the next.

TensorFlow's C++ loader does not hold inputs to the shapes of a signature: rows that are too wide
would be judged as if they were right. And nothing but an export's own bound keeps a request for
10**9 steps from taking all memory, with the server.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasar.checks import check_count
from kerasar.typing import Shape, Tensor


class Bounds(NamedTuple):
    """What one request may ask for at most.

    Attributes:
        max_samples: examples.
        max_positions: values of all examples together; None: 2**22, or one example if that has
            more.
    """

    max_samples: int = 4096
    max_positions: int | None = None

    def check(self) -> "Bounds":
        """Raises TypeError or ValueError for bounds that are not counts."""
        check_count(self.max_samples, "max_samples")
        if self.max_positions is not None:
            check_count(self.max_positions, "max_positions")
        return self

    def positions_for(self, data_shape: Shape) -> int:
        """The bound on the values of all examples, for data of a shape that may be open."""
        known = int(np.prod([size for size in data_shape if size is not None], dtype=np.int64))
        return max(2**22, known) if self.max_positions is None else self.max_positions

    def assertions(
        self,
        count: Tensor,
        sizes: dict[str, Tensor],
        data_shape: Shape,
        counted: str = "num_samples",
    ) -> list[Any]:
        """Graph assertions that fail where a request asks for too much, or for nothing.

        Args:
            count: number of examples.
            sizes: of the open axes of the data, by the name of their input.
            data_shape: of one example; None where it is open.
            counted: the name of the input that `count` is.
        """
        most = self.positions_for(data_shape)
        found = [
            tf.debugging.Assert(
                (count >= 1) & (count <= self.max_samples),
                [
                    f"{counted} must lie in [1, {self.max_samples}], as the export was made "
                    "(max_samples), but is",
                    count,
                ],
            )
        ]
        fixed = [size for size in data_shape if size is not None]
        asked = tf.cast(count, tf.float64) * float(np.prod(fixed, dtype=np.float64))
        for name, size in sizes.items():
            least = tf.debugging.Assert(size >= 1, [f"{name} must be at least 1, but is", size])
            found.append(least)
            asked = asked * tf.cast(size, tf.float64)
        names = " × ".join([counted, *sizes, *(str(size) for size in fixed)])
        return [
            *found,
            tf.debugging.Assert(
                asked <= most,
                [
                    f"a request may ask for {most} values at most, as the export was made "
                    f"(max_positions), but {names} is",
                    tf.cast(asked, tf.int64),
                ],
            ),
        ]


def checking_shapes(
    function: Callable[..., Any], specs: Sequence[tf.TensorSpec]
) -> Callable[..., Any]:
    """The function behind checks that each input has the shape of its specification."""

    def checked(*inputs: Tensor) -> Any:
        return function(*(_checked(x, spec) for x, spec in zip(inputs, specs, strict=True)))

    return checked


def _checked(x: Tensor, spec: tf.TensorSpec) -> Tensor:
    x = _of_unknown_shape(x)
    wanted = list(spec.shape)
    shown = f"({', '.join('any' if size is None else str(size) for size in wanted)})"
    words = f"{spec.name} must have shape {shown}, but has"
    # Sizes to compare whatever the rank: -1 for axes that there are not.
    sizes = tf.concat([tf.shape(x), [-1] * len(wanted)], 0)[: len(wanted)]
    fits = tf.equal(tf.rank(x), len(wanted))
    for axis, size in enumerate(wanted):
        if size is not None:
            fits &= tf.equal(sizes[axis], size)
    with tf.control_dependencies([tf.debugging.Assert(fits, [words, tf.shape(x)], summarize=9)]):
        # Operations behind it must not fail before it does.
        stand_in = tf.zeros([1 if size is None else size for size in wanted], x.dtype)
        x = tf.cond(fits, lambda: x, lambda: stand_in)
    x.set_shape(spec.shape)
    return x


def _of_unknown_shape(x: Tensor) -> Tensor:
    """The same tensor, of which nothing is known before the request is there.

    TensorFlow takes a signature's word for a shape, and would leave out what compares it; what
    comes out of a list may have any shape.
    """
    held = tf.raw_ops.EmptyTensorList(element_shape=-1, max_num_elements=1, element_dtype=x.dtype)
    held = tf.raw_ops.TensorListPushBack(input_handle=held, tensor=x)
    return tf.raw_ops.TensorListGetItem(
        input_handle=held, index=0, element_shape=-1, element_dtype=x.dtype
    )
