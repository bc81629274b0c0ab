"""A network of your own over images, with a class: its proof, and all that follows from it.

    python examples/own_image_network.py       # two minutes; writes own_digits.png

The network is plain Keras but for the layers that hide the future. kerasar proves that it does,
says what a pixel sees, and derives the sampler.
"""

import keras
import numpy as np

import kerasar
from kerasar.layers import MaskedConv2D, ScaleLevels, SplitChannels
from kerasar.pictures import image_grid, save

LEVELS, CLASSES, WIDTH = 17, 10, 48


def network(first: keras.layers.Layer) -> keras.Model:
    """Masked convolutions with residuals after a first one; the class joins every layer."""
    x = keras.Input((8, 8, 1), dtype="int32", name="x")
    label = keras.Input((), dtype="int32", name="label")
    h = first(ScaleLevels(LEVELS)(x))
    for i in range(4):
        given = keras.layers.Embedding(CLASSES, WIDTH, name=f"class{i}")(label)
        given = keras.layers.Reshape((1, 1, WIDTH))(given)
        r = keras.layers.Add()([MaskedConv2D(WIDTH, 3, name=f"conv{i}")(h), given])
        h = keras.layers.Add()([h, keras.layers.Activation("gelu")(r)])
    h = keras.layers.Dense(2 * WIDTH, activation="gelu")(h)
    h = keras.layers.Dense(LEVELS)(h)
    return keras.Model([x, label], SplitChannels()(h))


def main(epochs: int = 30) -> None:
    (x, labels), (x_test, test_labels) = kerasar.data.load_digits()

    try:  # an ordinary convolution sees what is still to be drawn, and the proof says so
        kerasar.check_causal(network(keras.layers.Conv2D(WIDTH, 5, padding="same", name="first")))
    except ValueError as leak:
        print(f"{leak}\n")

    first = MaskedConv2D(WIDTH, 5, mask="A", name="first")
    model = kerasar.AutoregressiveModel(network(first))  # proven here, or refused
    print(f"A pixel sees {len(kerasar.receptive_field(model.network).offsets)} others.")
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit({"x": x, "condition": labels}, batch_size=32, epochs=epochs, verbose=2)
    judged = model.evaluate({"x": x_test, "condition": test_labels}, return_dict=True, verbose=0)
    print(f"Held-out digits: {judged['bits_per_dim']:.3f} bits/dim.")

    # A classifier for nothing: the class under which an image is most probable (Bayes' rule).
    nats = [model.log_prob(x_test, np.full(len(x_test), label)) for label in range(CLASSES)]
    right = (np.argmax(nats, axis=0) == test_labels).mean()
    print(f"{right:.1%} of them are most probable under their own class.")

    wanted = np.repeat(np.arange(CLASSES), 8)
    drawn = model.sample(len(wanted), condition=wanted, seed=0)
    save(image_grid(drawn, LEVELS, columns=8, heading="Each row a class"), "own_digits.png")


if __name__ == "__main__":
    main()
