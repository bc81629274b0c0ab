"""A forecast with honest bands: simulated tides, and how often the bands hold.

python examples/tide_forecast.py           # a minute; writes tide.png
"""

import keras
import numpy as np

import kerasar
from kerasar.pictures import fan_chart, save

STEPS = 24


def tides(hours: int, seed: int) -> np.ndarray:
    """Metres: the sun's and the moon's tide, and weather that lasts for about a day."""
    rng = np.random.default_rng(seed)
    t = np.arange(hours)
    tide = 1.2 * np.sin(2 * np.pi * t / 12.42) + 0.4 * np.sin(2 * np.pi * t / 12.0)
    weather = np.zeros(hours)
    for i in range(1, hours):
        weather[i] = 0.95 * weather[i - 1] + rng.normal(0, 0.08)
    return (tide + weather).astype("float32")


def main(epochs: int = 15) -> None:
    train, test = tides(8000, seed=0), tides(1500, seed=1)
    likelihood = kerasar.distributions.GaussianMixture(3, mean=train.mean(), scale=train.std())
    model = kerasar.models.CausalConvNet(
        None, None, dilations=(1, 2, 4, 8, 16), likelihood=likelihood
    )
    model.compile(keras.optimizers.Adam(2e-3))
    windows = kerasar.data.windows(train, length=96, stride=8)
    model.fit(windows, batch_size=32, epochs=epochs, verbose=2)

    inside = []
    for start in range(100, len(test) - STEPS, 60):
        future = kerasar.forecast(model, test[:start], STEPS, num_paths=200)
        low, high = future.quantiles([0.05, 0.95])
        actual = test[start : start + STEPS]
        inside.append((low <= actual) & (actual <= high))
    print(f"The 90 % band held the tide in {np.mean(inside):.1%} of {np.size(inside)} hours.")

    figure = fan_chart(
        test[start - 72 : start], future.paths, actual, heading="A day of tides, metres"
    )
    save(figure, "tide.png")


if __name__ == "__main__":
    main()
