"""What does not belong, and where.

A detector compares the nats that an image costs with those that the model itself expected, on both
sides: a blank image costs no more than digits do, and is as strange as noise. It says how rare an
image is among good ones, and which pixels speak against it. Its share of false alarms holds for
images like those that it was fitted on; the test images are in part by other writers.
"""

import numpy as np

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import strangest_figure


def draw(studio: Studio) -> None:
    data = studio.images
    good, train = data.train[-300:], data.train[:-300]
    model = studio.pixelcnn(train)
    detector = kerasar.AnomalyDetector(model).fit(good)
    test, top = data.test, data.levels - 1
    size = test.shape[1] // 3
    patched = test[:100].copy()
    middle = slice(size, 2 * size)
    patched[:, middle, middle] = top - patched[:, middle, middle]
    strange = {
        "test images": test,
        "inverted": top - test[:100],
        "blank": np.zeros_like(test[:20]),
        "a square inverted": patched,
    }
    rows = [["images", "nats a pixel", "called anomalies at 5% false alarms"]]
    cost = {}
    for name, images in strange.items():
        cost[name] = nats = -model.log_prob(images).mean() / np.prod(images.shape[1:])
        alarms = detector.is_anomaly(images, false_alarms=0.05).mean()
        rows.append([name, f"{nats:.2f}", f"{alarms:.0%}"])
    caption = (
        f"A blank image costs {cost['blank']:.2f} nats a pixel, a test image "
        f"{cost['test images']:.2f}: a low likelihood alone would not find it."
    )
    studio.tabulate(rows, caption)

    shown = np.concatenate([test[:1], patched[:2]])
    why = detector.explain(shown)
    figure = strangest_figure(shown, why.excess_map, data.levels, ["good", "patched", "patched"])
    caption = "Each image, and next to it the bits that each pixel costs beyond what was expected."
    studio.show(figure, caption)
