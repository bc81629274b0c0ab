"""From a simulator to a posterior: a conditional flow learns p(parameters | observation).

    python examples/posterior.py               # a minute; writes posterior.png

Two parameters with a normal prior, three noisy linear measurements of them: here the posterior is
known exactly, so that what the flow learned can be judged. Nothing else in the script uses that.
"""

import keras
import numpy as np

import kerasar
from kerasar.pictures import density_figure, save

MEASURE = np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]])
NOISE = 0.4


def simulate(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Parameters from the prior, `(count, 2)`, and what was measured, `(count, 3)`."""
    rng = np.random.default_rng(seed)
    parameters = rng.normal(size=(count, 2))
    measured = parameters @ MEASURE.T + rng.normal(0, NOISE, (count, 3))
    return parameters.astype("float32"), measured.astype("float32")


def exact_log_prob(parameters: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """ln p(parameters | measured) in nats: Bayes' rule for normal variables."""
    precision = np.eye(2) + MEASURE.T @ MEASURE / NOISE**2
    mean = measured @ MEASURE / NOISE**2 @ np.linalg.inv(precision)
    off = parameters - mean
    square = np.einsum("ni,ij,nj->n", off, precision, off)
    return 0.5 * (np.linalg.slogdet(precision)[1] - square) - np.log(2 * np.pi)


def main(epochs: int = 30) -> None:
    parameters, measured = simulate(20_000, seed=0)
    flow = kerasar.models.RealNVP(2, depth=6, condition_shape=(3,))
    flow.compile(keras.optimizers.Adam(2e-3))
    data = {"x": parameters, "condition": measured}
    flow.fit(data, batch_size=250, epochs=epochs, verbose=2)

    parameters, measured = simulate(2000, seed=1)
    learned = flow.log_prob(parameters, condition=measured).mean()
    exact = exact_log_prob(parameters, measured).mean()
    print(f"ln p(parameters | measured): {learned:.3f} nats learned, {exact:.3f} exactly.")

    seen = measured[:1]
    drawn = flow.sample(2000, condition=np.repeat(seen, 2000, axis=0), seed=0)
    print(
        f"Seen {seen[0].round(2)}: mean {drawn.mean(0).round(2)}, truth {parameters[0].round(2)}."
    )
    heading = f"p(parameters | measured = {seen[0].round(2)})"
    save(density_figure(flow, condition=seen, samples=drawn, heading=heading), "posterior.png")


if __name__ == "__main__":
    main()
