"""What a prediction sees.

Stacked masked convolutions leave a blind spot: pixels to the upper right that a prediction never
sees, however many layers there are. Gated PixelCNN has two stacks of convolutions instead, and
no blind spot: within its reach it sees all that is above, and all to the left in its row. The
pictures are not drawn by hand: kerasar derives them from the network, as it derives
the proof that a prediction sees no pixel of its future.
"""

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import receptive_field_figure


def draw(studio: Studio) -> None:
    shape = (15, 15, 1)
    for name, model in (
        ("PixelCNN", kerasar.models.PixelCNN(shape, 4, filters=4, blocks=3)),
        ("Gated PixelCNN", kerasar.models.GatedPixelCNN(shape, 4, filters=4, blocks=3)),
    ):
        field = kerasar.receptive_field(model.network)
        blind = len(field.blind_spot)
        caption = f"{name} sees {len(field.offsets)} pixels; its blind spot has {blind}."
        studio.show(receptive_field_figure(field), caption)

    transformer = kerasar.models.Transformer(32, 4, units=8, layers=1, num_heads=1)
    field = kerasar.receptive_field(transformer.network)
    caption = "A transformer on sequences of 32 steps: one layer sees all that is past."
    studio.show(receptive_field_figure(field), caption)
