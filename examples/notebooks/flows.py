# %% [markdown]
# # Flows
#
# Densities in the plane: a neural spline flow, its latent, its samples; then a flow that is
# conditioned on a measurement.

# %%
# %matplotlib inline
import os

import numpy as np

import kerasar
from kerasar.pictures import density_figure, map_figure

QUICK = bool(os.environ.get("KERASAR_QUICK"))  # set by the tests, to see that everything runs

# %% [markdown]
# ## One dimension
#
# A rising map of straight pieces carries the data to a normal distribution. Where data are dense,
# the map is steep.

# %%
scalars = kerasar.data.toy_density("mixture", 200 if QUICK else 5000)
flow = kerasar.models.PiecewiseLinearFlow(pieces=60)
flow.compile()
flow.fit(scalars, batch_size=100, epochs=1 if QUICK else 60, verbose=0)
nats, entropy = -flow.log_prob(scalars).mean(), kerasar.data.mixture_entropy()
print(f"{nats:.3f} nats; the entropy is {entropy:.3f}")
rising = map_figure(flow, samples=scalars)
rising

# %% [markdown]
# ## Two dimensions
#
# `log_prob` is the density in the units of the data, `latent` the image under the map, `sample`
# draws from the density.

# %%
moons = kerasar.data.toy_density("moons", 200 if QUICK else 10_000)
flow = kerasar.models.NeuralSplineFlow(dim=2, depth=2 if QUICK else 4, standardize=True)
flow.compile()
flow.fit(moons, batch_size=100 if QUICK else 250, epochs=1 if QUICK else 30, verbose=0)
density = density_figure(flow, data=moons[:1000], num_samples=200 if QUICK else 2000)
density

# %%
latent = flow.latent(moons)
print("means", latent.mean(axis=0).round(2), "standard deviations", latent.std(axis=0).round(2))
back = flow.from_latent(latent[:3])
print(np.allclose(back, moons[:3], atol=1e-2))

# %% [markdown]
# ## Given a measurement
#
# Two parameters are measured with noise: what are they likely to be? The flow learns p(parameters
# | measured) from simulations, and is asked about one measurement.

# %%
rng = np.random.default_rng(0)
parameters = rng.normal(size=(200 if QUICK else 10_000, 2)).astype("float32")
distance = np.linalg.norm(parameters, axis=1, keepdims=True)
measured = (distance + rng.normal(0, 0.1, distance.shape)).astype("float32")
flow = kerasar.models.NeuralSplineFlow(2, depth=2 if QUICK else 4, condition_shape=(1,))
flow.compile()
data = {"x": parameters, "condition": measured}
flow.fit(data, batch_size=100 if QUICK else 250, epochs=1 if QUICK else 30, verbose=0)

seen = np.array([[1.5]], "float32")
posterior = density_figure(
    flow,
    condition=seen,
    num_samples=200 if QUICK else 2000,
    heading="p(parameters | distance = 1.5)",
)
posterior
