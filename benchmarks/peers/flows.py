"""Flows of zuko and normflows on points in the plane: what the benchmarks compare kerasar with.

Affine couplings (RealNVP) and rational-quadratic spline couplings with 8 bins (neural spline
flows), from each library's own parts, with networks of about the same size: one hidden layer for
the affine couplings, two for the splines. Both libraries must be in the environment:

    /tmp/peers/bin/pip install zuko normflows
"""

import torch
from torch import nn

BINS = 8


class Zuko(nn.Module):
    """A flow of zuko: https://github.com/probabilists/zuko"""

    def __init__(self, kind, couplings, hidden):
        import zuko

        super().__init__()
        if kind == "real_nvp":
            self.flow = zuko.flows.RealNVP(
                2, transforms=couplings, hidden_features=(hidden,), activation=nn.ReLU
            )
        else:
            self.flow = zuko.flows.NICE(
                2,
                transforms=couplings,
                univariate=zuko.transforms.MonotonicRQSTransform,
                shapes=[(BINS,), (BINS,), (BINS - 1,)],
                hidden_features=(hidden, hidden),
            )

    def log_prob(self, x):
        return self.flow().log_prob(x)

    def sample(self, n):
        return self.flow().sample((n,))


class Normflows(nn.Module):
    """A flow of normflows: https://github.com/VincentStimper/normalizing-flows"""

    def __init__(self, kind, couplings, hidden):
        import normflows as nf

        super().__init__()
        flows = []
        for _ in range(couplings):
            if kind == "real_nvp":
                network = nf.nets.MLP([1, hidden, 2], init_zeros=True)
                flows += [nf.flows.AffineCouplingBlock(network), nf.flows.Permute(2, mode="swap")]
            else:
                # A residual network of one block has two layers of its width besides the first.
                width = round(hidden / 2**0.5)
                spline = nf.flows.CoupledRationalQuadraticSpline(2, 1, width, num_bins=BINS)
                flows += [spline, nf.flows.Permute(2, mode="swap")]
        self.flow = nf.NormalizingFlow(nf.distributions.DiagGaussian(2, trainable=False), flows)

    def log_prob(self, x):
        return self.flow.log_prob(x)

    def sample(self, n):
        return self.flow.sample(n)[0]


LIBRARIES = {"zuko": Zuko, "normflows": Normflows}


def build(library, kind, couplings, hidden):
    torch.manual_seed(0)
    return LIBRARIES[library](kind, couplings, hidden)


def make_train_step(model, rate):
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)

    def step(batch):
        optimizer.zero_grad(set_to_none=True)
        loss = -model.log_prob(batch).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step, optimizer


def train(points, steps, n=256, library="zuko", kind="real_nvp", couplings=8, hidden=64, rate=1e-3):
    """A flow trained on shuffled points; the learning rate falls to 0 along half a cosine."""
    model = build(library, kind, couplings, hidden)
    step, optimizer = make_train_step(model, rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    order = torch.Generator().manual_seed(0)
    batches = iter(())
    for _ in range(steps):
        rows = next(batches, None)
        if rows is None:
            shuffled = torch.randperm(len(points), generator=order)
            batches = iter(shuffled[: len(points) // n * n].split(n))
            rows = next(batches)
        step(points[rows])
        schedule.step()
    return model


@torch.no_grad()
def held_out_nats(model, points):
    """The mean of -log p over points, and the number of trained weights."""
    model.eval()
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {"nats": float(-model.log_prob(points).double().mean()), "parameters": count}
