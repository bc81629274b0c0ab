"""Which images are odd, and where? Damaged digits and blank images among good ones.

python examples/anomalies.py               # a minute; writes anomalies.png
"""

import keras
import numpy as np

import kerasar
from kerasar.pictures import save, strangest_figure

LEVELS = 17


def damaged(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Copies in which two pixels, anywhere, are moved by half the range of grey."""
    copies = images.copy()
    for copy in copies:
        for place in rng.choice(64, 2, replace=False):
            y, x = divmod(place, 8)
            copy[y, x] = (copy[y, x] + LEVELS // 2) % LEVELS
    return copies


def auroc(odd: np.ndarray, good: np.ndarray) -> float:
    """The share of pairs in which the odd one scores higher."""
    return float((odd[:, None] > good[None, :]).mean())


def main(epochs: int = 30) -> None:
    (x, _), (x_test, _) = kerasar.data.load_digits()
    model = kerasar.models.ShiftedPixelCNN((8, 8, 1), LEVELS)
    model.compile(keras.optimizers.Adam(2e-3))
    x, held_out = x[:-300], x[-300:]
    model.fit(x, batch_size=32, epochs=epochs, verbose=2)

    odd = damaged(x_test, np.random.default_rng(0))
    blank = np.zeros_like(x_test[:1])
    nats = kerasar.scores.surprise
    print(f"Likelihood alone: {auroc(nats(model, odd), nats(model, x_test)):.3f} (AUROC), but")
    print(f"a blank image is likelier than {auroc(nats(model, x_test), nats(model, blank)):.0%}.")

    # Fitted and calibrated on good images that training has not seen.
    detector = kerasar.AnomalyDetector(model).fit(held_out)
    print(f"The detector: {auroc(detector.score(odd), detector.score(x_test)):.3f}, and the blank")
    print(f"image has p = {detector.p_value(blank)[0]:.3f}.")
    found, alarms = (detector.is_anomaly(images, false_alarms=0.05) for images in (odd, x_test))
    low, high = detector.expected_range(0.05)
    print(f"Alarms: {found.mean():.1%} of the damaged, {alarms.mean():.1%} of the good ones,")
    print(f"of which {low:.1%} to {high:.1%} were to be expected.")

    worst = odd[np.argsort(-detector.score(odd))[:12]]
    why = detector.explain(worst)
    heading = "The strangest digits, and the bits that pixels cost beyond what was expected"
    save(strangest_figure(worst, why.excess_map, LEVELS, why.statistic, heading), "anomalies.png")


if __name__ == "__main__":
    main()
