"""A joint distribution over the binary variables of one event: a small NADE for each event.

The keys of a chord are far from independent. Here the network outputs the biases of a NADE, so
that each event has a distribution of its own, while the weights between the variables are shared by
all events and belong to the likelihood.
"""

import keras
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.distributions.likelihoods.base import Likelihood
from kerasar.distributions.likelihoods.bernoulli import Bernoulli
from kerasar.layers.nade_logits import nade_logits
from kerasar.typing import Config, Tensor

#: The distribution of a variable, once its logit is known.
_VARIABLE = Bernoulli()


@keras.saving.register_keras_serializable(package="kerasar")
class BernoulliNADE(keras.layers.Layer, Likelihood):
    """Vectors of zeros and ones, each variable given the earlier ones of its event.

    The network outputs `hidden_units + num_variables` values for each event: the biases c of the
    hidden units, then the biases b of the variables. The logit of variable i is
    `b_i + V_i · σ(c + Σ_{j<i} x_j W_j)`. W and V are weights of the likelihood: a model trains,
    saves and exports them as its own.

    `temperature`, `top_k` and `top_p` apply to the logit of each variable in turn.

    Args:
        num_variables: int, at least 1. Number of variables of an event.
        hidden_units: int, at least 1. Number of hidden units.
        **kwargs: `name` and `trainable`, as for `keras.layers.Layer`.

    Raises:
        TypeError, ValueError: if a size is not an integer of at least 1.

    References:
        Boulanger-Lewandowski, Bengio & Vincent. Modeling Temporal Dependencies in
        High-Dimensional Sequences: Application to Polyphonic Music Generation and Transcription.
        ICML 2012 (its RNN-NADE). https://arxiv.org/abs/1206.6392
        Larochelle & Murray. The Neural Autoregressive Distribution Estimator. AISTATS 2011.
        https://proceedings.mlr.press/v15/larochelle11a.html
    """

    event_rank = 1
    event_size: int

    @checks_arguments
    def __init__(self, num_variables: int, hidden_units: int, **kwargs: object) -> None:
        # Sums over variables are in float32; the network's output is cast to it.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.event_size = check_count(num_variables, "num_variables of BernoulliNADE")
        self.hidden_units = check_count(hidden_units, "hidden_units of BernoulliNADE")
        # All sizes are known here, and likelihoods are never called as layers are.
        self.inward = self.add_weight(shape=(num_variables, hidden_units), name="inward")
        self.outward = self.add_weight(shape=(num_variables, hidden_units), name="outward")

    def num_parameters(self, levels: int | None = None) -> int:
        _VARIABLE.num_parameters(levels)
        return self.hidden_units + self.event_size

    def num_levels(self, parameters: int) -> int:
        if parameters != self.hidden_units + self.event_size:
            raise ValueError(
                f"BernoulliNADE takes {self.hidden_units} + {self.event_size} parameters for each "
                "event, the biases of its hidden units and of its variables, but the network's "
                f"last axis is {parameters}. End the network with "
                f"{self.hidden_units + self.event_size} units."
            )
        return 2

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        logits = self._logits(parameters, x)
        return tf.reduce_sum(_VARIABLE.log_prob(logits[..., None], x), axis=-1)

    def log_prob_table(
        self, parameters: Tensor, levels: int, x: Tensor | None = None, variable: int = 0
    ) -> Tensor:
        # The logit of a variable does not depend on those that come later.
        logits = self._logits(parameters, x)
        return _VARIABLE.log_prob_table(logits[..., variable : variable + 1], levels)

    def num_uniforms(self, parameters: int) -> int:
        return self.event_size

    def noise(self, uniforms: Tensor) -> Tensor:
        return _VARIABLE.noise(uniforms)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        size = self.event_size
        sums, biases, options = self._parts(parameters)
        shape = tf.concat([tf.shape(noise)[:-1], [size]], 0)
        biases, noise = (tf.transpose(tf.reshape(part, (-1, size))) for part in (biases, noise))
        inward, outward = tf.convert_to_tensor(self.inward), tf.convert_to_tensor(self.outward)

        def step(i: Tensor, sums: Tensor, drawn: tf.TensorArray) -> tuple[Tensor, ...]:
            score = tf.reduce_sum(tf.sigmoid(sums) * outward[i], axis=-1)
            logit = _with_options_applied((score + biases[i])[:, None], options)
            value = _VARIABLE.sample(logit, noise[i][:, None])
            sums += tf.cast(value, sums.dtype)[:, None] * inward[i]
            return i + 1, sums, drawn.write(i, value)

        drawn = tf.TensorArray(tf.int32, size, element_shape=noise.shape[1:])
        *_, drawn = tf.while_loop(lambda i, *_: i < size, step, (0, sums, drawn))
        return tf.reshape(tf.transpose(drawn.stack()), shape)

    def shortfall(self, parameters: Tensor, noise: Tensor, x: Tensor) -> Tensor:
        logits = self._logits(parameters, x)
        each = _VARIABLE.shortfall(logits[..., None], noise[..., None], x)
        return tf.reduce_max(each, axis=-1)

    def apply_temperature(self, parameters: Tensor, temperature: Tensor) -> Tensor:
        biases, inverse, top_p = self._with_options(parameters)
        return tf.concat([biases, inverse / temperature, top_p], axis=-1)

    def apply_top_k_top_p(
        self, parameters: Tensor, top_k: Tensor | None, top_p: Tensor | None
    ) -> Tensor:
        biases, inverse, share = self._with_options(parameters)
        if top_p is not None:
            share = tf.minimum(share, top_p)
        if top_k is not None:
            # Of two values only the likelier one, as with a top_p of 0.
            share = tf.where(tf.equal(top_k, 1), 0.0, share)
        return tf.concat([biases, inverse, share], axis=-1)

    def _with_options(self, parameters: Tensor) -> list[Tensor]:
        """The biases, 1 / temperature and top_p, concatenated in parameters that have options."""
        parameters = tf.cast(parameters, tf.float32)
        if parameters.shape[-1] == self.hidden_units + self.event_size:
            off = tf.ones_like(parameters[..., :2])
            parameters = tf.concat([parameters, off], axis=-1)
        return tf.split(parameters, [self.hidden_units + self.event_size, 1, 1], axis=-1)

    def _parts(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Biases of hidden units, of variables, and options: events flattened to one axis."""
        size = parameters.shape[-1]
        flat = tf.reshape(tf.cast(parameters, tf.float32), (-1, size))
        both = self.hidden_units + self.event_size
        options = flat[:, both:] if size > both else None
        return flat[:, : self.hidden_units], flat[:, self.hidden_units : both], options

    def _logits(self, parameters: Tensor, x: Tensor) -> Tensor:
        """The logit of each variable of `x` given those before it, after options; as `x`."""
        start, biases, options = self._parts(parameters)
        values = tf.reshape(tf.cast(x, tf.int32), (-1, self.event_size))
        inward, outward = tf.convert_to_tensor(self.inward), tf.convert_to_tensor(self.outward)
        logits = nade_logits(values, start, inward, outward) + biases
        logits = _with_options_applied(logits, options)
        return tf.reshape(logits, tf.shape(x))

    def get_config(self) -> Config:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "num_variables": self.event_size,
            "hidden_units": self.hidden_units,
        }


def _with_options_applied(logits: Tensor, options: Tensor | None) -> Tensor:
    """Logits `(events, num_variables)` after 1 / temperature and top_p, `(events, 2)`."""
    if options is None:
        return logits
    return _VARIABLE.apply_top_k_top_p(logits * options[:, :1], None, options[:, 1:])
