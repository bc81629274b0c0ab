"""Muon for convolutions, too: Keras' own takes matrices only, and leaves their kernels to Adam."""

import math
from typing import Any

import keras
from keras import ops

from kerasar.typing import Tensor

#: A matrix with fewer rows or columns has hardly a direction to choose, such as a depthwise kernel.
_LEAST_SIDE = 4


@keras.saving.register_keras_serializable(package="kerasar")
class Muon(keras.optimizers.Muon):
    """Momentum whose steps are made orthogonal, for kernels of convolutions as well as of matrices.

    A kernel is taken as the matrix from all that its convolution reads to its filters. Its step is
    the momentum with all singular values brought near 1, so that directions that few examples point
    to are learned as fast as others. Biases, tables and depthwise kernels are trained by Adam at
    the same rate. In a few minutes of training on images it comes as far as Adam in twice the time
    and more (measured: benchmarks/NOTEBOOK.md).

    Args:
        learning_rate: float or schedule. Steps are scaled so that Adam's rates suit.
        exclude_layers: regular expressions of layers that Adam trains, too. Its authors name the
            layer of the output; here that did not help.
        weight_decay: float, or None for none, of all weights.
        **kwargs: as for `keras.optimizers.Muon`.

    References:
        Jordan, Jin, Boza, You, Cesista, Newhouse & Bernstein. Muon: An optimizer for hidden layers
        in neural networks. 2024. https://kellerjordan.github.io/posts/muon/
        Liu et al. Muon is Scalable for LLM Training. 2025, section 2.2 (the scale of the steps).
        https://arxiv.org/abs/2502.16982

    Example:
        >>> import keras, kerasar
        >>> x = kerasar.data.toy_sequences(100, length=8)
        >>> model = kerasar.models.CausalConvNet(8, 16, filters=8, dilations=(1,))
        >>> model.compile(kerasar.training.Muon(5e-3))
        >>> history = model.fit(x, epochs=2, verbose=0)
    """

    def __init__(
        self,
        learning_rate: Any = 5e-3,
        exclude_layers: list[str] | None = None,
        weight_decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("adam_weight_decay", weight_decay)
        super().__init__(
            learning_rate=learning_rate,
            exclude_layers=exclude_layers,
            weight_decay=weight_decay,
            **kwargs,
        )

    def _should_use_adamw(self, variable: Any) -> bool:
        shape = _as_matrix(variable.shape)
        if min(shape) < _LEAST_SIDE or "kernel" not in variable.path.split("/")[-1]:
            return True
        return bool(super()._should_use_adamw(_Named(variable.path, shape)))

    def _muon_update_step(self, gradient: Tensor, variable: Any, lr: Tensor, m: Any) -> None:
        self.assign_add(m, ops.add(gradient, ops.multiply(m, self.momentum - 1)))
        step = ops.add(gradient, ops.multiply(m, self.momentum)) if self.nesterov else m
        shape = _as_matrix(variable.shape)
        orthogonal = self.zeropower_via_newtonschulz5(ops.reshape(step, shape), self.ns_steps)
        # Keras' own lr_adjust is in float32 whatever the weights are in (3.15).
        scale = 1.0 if self.rms_rate is None else self.rms_rate * max(shape) ** 0.5
        lr = ops.cast(lr, variable.dtype)
        self.assign_sub(variable, ops.reshape(orthogonal, variable.shape) * (lr * scale))


class _Named:
    """What Keras asks of a variable to choose its optimizer."""

    def __init__(self, path: str, shape: tuple[int, int]) -> None:
        self.path, self.shape = path, shape


def _as_matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """The shape of a kernel as a matrix, whose columns are its outputs; of a vector as one row."""
    return (math.prod(shape[:-1]), shape[-1]) if shape else (1, 1)
