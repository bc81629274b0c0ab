"""Toy sequences, and what four networks make of them.

A sequence starts at 32, runs straight with a random slope, and at a random step starts again with
another one. The probability of each is known, so the entropy is as well: no model can need fewer
nats than that. The two runs of a good sample are straight.
"""

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import sequence_grid


def draw(studio: Studio) -> None:
    x = kerasar.data.toy_sequences(5000, length=32)
    new = kerasar.data.toy_sequences(1000, length=32, seed=1)
    studio.show(sequence_grid(x[:16]), "Training sequences.")

    def masked_input() -> kerasar.MaskedInputModel:
        return kerasar.models.MaskedInputConvNet(32, levels=64)

    def causal() -> kerasar.AutoregressiveModel:
        return kerasar.models.CausalConvNet(32, levels=64)

    def dilated() -> kerasar.AutoregressiveModel:
        dilations = (1, 2, 4, 8, 16)
        return kerasar.models.CausalConvNet(32, levels=64, filters=64, dilations=dilations)

    def wavenet() -> kerasar.AutoregressiveModel:
        return kerasar.models.WaveNet(32, levels=64, cycles=1, cycle_length=5)

    rows = [["network", "weights", "nats a sequence"]]
    for build, what in (
        (masked_input, "the masked-input network, one pass for each value"),
        (causal, "causal convolutions, which see the last 5 values"),
        (dilated, "dilated convolutions, which see all values before"),
        (wavenet, "WaveNet: gates, residual and skip connections, dilations"),
    ):
        epochs = 25 if build is masked_input else 20
        model = studio.trained(build, x, epochs=epochs, batch_size=50)
        nats = -model.log_prob(new).mean()
        caption = f"Drawn by {what}: {nats:.2f} nats a sequence."
        studio.show(sequence_grid(model.sample(16, seed=0)), caption)
        rows.append([what, f"{model.count_params():,}", f"{nats:.2f}"])
    rows.append(["the process itself", "", f"{kerasar.data.toy_entropy(32):.2f}"])
    studio.tabulate(rows, "Nats of 1,000 new sequences: the fewer, the better.")
