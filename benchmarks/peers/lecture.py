"""The networks of the lectures in PyTorch: what the benchmarks compare kerasar with.

François Fleuret's Deep Learning course, lectures 10.1 "Autoregression" and 10.2 "Causal
convolutions", has the toy network and the PixelCNN; WaveNet is van den Oord et al. 2016,
https://arxiv.org/abs/1609.03499. Written anew from their descriptions, float32, channels first.

Every network takes integers in [0, levels), shape (n, length) or (n, height, width), scales or
embeds them and shifts by one, so that no output sees its own value. It returns the logits with the
levels on axis 1, as `cross_entropy` wants them.

Two ways to sample are here. `sample_lecture` is the loop of the lectures: the whole network over
the whole sequence for every position. `sample_cached` is what one writes next: one position at a
time, each layer keeping the inputs that its convolution needs again.
"""

from collections import deque

import torch
from torch import nn
from torch.distributions import Categorical
from torch.nn import functional as F

# One graph of fixed shapes or an error; without the last, cases would share one recompile limit.
COMPILE = {"fullgraph": True, "dynamic": False, "isolate_recompiles": True}


class ToyNet(nn.Module):
    """The lecture's toy network: 1 → 32, four causal convolutions of kernel 2, 32 → levels."""

    def __init__(self, levels=32, dilations=(1, 1, 1, 1), filters=32):
        super().__init__()
        self.levels = levels
        self.first = nn.Conv1d(1, filters, 1)
        self.convs = nn.ModuleList(nn.Conv1d(filters, filters, 2, dilation=d) for d in dilations)
        self.last = nn.Conv1d(filters, levels, 1)

    def normalize(self, values):
        return normalize(values, self.levels)

    def forward(self, values):
        x = F.pad(self.normalize(values)[:, None], (1, -1))
        x = F.relu(self.first(x))
        for conv in self.convs:
            x = F.relu(conv(F.pad(x, (conv.dilation[0], 0))))
        return self.last(x)


class PixelCNN(nn.Module):
    """The lecture's PixelCNN: one stack sees the rows above, the other the pixels to the left."""

    def __init__(self, image_shape=(28, 28), levels=256, positional_encoding=True):
        super().__init__()
        self.image_shape, self.levels = image_shape, levels
        position = position_bits(*image_shape) if positional_encoding else torch.zeros(0, 1, 1)
        self.register_buffer("position", position.expand(-1, *image_shape))
        channels = 1 + len(position)
        self.conv1h = nn.Conv2d(channels, 32, (3, 5))
        self.conv2h = nn.Conv2d(32, 64, (3, 5))
        self.conv1v = nn.Conv2d(channels, 32, (1, 3))
        self.conv2v = nn.Conv2d(32, 64, (1, 3))
        self.final1 = nn.Conv2d(128, 128, 1)
        self.final2 = nn.Conv2d(128, levels, 1)

    def forward(self, values):
        x = normalize(values, self.levels)[:, None]
        x = torch.cat([x, self.position.expand(len(x), -1, -1, -1)], 1)

        # F.pad counts left, right, top, bottom; the negative end of a shift drops the last.
        above = F.pad(x, (0, 0, 1, -1))
        above = F.relu(self.conv1h(F.pad(above, (2, 2, 2, 0))))
        above = F.relu(self.conv2h(F.pad(above, (2, 2, 2, 0))))

        left = F.pad(x, (1, -1, 0, 0))
        left = F.relu(self.conv1v(F.pad(left, (2, 0, 0, 0))))
        left = F.relu(self.conv2v(F.pad(left, (2, 0, 0, 0))))

        x = torch.cat([above, left], 1)
        return self.final2(F.relu(self.final1(x)))


class WaveNet(nn.Module):
    """Gated dilated convolutions with residual and skip connections: three cycles of 1 … 512."""

    def __init__(
        self, levels=256, residual=32, skip=128, dilations=3 * tuple(2**i for i in range(10))
    ):
        super().__init__()
        self.levels = levels
        self.embedding = nn.Embedding(levels, residual)
        self.gates = nn.ModuleList(
            nn.Conv1d(residual, 2 * residual, 2, dilation=d) for d in dilations
        )
        self.skips = nn.ModuleList(nn.Conv1d(residual, skip, 1) for _ in dilations)
        # Nothing reads a residual output of the last layer, so it has none.
        self.residuals = nn.ModuleList(nn.Conv1d(residual, residual, 1) for _ in dilations[1:])
        self.head1 = nn.Conv1d(skip, skip, 1)
        self.head2 = nn.Conv1d(skip, levels, 1)

    def forward(self, values):
        x = F.pad(self.embedding(values).transpose(1, 2), (1, -1))
        total = 0.0
        for i, gate in enumerate(self.gates):
            filtered, gated = gate(F.pad(x, (gate.dilation[0], 0))).chunk(2, 1)
            hidden = torch.tanh(filtered) * torch.sigmoid(gated)
            total = total + self.skips[i](hidden)
            if i < len(self.residuals):
                x = x + self.residuals[i](hidden)
        return self.head2(F.relu(self.head1(F.relu(total))))


def normalize(values, levels):
    """Integers to mean 0 and deviation 1, were they uniform; the lecture takes the data's own."""
    return (values - (levels - 1) / 2) / ((levels**2 - 1) / 12) ** 0.5


def position_bits(height, width):
    """The binary digits of every pixel's row and column, one channel a digit."""

    def bits(count):
        digits = torch.arange((count - 1).bit_length())
        return (torch.arange(count)[None] >> digits[:, None] & 1).float()

    rows = bits(height)[:, :, None].expand(-1, -1, width)
    columns = bits(width)[:, None, :].expand(-1, height, -1)
    return torch.cat([rows, columns])


# ------------------------------------------------------------------ the lecture's way to sample


@torch.no_grad()
def sample_lecture(model, n, length, steps=None):
    """Draws n sequences, one full forward pass a position; only the first `steps`, if given."""
    generated = torch.zeros(n, length, dtype=torch.long)
    for t in range(length if steps is None else steps):
        output = model(generated)
        generated[:, t] = Categorical(logits=output[:, :, t]).sample()
    return generated


@torch.no_grad()
def sample_images_lecture(model, n, image_shape=(28, 28), steps=None):
    """Draws n images in raster-scan order, one full forward pass of all of them a pixel."""
    height, width = image_shape
    generated = torch.zeros(n, height, width, dtype=torch.long)
    for t in range(height * width if steps is None else steps):
        row, column = divmod(t, width)
        output = model(generated)
        generated[:, row, column] = Categorical(logits=output[:, :, row, column]).sample()
    return generated


# ------------------------------------------------------------------ the cached way to sample


def as_matrix(conv):
    """The (matrix, bias) of a convolution over its taps laid side by side, the oldest first."""
    return conv.weight.detach().permute(2, 1, 0).flatten(0, 1).contiguous(), conv.bias.detach()


def apply(x, matrix_and_bias):
    matrix, bias = matrix_and_bias
    return torch.addmm(bias, x, matrix)


class ToyStep:
    """One position of a `ToyNet`: the layers' old inputs in, the logits and the new inputs out."""

    def __init__(self, model):
        self.dilations = [conv.dilation[0] for conv in model.convs]
        self.channels = model.first.out_channels
        self.first, self.last = as_matrix(model.first), as_matrix(model.last)
        self.convs = [as_matrix(conv) for conv in model.convs]
        self.levels = model.levels

    def start(self, n):
        return torch.zeros(n, 1)

    def enter(self, values):
        return normalize(values, self.levels)

    def __call__(self, x, old):
        x, new = F.relu(apply(x, self.first)), []
        for before, conv in zip(old, self.convs, strict=True):
            new.append(x)
            x = F.relu(apply(torch.cat([before, x], 1), conv))
        return apply(x, self.last), new


class WaveNetStep:
    """One position of a `WaveNet`: the layers' old inputs in, the logits and the new inputs out."""

    def __init__(self, model):
        self.dilations = [gate.dilation[0] for gate in model.gates]
        self.channels = model.embedding.embedding_dim
        self.embedding = model.embedding.weight.detach()
        self.gates = [as_matrix(conv) for conv in model.gates]
        self.skips = [as_matrix(conv) for conv in model.skips]
        self.residuals = [as_matrix(conv) for conv in model.residuals]
        self.head1, self.head2 = as_matrix(model.head1), as_matrix(model.head2)

    def start(self, n):
        return torch.zeros(n, self.channels)

    def enter(self, values):
        return self.embedding[values[:, 0]]

    def __call__(self, x, old):
        total, new = 0.0, []
        for i, before in enumerate(old):
            new.append(x)
            filtered, gated = apply(torch.cat([before, x], 1), self.gates[i]).chunk(2, 1)
            hidden = torch.tanh(filtered) * torch.sigmoid(gated)
            total = total + apply(hidden, self.skips[i])
            if i < len(self.residuals):
                x = x + apply(hidden, self.residuals[i])
        return apply(F.relu(apply(F.relu(total), self.head1)), self.head2), new


def make_draw(step, compiled=False):
    """The step and the draw from its logits as one function, so that it can be compiled whole."""

    def draw(x, old):
        logits, new = step(x, old)
        # What Categorical does too, without its checks: up to a tenth of a step.
        values = torch.multinomial(torch.softmax(logits, 1), 1)
        return values, step.enter(values), new

    return torch.compile(draw, **COMPILE) if compiled else draw


@torch.inference_mode()
def sample_cached(step, batch, steps, draw):
    """Draws sequences of `steps` values, one position at a time; `draw` is `make_draw(step)`.

    Each layer has a ring of as many inputs as its dilation. The ring holds tensors and is turned
    by Python, so nothing is copied; it starts with the zeros that the convolution pads with.
    """
    rings = [deque(d * [torch.zeros(batch, step.channels)], maxlen=d) for d in step.dilations]
    x, generated = step.start(batch), []
    for _ in range(steps):
        values, x, new = draw(x, [ring[0] for ring in rings])
        for ring, value in zip(rings, new, strict=True):
            ring.append(value)  # and so the oldest leaves
        generated.append(values)
    return torch.cat(generated, 1)


# ------------------------------------------------------------------ training


def make_train_step(model, learning_rate=1e-3, compiled=False):
    """Returns `train_step(batch)`: one step of Adam on the mean cross-entropy, in nats a value."""
    optimizer = torch.optim.Adam(model.parameters(), learning_rate, fused=True)

    def cross_entropy(batch):
        return F.cross_entropy(model(batch), batch)

    loss_of = torch.compile(cross_entropy, **COMPILE) if compiled else cross_entropy

    def train_step(batch):
        loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return train_step
