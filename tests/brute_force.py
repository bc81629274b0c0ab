"""What the outputs of small networks see, found by trying."""

import numpy as np


def positions_seen(network, levels):
    """`seen[i, j]`: the output for value i responds to value j, by brute force."""
    rng, shape = np.random.default_rng(0), network.inputs[0].shape[1:]
    count = int(np.prod(shape))
    seen = np.zeros((count, count), bool)
    for base in rng.integers(levels, size=(3, count)):
        batch = np.tile(base, (count, levels, 1))
        for position in range(count):
            batch[position, :, position] = range(levels)
        flat = np.concatenate([base[None], batch.reshape(-1, count)])
        out = np.asarray(network(flat.reshape(-1, *shape)), "float64").reshape(len(flat), count, -1)
        gap = np.abs(out[1:] - out[:1]).max(axis=-1).reshape(count, levels, count)
        seen |= (gap > 1e-6 * np.abs(out).max()).any(axis=1).T
    return seen
