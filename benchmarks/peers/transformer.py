"""A transformer in plain PyTorch, sampled with a preallocated cache of keys and values."""

import torch
import torch.nn.functional as F
from lecture import COMPILE
from torch import nn


class Transformer(nn.Module):
    """Pre-norm blocks with learned positions.

    A step takes the value before it, `(n,)`, and its position; the caches hold the keys and values
    of all positions before.
    """

    def __init__(self, length, levels, layers, width, heads):
        super().__init__()
        self.length, self.heads = length, heads
        self.embedding = nn.Embedding(levels + 1, width)
        self.positions = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm1": nn.LayerNorm(width),
                    "qkv": nn.Linear(width, 3 * width),
                    "out": nn.Linear(width, width),
                    "norm2": nn.LayerNorm(width),
                    "up": nn.Linear(width, 4 * width),
                    "down": nn.Linear(4 * width, width),
                }
            )
            for _ in range(layers)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, levels)

    def caches(self, n):
        width = self.positions.shape[1]
        shape = (n, self.heads, self.length, width // self.heads)
        return [(torch.zeros(shape), torch.zeros(shape)) for _ in self.blocks]

    def step(self, values, t, caches):
        h = self.embedding(values) + self.positions[t]
        n, width = h.shape
        for block, (keys, among) in zip(self.blocks, caches, strict=True):
            parts = block["qkv"](block["norm1"](h)).view(n, 3, self.heads, 1, -1)
            q, keys[:, :, t : t + 1], among[:, :, t : t + 1] = parts.unbind(1)
            seen = F.scaled_dot_product_attention(q, keys[:, :, : t + 1], among[:, :, : t + 1])
            h = h + block["out"](seen.reshape(n, width))
            h = h + block["down"](F.gelu(block["up"](block["norm2"](h))))
        return self.head(self.norm(h))


@torch.inference_mode()
def sample(model, n, steps, draw):
    """Draws `steps` values of `n` sequences; `draw` is `make_draw(model)`."""
    caches = model.caches(n)
    values = torch.full((n,), model.embedding.num_embeddings - 1)
    generated = []
    for t in range(steps):
        values = draw(values, t, caches)
        generated.append(values)
    return torch.stack(generated, 1)


def make_draw(model, compiled=False):
    """A step and the draw from its logits as one function, so that it can be compiled whole."""

    def draw(values, t, caches):
        logits = model.step(values, t, caches)
        return torch.multinomial(torch.softmax(logits, 1), 1)[:, 0]

    return torch.compile(draw, **{**COMPILE, "dynamic": True}) if compiled else draw
