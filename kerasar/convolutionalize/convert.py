"""`convolutionalize`: from a network "in theory", for one window, to one pass over all steps."""

import keras

from kerasar.arguments import checks_arguments
from kerasar.convolutionalize.network import NetworkBuilder
from kerasar.convolutionalize.plain import PlainNetworkBuilder
from kerasar.convolutionalize.plan import plan


@checks_arguments
def convolutionalize(
    window_model: keras.Model,
    padding: str = "causal",
    strictly_causal: bool = False,
    per_layer_padding: bool = False,
    as_plain_keras: bool = False,
) -> keras.Model:
    """Turns a model of one window into a network that predicts at every time step in one pass.

    Strides become dilations of all later layers, pooling becomes dilated pooling, `Flatten` with
    `Dense` a wide convolution; `padding="same"` adds a few streams for the borders. The network
    uses the *same weights*: train either, and both change.

    Args:
        window_model: built functional or sequential Keras model from a window, `(batch, window)` or
            `(batch, window, features)`, to one prediction, `(batch, units)` or `(batch, 1, units)`.
            Several inputs are windows of one length that end at the same step.
        padding: "causal" predicts at every step the window model's prediction from the last values,
            filled up with zeros in front at the first steps; "valid" predicts only where the window
            is full, which is `window - 1` steps fewer.
        strictly_causal: whether step t sees the values before t only, as `AutoregressiveModel`
            needs it. Else it sees the value at t too.
        per_layer_padding: whether each layer is padded by itself, as in the papers' causal stacks.
            Predictions then equal the window model's from the first full window on only.
        as_plain_keras: whether the weights are *copied* into plain `Conv1D(dilation_rate=…)` and
            `DilatedPooling1D` layers. The two networks then have nothing in common any more.

    Returns:
        A functional network from `(batch, time)` or `(batch, time, features)`, of any length, to
        `(batch, time, units)`. In training, `Dropout` drops elements of streams rather than of each
        window, `BatchNormalization` takes its statistics over all steps (and updates its moving
        averages once for each stream), and `SpectralNormalization` rescales its kernel once for
        each stream; otherwise they behave as in the window model.

    Raises:
        TypeError: if `window_model` is not a Keras model.
        ValueError: if it is not built, has several outputs, windows of several lengths or an open
            one; if a layer cannot be expressed (recurrent over the window, attention over it,
            activations that treat its columns differently, a `call` of its own), named with the
            reason; if arguments do not go together; or, for `as_plain_keras`, if a layer has no
            plain form.

    References:
        Van den Oord et al. WaveNet: A Generative Model for Raw Audio. 2016, section 2.1 (dilated
        causal stacks). https://arxiv.org/abs/1609.03499

    Example:
        >>> import keras, kerasar
        >>> window = keras.Input((8, 1))
        >>> h = keras.layers.Conv1D(4, 2, strides=2, activation="relu")(window)
        >>> h = keras.layers.Conv1D(4, 2, strides=2, activation="relu")(h)
        >>> h = keras.layers.Dense(3)(keras.layers.Flatten()(h))
        >>> network = kerasar.convolutionalize(keras.Model(window, h))
        >>> network.output_shape
        (None, None, 3)
    """
    if padding not in ("causal", "valid"):
        raise ValueError(
            "padding determines what happens before the first full window, 'causal' (zeros in "
            f"front) or 'valid' (no predictions), but got padding={padding!r}. padding='same' of "
            "layers inside the window model is fine."
        )
    if padding == "valid" and (strictly_causal or per_layer_padding):
        name = "strictly_causal" if strictly_causal else "per_layer_padding"
        raise ValueError(
            f"{name}=True needs a prediction at every step, but padding='valid' leaves the first "
            f"steps out. Use padding='causal', or leave {name} out."
        )
    builder = PlainNetworkBuilder if as_plain_keras else NetworkBuilder
    found = plan(window_model, join_first=as_plain_keras)
    return builder(found, padding, strictly_causal, per_layer_padding).build_network()
