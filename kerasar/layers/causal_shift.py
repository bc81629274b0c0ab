"""The shift by one, after which a network does not see the value that it has to predict.

Shifting the data to one step later and padding with zeros turns any network that sees "up to now"
into one that sees "before now" (Fleuret, Deep Learning course, lectures 10.1 and 10.2).
"""

import keras
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.layers.output_dtype import same_dtype_spec
from kerasar.layers.protocol import MixesPositions, Taps, declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class CausalShift(keras.layers.Layer):
    """Shifts its input towards later positions along one axis, with zeros at the front.

    Args:
        axis: int. 1 shifts a sequence by time steps or an image by rows, 2 an image by columns.
        steps: int. Number of positions to shift by.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        Any, of a rank above `axis`; sizes may be open. Integers stay integers.

    Output shape:
        The input shape.

    Raises:
        ValueError: if `axis` or `steps` is below 1, or (when built) the input has no such axis.

    References:
        Van den Oord et al. Conditional Image Generation with PixelCNN Decoders. 2016, section 2.2.
        https://arxiv.org/abs/1606.05328
    """

    #: Channels do not mix: the engine asks where colors are drawn in turn.
    keeps_channels = True

    @checks_arguments
    def __init__(self, axis: int = 1, steps: int = 1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if axis < 1:
            raise ValueError(
                f"CausalShift shifts axis 1 (time, rows) or 2 (columns), but got axis={axis}."
            )
        self.axis = axis
        advice = "Leave the layer out if nothing is to be hidden."
        self.steps = check_count(steps, f"steps of layer '{self.name}'", advice=advice)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) <= self.axis:
            raise ValueError(
                f"CausalShift '{self.name}' shifts axis {self.axis}, but got input shape "
                f"{input_shape}, which has no such axis."
            )

    def call(self, inputs: Tensor) -> Tensor:
        rank = len(inputs.shape)
        padding = [(self.steps if axis == self.axis else 0, 0) for axis in range(rank)]
        keep = [slice(None)] * rank
        keep[self.axis] = slice(None, -self.steps)
        return ops.pad(inputs, padding)[tuple(keep)]

    def taps(self, position_rank: int) -> Taps | MixesPositions:
        if self.axis > position_rank:
            return MixesPositions(
                f"it shifts axis {self.axis}, but the data have positions on "
                f"{'axis 1' if position_rank == 1 else 'axes 1 and 2'} only: data of images are "
                "(height, width, channels), all else is a sequence"
            )
        offset = [0] * position_rank
        offset[self.axis - 1] = -self.steps
        return Taps((tuple(offset),), combine=lambda values, _: values[0], moves=True)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return same_dtype_spec(self, inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "axis": self.axis, "steps": self.steps}
