"""Which images are odd, and where? Damaged digits among good ones, found by their likelihood.

python examples/anomalies.py               # a minute; writes anomalies.png
"""

import keras
import numpy as np

import kerasar
from kerasar.pictures import image_grid, save, surprise_image

LEVELS = 17


def damaged(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Copies in which two pixels, anywhere, are moved by half the range of grey."""
    copies = images.copy()
    for copy in copies:
        for place in rng.choice(64, 2, replace=False):
            y, x = divmod(place, 8)
            copy[y, x] = (copy[y, x] + LEVELS // 2) % LEVELS
    return copies


def main(epochs: int = 30) -> None:
    (x, _), (x_test, _) = kerasar.data.load_digits()
    model = kerasar.models.ShiftedPixelCNN((8, 8, 1), LEVELS)
    model.compile(keras.optimizers.Adam(2e-3))
    x, held_out = x[:-300], x[-300:]
    model.fit(x, batch_size=32, epochs=epochs, verbose=2)

    odd = damaged(x_test, np.random.default_rng(0))
    good, bad = -model.log_prob(x_test), -model.log_prob(odd)  # nats; high is improbable
    above = (bad[:, None] > good[None, :]).mean()
    print(f"A damaged digit is less probable than a good one in {above:.1%} of all pairs (AUROC).")

    # The threshold comes from good images that training has not seen: one in fifty lies above it.
    threshold = np.quantile(-model.log_prob(held_out), 0.98)
    found, alarms = (bad > threshold).mean(), (good > threshold).mean()
    print(f"Above the threshold: {found:.1%} of the damaged, {alarms:.1%} of the good ones.")

    # log_prob_map says where: on the damaged pixels.
    worst = np.argsort(-bad)[:12]
    surprise = model.log_prob_map(odd[worst])
    pairs = [
        surprise_image(image, nats, LEVELS, most=12.0)
        for image, nats in zip(odd[worst], surprise, strict=True)
    ]
    heading = "The oddest digits, and the bits that each pixel costs"
    save(image_grid(np.stack(pairs), 256, columns=4, heading=heading), "anomalies.png")


if __name__ == "__main__":
    main()
